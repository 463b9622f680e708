//! What an archive holds.

use crate::part::ArchivedBatch;
use serde::{Deserialize, Serialize};

/// The archive's list of contents.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub version: u32,
    /// When it was written; RFC 3339.
    pub time: String,
    /// The writers, oldest first.
    pub writers: Vec<ArchivedWriter>,
    /// Tombstones of what had gone by retention before it was archived: body and signature in hex.
    pub retention: Vec<(String, String)>,
}

/// One writer's share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ArchivedWriter {
    /// Its id.
    pub id: String,
    /// The writers that it found at its start, in hex.
    pub peers: String,
    /// The number of its first batch that is not here.
    pub next: u64,
    /// Its files, in order.
    pub parts: Vec<Part>,
}

/// Two files: some of a writer's batches.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// The entries.
    pub entries: String,
    /// Their statements.
    pub statements: String,
    /// How many entries.
    pub rows: u64,
}

impl Part {
    pub(crate) fn of(writer: &str, batches: &[ArchivedBatch]) -> Self {
        let from = batches.first().map_or(0, |batch| batch.number);
        Self {
            entries: format!("entries/{writer}-{from:012}.parquet"),
            statements: format!("statements/{writer}-{from:012}.parquet"),
            rows: batches.iter().map(|batch| batch.entries.len() as u64).sum(),
        }
    }
}
