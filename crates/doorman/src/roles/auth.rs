//! `doorman auth`: wires the role's parts together and runs it.

use crate::config::AuthRoleConfig;

/// Runs until a signal asks it to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(_config: AuthRoleConfig) -> anyhow::Result<()> {
    anyhow::bail!("`doorman auth` is not wired yet")
}
