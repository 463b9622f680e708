//! `doorman demo`: everything in one process, to try and to test with.

use crate::cli::DemoArgs;
use crate::config::Environment;

/// Runs until a signal asks it to stop. `environment` may move the journal to another database.
///
/// # Errors
/// When it cannot start.
pub fn run(_args: DemoArgs, _environment: &Environment) -> anyhow::Result<()> {
    anyhow::bail!("`doorman demo` is not wired yet")
}
