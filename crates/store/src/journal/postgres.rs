//! A commit on Postgres: one call of `doorman_commit` (see `migrations/0001_journal.sql`), which is a transaction.

use super::{Batch, Failure, stored};
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, Executor as _};

/// What `doorman_commit` raises when the epoch moved, and `doorman_commit_items` when an item has another holder.
const GUARDED: [&str; 2] = ["DM001", "DM002"];
const COMMIT: &str = "SELECT doorman_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
const COMMIT_ITEMS: &str = "SELECT doorman_commit_items($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, \
     $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)";

pub(super) async fn commit(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<(), Failure> {
    let encoding = |error| Failure::NotCommitted(sqlx::Error::Encode(error).into());
    let mut arguments = fill(batch).map_err(encoding)?;
    let call = match batch.moves_items() {
        false => COMMIT,
        true => {
            add_items(&mut arguments, batch).map_err(encoding)?;
            COMMIT_ITEMS
        }
    };
    let call = sqlx::query_with(call, arguments);
    // `execute` reads up to ReadyForQuery, which comes after the commit; the call's own answer comes before it.
    match connection.execute(call).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| GUARDED.contains(&code.as_ref())) =>
        {
            Err(Failure::Guarded)
        }
        // Postgres reports an error only for what it has rolled back; behind the point of no return it would panic.
        // What ends the session (class 57) may come in between.
        Err(error @ sqlx::Error::Database(_)) if !ends_session(&error) => {
            Err(Failure::NotCommitted(error.into()))
        }
        Err(error) => Err(Failure::Unknown(error.into())),
    }
}

fn ends_session(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_none_or(|code| code.starts_with("57P"))
}

/// The items that the batch moves.
fn add_items(
    arguments: &mut PgArguments,
    batch: &Batch<'_>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (sending, ended) = (batch.sending, batch.ended);
    arguments.add(sending.iter().map(|(mark, _)| mark.run.as_slice()).collect::<Vec<_>>())?;
    arguments.add(sending.iter().map(|(mark, _)| mark.item.cast_signed()).collect::<Vec<_>>())?;
    arguments.add(sending.iter().map(|(mark, _)| mark.fence.cast_signed()).collect::<Vec<_>>())?;
    arguments.add(sending.iter().map(|(_, audit)| audit.0.as_slice()).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| end.run.as_slice()).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| end.item.cast_signed()).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| end.audit.0.as_slice()).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| stored(end.state)).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| end.status.map(i64::from)).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| end.error.as_deref()).collect::<Vec<_>>())?;
    arguments.add(ended.iter().map(|end| end.due_ms.map(u64::cast_signed)).collect::<Vec<_>>())?;
    Ok(())
}

fn fill(batch: &Batch<'_>) -> Result<PgArguments, Box<dyn std::error::Error + Send + Sync>> {
    let mut arguments = PgArguments::default();
    let bytes = batch.entries.iter().map(|entry| 32 + entry.claims.len() + entry.record.len()).sum();
    arguments.reserve(10, bytes);
    arguments.add(batch.epoch.cast_signed())?;
    arguments.add(batch.writer.0.as_slice())?;
    arguments.add(batch.number.cast_signed())?;
    arguments.add(batch.statement)?;
    arguments.add(batch.first_index.cast_signed())?;
    arguments.add(batch.entries.iter().map(|entry| entry.id.0.as_slice()).collect::<Vec<_>>())?;
    arguments.add(batch.entries.iter().map(|entry| entry.claims).collect::<Vec<_>>())?;
    arguments.add(batch.entries.iter().map(|entry| entry.record).collect::<Vec<_>>())?;
    arguments.add(batch.signatures.iter().map(|(number, _)| number.cast_signed()).collect::<Vec<_>>())?;
    arguments.add(batch.signatures.iter().map(|(_, signature)| signature.as_slice()).collect::<Vec<_>>())?;
    Ok(arguments)
}
