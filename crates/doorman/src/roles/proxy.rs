//! `doorman proxy`: wires the role's parts together and runs it.

use crate::config::ProxyConfig;

/// Runs until a signal asks it to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(_config: ProxyConfig) -> anyhow::Result<()> {
    anyhow::bail!("`doorman proxy` is not wired yet")
}
