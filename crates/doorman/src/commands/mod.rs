//! The commands that are no servers. Each file has its arguments first, then what they do.

pub mod audit;
#[cfg(feature = "archive")]
mod audit_archive;
mod audit_note;
pub mod audit_reconcile;
mod audit_retain;
mod audit_verify;
pub mod bulk;
pub mod catalog;
pub mod config;
pub mod curl;
pub mod db;
pub mod jobs;
pub mod keys;
pub mod policy;
mod policy_replay;
pub mod request;
pub mod runs;
pub mod service_account;
pub mod session;
pub mod token;
pub mod watch;

/// Milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
