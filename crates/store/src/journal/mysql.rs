//! A commit on MySQL or MariaDB: the whole transaction as one command of the text protocol.
//!
//! Records are quoted, everything else is hex, which costs the server's lexer twice the bytes. What makes quoting safe
//! is set on the connection: a character set of single bytes, and backslash escapes on.

use super::{Batch, Failure, stored};
use futures_util::StreamExt as _;
use sqlx::mysql::MySqlConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Either, Executor as _, MySqlConnection};

/// "Column cannot be null".
const NOT_NULL: u16 = 1048;
/// What stands around the values of a batch, at most.
const AROUND: usize = 4096;
/// What stands around one entry's values, hex of id and writer included.
const AROUND_ENTRY: usize = 100;

/// Bytes of claims and records that a command of at most `packet` bytes can carry; small entries are the worst.
pub(super) fn room_in(packet: usize) -> usize {
    packet.saturating_sub(AROUND) / 3
}

/// What the journal's session is set to. Without autocommit each first insert begins a transaction by itself.
const SESSION: &str = "SET NAMES binary, SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', \
     SESSION autocommit = 0; SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

pub(super) async fn open(options: &MySqlConnectOptions) -> Result<MySqlConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    connection.execute(SESSION).await?;
    Ok(connection)
}

pub(super) async fn commit(connection: &mut MySqlConnection, batch: &Batch<'_>) -> Result<(), Failure> {
    let before = batch.sending.len() + batch.ended.len();
    let statements = 3 + before + usize::from(!batch.signatures.is_empty());
    let mut done = 0;
    let mut results = connection.fetch_many(sqlx::raw_sql(AssertSqlSafe(command(batch))));
    let error = loop {
        match results.next().await {
            Some(Ok(Either::Left(_))) => done += 1,
            Some(Ok(Either::Right(_))) => {}
            Some(Err(error)) => break error,
            None if done == statements => return Ok(()),
            None => break sqlx::Error::WorkerCrashed,
        }
    };
    drop(results);
    let number = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>())
        .map(sqlx::mysql::MySqlDatabaseError::number);
    match number {
        Some(NOT_NULL) if done == before => match connection.execute("ROLLBACK").await {
            Ok(_) => Err(Failure::Guarded),
            Err(error) => Err(Failure::NotCommitted(error.into())),
        },
        // The server stops at the first error, and losing the connection rolls back.
        Some(_) if done + 1 < statements => Err(Failure::NotCommitted(error.into())),
        _ => Err(Failure::Unknown(error.into())),
    }
}

fn command(batch: &Batch<'_>) -> String {
    let bytes: usize = batch.entries.iter().map(|entry| entry.claims.len() + entry.record.len()).sum();
    let mut sql = String::with_capacity(
        1024 + 2 * batch.statement.len()
            + 2 * bytes
            + AROUND_ENTRY * batch.entries.len()
            + 200 * batch.signatures.len()
            + 400 * (batch.sending.len() + batch.ended.len()),
    );
    let mut writer = String::with_capacity(40);
    put_hex(&mut writer, &batch.writer.0);
    if batch.moves_items() {
        put_items(&mut sql, batch);
    }
    // A moved epoch makes the writer NULL, which the column refuses; so does an item that was not there to be sent.
    sql.push_str(
        "INSERT INTO statement (writer,number,epoch,body,first_index,count,first_id,last_id) VALUES ((SELECT ",
    );
    sql.push_str(&writer);
    sql.push_str(" FROM revocation_epoch WHERE epoch=");
    put_number(&mut sql, batch.epoch);
    if !batch.sending.is_empty() {
        put_sent(&mut sql, batch);
    }
    sql.push_str(" LOCK IN SHARE MODE),");
    put_number(&mut sql, batch.number);
    sql.push(',');
    put_number(&mut sql, batch.epoch);
    sql.push(',');
    put_hex(&mut sql, batch.statement);
    sql.push(',');
    put_number(&mut sql, batch.first_index);
    sql.push(',');
    put_number(&mut sql, batch.entries.len() as u64);
    sql.push(',');
    put_hex(&mut sql, &batch.first_id().0);
    sql.push(',');
    put_hex(&mut sql, &batch.last_id().0);
    sql.push_str(");INSERT INTO journal (id,writer,claims,record) VALUES ");
    for (index, entry) in batch.entries.iter().enumerate() {
        sql.push_str(if index == 0 { "(" } else { "),(" });
        put_hex(&mut sql, &entry.id.0);
        sql.push(',');
        sql.push_str(&writer);
        sql.push(',');
        put_hex(&mut sql, entry.claims);
        sql.push(',');
        put_quoted(&mut sql, entry.record);
    }
    if !batch.signatures.is_empty() {
        sql.push_str(");INSERT IGNORE INTO statement_signature (writer,number,signature) VALUES ");
        for (index, (of, signature)) in batch.signatures.iter().enumerate() {
            sql.push_str(if index == 0 { "(" } else { "),(" });
            sql.push_str(&writer);
            sql.push(',');
            put_number(&mut sql, *of);
            sql.push(',');
            put_hex(&mut sql, signature);
        }
    }
    sql.push_str(");COMMIT");
    sql
}

/// Updates of the items that the batch moves.
fn put_items(sql: &mut String, batch: &Batch<'_>) {
    use std::fmt::Write as _;
    for (mark, audit) in batch.sending {
        sql.push_str("UPDATE run_item SET state=1,attempts=attempts+1,due_ms=NULL,audit=");
        put_hex(sql, &audit.0);
        sql.push_str(" WHERE run=");
        put_hex(sql, &mark.run);
        let _ = write!(sql, " AND item={} AND fence={} AND state=0;", mark.item, mark.fence);
    }
    let or_null = |value: Option<u64>| value.map_or("NULL".to_owned(), |value| value.to_string());
    for end in batch.ended {
        let (status, due) = (or_null(end.status.map(u64::from)), or_null(end.due_ms));
        let _ = write!(
            sql,
            "UPDATE run_item SET state={},status={status},due_ms={due},error=",
            stored(end.state)
        );
        match &end.error {
            Some(error) => put_quoted(sql, error.as_bytes()),
            None => sql.push_str("NULL"),
        }
        sql.push_str(" WHERE run=");
        put_hex(sql, &end.run);
        let _ = write!(sql, " AND item={} AND state IN (1,4) AND audit=", end.item);
        put_hex(sql, &end.audit.0);
        sql.push(';');
    }
}

/// Holds when every item was there to be sent.
fn put_sent(sql: &mut String, batch: &Batch<'_>) {
    use std::fmt::Write as _;
    sql.push_str(" AND (SELECT COUNT(*) FROM run_item WHERE ");
    for (index, (mark, audit)) in batch.sending.iter().enumerate() {
        sql.push_str(if index == 0 { "(run=" } else { " OR (run=" });
        put_hex(sql, &mark.run);
        let _ = write!(sql, " AND item={} AND audit=", mark.item);
        put_hex(sql, &audit.0);
        sql.push(')');
    }
    let _ = write!(sql, ")={}", batch.sending.len());
}

fn put_number(sql: &mut String, number: u64) {
    use std::fmt::Write as _;
    let _ = write!(sql, "{number}");
}

/// `'…'` where the bytes are UTF-8, as a Rust string has to be; hex otherwise.
fn put_quoted(sql: &mut String, bytes: &[u8]) {
    let Ok(mut text) = std::str::from_utf8(bytes) else { return put_hex(sql, bytes) };
    sql.push('\'');
    while let Some((plain, rest)) =
        memchr::memchr3(b'\'', b'\\', 0, text.as_bytes()).and_then(|at| text.split_at_checked(at))
    {
        sql.push_str(plain);
        sql.push('\\');
        let mut rest = rest.chars();
        sql.extend(rest.next().map(|special| if special == '\0' { '0' } else { special }));
        text = rest.as_str();
    }
    sql.push_str(text);
    sql.push('\'');
}

/// `x'…'`, which can hold anything and escape nothing.
fn put_hex(sql: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    sql.push_str("x'");
    sql.extend(
        bytes
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|digit| DIGITS.get(usize::from(digit))),
    );
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_end_a_literal_is_escaped() {
        for (bytes, literal) in [
            (b"plain \xc3\xa9".as_slice(), "'plain é'"),
            (b"", "''"),
            (b"it's", r"'it\'s'"),
            (b"\\'\0\\", r"'\\\'\0\\'"),
            (b"not utf-8 \xff", "x'6e6f74207574662d3820ff'"),
        ] {
            let mut sql = String::new();
            put_quoted(&mut sql, bytes);
            assert_eq!(sql, literal);
        }
    }
}
