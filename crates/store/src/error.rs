//! What can go wrong between Doorman and its database, by meaning.

use doorman_core::id::AuditId;

/// A database operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL or another setting cannot be used.
    #[error("cannot use the database setting: {0}")]
    Config(String),
    /// The database is set so that acknowledged commits can be lost.
    #[error("the database would lose acknowledged commits: {setting} is {value}, it must be {wanted}")]
    Unsafe {
        /// The server's setting.
        setting: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The row is already there.
    #[error("the row is already there")]
    Conflict,
    /// A stored value is not what Doorman writes.
    #[error("the database holds a value that Doorman did not write: {0}")]
    Corrupt(&'static str),
    /// A cursor or filter from outside cannot be read.
    #[error("not a cursor of this list")]
    Cursor,
    /// The schema could not be brought up to date.
    #[error("cannot migrate the database")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    TimedOut,
    /// The database did not do it.
    #[error("the database failed")]
    Sql(#[source] sqlx::Error),
    /// SQLite did not do it, on the journal's own connection.
    #[error("the database failed")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::ConstraintViolation) => Self::Conflict,
            _ => Self::Sqlite(error),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Conflict,
            _ => Self::Sql(error),
        }
    }
}

impl From<sqlx::migrate::MigrateError> for StoreError {
    fn from(error: sqlx::migrate::MigrateError) -> Self {
        Self::Migrate(Box::new(error))
    }
}

impl StoreError {
    /// Whether the same transaction may succeed when it is simply run again (deadlock, lock wait, lost serialization).
    pub(crate) fn is_transient(&self) -> bool {
        let Self::Sql(sqlx::Error::Database(error)) = self else { return false };
        // MySQL gives SQLSTATE 40001 for deadlocks and HY000 with its own number for lock waits; SQLite has numbers only.
        error.code().is_some_and(|code| matches!(&*code, "40001" | "40P01" | "5" | "517"))
            || error
                .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
                .is_some_and(|error| matches!(error.number(), 1205 | 1213))
    }
}

/// A batch was not committed, or nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Something was revoked since `epoch` of the batch: check every credential again. Nothing was written.
    #[error("credentials were revoked meanwhile, the epoch is now {epoch}")]
    EpochMoved {
        /// The epoch now.
        epoch: u64,
        /// The sessions revoked since the batch's epoch.
        revoked: Vec<[u8; 16]>,
    },
    /// Items of the batch have another holder now, or are not to be sent: those of these attempts. Nothing was written.
    #[error("items of a run have another holder")]
    ItemsLost(Vec<AuditId>),
    /// The batch is certainly not in the journal.
    #[error("the batch was not committed")]
    NotCommitted(#[source] StoreError),
    /// COMMIT was sent and its answer lost: ask [`Database::resolve`](crate::Database::resolve).
    #[error("nobody knows whether the batch was committed")]
    Unknown(#[source] StoreError),
}
