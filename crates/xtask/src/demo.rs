//! `cargo xtask demo`: from a fresh clone to a running demo world.

use crate::run::{Failure, become_it, built, command, execute};
use crate::ui;

/// Builds everything and becomes `doorman demo` with these arguments.
pub fn run(args: &[String]) -> Result<(), Failure> {
    ui::build_if_possible()?;
    let doorman = built("debug", "doorman")?;
    if !doorman.exists() {
        println!("the first build takes 2 to 4 minutes");
    }
    // The whole workspace: one crate alone would be built with other features, and so everything twice.
    execute(&mut command(["cargo", "build", "--workspace", "--bins"]))?;
    become_it(std::process::Command::new(doorman).arg("demo").args(args))
}
