//! A commit on SQLite, by rusqlite on the caller's own thread: sqlx would hand every statement to a thread of its own
//! and wake two threads for each, which costs more than the statements do.
//!
//! Both crates link the same SQLite. Here are only the journal's inserts; every other query goes through sqlx.

use super::{Batch, Failure, stored};
use crate::StoreError;
use rusqlite::{CachedStatement, Connection, OpenFlags, params};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

const BEGIN: &str = "BEGIN IMMEDIATE";
const EPOCH: &str = "SELECT epoch FROM revocation_epoch";
const STATEMENT: &str = "INSERT INTO statement (writer, number, epoch, body, first_index, count, first_id, last_id) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
const ENTRY: &str = "INSERT INTO journal (id, writer, claims, record) VALUES (?, ?, ?, ?)";
const SIGNATURE: &str =
    "INSERT OR IGNORE INTO statement_signature (writer, number, signature) VALUES (?, ?, ?)";
const SENDING: &str = "UPDATE run_item SET state = 1, audit = ?, attempts = attempts + 1, due_ms = NULL \
     WHERE run = ? AND item = ? AND fence = ? AND state = 0";
const ENDED: &str = "UPDATE run_item SET state = ?, status = ?, error = ?, due_ms = ? \
     WHERE run = ? AND item = ? AND audit = ? AND state IN (1, 4)";
const COMMIT: &str = "COMMIT";

/// Pages in the write-ahead log, 16 MiB, after which they are copied into the database file. Commits wait while the disk flushes the
/// copy: the rarer that is, the fewer of them do.
const CHECKPOINT_PAGES: usize = 4_000;

/// The journal only appends: it needs the pages of one batch, not those of the batches before. Negative: KiB.
const CACHE_KIB: i32 = -1_000;

/// The journal's connection to SQLite.
pub(super) struct SqliteLink {
    connection: Connection,
    checkpoints: Checkpoints,
}

impl SqliteLink {
    /// Opens the migrated database `path`.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = open(path)?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        Ok(Self { connection, checkpoints: Checkpoints::start(open(path)?)? })
    }

    /// Blocks until the batch is durable.
    pub(super) fn commit(&mut self, batch: &Batch<'_>) -> Result<(), Failure> {
        commit(&self.connection, batch)?;
        let bytes: usize =
            batch.entries.iter().map(|entry| entry.claims.len() + entry.record.len() + 64).sum();
        // The last page of each table is written again by each commit.
        self.checkpoints.note(&self.connection, 5 + bytes / 4_000);
        Ok(())
    }
}

/// Copies the write-ahead log into the database file on a thread of its own, so that no commit waits for it. What was
/// committed meanwhile is copied by the journal itself: only when all is copied does the log begin anew.
struct Checkpoints {
    pages: usize,
    is_asked: bool,
    ask: mpsc::SyncSender<()>,
    is_done: Arc<AtomicBool>,
}

impl Checkpoints {
    fn start(connection: Connection) -> Result<Self, StoreError> {
        let (ask, asked) = mpsc::sync_channel(1);
        let is_done = Arc::new(AtomicBool::new(false));
        let done = is_done.clone();
        let work = move || {
            while asked.recv().is_ok() {
                checkpoint(&connection);
                done.store(true, Ordering::Release);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(work);
        thread.map_err(|error| StoreError::Config(format!("cannot start a thread: {error}")))?;
        Ok(Self { pages: 0, is_asked: false, ask, is_done })
    }

    fn note(&mut self, connection: &Connection, pages: usize) {
        self.pages += pages;
        if self.is_asked && self.is_done.swap(false, Ordering::Acquire) {
            checkpoint(connection);
            (self.pages, self.is_asked) = (0, false);
        } else if !self.is_asked && self.pages >= CHECKPOINT_PAGES {
            self.is_asked = self.ask.try_send(()).is_ok();
        }
    }
}

/// Never waits for readers or writers; what it cannot copy now it will the next time.
fn checkpoint(connection: &Connection) {
    if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the write-ahead log could not be copied into the database");
    }
}

/// A connection with the settings that [`crate::Database`] gives its connections.
fn open(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "cache_size", CACHE_KIB)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unsafe { setting: "journal_mode", value: mode, wanted: "wal" });
    }
    Ok(connection)
}

fn commit(connection: &Connection, batch: &Batch<'_>) -> Result<(), Failure> {
    let cached = |sql| connection.prepare_cached(sql);
    let mut end = cached(COMMIT).map_err(not_committed)?;
    // Dropping a connection in a transaction rolls it back, which is what happens after any error but this one.
    if !write(batch, cached).map_err(not_committed)? {
        connection.execute_batch("ROLLBACK").map_err(not_committed)?;
        return Err(Failure::Guarded);
    }
    end.execute([]).map(drop).map_err(|error| Failure::Unknown(error.into()))
}

/// Everything before COMMIT; `false` when the epoch is another than the batch's, or an item has another holder.
fn write<'c>(
    batch: &Batch<'_>,
    cached: impl Fn(&'static str) -> rusqlite::Result<CachedStatement<'c>>,
) -> rusqlite::Result<bool> {
    let writer = batch.writer.0.as_slice();
    cached(BEGIN)?.execute([])?;
    let epoch: i64 = cached(EPOCH)?.query_row([], |row| row.get(0))?;
    if epoch != batch.epoch.cast_signed() || (batch.moves_items() && !move_items(batch, &cached)?) {
        return Ok(false);
    }
    cached(STATEMENT)?.execute(params![
        writer,
        batch.number.cast_signed(),
        epoch,
        batch.statement,
        batch.first_index.cast_signed(),
        batch.entries.len() as i64,
        batch.first_id().0.as_slice(),
        batch.last_id().0.as_slice(),
    ])?;
    let mut insert = cached(ENTRY)?;
    insert.raw_bind_parameter(2, writer)?;
    for entry in batch.entries {
        insert.raw_bind_parameter(1, entry.id.0.as_slice())?;
        insert.raw_bind_parameter(3, entry.claims)?;
        insert.raw_bind_parameter(4, entry.record)?;
        insert.raw_execute()?;
    }
    if !batch.signatures.is_empty() {
        let mut insert = cached(SIGNATURE)?;
        for (number, signature) in batch.signatures {
            insert.execute(params![writer, number.cast_signed(), signature.as_slice()])?;
        }
    }
    Ok(true)
}

/// Moves the items of the batch; `false` when one of them is not the batch's to send.
fn move_items<'c>(
    batch: &Batch<'_>,
    cached: impl Fn(&'static str) -> rusqlite::Result<CachedStatement<'c>>,
) -> rusqlite::Result<bool> {
    let mut update = cached(SENDING)?;
    for (mark, audit) in batch.sending {
        let (item, fence) = (mark.item.cast_signed(), mark.fence.cast_signed());
        if update.execute(params![audit.0.as_slice(), mark.run.as_slice(), item, fence])? == 0 {
            return Ok(false);
        }
    }
    let mut update = cached(ENDED)?;
    for end in batch.ended {
        update.execute(params![
            stored(end.state),
            end.status,
            end.error,
            end.due_ms.map(u64::cast_signed),
            end.run.as_slice(),
            end.item.cast_signed(),
            end.audit.0.as_slice(),
        ])?;
    }
    Ok(true)
}

fn not_committed(error: rusqlite::Error) -> Failure {
    Failure::NotCommitted(error.into())
}
