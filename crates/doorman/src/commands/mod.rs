//! The commands that are no servers. Each file has its arguments first, then what they do.

pub mod audit;
#[cfg(feature = "archive")]
mod audit_archive;
pub mod audit_reconcile;
mod audit_retain;
mod audit_verify;
pub mod catalog;
pub mod config;
pub mod curl;
pub mod db;
pub mod keys;
pub mod policy;
pub mod request;
pub mod session;
