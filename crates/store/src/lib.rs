//! All SQL of Doorman, on SQLite, MySQL/MariaDB and Postgres.
//!
//! One numbered list of migrations (`migration.rs`) is rendered for each dialect, one set of queries runs on all three,
//! and what differs between them stands in `dialect.rs`. Values are plain: nothing here knows HTTP or policy, and time
//! is handed in.
//!
//! The journal is the one hot path: see [`Journal`].

mod audit;
mod collections;
mod coordination;
mod cursor;
mod database;
mod dialect;
mod driver;
mod durability;
mod error;
mod index;
mod jobs;
mod journal;
mod migration;
mod receipts;
mod retention;
mod revocation;
mod service_accounts;
mod sessions;
mod throttle;

pub use audit::{
    AuditFilter, AuditItem, AuditPage, BatchReader, Followed, Follower, StatementHead, StatusFilter,
    StoredBatch, StoredEntry, WriterRow,
};
pub use collections::{SavedEditRow, SavedRequestRow, Viewer};
pub use database::{Database, DatabaseConfig};
pub use dialect::Dialect;
pub use error::{CommitError, StoreError};
pub use index::OpenAttempt;
pub use jobs::{
    Chunk, ChunkItem, EditRow, HolderShare, InputAbout, InputRow, Item, ItemFilter, JobRow, RunFilter,
    RunRow, RunStep,
};
pub use journal::{Batch, Entry, ItemEnd, ItemMark, Journal};
pub use receipts::{Collected, ReceiptPiece, ReceiptSource, UnknownAttempt};
pub use retention::Retainable;
pub use service_accounts::{SecretRow, ServiceAccountRow};
pub use sessions::{SessionFilter, SessionKind, SessionRow};
pub use throttle::{LoginEnd, LoginTry, LoginVerdict, ThrottleRule};
