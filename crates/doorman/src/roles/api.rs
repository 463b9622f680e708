//! `doorman api`: wires the role's parts together and runs it.

use crate::config::ApiConfig;

/// Runs until a signal asks it to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(_config: ApiConfig) -> anyhow::Result<()> {
    anyhow::bail!("`doorman api` is not wired yet")
}
