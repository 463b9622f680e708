//! A commit on SQLite, by rusqlite on the caller's own thread: sqlx would hand every statement to a thread of its own
//! and wake two threads for each, which costs more than the statements do.
//!
//! Both crates link the same SQLite. Here are only the journal's inserts; every other query goes through sqlx.

use super::{Batch, Failure, stored};
use crate::StoreError;
use rusqlite::{CachedStatement, Connection, OpenFlags, params};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

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

/// Bytes of a page.
const PAGE: usize = 4_096;
/// New pages of the write-ahead log after which they are copied into the database file, a piece at a time. Few enough that the
/// copy keeps no core, and its flush not the disk, for longer than a commit may wait.
const PIECE_PAGES: usize = 64;
/// The least time from one piece to the next: when many pages come, pieces are longer.
const PIECE_EVERY: Duration = Duration::from_millis(50);
/// Pages in the log, 16 MiB, after which it begins anew: to write over a log costs less than to make it longer.
const LOG_PAGES: u32 = 4_000;

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
        Ok(Self { connection, checkpoints: Checkpoints::start(open(path)?, flusher(path)?)? })
    }

    /// Blocks until the batch is durable.
    pub(super) fn commit(&mut self, batch: &Batch<'_>) -> Result<(), Failure> {
        commit(&self.connection, batch)?;
        let bytes: usize =
            batch.entries.iter().map(|entry| entry.claims.len() + entry.record.len() + 64).sum();
        self.checkpoints.note(&self.connection, bytes);
        Ok(())
    }
}

/// Copies the write-ahead log into the database file, piece by piece, on a thread of its own, so that no commit waits for
/// it. Only when all is copied can the log begin anew, and SQLite flushes the file then and not before: the journal
/// itself copies the last piece, for which little is left to flush.
struct Checkpoints {
    /// Bytes of entries that were not asked to be copied.
    new: usize,
    asked: Instant,
    is_busy: bool,
    ask: mpsc::SyncSender<()>,
    /// How many pages the log had after each piece.
    done: mpsc::Receiver<u32>,
}

impl Checkpoints {
    fn start(connection: Connection, flusher: Arc<File>) -> Result<Self, StoreError> {
        let (ask, asked) = mpsc::sync_channel(1);
        let (told, done) = mpsc::channel();
        let work = move || {
            while asked.recv().is_ok() {
                let pages = checkpoint(&connection);
                if let Err(error) = flusher.sync_data() {
                    // SQLite flushes too, and decides by that.
                    tracing::warn!(%error, "the database could not be flushed ahead of its checkpoint");
                }
                let _ = told.send(pages);
            }
        };
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(work);
        thread.map_err(|error| StoreError::Config(format!("cannot start a thread: {error}")))?;
        Ok(Self { new: 0, asked: Instant::now(), is_busy: false, ask, done })
    }

    /// After a commit of so many bytes of entries.
    fn note(&mut self, connection: &Connection, bytes: usize) {
        self.new += bytes;
        if self.is_busy
            && let Ok(pages) = self.done.try_recv()
        {
            self.is_busy = false;
            if pages >= LOG_PAGES {
                checkpoint(connection);
            }
        }
        if !self.is_busy && self.new >= PIECE_PAGES * PAGE && self.asked.elapsed() >= PIECE_EVERY {
            self.is_busy = self.ask.try_send(()).is_ok();
            (self.new, self.asked) = (0, Instant::now());
        }
    }
}

/// Never waits for readers or writers; what it cannot copy now it will the next time. Gives the pages of the log.
fn checkpoint(connection: &Connection) -> u32 {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1)).unwrap_or_else(|error| {
        tracing::warn!(%error, "the write-ahead log could not be copied into the database");
        0
    })
}

/// The database file, to be flushed and nothing else. It is opened once and never closed: to close any descriptor of a
/// file gives up every lock that the process holds on it, those of SQLite too.
fn flusher(path: &Path) -> Result<Arc<File>, StoreError> {
    static FILES: LazyLock<Mutex<HashMap<PathBuf, Arc<File>>>> = LazyLock::new(Mutex::default);
    let mut files = FILES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = files.get(path) {
        return Ok(file.clone());
    }
    let file = Arc::new(File::open(path).map_err(sqlx::Error::Io)?);
    files.insert(path.to_owned(), file.clone());
    Ok(file)
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
