//! Walks one index of the audit index downwards, in parts, until enough rows are found or the time is up.

use crate::audit::filter::{AuditFilter, Equal};
use crate::dialect::Dialect;
use crate::driver::{Row, Value};
use crate::index::row::{COLUMNS, IndexRow};
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use std::time::{Duration, Instant};

/// How many index entries the first part looks at; each further part looks at more, as time allows.
const FIRST_PART: i64 = 1_000;
const LARGEST_PART: i64 = 16_000;
const SMALLEST_PART: i64 = 200;

/// What a walk found.
pub(super) struct Found {
    /// Newest first.
    pub rows: Vec<IndexRow>,
    /// All matching entries from here up are in `rows`; `None` when the walk came to the end.
    pub complete_down_to: Option<AuditId>,
}

/// One way through the index: along the index of `driver`, or along the ids.
pub(super) struct Walk<'a> {
    pub filter: &'a AuditFilter,
    pub driver: Option<Equal>,
    /// What else must hold.
    pub others: Vec<Equal>,
    /// Look below this id.
    pub below: AuditId,
}

impl Walk<'_> {
    /// Finds up to `limit` rows.
    pub(super) async fn run(
        mut self,
        database: &Database,
        limit: u32,
        deadline: Instant,
    ) -> Result<Found, StoreError> {
        let dialect = database.dialect();
        let (from, _) = self.filter.id_range();
        let is_exact = self.others.is_empty() && self.filter.is_indexed();
        let mut rows: Vec<IndexRow> = Vec::new();
        if !self.others.is_empty() {
            self.choose_driver(database, from).await?;
        }
        let mut part = FIRST_PART;
        loop {
            let start = Instant::now();
            // Where the part ends: a look at the driving index alone.
            let bottom = if is_exact { None } else { self.end_of_part(database, from, part).await? };
            let wanted = i64::from(limit) - rows.len() as i64;
            let (sql, args) = self.select(dialect, bottom.unwrap_or(from), wanted);
            for row in database.index.rows(sql, &args).await? {
                rows.push(IndexRow::read(&row)?);
            }
            if rows.len() >= limit as usize {
                return Ok(Found { complete_down_to: rows.last().map(|row| row.id), rows });
            }
            let Some(bottom) = bottom else { return Ok(Found { rows, complete_down_to: None }) };
            self.below = bottom;
            part = next_part(part, start.elapsed(), deadline.saturating_duration_since(Instant::now()));
            if part == 0 {
                return Ok(Found { rows, complete_down_to: Some(bottom) });
            }
        }
    }

    /// Goes along the first index that has few entries to look at, if one of those that could be used has.
    async fn choose_driver(&mut self, database: &Database, from: AuditId) -> Result<(), StoreError> {
        for _ in 0..=self.others.len() {
            if self.end_of_part(database, from, FIRST_PART).await?.is_none() {
                return Ok(());
            }
            // The driver goes to the end of the line, and the next takes its place: after a whole turn all is as before.
            let next = self.others.remove(0);
            self.others.extend(self.driver.replace(next));
        }
        Ok(())
    }

    /// The id of the part's last entry; `None` when fewer are left.
    async fn end_of_part(
        &self,
        database: &Database,
        from: AuditId,
        part: i64,
    ) -> Result<Option<AuditId>, StoreError> {
        let (sql, args) = self.part_end(database.dialect(), from, part);
        let row: Option<Row> = database.index.row(sql, &args).await?;
        row.map(|row| Ok(AuditId(row.array(0)?))).transpose()
    }

    /// The query for up to `wanted` rows from `bottom` up.
    pub(super) fn select(&self, dialect: Dialect, bottom: AuditId, wanted: i64) -> (String, Vec<Value<'_>>) {
        let mut args = Vec::new();
        let mut sql = format!("SELECT {COLUMNS} {}", self.along(dialect, bottom, &mut args));
        for other in &self.others {
            sql.push_str(&format!(" AND {} = ?", other.column()));
            args.push(other.value());
        }
        let (scanned, values) = self.filter.scanned(dialect);
        sql.push_str(&scanned);
        args.extend(values);
        sql.push_str(&self.newest_first(dialect));
        sql.push_str(" LIMIT ?");
        args.push(wanted.into());
        (sql, args)
    }

    /// The query for the id of the last of `part` entries from the top.
    pub(super) fn part_end(&self, dialect: Dialect, from: AuditId, part: i64) -> (String, Vec<Value<'_>>) {
        let mut args = Vec::new();
        let along = self.along(dialect, from, &mut args);
        let sql = format!("SELECT id {along}{} LIMIT 1 OFFSET ?", self.newest_first(dialect));
        args.push((part - 1).into());
        (sql, args)
    }

    /// `FROM … WHERE` the walk's way between `from` and `self.below`, in the form that makes each planner take the
    /// index: a name for SQLite and MySQL, and for Postgres, which has none, an order that no other index has.
    fn along<'v>(&'v self, dialect: Dialect, from: AuditId, args: &mut Vec<Value<'v>>) -> String {
        let Some(driver) = &self.driver else {
            args.extend([self.below.0.into(), from.0.into()]);
            return "FROM audit_index WHERE id < ? AND id >= ?".to_owned();
        };
        let column = driver.column();
        match dialect {
            Dialect::Sqlite | Dialect::MySql => {
                let hint = if dialect == Dialect::Sqlite { "INDEXED BY" } else { "FORCE INDEX" };
                let (open, close) = if dialect == Dialect::Sqlite { (" ", "") } else { (" (", ")") };
                args.extend([driver.value(), self.below.0.into(), from.0.into()]);
                format!(
                    "FROM audit_index {hint}{open}audit_by_{column}{close} WHERE {column} = ? AND id < ? AND id >= ?"
                )
            }
            Dialect::Postgres => {
                args.extend([driver.value(), self.below.0.into(), driver.value(), from.0.into()]);
                format!("FROM audit_index WHERE ({column}, id) < (?, ?) AND ({column}, id) >= (?, ?)")
            }
        }
    }

    fn newest_first(&self, dialect: Dialect) -> String {
        match (&self.driver, dialect) {
            (Some(driver), Dialect::Postgres) => format!(" ORDER BY {} DESC, id DESC", driver.column()),
            _ => " ORDER BY id DESC".to_owned(),
        }
    }
}

/// The size of the part after one of `size` that took `took`: larger, but no more than `left` allows; 0 for none.
fn next_part(size: i64, took: Duration, left: Duration) -> i64 {
    let fits = size as f64 * left.as_secs_f64() / took.as_secs_f64().max(1e-6);
    let next = (fits as i64).min(size * 2).min(LARGEST_PART);
    if next < SMALLEST_PART { 0 } else { next }
}
