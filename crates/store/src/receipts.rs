//! Receipts as proxies wrote them: collected pieces of their files, and how far each proxy was read.

use crate::audit::{id_values, marks};
use crate::driver::{args, retrying};
use crate::index::row::OPEN;
use crate::{Database, StoreError, StoredEntry};
use doorman_core::id::AuditId;
use doorman_core::pass::BootId;
use doorman_core::receipt::ProxyId;
use doorman_core::statement::WriterId;

/// How far one proxy was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptSource {
    /// The installation.
    pub proxy: ProxyId,
    /// Its region.
    pub region: String,
    /// What it is asked with for what comes next.
    pub cursor: String,
    /// Everything that it had forwarded by then was collected; 0 while that was never so.
    pub complete_ms: u64,
    /// Receipts from before may be missing; 0 where none are.
    pub gap_ms: u64,
}

/// A piece of a proxy's file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReceiptPiece {
    /// Which of the proxy's files.
    pub segment: u64,
    /// Where in it the piece begins.
    pub start: u64,
    /// The times of its first and last frame.
    pub span_ms: (u64, u64),
    /// Whole frames.
    pub frames: Vec<u8>,
}

/// What one visit to a proxy brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Collected {
    /// The proxy as it stands now.
    pub source: ReceiptSource,
    /// New pieces.
    pub pieces: Vec<ReceiptPiece>,
    /// Processes that began a file: boot id and time.
    pub boots: Vec<(BootId, u64)>,
}

/// An attempt whose outcome is not known, with the passes that were made for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownAttempt {
    /// The attempt.
    pub id: AuditId,
    /// What each of its passes says.
    pub claims: Vec<Vec<u8>>,
    /// The run that it is an item of, and the item's number.
    pub item: Option<([u8; 16], u64)>,
}

/// What an attempt's record says of its run.
#[derive(Default, serde::Deserialize)]
struct OfRun {
    run: Option<String>,
    item: Option<u64>,
}

impl Database {
    /// How far each proxy was read.
    pub async fn receipt_sources(&self) -> Result<Vec<ReceiptSource>, StoreError> {
        let sql =
            "SELECT proxy, region, place, complete_ms, gap_ms FROM receipt_source ORDER BY region, proxy";
        let rows = self.pool.rows(sql, &[]).await?;
        rows.iter()
            .map(|row| {
                Ok(ReceiptSource {
                    proxy: ProxyId(row.array(0)?),
                    region: row.text(1)?,
                    cursor: row.text(2)?,
                    complete_ms: row.uint(3)?,
                    gap_ms: row.uint(4)?,
                })
            })
            .collect()
    }

    /// Stores what was collected, and how far, in one transaction. Pieces that are there already stay.
    pub async fn store_receipts(&self, collected: &Collected) -> Result<(), StoreError> {
        retrying!(self.try_store_receipts(collected))
    }

    async fn try_store_receipts(&self, collected: &Collected) -> Result<(), StoreError> {
        let Collected { source, pieces, boots } = collected;
        let dialect = self.dialect();
        let mut tx = self.pool.begin().await?;
        let sql = dialect.insert_missing(
            "INTO receipt_piece (proxy, segment, start, from_ms, to_ms, frames) VALUES (?, ?, ?, ?, ?, ?)",
        );
        for piece in pieces {
            let (from, to) = piece.span_ms;
            let values = args![source.proxy.0, piece.segment, piece.start, from, to, piece.frames.as_slice()];
            tx.execute(sql.clone(), values).await?;
        }
        let sql = dialect.insert_missing("INTO receipt_boot (boot, proxy, started_ms) VALUES (?, ?, ?)");
        for (boot, started_ms) in boots {
            tx.execute(sql.clone(), args![boot.0, source.proxy.0, *started_ms]).await?;
        }
        let sql = dialect.insert_missing(
            "INTO receipt_source (proxy, region, place, complete_ms, gap_ms) VALUES (?, ?, '', 0, 0)",
        );
        tx.execute(sql, args![source.proxy.0, source.region.as_str()]).await?;
        // Retention may have moved the gap since the source was read.
        let sql = "UPDATE receipt_source SET region = ?, place = ?, complete_ms = ?, \
             gap_ms = CASE WHEN gap_ms > ? THEN gap_ms ELSE ? END WHERE proxy = ?";
        let values = args![
            source.region.as_str(),
            source.cursor.as_str(),
            source.complete_ms,
            source.gap_ms,
            source.gap_ms,
            source.proxy.0
        ];
        tx.execute(sql, values).await?;
        tx.commit().await
    }

    /// The installation that a process was, once its receipts were collected.
    pub async fn proxy_of_boot(&self, boot: BootId) -> Result<Option<ProxyId>, StoreError> {
        let row = self.pool.row("SELECT proxy FROM receipt_boot WHERE boot = ?", args![boot.0]).await?;
        row.map(|row| row.array(0).map(ProxyId)).transpose()
    }

    /// The next piece behind `after` (file and place in it) of a proxy, of those that reach `since_ms`.
    pub async fn next_receipts(
        &self,
        proxy: ProxyId,
        since_ms: u64,
        after: Option<(u64, u64)>,
    ) -> Result<Option<ReceiptPiece>, StoreError> {
        let (segment, start) = after.map_or((0, 0), |(segment, start)| (segment, start + 1));
        let sql = "SELECT segment, start, from_ms, to_ms, frames FROM receipt_piece WHERE proxy = ? AND to_ms >= ? \
             AND (segment > ? OR (segment = ? AND start >= ?)) ORDER BY segment, start LIMIT 1";
        let row = self.pool.row(sql, args![proxy.0, since_ms, segment, segment, start]).await?;
        row.map(|row| {
            Ok(ReceiptPiece {
                segment: row.uint(0)?,
                start: row.uint(1)?,
                span_ms: (row.uint(2)?, row.uint(3)?),
                frames: row.bytes(4)?,
            })
        })
        .transpose()
    }

    /// Indexed attempts whose outcome is `unknown`, of between these times and behind `after`, in the order of their ids.
    pub async fn unknown_attempts(
        &self,
        from_ms: u64,
        to_ms: u64,
        after: AuditId,
        limit: u32,
    ) -> Result<Vec<UnknownAttempt>, StoreError> {
        let from = AuditId::floor_of(from_ms).max(after);
        let sql =
            "SELECT id FROM audit_index WHERE outcome = 'unknown' AND id > ? AND id < ? ORDER BY id LIMIT ?";
        let rows = self.index.rows(sql, args![from.0, AuditId::floor_of(to_ms).0, limit]).await?;
        let mut attempts = Vec::new();
        for row in rows {
            let id = AuditId(row.array(0)?);
            let links = "SELECT id FROM audit_link WHERE target = ? AND what = 'pass'";
            let mut ids = vec![id];
            for row in self.index.rows(links, args![id.0]).await? {
                ids.push(AuditId(row.array(0)?));
            }
            let entries = self.stored_entries(&ids).await?;
            let of_run = entries.iter().find(|(_, entry)| entry.id == id);
            let of_run = of_run.and_then(|(_, entry)| serde_json::from_slice::<OfRun>(&entry.record).ok());
            let OfRun { run, item } = of_run.unwrap_or_default();
            let run = run.and_then(|run| run.parse::<AuditId>().ok());
            let item = run.map(|run| run.0).zip(item);
            let claims = entries.into_iter().map(|(_, entry)| entry.claims).collect();
            attempts.push(UnknownAttempt { id, claims, item });
        }
        Ok(attempts)
    }

    /// The entry at this place of a batch, counted by the ids that its statement's row names; `None` where either is gone.
    pub async fn entry_at(
        &self,
        writer: WriterId,
        number: u64,
        index: u32,
    ) -> Result<Option<StoredEntry>, StoreError> {
        let sql = "SELECT first_id, last_id FROM statement WHERE writer = ? AND number = ?";
        let Some(row) = self.pool.row(sql, args![writer.0, number]).await? else { return Ok(None) };
        let (first, last): ([u8; 16], [u8; 16]) = (row.array(0)?, row.array(1)?);
        let sql = "SELECT id, claims, record FROM journal WHERE id >= ? AND id <= ? AND writer = ? \
             ORDER BY id LIMIT 1 OFFSET ?";
        let row = self.pool.row(sql, args![first, last, writer.0, index]).await?;
        row.map(|row| {
            Ok(StoredEntry { id: AuditId(row.array(0)?), claims: row.bytes(1)?, record: row.bytes(2)? })
        })
        .transpose()
    }

    /// Those of these attempts that are indexed, and whose outcome is not there or `unknown`.
    pub async fn without_outcome(&self, ids: &[AuditId]) -> Result<Vec<AuditId>, StoreError> {
        let mut open = Vec::new();
        for part in ids.chunks(500) {
            let sql = format!(
                "SELECT id FROM audit_index WHERE id IN ({}) AND outcome IN ('{OPEN}', 'unknown')",
                marks(part.len())
            );
            for row in self.index.rows(sql, &id_values(part)).await? {
                open.push(AuditId(row.array(0)?));
            }
        }
        Ok(open)
    }
}
