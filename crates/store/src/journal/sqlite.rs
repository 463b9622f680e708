//! A commit on SQLite: one text with every statement from BEGIN to COMMIT, so that sqlx's worker thread is woken once.

use super::{Batch, Failure};
use futures_util::StreamExt as _;
use sqlx::error::ErrorKind;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Either, Executor as _, SqliteConnection};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Row counts that have a prepared statement; a batch takes the next larger one and leaves the rest of its rows NULL,
/// which the statement skips.
const SHAPES: [usize; 14] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96, 128, 256];
const LARGEST: usize = 256;

/// The texts made so far, by how many rows of entries and of signatures they take.
#[derive(Default)]
pub(super) struct Texts(HashMap<(usize, usize), Arc<str>>);

impl Texts {
    fn of(&mut self, entries: usize, signatures: usize) -> Arc<str> {
        self.0.entry((entries, signatures)).or_insert_with(|| text(entries, signatures).into()).clone()
    }
}

/// The smallest shape, or number of whole largest shapes, that holds `rows`.
fn shape(rows: usize) -> usize {
    if rows == 0 {
        return 0;
    }
    SHAPES.into_iter().find(|shape| *shape >= rows).unwrap_or_else(|| rows.next_multiple_of(LARGEST))
}

fn text(entries: usize, signatures: usize) -> String {
    // A moved epoch makes the writer NULL, which the column refuses: that ends the text before anything else is done.
    let mut sql = "BEGIN IMMEDIATE;\
         INSERT INTO statement (writer, number, epoch, body, first_index, count, first_id, last_id) \
         VALUES ((SELECT ? FROM revocation_epoch WHERE epoch = ?), ?, ?, ?, ?, ?, ?, ?);"
        .to_owned();
    rows_of(&mut sql, "INSERT INTO journal (writer, id, claims, record)", entries);
    rows_of(&mut sql, "INSERT OR IGNORE INTO statement_signature (writer, number, signature)", signatures);
    sql.push_str("COMMIT");
    sql
}

fn rows_of(sql: &mut String, insert: &str, mut rows: usize) {
    let width = if insert.contains("record") { "(?,?,?)" } else { "(?,?)" };
    while rows > 0 {
        let now = rows.min(LARGEST);
        let _ = write!(sql, "{insert} SELECT ?, v.* FROM (VALUES {width}");
        for _ in 1..now {
            sql.push(',');
            sql.push_str(width);
        }
        sql.push_str(") v WHERE v.column1 IS NOT NULL;");
        rows -= now;
    }
}

pub(super) async fn commit(
    connection: &mut SqliteConnection,
    texts: &mut Texts,
    batch: &Batch<'_>,
) -> Result<(), Failure> {
    let (entries, signatures) = (shape(batch.entries.len()), shape(batch.signatures.len()));
    let arguments = arguments(batch, entries, signatures).map_err(Failure::NotCommitted)?;
    let sql = texts.of(entries, signatures);
    let statements = 3 + entries.div_ceil(LARGEST) + signatures.div_ceil(LARGEST);

    let mut done = 0;
    let mut results = connection.fetch_many(sqlx::query_with(AssertSqlSafe(sql), arguments));
    let error = loop {
        match results.next().await {
            Some(Ok(Either::Left(_))) => done += 1,
            Some(Ok(Either::Right(_))) => {}
            Some(Err(error)) => break error,
            None if done == statements => return Ok(()),
            // The worker went away.
            None => break sqlx::Error::WorkerCrashed,
        }
    };
    drop(results);
    let is_database = error.as_database_error().is_some();
    if done == 1 && error.as_database_error().is_some_and(|error| error.kind() == ErrorKind::NotNullViolation)
    {
        return match connection.execute("ROLLBACK").await {
            Ok(_) => Err(Failure::EpochMoved),
            Err(error) => Err(Failure::NotCommitted(error)),
        };
    }
    // All but COMMIT leave the transaction open, and closing the connection rolls it back.
    Err(if is_database && done + 1 < statements {
        Failure::NotCommitted(error)
    } else {
        Failure::Unknown(error)
    })
}

fn arguments(batch: &Batch<'_>, entries: usize, signatures: usize) -> Result<SqliteArguments, sqlx::Error> {
    fill(batch, entries, signatures).map_err(sqlx::Error::Encode)
}

fn fill(
    batch: &Batch<'_>,
    entries: usize,
    signatures: usize,
) -> Result<SqliteArguments, Box<dyn std::error::Error + Send + Sync>> {
    let writer = batch.writer.0.as_slice();
    let mut arguments = SqliteArguments::default();
    arguments.reserve(9 + 4 * entries + 3 * signatures, 0);
    arguments.add(writer)?;
    arguments.add(batch.epoch.cast_signed())?;
    arguments.add(batch.number.cast_signed())?;
    arguments.add(batch.epoch.cast_signed())?;
    arguments.add(batch.statement)?;
    arguments.add(batch.first_index.cast_signed())?;
    arguments.add(i64::try_from(batch.entries.len())?)?;
    arguments.add(batch.first_id().0.as_slice())?;
    arguments.add(batch.last_id().0.as_slice())?;
    for index in 0..entries {
        if index % LARGEST == 0 {
            arguments.add(writer)?;
        }
        let entry = batch.entries.get(index);
        arguments.add(entry.map(|entry| entry.id.0.to_vec()))?;
        arguments.add(entry.map(|entry| entry.claims))?;
        arguments.add(entry.map(|entry| entry.record))?;
    }
    for index in 0..signatures {
        if index % LARGEST == 0 {
            arguments.add(writer)?;
        }
        let signature = batch.signatures.get(index);
        arguments.add(signature.map(|(number, _)| number.cast_signed()))?;
        arguments.add(signature.map(|(_, signature)| signature.as_slice()))?;
    }
    Ok(arguments)
}
