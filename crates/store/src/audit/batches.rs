//! Whole batches in the order they were written, for verification and export, in bounded memory.

use crate::audit::{id_values, marks};
use crate::driver::args;
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::statement::WriterId;
use std::collections::VecDeque;

/// One start of one `api` process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriterRow {
    /// Its id.
    pub id: WriterId,
    /// When it started.
    pub started_ms: u64,
    /// Until when it said that it lives.
    pub lease_ms: u64,
    /// When it said that it ended.
    pub closed_ms: Option<u64>,
    /// The writers that it found at its start, as [`doorman_core::peers::PeerList`] has them.
    pub peers: Vec<u8>,
}

/// An entry as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredEntry {
    /// Its id.
    pub id: AuditId,
    /// What its pass says.
    pub claims: Vec<u8>,
    /// The record's canonical bytes.
    pub record: Vec<u8>,
}

/// A batch as it is stored, with every entry of its writer that lies behind the batch before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBatch {
    /// The statement's number.
    pub number: u64,
    /// The revocation epoch that it was checked under.
    pub epoch: u64,
    /// The statement's body.
    pub statement: Vec<u8>,
    /// How many entries the writer had committed before, as the row says.
    pub first_index: u64,
    /// How many entries the row says there are.
    pub count: u64,
    /// The ids of its first and last entry, as the row says.
    pub span: (AuditId, AuditId),
    /// The signature, once stored.
    pub signature: Option<Vec<u8>>,
    /// The entries, in the order of their leaves.
    pub entries: Vec<StoredEntry>,
}

/// How far one writer has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementHead {
    /// Who.
    pub writer: WriterId,
    /// The number of its last statement.
    pub number: u64,
    /// That statement's body.
    pub statement: Vec<u8>,
    /// How many entries the writer has committed with it.
    pub entries: u64,
    /// Whether its signature is stored.
    pub signed: bool,
}

/// Statements looked up at once, and the entries that they may have together, unless one alone has more.
const STATEMENTS: i64 = 64;
const ENTRIES: u64 = 2_000;

/// Reads one writer's batches one after another.
pub struct BatchReader {
    database: Database,
    writer: WriterId,
    next_number: u64,
    /// Entries up to here have been handed out.
    last_id: AuditId,
    ready: VecDeque<StoredBatch>,
}

impl Database {
    /// All writers that registered, oldest first.
    pub async fn writers(&self) -> Result<Vec<WriterRow>, StoreError> {
        let rows = self
            .pool
            .rows(
                "SELECT id, started_ms, lease_ms, closed_ms, peers FROM writer ORDER BY started_ms, id",
                &[],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(WriterRow {
                    id: WriterId(row.array(0)?),
                    started_ms: row.uint(1)?,
                    lease_ms: row.uint(2)?,
                    closed_ms: row.opt_uint(3)?,
                    peers: row.bytes(4)?,
                })
            })
            .collect()
    }

    /// All writers that have statements, registered or not.
    pub async fn statement_writers(&self) -> Result<Vec<WriterId>, StoreError> {
        // One look into the index for each, since DISTINCT would read every statement.
        let mut writers = Vec::new();
        let first = "SELECT writer FROM statement ORDER BY writer LIMIT 1";
        let mut row = self.pool.row(first, &[]).await?;
        while let Some(found) = row {
            let writer = found.array(0)?;
            writers.push(WriterId(writer));
            let next = "SELECT writer FROM statement WHERE writer > ? ORDER BY writer LIMIT 1";
            row = self.pool.row(next, args![writer]).await?;
        }
        Ok(writers)
    }

    /// The entries of these ids, with their writers; those not in the journal are missing.
    pub async fn stored_entries(&self, ids: &[AuditId]) -> Result<Vec<(WriterId, StoredEntry)>, StoreError> {
        const IDS_PER_QUERY: usize = 500;
        let mut entries = Vec::with_capacity(ids.len());
        for part in ids.chunks(IDS_PER_QUERY) {
            let sql =
                format!("SELECT writer, id, claims, record FROM journal WHERE id IN ({})", marks(part.len()));
            for row in self.pool.rows(sql, &id_values(part)).await? {
                let (id, claims, record) = (AuditId(row.array(1)?), row.bytes(2)?, row.bytes(3)?);
                entries.push((WriterId(row.array(0)?), StoredEntry { id, claims, record }));
            }
        }
        Ok(entries)
    }

    /// The last statement of every writer that has any.
    pub async fn statement_heads(&self) -> Result<Vec<StatementHead>, StoreError> {
        let sql = "SELECT s.number, s.body, s.first_index, s.count, g.signature FROM statement s \
             LEFT JOIN statement_signature g ON g.writer = s.writer AND g.number = s.number \
             WHERE s.writer = ? ORDER BY s.number DESC LIMIT 1";
        let mut heads = Vec::new();
        for writer in self.statement_writers().await? {
            let Some(row) = self.pool.row(sql, args![writer.0]).await? else { continue };
            heads.push(StatementHead {
                writer,
                number: row.uint(0)?,
                statement: row.bytes(1)?,
                entries: row.uint(2)?.saturating_add(row.uint(3)?),
                signed: row.opt_bytes(4)?.is_some(),
            });
        }
        Ok(heads)
    }

    /// The first entry that lies behind its writer's last statement, or whose writer has none: somebody added it.
    pub async fn stray_entry(&self) -> Result<Option<(WriterId, AuditId)>, StoreError> {
        // One statement, so that a batch that is committed meanwhile is seen whole or not at all.
        let sql = "SELECT j.writer, j.id FROM journal j LEFT JOIN (\
             SELECT s.writer, s.last_id FROM statement s JOIN (\
             SELECT writer, MAX(number) AS number FROM statement GROUP BY writer) m \
             ON m.writer = s.writer AND m.number = s.number) t ON t.writer = j.writer \
             WHERE t.writer IS NULL OR j.id > t.last_id ORDER BY j.id LIMIT 1";
        let row = self.pool.row(sql, &[]).await?;
        row.map(|row| Ok((WriterId(row.array(0)?), AuditId(row.array(1)?)))).transpose()
    }

    /// The batch that an entry, an outcome or a second pass belongs to; `None` when there is no such entry, or no
    /// statement covers it.
    pub async fn batch_of(&self, id: AuditId) -> Result<Option<(WriterId, StoredBatch)>, StoreError> {
        let sql = "SELECT writer FROM journal WHERE id = ?";
        let Some(row) = self.pool.row(sql, args![id.0]).await? else { return Ok(None) };
        let writer = WriterId(row.array(0)?);
        let sql = "SELECT MAX(number) FROM statement WHERE writer = ?";
        let newest = self.pool.row(sql, args![writer.0]).await?;
        let Some(newest) = newest.map(|row| row.opt_uint(0)).transpose()?.flatten() else { return Ok(None) };
        // Ids rise with the numbers, and no index holds them by id.
        let (mut low, mut high) = (0, newest);
        let sql = "SELECT last_id FROM statement WHERE writer = ? AND number = ?";
        while low < high {
            let middle = low + (high - low) / 2;
            let row = self.pool.row(sql, args![writer.0, middle]).await?;
            let last = row.map(|row| row.array(0)).transpose()?.map(AuditId);
            if last.is_some_and(|last| last >= id) { high = middle } else { low = middle + 1 }
        }
        let batch = self.read_batches(writer, low).await?.next().await?;
        let batch = batch.filter(|batch| batch.entries.iter().any(|entry| entry.id == id));
        Ok(batch.map(|batch| (writer, batch)))
    }

    /// A writer's batches from number `from` on.
    pub async fn read_batches(&self, writer: WriterId, from: u64) -> Result<BatchReader, StoreError> {
        let sql =
            "SELECT last_id FROM statement WHERE writer = ? AND number < ? ORDER BY number DESC LIMIT 1";
        let before = self.pool.row(sql, args![writer.0, from]).await?;
        let last_id = before.map(|row| row.array(0)).transpose()?.map_or(AuditId([0; 16]), AuditId);
        Ok(BatchReader { database: self.clone(), writer, next_number: from, last_id, ready: VecDeque::new() })
    }
}

impl BatchReader {
    /// The next batch; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<StoredBatch>, StoreError> {
        if self.ready.is_empty() {
            self.fill().await?;
        }
        Ok(self.ready.pop_front())
    }

    async fn fill(&mut self) -> Result<(), StoreError> {
        let pool = &self.database.pool;
        let sql = "SELECT s.number, s.epoch, s.body, s.first_index, s.count, s.last_id, g.signature, s.first_id FROM statement s \
             LEFT JOIN statement_signature g ON g.writer = s.writer AND g.number = s.number \
             WHERE s.writer = ? AND s.number >= ? ORDER BY s.number LIMIT ?";
        let rows = pool.rows(sql, args![self.writer.0, self.next_number, STATEMENTS]).await?;
        let mut ends = Vec::new();
        let mut entries = 0u64;
        for row in &rows {
            let count = row.uint(4)?;
            if entries > 0 && entries.saturating_add(count) > ENTRIES {
                break;
            }
            entries = entries.saturating_add(count);
            let span = (AuditId(row.array(7)?), AuditId(row.array(5)?));
            ends.push(span.1);
            self.ready.push_back(StoredBatch {
                number: row.uint(0)?,
                epoch: row.uint(1)?,
                statement: row.bytes(2)?,
                first_index: row.uint(3)?,
                count,
                span,
                signature: row.opt_bytes(6)?,
                entries: Vec::new(),
            });
        }
        let Some(last) = ends.last().copied() else { return Ok(()) };
        let sql =
            "SELECT id, claims, record FROM journal WHERE id > ? AND id <= ? AND writer = ? ORDER BY id";
        let rows = pool.rows(sql, args![self.last_id.0, last.0, self.writer.0]).await?;
        let mut batches = self.ready.iter_mut().zip(&ends);
        let mut batch = batches.next();
        for row in rows {
            let entry =
                StoredEntry { id: AuditId(row.array(0)?), claims: row.bytes(1)?, record: row.bytes(2)? };
            while batch.as_ref().is_some_and(|(_, end)| entry.id > **end) {
                batch = batches.next();
            }
            if let Some((batch, _)) = &mut batch {
                batch.entries.push(entry);
            }
        }
        self.next_number = self.ready.back().map_or(self.next_number, |batch| batch.number.saturating_add(1));
        self.last_id = last;
        Ok(())
    }
}
