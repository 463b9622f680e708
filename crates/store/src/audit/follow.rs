//! Follows the journal as it grows: what each writer committed since the last look, by the numbers of its statements.
//! Ids would not do: those of several writers are not committed in their order.

use crate::audit::entry::AuditItem;
use crate::audit::filter::AuditFilter;
use crate::index::row::{IndexRow, Meaning, Outcome};
use crate::index::tail::Place;
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::statement::WriterId;
use std::collections::{BTreeMap, HashMap};

/// Reads what is committed from now on.
pub struct Follower {
    database: Database,
    places: HashMap<WriterId, Place>,
}

/// What was committed since the last look.
pub struct Followed {
    /// Entries that are new, or whose outcome is, in the order of their ids.
    pub items: Vec<AuditItem>,
    /// How many journal entries were read for that.
    pub taken: u64,
}

impl Database {
    /// Follows the journal from here on.
    pub async fn follow(&self) -> Result<Follower, StoreError> {
        let newest = "SELECT id, (SELECT MAX(number) FROM statement WHERE writer = writer.id) FROM writer";
        let mut places = HashMap::new();
        for row in self.pool.rows(newest, &[]).await? {
            let next_number = row.opt_uint(1)?.map_or(0, |newest| newest.saturating_add(1));
            places.insert(WriterId(row.array(0)?), Place { next_number, ..Place::default() });
        }
        Ok(Follower { database: self.clone(), places })
    }
}

impl Follower {
    /// What `filter` leaves of up to about `max` entries of each writer. An attempt comes again when its outcome is
    /// known, and may come once more when it is not indexed yet by then. Look again at once when `taken` is `max` or more.
    pub async fn next(&mut self, filter: &AuditFilter, max: u64) -> Result<Followed, StoreError> {
        let database = &self.database;
        let mut rows: BTreeMap<AuditId, IndexRow> = BTreeMap::new();
        let mut outcomes: Vec<Outcome> = Vec::new();
        let mut links = Vec::new();
        let mut taken = 0;
        for span in database.unindexed_spans(&self.places, max).await? {
            for meaning in span.meanings(&database.pool).await? {
                match meaning {
                    Meaning::Row(row, retry_of) => {
                        links.extend(retry_of.map(|original| (original, row.id, "retry")));
                        rows.insert(row.id, *row);
                    }
                    Meaning::Outcome(outcome) => outcomes.push(outcome),
                    Meaning::Pass { id, attempt } => links.push((attempt, id, "pass")),
                }
            }
            taken += span.entries;
            self.places.insert(span.writer, span.to);
        }
        let earlier: Vec<AuditId> =
            outcomes.iter().map(|outcome| outcome.attempt).filter(|id| !rows.contains_key(id)).collect();
        rows.extend(database.index_rows(&earlier).await?);
        for outcome in &outcomes {
            if let Some(row) = rows.get_mut(&outcome.attempt) {
                row.take(outcome);
            }
        }
        let kept: Vec<IndexRow> = rows.into_values().filter(|row| filter.holds(row)).collect();
        Ok(Followed { items: database.items(kept, &links).await?, taken })
    }
}

impl Database {
    /// The rows of entries, indexed or not.
    async fn index_rows(&self, ids: &[AuditId]) -> Result<BTreeMap<AuditId, IndexRow>, StoreError> {
        let mut rows = BTreeMap::new();
        for part in ids.chunks(500) {
            let sql = format!(
                "SELECT {} FROM audit_index WHERE id IN ({})",
                crate::index::row::COLUMNS,
                crate::audit::marks(part.len())
            );
            for row in self.index.rows(sql, &crate::audit::id_values(part)).await? {
                let row = IndexRow::read(&row)?;
                rows.insert(row.id, row);
            }
        }
        let missing: Vec<AuditId> = ids.iter().copied().filter(|id| !rows.contains_key(id)).collect();
        for record in self.records(&missing).await?.values() {
            if let Some(Meaning::Row(row, _)) = Meaning::of(record) {
                rows.insert(row.id, *row);
            }
        }
        Ok(rows)
    }
}
