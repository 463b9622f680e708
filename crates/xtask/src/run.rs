//! Running other programs, and saying what was run and how long it took.

use std::fmt;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Why a command stopped, in words for whoever runs it.
pub struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Failure {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A command from its words.
pub fn command<const N: usize>(words: [&str; N]) -> Command {
    let mut words = words.into_iter();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

/// Runs a command in the open; fails if it does.
pub fn execute(command: &mut Command) -> Result<(), Failure> {
    println!("$ {}", written(command));
    let status = command.status().map_err(|error| missing(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` failed ({status})", written(command)).into()) }
}

/// Runs a command and takes what it prints; fails if it does.
pub fn output(command: &mut Command) -> Result<String, Failure> {
    let done = command.stderr(Stdio::inherit()).output().map_err(|error| missing(command, &error))?;
    if done.status.success() {
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    } else {
        Err(format!("`{}` failed ({})", written(command), done.status).into())
    }
}

/// Whether a command can be run at all and succeeds, quietly.
pub fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Becomes the command, so that signals and its exit code are its own. Returns only if that fails.
pub fn become_it(command: &mut Command) -> Result<(), Failure> {
    println!("$ {}", written(command));
    let error = command.exec();
    Err(missing(command, &error))
}

/// A program built into the target directory where this one lies, by its profile's directory.
pub fn built(profile: &str, name: &str) -> Result<PathBuf, Failure> {
    let me = std::env::current_exe().map_err(|error| format!("cannot find the target directory: {error}"))?;
    let target = me.ancestors().nth(2).ok_or("cannot find the target directory")?;
    Ok(target.join(profile).join(name))
}

fn missing(command: &Command, error: &io::Error) -> Failure {
    Failure(format!("cannot run {}: {error}", command.get_program().display()))
}

fn written(command: &Command) -> String {
    let args = command.get_args().map(|arg| arg.to_string_lossy());
    let words = std::iter::once(command.get_program().to_string_lossy()).chain(args);
    words.collect::<Vec<_>>().join(" ")
}
