//! `cargo xtask test`: everything that CI checks, cheapest first, stopping at the first failure.

use std::time::Instant;

use crate::run::{Failure, command, execute, succeeds};
use crate::{install, java, node, python, rules, ui};

struct Check {
    name: &'static str,
    /// What it looks at or how long it takes.
    hint: &'static str,
    run: fn(&[String]) -> Result<(), Failure>,
}

const CHECKS: [Check; 8] = [
    Check {
        name: "install",
        hint: "directory, database and HDFS servers, Node, Chromium, packages from PyPI",
        run: |_| install(),
    },
    Check {
        name: "format",
        hint: "cargo fmt",
        run: |_| execute(&mut command(["cargo", "fmt", "--all", "--check"])),
    },
    Check { name: "rules", hint: "which crate depends on which", run: |_| rules::check() },
    Check { name: "deny", hint: "banned crates, licences, sources", run: |_| deny() },
    Check { name: "ui", hint: "about 20 s if it changed", run: |_| ui::build() },
    Check { name: "clippy", hint: "about 4 minutes cold on two cores", run: |_| clippy() },
    Check { name: "test", hint: "about 6 minutes cold on two cores", run: test },
    Check { name: "console", hint: "the interface in Chromium, about 3 minutes", run: |_| console() },
];

/// Runs the checks; `args` go to `cargo test`.
pub fn run(args: &[String]) -> Result<(), Failure> {
    let start = Instant::now();
    let mut summary = Vec::new();
    let mut result = Ok(());
    for check in CHECKS {
        let name = check.name;
        if result.is_err() {
            summary.push(format!("{name:<8} not run"));
            continue;
        }
        println!("\n== {name}: {}", check.hint);
        let begun = Instant::now();
        result = (check.run)(args);
        let end = if result.is_ok() { "ok" } else { "FAILED" };
        summary.push(format!("{name:<8} {end:<7} {:>7.1} s", begun.elapsed().as_secs_f64()));
    }
    println!("\n{}\nall in all       {:>7.1} s", summary.join("\n"), start.elapsed().as_secs_f64());
    result
}

fn install() -> Result<(), Failure> {
    install::ensure()?;
    node::ensure()?;
    java::ensure()?;
    python::ensure()
}

/// The browser's tests start the binary that the tests before have built.
fn console() -> Result<(), Failure> {
    execute(&mut command(["cargo", "build", "--workspace", "--bins"]))?;
    ui::test()
}

fn deny() -> Result<(), Failure> {
    if succeeds(&mut command(["cargo", "deny", "--version"])) {
        return execute(&mut command(["cargo", "deny", "check", "bans", "licenses", "sources"]));
    }
    println!("cargo-deny is not installed; passed over");
    Ok(())
}

fn clippy() -> Result<(), Failure> {
    let words = ["cargo", "clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    execute(&mut command(words))
}

fn test(args: &[String]) -> Result<(), Failure> {
    execute(command(["cargo", "test", "--workspace"]).args(args))
}
