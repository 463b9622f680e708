//! A private server process for tests: run without root's rights, signalled, restarted, and never left behind.
//!
//! A static in a test binary is never dropped, so every process also has a watchdog: a shell that waits for the
//! end of its standard input, which comes when the test process is gone for whatever reason, and then kills.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

/// Why a private server could not be had. The text ends with the server's own last words where there are any.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a process or a socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A program ended with a failure.
    #[error("{program} failed: {output}")]
    Failed {
        /// The program's name.
        program: String,
        /// The end of what it printed.
        output: String,
    },
    /// The server did not answer in time.
    #[error("{program} did not become ready: {output}")]
    NotReady {
        /// The program's name.
        program: String,
        /// The end of its log.
        output: String,
    },
}

impl Error {
    /// Maps an IO error, naming what was being done.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// The system account a server runs as: some refuse to run as root. Without root it is whoever runs the tests.
#[derive(Clone, Debug)]
pub struct Account(Option<String>);

impl Account {
    /// `name` when running as root, else the current user.
    pub fn named(name: &str) -> Result<Self, Error> {
        Ok(Self((output(Command::new("id").arg("-u"))?.trim() == "0").then(|| name.to_owned())))
    }

    /// A command that runs `program` as this account; its process id is the program's own.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let Some(name) = &self.0 else { return Command::new(program.as_ref()) };
        let mut command = Command::new("setpriv");
        command.args([&format!("--reuid={name}"), &format!("--regid={name}"), "--clear-groups", "--"]);
        command.arg(program.as_ref());
        command
    }

    /// Makes `path` this account's own.
    pub fn own(&self, path: &Path) -> Result<(), Error> {
        match &self.0 {
            Some(name) => output(Command::new("chown").arg(format!("{name}:")).arg(path)).map(drop),
            None => Ok(()),
        }
    }
}

/// Runs a command to its end and returns what it printed on stdout.
pub fn output(command: &mut Command) -> Result<String, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let done = command.stdin(Stdio::null()).output().map_err(Error::io(format!("cannot run {program}")))?;
    if done.status.success() {
        return Ok(String::from_utf8_lossy(&done.stdout).into_owned());
    }
    let said = [done.stdout, done.stderr].concat();
    Err(Error::Failed { program, output: tail(&String::from_utf8_lossy(&said)) })
}

/// A server process in a directory of its own, which goes when this value goes.
pub struct Daemon {
    account: Account,
    program: PathBuf,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    dir: TempDir,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    watchdog: Child,
}

impl Daemon {
    /// Prepares a process without starting it. Its log is `log` in `dir`, which must belong to `account`.
    pub fn new(account: Account, program: impl Into<PathBuf>, args: Vec<String>, dir: TempDir) -> Self {
        let environment = Vec::new();
        Self { account, program: program.into(), args, environment, dir, running: Mutex::new(None) }
    }

    /// Adds to the process's environment.
    #[must_use]
    pub fn with_environment(mut self, variables: Vec<(String, String)>) -> Self {
        self.environment = variables;
        self
    }

    /// The directory that holds everything of this server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.lock().as_ref().map(|running| running.child.id())
    }

    /// The end of the server's log.
    pub fn log(&self) -> String {
        tail(&fs::read_to_string(self.log_path()).unwrap_or_default())
    }

    /// Starts the process and waits until `ready` holds. Does nothing more than wait if it runs already.
    pub fn start(&self, ready: impl Fn() -> bool) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.launch()?;
            if ready() {
                return Ok(());
            }
            if self.reap_if_dead() || Instant::now() > deadline {
                let program = self.program.display().to_string();
                return Err(Error::NotReady { program, output: self.log() });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the server and all its processes at once, as a crash would (SIGKILL).
    pub fn kill(&self) {
        if let Some(running) = self.running.lock().take() {
            let family = freeze(running.child.id());
            signal("KILL", &family);
            running.bury();
            // What the dead still hold (shared memory, say) would keep the server from starting again.
            for pid in family {
                while is_alive(pid) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
    }

    /// Asks the server to end and waits until it has (SIGTERM).
    pub fn stop(&self) {
        if let Some(running) = self.running.lock().take() {
            signal("TERM", &[running.child.id()]);
            running.bury();
        }
    }

    /// Freezes the server and all its processes: connections stay open and nothing answers (SIGSTOP).
    pub fn pause(&self) {
        if let Some(pid) = self.pid() {
            freeze(pid);
        }
    }

    /// Lets a frozen server go on (SIGCONT).
    pub fn resume(&self) {
        if let Some(pid) = self.pid() {
            signal("CONT", &family(pid));
        }
    }

    fn launch(&self) -> Result<(), Error> {
        let mut running = self.running.lock();
        if running.is_some() {
            return Ok(());
        }
        let log = self.open_log().map_err(Error::io("cannot open the server's log"))?;
        let log_too = log.try_clone().map_err(Error::io("cannot open the server's log"))?;
        let mut child = self
            .account
            .command(&self.program)
            .args(&self.args)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.dir())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .process_group(0)
            .spawn()
            .map_err(Error::io(format!("cannot run {}", self.program.display())))?;
        let watchdog = Command::new("sh")
            .args(["-c", r#"read _; kill -9 "$1"; sleep 0.2; rm -rf "$2""#, "watchdog"])
            .arg(child.id().to_string())
            .arg(self.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match watchdog {
            Ok(watchdog) => *running = Some(Running { child, watchdog }),
            Err(error) => {
                let _ = child.kill();
                return Err(Error::io("cannot run sh")(error));
            }
        }
        Ok(())
    }

    fn reap_if_dead(&self) -> bool {
        let mut running = self.running.lock();
        let dead = running.as_mut().is_none_or(|running| !matches!(running.child.try_wait(), Ok(None)));
        if dead && let Some(running) = running.take() {
            running.bury();
        }
        dead
    }

    fn log_path(&self) -> PathBuf {
        self.dir().join("log")
    }

    fn open_log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.log_path())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    fn bury(mut self) {
        let _ = self.child.wait();
        // Killed before its input ends, or it would kill whoever has the process id by then.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
    }
}

/// Sends a signal by its short name (`KILL`, `STOP`) to processes; those already gone are passed over.
pub fn signal(name: &str, pids: &[u32]) {
    let mut command = Command::new("sh");
    command.args(["-c", r#"kill -s "$0" "$@""#, name]).args(pids.iter().map(u32::to_string));
    let _ = command.stdin(Stdio::null()).stderr(Stdio::null()).status();
}

/// Stops a process and its children. The parent first, so that it makes no new ones meanwhile.
fn freeze(pid: u32) -> Vec<u32> {
    signal("STOP", &[pid]);
    let family = family(pid);
    signal("STOP", &family);
    family
}

/// A process and its children.
fn family(pid: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children = processes.filter_map(|entry| {
        let child: u32 = entry.file_name().to_str()?.parse().ok()?;
        (state_and_parent(child)?.1 == pid).then_some(child)
    });
    std::iter::once(pid).chain(children).collect()
}

fn is_alive(pid: u32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

fn state_and_parent(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state parent …", where the name may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
