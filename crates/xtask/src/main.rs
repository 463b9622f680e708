//! `cargo xtask`: builds, runs and tests Doorman. It only orchestrates other programs, so it needs no crate.

mod bench;
mod demo;
mod fuzz;
mod install;
mod java;
mod node;
mod python;
mod release;
mod rules;
mod run;
mod test;
mod ui;

use std::path::PathBuf;
use std::process::ExitCode;

use run::Failure;

const HELP: &str = "\
cargo xtask <command>

  demo [args…]     build everything and run `doorman demo` (a cold build takes about 3 minutes)
  test [args…]     install what tests need, then everything CI checks; args go to `cargo test`
  bench [args…]    build for release and run the measurements (--quick: a faster build, rougher figures);
                   `bench audit` measures a log of ten million entries
  release          build the binary as it is deployed, by a profile of itself under load (half an hour)
  fuzz [target] [--seconds N]
                   fuzz one target, or all in turn, for N seconds each (default 60)
  ui               build the web interface, if its sources are newer than the last build
  rules            check which crates depend on which
  help             show this
";

fn main() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".to_owned());
    let args: Vec<String> = args.collect();
    std::env::set_current_dir(root()?).map_err(|error| format!("cannot enter the workspace: {error}"))?;
    match command.as_str() {
        "demo" => demo::run(&args),
        "test" => test::run(&args),
        "bench" => bench::run(&args),
        "release" => release::run(),
        "fuzz" => fuzz::run(&args),
        "ui" => ui::build(),
        "rules" => rules::check(),
        "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        unknown => Err(format!("no command {unknown:?}\n\n{HELP}").into()),
    }
}

/// The workspace's directory: cargo tells a program that it runs where its package lies.
fn root() -> Result<PathBuf, Failure> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").ok_or("run me as `cargo xtask`")?;
    let root = PathBuf::from(package).ancestors().nth(2).map(PathBuf::from);
    Ok(root.ok_or("the xtask crate lies outside the workspace")?)
}
