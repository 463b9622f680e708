//! Entries with what belongs to them: outcome, retries, second passes.

use crate::audit::{id_values, marks};
use crate::driver::args;
use crate::index::row::{COLUMNS, IndexRow, Meaning};
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use std::collections::HashMap;

/// One entry of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditItem {
    /// Its id.
    pub id: AuditId,
    /// The record's canonical bytes.
    pub record: Vec<u8>,
    /// The record of the outcome that counts; `None` while none is known, and for what is no sent request.
    pub outcome: Option<Vec<u8>>,
    /// The entries that repeat it, oldest first.
    pub retries: Vec<AuditId>,
    /// The committed second passes for it, oldest first.
    pub passes: Vec<AuditId>,
}

/// How many ids one query names.
const IDS_PER_QUERY: usize = 500;

impl Database {
    /// One entry; `None` when there is none of that id, or it is an outcome or a second pass.
    pub async fn audit_entry(&self, id: AuditId) -> Result<Option<AuditItem>, StoreError> {
        let tail = self.read_tail(None).await?;
        let row = match tail.rows.get(&id) {
            Some(row) => Some(row.clone()),
            None => {
                let sql = format!("SELECT {COLUMNS} FROM audit_index WHERE id = ?");
                match self.index.row(sql, args![id.0]).await? {
                    Some(row) => Some(IndexRow::read(&row)?),
                    // Older than what of the tail is read, and not indexed yet.
                    None => {
                        match self.records(&[id]).await?.get(&id).and_then(|record| Meaning::of(record)) {
                            Some(Meaning::Row(row, _)) => Some(*row),
                            _ => None,
                        }
                    }
                }
            }
        };
        let Some(row) = row else { return Ok(None) };
        Ok(self.items(vec![row], &tail.links).await?.pop())
    }

    /// Gives index rows their records and links. `fresh` are links that are not indexed yet.
    pub(super) async fn items(
        &self,
        rows: Vec<IndexRow>,
        fresh: &[(AuditId, AuditId, &'static str)],
    ) -> Result<Vec<AuditItem>, StoreError> {
        let ids: Vec<AuditId> = rows.iter().map(|row| row.id).collect();
        let wanted: Vec<AuditId> =
            rows.iter().flat_map(|row| [Some(row.id), row.outcome_id]).flatten().collect();
        let mut records = self.records(&wanted).await?;
        let mut links: HashMap<AuditId, Vec<(AuditId, String)>> = HashMap::new();
        for part in ids.chunks(IDS_PER_QUERY) {
            let sql =
                format!("SELECT target, id, what FROM audit_link WHERE target IN ({})", marks(part.len()));
            for row in self.index.rows(sql, &id_values(part)).await? {
                links.entry(AuditId(row.array(0)?)).or_default().push((AuditId(row.array(1)?), row.text(2)?));
            }
        }
        for (target, id, what) in fresh {
            links.entry(*target).or_default().push((*id, (*what).to_owned()));
        }
        let item = |row: IndexRow| {
            let mut links = links.remove(&row.id).unwrap_or_default();
            links.sort_unstable();
            links.dedup();
            let of = |kind| links.iter().filter(|(_, what)| what == kind).map(|(id, _)| *id).collect();
            Some(AuditItem {
                id: row.id,
                // Gone only where retention was faster than the index.
                record: records.remove(&row.id)?,
                outcome: row.outcome_id.and_then(|id| records.remove(&id)),
                retries: of("retry"),
                passes: of("pass"),
            })
        };
        Ok(rows.into_iter().filter_map(item).collect())
    }

    /// Records by id; those not in the journal are missing.
    pub(crate) async fn records(&self, ids: &[AuditId]) -> Result<HashMap<AuditId, Vec<u8>>, StoreError> {
        let mut records = HashMap::with_capacity(ids.len());
        for part in ids.chunks(IDS_PER_QUERY) {
            let sql = format!("SELECT id, record FROM journal WHERE id IN ({})", marks(part.len()));
            for row in self.pool.rows(sql, &id_values(part)).await? {
                records.insert(AuditId(row.array(0)?), row.bytes(1)?);
            }
        }
        Ok(records)
    }
}
