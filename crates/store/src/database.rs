//! The connection to the database: how it is made, and what every connection is set to.

use crate::dialect::Dialect;
use crate::driver::{Pool, SqliteFile};
use crate::index::sqlite::CHECKPOINT_PAGES;
use crate::index::sqlite::IndexLink;
use crate::migration::{self, Part};
use crate::{Journal, StoreError};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::pool::PoolOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Executor as _};
use std::num::NonZeroUsize;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

/// Where the database is.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `sqlite:PATH`, `mysql://…`, `mariadb://…` or `postgres://…`.
    pub url: String,
    /// Connections beside the journal's own.
    pub max_connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// Whether a SQLite file that is not there is made.
    pub creates: bool,
}

impl DatabaseConfig {
    /// `url` with the usual limits.
    pub fn new(url: impl Into<String>) -> Self {
        let acquire_timeout = Duration::from_secs(3);
        Self { url: url.into(), max_connections: 8, acquire_timeout, creates: true }
    }

    /// Only what is there already: nothing is made, and the audit index may be missing.
    pub fn existing(url: impl Into<String>) -> Self {
        Self { creates: false, ..Self::new(url) }
    }
}

/// How a connection is made; the journal makes its own.
#[derive(Clone)]
pub(crate) enum Options {
    Sqlite(SqliteConnectOptions),
    MySql(MySqlConnectOptions),
    Postgres(PgConnectOptions),
}

/// A database. Cloning shares its connections.
#[derive(Clone)]
pub struct Database {
    pub(crate) pool: Pool,
    /// Where the audit index lives: on SQLite in a file of its own, so that filling it never keeps the journal waiting.
    pub(crate) index: Pool,
    /// The indexer's own connections, on SQLite.
    pub(crate) index_link: IndexLink,
    pub(crate) options: Arc<Options>,
}

impl Database {
    /// Connects. The schema is brought up to date by [`Database::migrate`], and [`Database::check_durability`] should
    /// come before the first use.
    pub async fn connect(config: &DatabaseConfig) -> Result<Self, StoreError> {
        let options = Options::parse(&config.url)?;
        let (pool, index) = match &options {
            Options::Sqlite(options) => {
                let options = options.clone().create_if_missing(config.creates);
                let limits = sqlite_limits(config);
                let pool = limits.clone().connect_with(options.clone()).await?;
                let mut file = options.get_filename().as_os_str().to_owned();
                file.push(".index");
                // Derived: what a power cut takes is indexed again.
                let derived = options
                    .filename(file)
                    .synchronous(SqliteSynchronous::Normal)
                    .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string());
                let index = match config.creates {
                    true => limits.connect_with(derived).await?,
                    false => limits.connect_lazy_with(derived),
                };
                (Pool::Sqlite(SqliteFile::new(pool)), Pool::Sqlite(SqliteFile::new(index)))
            }
            Options::MySql(options) => {
                let limits = limits::<sqlx::MySql>(config).after_connect(|connection, _| {
                    Box::pin(async { connection.execute(MYSQL_SESSION).await.map(drop) })
                });
                let pool = Pool::MySql(limits.connect_with(options.clone()).await?);
                (pool.clone(), pool)
            }
            Options::Postgres(options) => {
                let limits = limits::<sqlx::Postgres>(config).after_connect(|connection, _| {
                    Box::pin(async { connection.execute(POSTGRES_SESSION).await.map(drop) })
                });
                let pool = Pool::Postgres(limits.connect_with(options.clone()).await?);
                (pool.clone(), pool)
            }
        };
        Ok(Self { pool, index, index_link: IndexLink::default(), options: Arc::new(options) })
    }

    /// Which SQL the database speaks.
    pub fn dialect(&self) -> Dialect {
        self.pool.dialect()
    }

    /// Brings the schema up to date. Replicas that start together wait for each other.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let migrator = |parts: &[Part]| migration::migrator(self.dialect(), parts);
        match (&self.pool, &self.index) {
            (Pool::Sqlite(file), Pool::Sqlite(index)) => {
                migrator(&[Part::Main]).run(file.pool()).await?;
                migrator(&[Part::Index]).run(index.pool()).await?;
            }
            (Pool::MySql(pool), _) => migrator(&[Part::Main, Part::Index]).run(pool).await?,
            (Pool::Postgres(pool), _) => migrator(&[Part::Main, Part::Index]).run(pool).await?,
            (Pool::Sqlite(_), _) => {}
        }
        Ok(())
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.pool.rows("SELECT 1", &[]).await.map(drop)
    }

    /// Opens the journal on a connection of its own.
    pub async fn open_journal(&self) -> Result<Journal, StoreError> {
        Journal::open(self.clone()).await
    }

    /// Closes every pooled connection.
    pub async fn close(&self) {
        self.index_link.close().await;
        self.pool.close().await;
        self.index.close().await;
    }
}

/// What each MySQL session is set to: no gap locks, and no value cut to fit.
const MYSQL_SESSION: &str = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'); \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// What each Postgres session is set to. Lists go along an index in its order and stop early; for a value that has become
/// frequent since the last ANALYZE the planner would rather gather all rows and sort them.
const POSTGRES_SESSION: &str = "SET enable_bitmapscan = off";

/// Limits of a pool on SQLite, where each connection is a thread of this process with a page cache of its own.
fn sqlite_limits(config: &DatabaseConfig) -> PoolOptions<sqlx::Sqlite> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let useful = u32::try_from(cores.max(4)).unwrap_or(u32::MAX);
    limits(config).max_connections(config.max_connections.min(useful))
}

fn limits<DB: sqlx::Database>(config: &DatabaseConfig) -> PoolOptions<DB> {
    PoolOptions::new().max_connections(config.max_connections).acquire_timeout(config.acquire_timeout)
}

impl Options {
    fn parse(url: &str) -> Result<Self, StoreError> {
        let refused = |error: sqlx::Error| StoreError::Config(error.to_string());
        if let Some(path) = url.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(sqlite_options(Path::new(path.strip_prefix("//").unwrap_or(path)))));
        }
        match url.split_once("://") {
            Some(("mysql" | "mariadb", rest)) => {
                let options = MySqlConnectOptions::from_str(&format!("mysql://{rest}")).map_err(refused)?;
                Ok(Self::MySql(options.charset("utf8mb4").disable_statement_logging()))
            }
            Some(("postgres" | "postgresql", _)) => {
                let options = PgConnectOptions::from_str(url).map_err(refused)?;
                Ok(Self::Postgres(options.application_name("doorman").disable_statement_logging()))
            }
            _ => Err(StoreError::Config(
                "the URL must begin with sqlite:, mysql://, mariadb:// or postgres://".into(),
            )),
        }
    }
}

fn sqlite_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Only macOS needs it, where a plain fsync stops at the drive's cache.
        .pragma("fullfsync", "1")
        // Without it REPLACE deletes rows past the triggers that forbid deleting.
        .pragma("recursive_triggers", "1")
        // The journal copies the log itself; this is for processes without one.
        .pragma("wal_autocheckpoint", "32000")
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging()
}
