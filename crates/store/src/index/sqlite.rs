//! One span on SQLite, by rusqlite on a thread of its own: sqlx would hand every row between two threads. The thread
//! leaves room for those that answer requests.

use crate::StoreError;
use crate::driver::{SqliteFile, Value, args};
use crate::index::row::{self, COLUMN_COUNT, IndexRow, Meaning};
use crate::index::step::{Changes, ENDING, KEEP_ORPHAN, MOVE_CURSOR, TAKE_OUTCOME};
use crate::index::tail::Span;
use doorman_core::id::AuditId;
use rusqlite::types::{Null, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, ToSql, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{OwnedMutexGuard, oneshot};

/// How much the indexer yields: the highest nice value but one.
const NICE: i32 = 18;
/// Steps of SQLite's machine, less than a tenth of a millisecond of them, after which the indexer rests.
const STEPS: i32 = 1_000;
/// It rests for so many times as long as it worked. What answers requests would wait otherwise: however nice a thread is, it keeps
/// its core for a slice of some milliseconds.
const REST: u32 = 2;
/// The longest rest: what was not work but waiting needs none.
const MAX_REST: Duration = Duration::from_micros(500);

/// Pages in the index's write-ahead log after which they are copied. While the disk flushes them, commits of the journal wait:
/// this bounds how long.
pub(crate) const CHECKPOINT_PAGES: i64 = 500;

/// The way to the indexer's thread, which is started by the first step.
#[derive(Clone, Default)]
pub(crate) struct IndexLink(Arc<Mutex<Option<Running>>>);

struct Running {
    work: mpsc::Sender<Work>,
    thread: JoinHandle<()>,
}

struct Work {
    path: PathBuf,
    span: Span,
    /// This process's turn to write, held until the span is written.
    turn: OwnedMutexGuard<()>,
    reply: oneshot::Sender<Result<bool, StoreError>>,
}

impl IndexLink {
    fn send(&self, work: Work) -> std::io::Result<()> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let work = match running.as_ref() {
            Some(open) => match open.work.send(work) {
                Ok(()) => return Ok(()),
                Err(mpsc::SendError(work)) => work,
            },
            None => work,
        };
        let (open, waiting) = mpsc::channel();
        let thread = std::thread::Builder::new().name("indexer".into()).spawn(move || serve(&waiting))?;
        let _ = open.send(work);
        *running = Some(Running { work: open, thread });
        Ok(())
    }

    /// Ends the thread and waits until its connections are closed.
    pub(crate) async fn close(&self) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Running { work, thread }) = running else { return };
        drop(work);
        if let Ok(Err(_)) = tokio::task::spawn_blocking(move || thread.join()).await {
            tracing::error!("the indexer's thread panicked");
        }
    }
}

/// Writes spans until nobody can ask for more.
fn serve(waiting: &mpsc::Receiver<Work>) {
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the indexer cannot yield to other threads");
    }
    let mut open: Option<Connections> = None;
    while let Ok(Work { path, span, turn, reply }) = waiting.recv() {
        // After an error the connections are opened anew.
        let connections = open.take().map_or_else(|| Connections::open(&path), Ok);
        let result = connections.and_then(|mut connections| {
            let is_taken = connections.index_span(&span)?;
            open = Some(connections);
            Ok(is_taken)
        });
        drop(turn);
        let _ = reply.send(result);
    }
}

struct Connections {
    journal: Connection,
    index: Connection,
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Int(Some(value)) => (*value).into(),
            Value::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Bytes(Some(bytes)) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Int(None) | Value::Text(None) | Value::Bytes(None) => Null.into(),
        })
    }
}

/// Reads a span of the journal `path` and writes it to the index beside it; `false` when another process was faster.
pub(super) async fn index_span(
    path: PathBuf,
    file: &SqliteFile,
    link: &IndexLink,
    span: Span,
) -> Result<bool, StoreError> {
    let turn = file.write_turn().await;
    let (reply, answer) = oneshot::channel();
    let stopped = |error: String| StoreError::Config(format!("the indexer's thread: {error}"));
    link.send(Work { path, span, turn, reply }).map_err(|error| stopped(error.to_string()))?;
    answer.await.map_err(|error| stopped(error.to_string()))?
}

impl Connections {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let mut index = path.as_os_str().to_owned();
        index.push(".index");
        let open = |path: &Path, flags| {
            let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            Ok::<_, rusqlite::Error>(connection)
        };
        let journal = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let index = open(Path::new(&index), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Derived: what a power cut takes is indexed again.
        index.pragma_update(None, "synchronous", "NORMAL")?;
        index.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        for connection in [&journal, &index] {
            let mut begun = Instant::now();
            let rest = move || {
                std::thread::sleep((begun.elapsed() * REST).min(MAX_REST));
                begun = Instant::now();
                false
            };
            connection.progress_handler(STEPS, Some(rest))?;
        }
        Ok(Self { journal, index })
    }

    fn index_span(&mut self, span: &Span) -> rusqlite::Result<bool> {
        let changes = self.changes(span)?;
        let tx = self.index.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let is_taken = claim(&tx, span)?;
        if is_taken {
            write(&tx, &changes)?;
            tx.commit()?;
        } else {
            tx.rollback()?;
        }
        Ok(is_taken)
    }

    fn changes(&self, span: &Span) -> rusqlite::Result<Changes> {
        let sql = "SELECT record FROM journal WHERE id >= ? AND id <= ? AND writer = ? ORDER BY id";
        let mut select = self.journal.prepare_cached(sql)?;
        let mut rows = select.query(rusqlite::params![span.first_id.0, span.to.last_id.0, span.writer.0])?;
        let mut meanings = Vec::with_capacity(usize::try_from(span.entries).unwrap_or_default());
        while let Some(row) = rows.next()? {
            match row.get_ref(0)?.as_blob().ok().and_then(Meaning::of) {
                Some(meaning) => meanings.push(meaning),
                None => {
                    tracing::error!(writer = %span.writer, "the journal holds a record that cannot be read");
                }
            }
        }
        Ok(Changes::of(meanings))
    }
}

fn run(tx: &Transaction<'_>, sql: &str, values: &[Value<'_>]) -> rusqlite::Result<usize> {
    tx.prepare_cached(sql)?.execute(rusqlite::params_from_iter(values))
}

fn claim(tx: &Transaction<'_>, span: &Span) -> rusqlite::Result<bool> {
    let (from, to) = (span.from, span.to);
    if run(tx, MOVE_CURSOR, args![to.next_number, to.last_id.0, span.writer.0, from.next_number])? > 0 {
        return Ok(true);
    }
    let begin = "INSERT OR IGNORE INTO audit_cursor (writer, next_number, last_id) VALUES (?, ?, ?)";
    Ok(from.next_number == 0 && run(tx, begin, args![span.writer.0, to.next_number, to.last_id.0])? > 0)
}

fn write(tx: &Transaction<'_>, changes: &Changes) -> rusqlite::Result<()> {
    let places = ["?"; COLUMN_COUNT].join(",");
    let mut insert =
        tx.prepare_cached(&format!("INSERT INTO audit_index ({}) VALUES ({places})", row::COLUMNS))?;
    for row in changes.rows.values() {
        insert.execute(rusqlite::params_from_iter(IndexRow::values(row)))?;
    }
    for (target, id, what) in &changes.links {
        let sql = "INSERT INTO audit_link (target, id, what) VALUES (?, ?, ?)";
        run(tx, sql, args![&target.0, &id.0, *what])?;
    }
    for outcome in &changes.outcomes {
        let known = tx
            .prepare_cached(ENDING)?
            .query_row([outcome.attempt.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((state, id)) = known else {
            run(tx, KEEP_ORPHAN, args![&outcome.id.0, &outcome.attempt.0])?;
            continue;
        };
        let (state, id): (Option<String>, Option<[u8; 16]>) = (state, id);
        if outcome.outranks(state.as_deref(), id.map(AuditId)) {
            run(tx, TAKE_OUTCOME, &outcome.values())?;
        }
    }
    Ok(())
}
