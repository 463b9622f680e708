//! `cargo xtask bench`: measurements of optimized builds.

use std::process::Command;

use crate::run::{Failure, become_it, built, command, execute};

/// Builds the binary and the load generator, and becomes the latter with these arguments.
pub fn run(args: &[String]) -> Result<(), Failure> {
    let quick = args.iter().any(|arg| arg == "--quick");
    let profile = if quick { "profiling" } else { "release" };
    let bench = built(profile, "doorman-bench")?;
    if !bench.exists() {
        println!(
            "the first {profile} build takes {} minutes on two cores",
            if quick { "5 to 8" } else { "9 to 15" }
        );
    }
    execute(
        command(["cargo", "build", "--package", "doorman", "--package", "doorman-bench"])
            .args(["--profile", profile]),
    )?;
    become_it(Command::new(bench).args(args))
}
