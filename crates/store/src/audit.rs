//! Reading the log: lists with filters, single entries, and whole batches for export and verification.

pub(crate) mod batches;
mod entry;
pub(crate) mod filter;
mod follow;
mod page;
#[cfg(test)]
mod plan;
mod scan;

pub use batches::{BatchReader, StatementHead, StoredBatch, StoredEntry, WriterRow};
pub use entry::AuditItem;
pub use filter::{AuditFilter, StatusFilter};
pub use follow::{Followed, Follower};
pub use page::AuditPage;

use crate::driver::Value;
use doorman_core::id::AuditId;

/// `?,?,?`
pub(crate) fn marks(count: usize) -> String {
    vec!["?"; count].join(",")
}

pub(crate) fn id_values(ids: &[AuditId]) -> Vec<Value<'_>> {
    ids.iter().map(|id| Value::from(&id.0)).collect()
}
