//! Retention: the entries of a writer's oldest batches go, whole batches only, under a signed tombstone; and with them what
//! was collected of receipts.

use crate::audit::{id_values, marks};
use crate::dialect::Dialect;
use crate::driver::{Value, args};
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::retention::Tombstone;
use doorman_core::statement::WriterId;

/// Entries that go in one transaction, unless one batch has more.
const AT_ONCE: u64 = 2_000;
const IDS_PER_QUERY: usize = 500;
/// Pieces of receipts that go in one transaction.
const PIECES_AT_ONCE: u32 = 200;

/// What of one writer is older than some time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retainable {
    /// The writer.
    pub writer: WriterId,
    /// Its batches below this number.
    pub below: u64,
    /// All entries that they were written with.
    pub entries: u64,
    /// How many of these are still there.
    pub left: u64,
}

impl Database {
    /// The stored tombstones: body and signature.
    pub async fn tombstones(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let rows = self.pool.rows("SELECT body, signature FROM retention ORDER BY writer, below", &[]).await;
        let rows = match rows {
            // A database from before there was retention, opened without being brought up to date.
            Err(StoreError::Sql(_)) => return Ok(Vec::new()),
            rows => rows?,
        };
        rows.iter().map(|row| Ok((row.bytes(0)?, row.bytes(1)?))).collect()
    }

    /// What is older than `before_ms` and still there, by writer: whole batches.
    pub async fn retainable(&self, before_ms: u64) -> Result<Vec<Retainable>, StoreError> {
        let end = AuditId::floor_of(before_ms);
        let mut found = Vec::new();
        for writer in self.statement_writers().await? {
            let sql = "SELECT number, first_index, count, last_id FROM statement WHERE writer = ? AND last_id < ? \
                 ORDER BY number DESC LIMIT 1";
            let Some(row) = self.pool.row(sql, args![writer.0, end.0]).await? else { continue };
            let entries = row.uint(1)?.saturating_add(row.uint(2)?);
            let last: [u8; 16] = row.array(3)?;
            let sql = "SELECT COUNT(*) FROM journal WHERE writer = ? AND id <= ?";
            let left = self.pool.row(sql, args![writer.0, last]).await?;
            let left = left.map(|row| row.uint(0)).transpose()?.unwrap_or_default();
            if left > 0 {
                found.push(Retainable { writer, below: row.uint(0)?.saturating_add(1), entries, left });
            }
        }
        Ok(found)
    }

    /// Stores the tombstone, and then deletes what it names, batch by batch; `progress` hears how many entries went so
    /// far. Interrupted, it may be asked again. On a server the connection must be that of `doorman_retention`.
    pub async fn retain(
        &self,
        tombstone: &Tombstone,
        signature: &[u8; 64],
        mut progress: impl FnMut(u64),
    ) -> Result<u64, StoreError> {
        let (writer, body) = (tombstone.writer, tombstone.to_bytes());
        let sql = self
            .dialect()
            .insert_missing("INTO retention (writer, below, body, signature) VALUES (?, ?, ?, ?)");
        self.pool
            .execute(sql, args![writer.0, tombstone.below, body.as_slice(), signature.as_slice()])
            .await?;
        let mut gone = 0;
        while let Some((first, last)) = self.oldest_batches(writer, tombstone.below).await? {
            gone += self.delete_entries(writer, first, last).await?;
            progress(gone);
        }
        Ok(gone)
    }

    /// The ids of the first and last entry of some whole batches: the oldest that still have entries.
    async fn oldest_batches(
        &self,
        writer: WriterId,
        below: u64,
    ) -> Result<Option<(AuditId, AuditId)>, StoreError> {
        let sql = "SELECT id FROM journal WHERE writer = ? AND id <= \
             (SELECT last_id FROM statement WHERE writer = ? AND number = ?) ORDER BY id LIMIT 1";
        let row = self.pool.row(sql, args![writer.0, writer.0, below.saturating_sub(1)]).await?;
        let Some(oldest) = row.map(|row| row.array::<16>(0)).transpose()? else { return Ok(None) };
        let sql = "SELECT first_id, last_id, count FROM statement WHERE writer = ? AND last_id >= ? AND number < ? \
             ORDER BY number LIMIT 200";
        let mut span: Option<(AuditId, AuditId)> = None;
        let mut entries = 0;
        for row in self.pool.rows(sql, args![writer.0, oldest, below]).await? {
            entries += row.uint(2)?;
            if span.is_some() && entries > AT_ONCE {
                break;
            }
            let first = span.map_or(AuditId(row.array(0)?), |(first, _)| first);
            span = Some((first, AuditId(row.array(1)?)));
        }
        Ok(span)
    }

    async fn delete_entries(
        &self,
        writer: WriterId,
        first: AuditId,
        last: AuditId,
    ) -> Result<u64, StoreError> {
        let range = args![writer.0, first.0, last.0];
        let sql = "SELECT id FROM journal WHERE writer = ? AND id >= ? AND id <= ?";
        let rows = self.pool.rows(sql, range).await?;
        let ids = rows.iter().map(|row| row.array(0).map(AuditId)).collect::<Result<Vec<_>, _>>()?;
        // First what is derived: asked again, what is left of the journal is found.
        for part in ids.chunks(IDS_PER_QUERY) {
            let marks = marks(part.len());
            for sql in [
                format!("DELETE FROM audit_index WHERE id IN ({marks})"),
                format!("DELETE FROM audit_link WHERE target IN ({marks})"),
                format!("DELETE FROM audit_orphan WHERE id IN ({marks})"),
            ] {
                self.index.execute(sql, &id_values(part)).await?;
            }
        }
        self.delete_from("journal", "writer = ? AND id >= ? AND id <= ?", range).await
    }

    /// Deletes from an append-only table, for which the connection needs the right.
    async fn delete_from(
        &self,
        table: &str,
        condition: &str,
        values: &[Value<'_>],
    ) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        let is_sqlite = tx.dialect() == Dialect::Sqlite;
        if is_sqlite {
            tx.execute(format!("DROP TRIGGER {table}_no_DELETE"), &[]).await?;
        }
        let gone = tx.execute(format!("DELETE FROM {table} WHERE {condition}"), values).await?;
        if is_sqlite {
            let trigger = format!(
                "CREATE TRIGGER {table}_no_DELETE BEFORE DELETE ON {table} \
                 BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            );
            tx.execute(trigger, &[]).await?;
        }
        tx.commit().await?;
        Ok(gone)
    }

    /// How many collected pieces of receipts end before `before_ms`.
    pub async fn retainable_receipts(&self, before_ms: u64) -> Result<u64, StoreError> {
        let sql = "SELECT COUNT(*) FROM receipt_piece WHERE to_ms < ?";
        let row = self.pool.row(sql, args![before_ms]).await?;
        row.map_or(Ok(0), |row| row.uint(0))
    }

    /// Deletes them; how many. Asked again, it goes on where it was interrupted.
    pub async fn retain_receipts(&self, before_ms: u64) -> Result<u64, StoreError> {
        let nth = "SELECT segment, start FROM receipt_piece WHERE proxy = ? AND to_ms < ? \
             ORDER BY segment, start LIMIT 1 OFFSET ?";
        let old = "proxy = ? AND to_ms < ?";
        let mut gone = 0;
        for proxy in self.receipt_sources().await?.into_iter().map(|source| source.proxy.0) {
            if self.pool.row(nth, args![proxy, before_ms, 0u32]).await?.is_none() {
                continue;
            }
            // First: from what is missing from now on nothing may be concluded.
            let sql = "UPDATE receipt_source SET gap_ms = ? WHERE proxy = ? AND gap_ms < ?";
            self.pool.execute(sql, args![before_ms, proxy, before_ms]).await?;
            while let Some(row) = self.pool.row(nth, args![proxy, before_ms, PIECES_AT_ONCE]).await? {
                let (segment, start) = (row.uint(0)?, row.uint(1)?);
                let some = format!("{old} AND (segment < ? OR (segment = ? AND start <= ?))");
                let values = args![proxy, before_ms, segment, segment, start];
                gone += self.delete_from("receipt_piece", &some, values).await?;
            }
            gone += self.delete_from("receipt_piece", old, args![proxy, before_ms]).await?;
        }
        Ok(gone)
    }
}
