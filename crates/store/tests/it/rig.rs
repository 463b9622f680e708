//! A fresh database for each test, on each kind of server, and the writers of sample batches.

use doorman_core::id::{AuditId, IdSequence};
use doorman_core::statement::WriterId;
use doorman_store::{Batch, CommitError, Database, DatabaseConfig, Entry, Journal};
use doorman_testkit::{mariadb, postgres};
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, Row, SqliteConnection,
};
use tempfile::TempDir;

/// A migrated database that goes when the value goes.
pub struct Rig {
    pub database: Database,
    pub url: String,
    _dir: Option<TempDir>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    Sqlite,
    MariaDb,
    Postgres,
}

impl Rig {
    pub async fn new(kind: Kind) -> Self {
        let (url, dir) = match kind {
            Kind::Sqlite => {
                let dir = tempfile::tempdir().unwrap();
                (format!("sqlite:{}", dir.path().join("doorman.db").display()), Some(dir))
            }
            Kind::MariaDb => (mariadb::shared().unwrap().database().unwrap(), None),
            Kind::Postgres => (postgres::shared().unwrap().database().unwrap(), None),
        };
        let database = Database::connect(&DatabaseConfig::new(&url)).await.unwrap();
        database.migrate().await.unwrap();
        Self { database, url, _dir: dir }
    }

    /// Runs SQL that the store itself would never run.
    pub async fn run(&self, sql: &str) -> Result<(), sqlx::Error> {
        self.run_at(&self.url, sql).await
    }

    /// Runs it on a file beside the database.
    pub async fn run_at(&self, url: &str, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql.to_owned());
        match url.split(':').next().unwrap() {
            "sqlite" => SqliteConnection::connect(url).await?.execute(sql).await.map(drop),
            "mysql" => MySqlConnection::connect(url).await?.execute(sql).await.map(drop),
            _ => PgConnection::connect(url).await?.execute(sql).await.map(drop),
        }
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> u64 {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let count: i64 = match self.url.split(':').next().unwrap() {
            "sqlite" => one(SqliteConnection::connect(&self.url).await.unwrap().fetch_one(sql).await),
            "mysql" => one(MySqlConnection::connect(&self.url).await.unwrap().fetch_one(sql).await),
            _ => one(PgConnection::connect(&self.url).await.unwrap().fetch_one(sql).await),
        };
        count as u64
    }

    /// The stored bytes of a record.
    pub async fn record(&self, id: AuditId) -> Vec<u8> {
        let sql = |id: &str| AssertSqlSafe(format!("SELECT record FROM journal WHERE id = {id}"));
        let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let (plain, escaped) = (sql(&format!("x'{hex}'")), sql(&format!("'\\x{hex}'")));
        match self.url.split(':').next().unwrap() {
            "sqlite" => one(SqliteConnection::connect(&self.url).await.unwrap().fetch_one(plain).await),
            "mysql" => one(MySqlConnection::connect(&self.url).await.unwrap().fetch_one(plain).await),
            _ => one(PgConnection::connect(&self.url).await.unwrap().fetch_one(escaped).await),
        }
    }
}

fn one<T, R>(row: Result<R, sqlx::Error>) -> T
where
    R: Row,
    usize: sqlx::ColumnIndex<R>,
    T: for<'r> sqlx::Decode<'r, R::Database> + sqlx::Type<R::Database>,
{
    row.unwrap().get(0)
}

/// Makes each test of a contract one for every database.
macro_rules! contract {
    ($($name:ident)*) => {
        mod sqlite { $(#[tokio::test] async fn $name() { super::$name($crate::rig::Kind::Sqlite).await; })* }
        mod mariadb { $(#[tokio::test] async fn $name() { super::$name($crate::rig::Kind::MariaDb).await; })* }
        mod postgres { $(#[tokio::test] async fn $name() { super::$name($crate::rig::Kind::Postgres).await; })* }
    };
}
pub(crate) use contract;

pub const NOW: u64 = 1_800_000_000_000;

/// A writer that makes small batches of numbered entries.
pub struct Writer {
    pub id: WriterId,
    pub epoch: u64,
    pub next: u64,
    index: u64,
    ids: IdSequence,
    pub written: Vec<AuditId>,
}

impl Writer {
    pub fn new(tag: u8) -> Self {
        let ids = IdSequence::new(u64::from(tag));
        Self { id: WriterId([tag; 16]), epoch: 0, next: 0, index: 0, ids, written: Vec::new() }
    }

    /// Commits `count` entries.
    pub async fn write(&mut self, journal: &mut Journal, count: usize) -> Result<(), CommitError> {
        let records: Vec<String> =
            (0..count).map(|n| format!("{{\"record\":{}}}", self.index + n as u64)).collect();
        self.write_records(journal, &records).await
    }

    /// Registers and returns the journal to write to.
    pub async fn open(&self, database: &Database) -> Journal {
        let mut journal = database.open_journal().await.unwrap();
        journal.register_writer(self.id, NOW, 60_000).await.unwrap();
        journal
    }

    /// Opens the journal, and registers if `is_new`.
    pub async fn open_again(&self, database: &Database, is_new: bool) -> Journal {
        if is_new { self.open(database).await } else { database.open_journal().await.unwrap() }
    }

    /// Goes on behind a batch that turned out to be committed.
    pub fn skip(&mut self, entries: usize) {
        self.next += 1;
        self.index += entries as u64;
    }

    pub fn next_id(&mut self, now_ms: u64) -> AuditId {
        self.ids.next_id(now_ms)
    }

    pub async fn write_records(
        &mut self,
        journal: &mut Journal,
        records: &[String],
    ) -> Result<(), CommitError> {
        let records: Vec<_> =
            records.iter().map(|record| (self.ids.next_id(NOW), record.clone().into_bytes())).collect();
        self.write_entries(journal, &records).await
    }

    pub async fn write_entries(
        &mut self,
        journal: &mut Journal,
        records: &[(AuditId, Vec<u8>)],
    ) -> Result<(), CommitError> {
        let entries: Vec<Entry<'_>> = records
            .iter()
            .map(|(id, record)| Entry { id: *id, claims: b"\0claims'\\\xff", record })
            .collect();
        let body = format!("statement {} of {}", self.next, self.id);
        let signatures: Vec<_> =
            self.next.checked_sub(1).map(|last| (last, [last as u8; 64])).into_iter().collect();
        let batch = Batch {
            writer: self.id,
            epoch: self.epoch,
            number: self.next,
            statement: body.as_bytes(),
            first_index: self.index,
            entries: &entries,
            signatures: &signatures,
            sending: &[],
            ended: &[],
        };
        journal.commit(&batch).await?;
        self.next += 1;
        self.index += records.len() as u64;
        self.written.extend(records.iter().map(|(id, _)| *id));
        Ok(())
    }
}
