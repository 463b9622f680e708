//! One way to run a query on any of the three databases: values in, rows out.

use crate::StoreError;
use crate::dialect::Dialect;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::mysql::{MySqlArguments, MySqlRow};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, MySqlPool, PgPool, Row as _, SqlitePool};
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// SQL text: ours, never anyone else's.
pub(crate) type Sql = Cow<'static, str>;

/// A parameter. Every kind has its own NULL, since Postgres wants to know.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<Cow<'a, [u8]>>),
}

macro_rules! value_from {
    ($($kind:ty => |$value:ident| $variant:ident($made:expr);)*) => {$(
        impl<'a> From<$kind> for Value<'a> {
            fn from($value: $kind) -> Self {
                Self::$variant(Some($made))
            }
        }
        impl<'a> From<Option<$kind>> for Value<'a> {
            fn from(value: Option<$kind>) -> Self {
                Self::$variant(value.map(|$value| $made))
            }
        }
    )*};
}

value_from! {
    i64 => |value| Int(value);
    // Times and counters: none of ours reaches 2⁶³.
    u64 => |value| Int(value.cast_signed());
    u32 => |value| Int(value.into());
    u16 => |value| Int(value.into());
    bool => |value| Int(value.into());
    &'a str => |value| Text(value.into());
    String => |value| Text(value.into());
    Cow<'a, str> => |value| Text(value);
    &'a [u8] => |value| Bytes(value.into());
    &'a [u8; 16] => |value| Bytes(value.as_slice().into());
    [u8; 16] => |value| Bytes(value.to_vec().into());
    Vec<u8> => |value| Bytes(value.into());
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        Self::Text(Some(value.into()))
    }
}

/// The parameters of a query.
macro_rules! args {
    ($($value:expr),* $(,)?) => { &[$($crate::driver::Value::from($value)),*] };
}
pub(crate) use args;

macro_rules! arguments {
    ($name:ident, $kind:ty) => {
        fn $name(args: &[Value<'_>]) -> Result<$kind, sqlx::Error> {
            let mut arguments = <$kind>::default();
            arguments.reserve(args.len(), 0);
            for value in args {
                match value {
                    Value::Int(value) => arguments.add(*value),
                    Value::Text(value) => arguments.add(value.as_deref()),
                    Value::Bytes(value) => arguments.add(value.as_deref()),
                }
                .map_err(sqlx::Error::Encode)?;
            }
            Ok(arguments)
        }
    };
}
arguments!(sqlite_arguments, SqliteArguments);
arguments!(mysql_arguments, MySqlArguments);
arguments!(postgres_arguments, PgArguments);

/// A row of any database; columns are read in the order of the SELECT.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    MySql(MySqlRow),
    Postgres(PgRow),
}

macro_rules! getter {
    ($name:ident, $optional:ident, $kind:ty) => {
        pub(crate) fn $optional(&self, column: usize) -> Result<Option<$kind>, StoreError> {
            // Unchecked, since MySQL gives VARBINARY where others give TEXT: the decoder checks what it gets.
            Ok(match self {
                Self::Sqlite(row) => row.try_get_unchecked(column)?,
                Self::MySql(row) => row.try_get_unchecked(column)?,
                Self::Postgres(row) => row.try_get_unchecked(column)?,
            })
        }

        pub(crate) fn $name(&self, column: usize) -> Result<$kind, StoreError> {
            self.$optional(column)?.ok_or(StoreError::Corrupt("a value is missing"))
        }
    };
}

impl Row {
    getter!(int, opt_int, i64);
    getter!(text, opt_text, String);
    getter!(bytes, opt_bytes, Vec<u8>);

    pub(crate) fn uint(&self, column: usize) -> Result<u64, StoreError> {
        Ok(self.int(column)?.cast_unsigned())
    }

    pub(crate) fn opt_uint(&self, column: usize) -> Result<Option<u64>, StoreError> {
        Ok(self.opt_int(column)?.map(i64::cast_unsigned))
    }

    pub(crate) fn bool(&self, column: usize) -> Result<bool, StoreError> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn array<const N: usize>(&self, column: usize) -> Result<[u8; N], StoreError> {
        self.bytes(column)?.try_into().map_err(|_| StoreError::Corrupt("an id has the wrong length"))
    }

    pub(crate) fn opt_array<const N: usize>(&self, column: usize) -> Result<Option<[u8; N]>, StoreError> {
        match self.opt_bytes(column)? {
            None => Ok(None),
            Some(bytes) => {
                bytes.try_into().map(Some).map_err(|_| StoreError::Corrupt("an id has the wrong length"))
            }
        }
    }
}

/// Runs `$body` for the database at hand: `$on` is what sqlx runs queries on, `$arguments` makes arguments and
/// `$wrap` wraps rows.
macro_rules! on_each {
    ($this:expr, $kind:ident($sqlite:ident => $sqlite_on:expr, $other:ident => $other_on:expr),
     |$on:ident, $arguments:ident, $wrap:ident| $body:expr) => {
        match $this {
            $kind::Sqlite($sqlite) => {
                let ($on, $arguments, $wrap) = ($sqlite_on, sqlite_arguments, Row::Sqlite);
                $body
            }
            $kind::MySql($other) => {
                let ($on, $arguments, $wrap) = ($other_on, mysql_arguments, Row::MySql);
                $body
            }
            $kind::Postgres($other) => {
                let ($on, $arguments, $wrap) = ($other_on, postgres_arguments, Row::Postgres);
                $body
            }
        }
    };
}

/// One SQLite file. It has one writer at a time: those of this process wait for each other here, in order, instead of
/// polling for the file's lock, which is left to meet other processes.
#[derive(Clone)]
pub(crate) struct SqliteFile {
    pool: SqlitePool,
    writing: Arc<Mutex<()>>,
}

impl SqliteFile {
    pub(crate) fn new(pool: SqlitePool) -> Self {
        Self { pool, writing: Arc::default() }
    }

    pub(crate) fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Waits until nobody else in this process writes.
    pub(crate) async fn write_turn(&self) -> OwnedMutexGuard<()> {
        self.writing.clone().lock_owned().await
    }
}

/// Connections to one database.
#[derive(Clone)]
pub(crate) enum Pool {
    Sqlite(SqliteFile),
    MySql(MySqlPool),
    Postgres(PgPool),
}

impl Pool {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    fn sql(&self, sql: impl Into<Sql>) -> AssertSqlSafe<String> {
        AssertSqlSafe(self.dialect().parameters(sql.into()).into_owned())
    }

    /// Runs one statement in a transaction of its own; the number of rows that it touched.
    pub(crate) async fn execute(&self, sql: impl Into<Sql>, args: &[Value<'_>]) -> Result<u64, StoreError> {
        let sql = self.sql(sql);
        Ok(match self {
            Self::Sqlite(file) => {
                let _turn = file.write_turn().await;
                sqlx::query_with(sql, sqlite_arguments(args)?).execute(&file.pool).await?.rows_affected()
            }
            Self::MySql(pool) => {
                sqlx::query_with(sql, mysql_arguments(args)?).execute(pool).await?.rows_affected()
            }
            Self::Postgres(pool) => {
                sqlx::query_with(sql, postgres_arguments(args)?).execute(pool).await?.rows_affected()
            }
        })
    }

    pub(crate) async fn rows(&self, sql: impl Into<Sql>, args: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let sql = self.sql(sql);
        Ok(on_each!(self, Pool(file => &file.pool, pool => pool), |on, arguments, wrap| {
            sqlx::query_with(sql, arguments(args)?).fetch(on).map_ok(wrap).try_collect().await?
        }))
    }

    pub(crate) async fn row(
        &self,
        sql: impl Into<Sql>,
        args: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.pop())
    }

    /// Rows one by one, in bounded memory.
    pub(crate) fn stream<'a>(
        &'a self,
        sql: impl Into<Sql>,
        args: &[Value<'_>],
    ) -> Result<BoxStream<'a, Result<Row, StoreError>>, StoreError> {
        let sql = self.sql(sql);
        Ok(on_each!(self, Pool(file => &file.pool, pool => pool), |on, arguments, wrap| {
            Box::pin(sqlx::query_with(sql, arguments(args)?).fetch(on).map_ok(wrap).map_err(StoreError::from))
        }))
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(file) => file.pool.close().await,
            Self::MySql(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// A transaction that writes. On SQLite it holds the write lock from its start.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite(file) => {
                let turn = file.write_turn().await;
                Tx::Sqlite(SqliteTx { tx: file.pool.begin_with("BEGIN IMMEDIATE").await?, _turn: turn })
            }
            Self::MySql(pool) => Tx::MySql(pool.begin().await?),
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
        })
    }
}

/// A transaction and its turn to write; dropped in this order.
pub(crate) struct SqliteTx {
    tx: sqlx::Transaction<'static, sqlx::Sqlite>,
    _turn: OwnedMutexGuard<()>,
}

/// A transaction; dropped without [`Tx::commit`] it is rolled back.
pub(crate) enum Tx {
    Sqlite(SqliteTx),
    MySql(sqlx::Transaction<'static, sqlx::MySql>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

impl Tx {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::MySql(_) => Dialect::MySql,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    fn sql(&self, sql: impl Into<Sql>) -> AssertSqlSafe<String> {
        AssertSqlSafe(self.dialect().parameters(sql.into()).into_owned())
    }

    pub(crate) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let sql = self.sql(sql);
        Ok(on_each!(self, Tx(own => &mut *own.tx, tx => &mut **tx), |on, arguments, _wrap| {
            sqlx::query_with(sql, arguments(args)?).execute(on).await?.rows_affected()
        }))
    }

    pub(crate) async fn rows(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = self.sql(sql);
        Ok(on_each!(self, Tx(own => &mut *own.tx, tx => &mut **tx), |on, arguments, wrap| {
            sqlx::query_with(sql, arguments(args)?).fetch(on).map_ok(wrap).try_collect().await?
        }))
    }

    pub(crate) async fn row(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, args).await?.pop())
    }

    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(own) => own.tx.commit().await?,
            Self::MySql(tx) => tx.commit().await?,
            Self::Postgres(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// Runs a transaction again while the database says that it lost a race (deadlock, lock wait). A macro, since the
/// future of an `AsyncFnMut` cannot be known to be `Send`.
macro_rules! retrying {
    ($run:expr) => {{
        let mut tries = 0;
        loop {
            match $run.await {
                Err(error) if error.is_transient() && tries < 8 => tries += 1,
                ended => break ended,
            }
        }
    }};
}
pub(crate) use retrying;
