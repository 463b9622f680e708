//! The receipts of this proxy: a log of the passes that it honoured, in files under its data directory.
//!
//! Each server thread appends to files of its own, without locks. A receipt is in the operating system's hands before a
//! byte of its request is written to an instance, so that it survives a killed proxy: all that one turn of the thread's
//! loop gathers goes in one write, made by the gate that every connection to an instance asks ([`ThreadLog::flush_due`]).
//! Nothing is flushed to the disk: a machine that stops may lose the last receipts, and says so at its next start.

mod shelf;
mod thread;

pub(crate) use shelf::{Cursor, Reading, Shelf};
pub(crate) use thread::{ThreadLog, end_of};

use std::path::PathBuf;
use std::time::Duration;

/// Where receipts are kept, and how long.
#[derive(Clone, Debug)]
pub struct ReceiptSettings {
    /// The data directory of this proxy alone.
    pub dir: PathBuf,
    /// How long they stay once `api` has collected them.
    pub keep: Duration,
    /// What all files may take together. What was collected goes first.
    pub max_bytes: u64,
}

/// Receipts that cannot be kept: the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Another process has the directory.
    #[error("{} is used by another proxy: give each its own [data] dir", .0.display())]
    Locked(PathBuf),
    /// It cannot be read or written.
    #[error("receipts cannot be kept in {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
