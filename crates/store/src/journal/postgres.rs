//! A commit on Postgres: one call of `doorman_commit` (see `migrations/0001_journal.sql`), which is a transaction.

use super::{Batch, Failure};
use sqlx::PgConnection;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, Executor as _};

/// What `doorman_commit` raises when the epoch moved.
const EPOCH_MOVED: &str = "DM001";

pub(super) async fn commit(connection: &mut PgConnection, batch: &Batch<'_>) -> Result<(), Failure> {
    let arguments = fill(batch).map_err(|error| Failure::NotCommitted(sqlx::Error::Encode(error).into()))?;
    let call = sqlx::query_with("SELECT doorman_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", arguments);
    // `execute` reads up to ReadyForQuery, which comes after the commit; the call's own answer comes before it.
    match connection.execute(call).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(EPOCH_MOVED) => {
            Err(Failure::EpochMoved)
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
