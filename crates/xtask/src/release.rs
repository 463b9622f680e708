//! `cargo xtask release`: the binary as it is deployed. It is built twice: first so that it counts what it executes, and after
//! some minutes of the bench's load with these counts, by which the compiler decides what to inline and where code lies.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::run::{Failure, built, command, execute, output};

/// The load that is counted: what doors do all day. The other databases gain as much as SQLite, whose commits are counted.
const LOAD: [&str; 9] = [
    "--quick",
    "--rounds=1",
    "--seconds=3",
    "--only=Doorman",
    "--scenarios=throughput,bodies,delegated,run",
    "--verify-calls=20000",
    "--run-items=50000",
    "--json",
    "target/pgo/load.json",
];

/// Builds the binary and says where it lies.
pub fn run() -> Result<(), Failure> {
    let work = std::path::absolute("target/pgo").map_err(failed("target/pgo"))?;
    let host = host()?;
    let merge = profdata(&host)?;

    println!("two builds and the load between them take about half an hour on two cores");
    let (counts, profile) = (work.join("counts"), work.join("doorman.profdata"));
    let counting = build(&work.join("counting"), &host, &format!("-Cprofile-generate={}", counts.display()))?;
    execute(&mut command(["cargo", "build", "--release", "--package", "doorman-bench"]))?;
    // Cargo does not see that a profile changed, and old counts are of another binary.
    let last = work.join("released");
    for old in [&counts, &last] {
        absent(fs::remove_dir_all(old)).map_err(failed(&old.display().to_string()))?;
    }
    let bench = built("release", "doorman-bench")?;
    execute(Command::new(bench).args(LOAD).arg("--doorman").arg(counting))?;
    execute(Command::new(merge).args(["merge", "--sparse", "--output"]).arg(&profile).arg(&counts))?;

    let binary = build(&last, &host, &format!("-Cprofile-use={}", profile.display()))?;
    let released = Path::new("target/released");
    fs::create_dir_all(released).map_err(failed("target/released"))?;
    let released = released.join("doorman");
    // Not over the last one, which may be running.
    absent(fs::remove_file(&released)).map_err(failed("target/released/doorman"))?;
    fs::copy(binary, &released).map_err(failed("target/released/doorman"))?;
    println!("\n{}", released.display());
    Ok(())
}

/// Builds with one more flag for the compiler, and gives the binary. To name the target keeps the flag away from what runs
/// during the build.
fn build(target: &Path, host: &str, flag: &str) -> Result<PathBuf, Failure> {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut cargo = command(["cargo", "build", "--release", "--package", "doorman", "--target", host]);
    execute(cargo.arg("--target-dir").arg(target).env("RUSTFLAGS", format!("{flags} {flag}")))?;
    Ok(target.join(host).join("release/doorman"))
}

/// What this machine is to the compiler.
fn host() -> Result<String, Failure> {
    let version = output(&mut command(["rustc", "-vV"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.ok_or("`rustc -vV` names no host")?.to_owned())
}

/// The compiler's own program that merges counts: another version may not read them.
fn profdata(host: &str) -> Result<PathBuf, Failure> {
    let sysroot = output(&mut command(["rustc", "--print", "sysroot"]))?;
    let program = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/llvm-profdata");
    if !program.exists() {
        execute(&mut command(["rustup", "component", "add", "llvm-tools"]))?;
    }
    if program.exists() { Ok(program) } else { Err(format!("{} is missing", program.display()).into()) }
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn failed(what: &str) -> impl Fn(io::Error) -> Failure {
    move |error| format!("{what}: {error}").into()
}
