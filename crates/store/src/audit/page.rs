//! One page of the log: what the index finds, merged with the journal's tail that is not indexed yet.

use crate::audit::entry::AuditItem;
use crate::audit::filter::{AuditFilter, Equal};
use crate::audit::scan::{Found, Walk};
use crate::audit::{id_values, marks};
use crate::driver::args;
use crate::index::row::{COLUMNS, IndexRow, Meaning, Outcome};
use crate::{Database, StoreError, cursor};
use doorman_core::id::AuditId;
use doorman_core::statement::WriterId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A page, newest first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditPage {
    /// Its entries. May be fewer than asked for, or none, while `next_cursor` is there.
    pub items: Vec<AuditItem>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
}

/// How many of the newest unindexed entries a list looks at: more than the indexer leaves behind but under great load.
const TAIL: i64 = 5_000;
const TAIL_LEN: usize = TAIL as usize;

/// The newest of what is not indexed.
#[derive(Default)]
pub(super) struct Tail {
    /// Entries of the tail, and indexed ones whose outcome is in the tail.
    pub rows: BTreeMap<AuditId, IndexRow>,
    /// target, id, what
    pub links: Vec<(AuditId, AuditId, &'static str)>,
    /// How many of the rows are indexed.
    indexed: u32,
    /// Everything from here up was looked at; `None` when that is all.
    complete_down_to: Option<AuditId>,
}

impl Database {
    /// One page of the entries that `filter` leaves, newest first. Filters that no index answers (`path`, `q`, several
    /// at once) stop after about `budget` and give what they have.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u32,
        budget: Duration,
    ) -> Result<AuditPage, StoreError> {
        let deadline = Instant::now() + budget;
        let limit = limit.max(1);
        let (from, to) = filter.id_range();
        let below = cursor.map(cursor::decode).transpose()?.map_or(to, |id| AuditId(id).min(to));
        if below <= from {
            return Ok(AuditPage { items: Vec::new(), next_cursor: None });
        }
        // The tail first: what is indexed in between is then seen twice, and never missed.
        let tail = self.read_tail(Some(below)).await?;
        // One more tells whether there is more, and rows that the tail knows better are found and dropped.
        let find = limit.saturating_add(tail.indexed).saturating_add(1);
        let mut bottom = tail.complete_down_to;
        let mut rows: BTreeMap<AuditId, IndexRow> = BTreeMap::new();
        for walk in walks(filter, below) {
            let found: Found = walk.run(self, find, deadline).await?;
            bottom = bottom.max(found.complete_down_to);
            rows.extend(found.rows.into_iter().map(|row| (row.id, row)));
        }
        rows.retain(|id, _| !tail.rows.contains_key(id));
        rows.extend(tail.rows.into_iter().filter(|(id, row)| *id < below && filter.holds(row)));

        let mut page: Vec<IndexRow> = rows.into_values().rev().collect();
        page.retain(|row| bottom.is_none_or(|bottom| row.id >= bottom));
        let is_cut = page.len() > limit as usize;
        page.truncate(limit as usize);
        let end = if is_cut { page.last().map(|row| row.id) } else { bottom };
        let next_cursor = end.filter(|end| *end > from).map(|end| cursor::encode(&end.0));
        Ok(AuditPage { items: self.items(page, &tail.links).await?, next_cursor })
    }

    /// The newest entries that are not indexed. Those from `below` up matter only for their outcomes, and are passed
    /// over when there are too many.
    pub(super) async fn read_tail(&self, below: Option<AuditId>) -> Result<Tail, StoreError> {
        let places = self.index_places().await?;
        let Some(start) = self.unindexed_from(&places).await? else { return Ok(Tail::default()) };
        let sql = "SELECT id, writer, record FROM journal WHERE id >= ? AND id < ? ORDER BY id DESC LIMIT ?";
        let mut found = self.pool.rows(sql, args![start.0, [0xff; 16], TAIL]).await?;
        if let (TAIL_LEN, Some(last), Some(below)) = (found.len(), found.last(), below)
            && AuditId(last.array(0)?) >= below
        {
            found = self.pool.rows(sql, args![start.0, below.0, TAIL]).await?;
        }
        let mut tail = Tail::default();
        let mut outcomes: Vec<Outcome> = Vec::new();
        for row in &found {
            let (id, writer) = (AuditId(row.array(0)?), WriterId(row.array(1)?));
            if places.get(&writer).is_some_and(|place| place.next_number > 0 && id <= place.last_id) {
                continue;
            }
            match Meaning::of(&row.bytes(2)?) {
                Some(Meaning::Row(row, retry_of)) => {
                    tail.links.extend(retry_of.map(|original| (original, id, "retry")));
                    tail.rows.insert(id, *row);
                }
                Some(Meaning::Outcome(outcome)) => outcomes.push(outcome),
                Some(Meaning::Pass { id, attempt }) => tail.links.push((attempt, id, "pass")),
                None => {}
            }
        }
        if found.len() == TAIL_LEN {
            tail.complete_down_to = found.last().map(|row| row.array(0)).transpose()?.map(AuditId);
        }
        outcomes.extend(self.orphaned_outcomes().await?);
        outcomes.retain(|outcome| below.is_none_or(|below| outcome.attempt < below));
        self.settle(&mut tail, &outcomes).await?;
        Ok(tail)
    }

    /// Outcomes that are indexed while their attempt is not.
    async fn orphaned_outcomes(&self) -> Result<Vec<Outcome>, StoreError> {
        let rows = self.index.rows("SELECT id FROM audit_orphan LIMIT 500", &[]).await?;
        let ids =
            rows.iter().map(|row| Ok(AuditId(row.array(0)?))).collect::<Result<Vec<_>, StoreError>>()?;
        let outcome = |record: &Vec<u8>| match Meaning::of(record) {
            Some(Meaning::Outcome(outcome)) => Some(outcome),
            _ => None,
        };
        Ok(self.records(&ids).await?.values().filter_map(outcome).collect())
    }

    /// Gives the tail's outcomes to their attempts, indexed or not.
    async fn settle(&self, tail: &mut Tail, outcomes: &[Outcome]) -> Result<(), StoreError> {
        let indexed: Vec<AuditId> =
            outcomes.iter().map(|outcome| outcome.attempt).filter(|id| !tail.rows.contains_key(id)).collect();
        for part in indexed.chunks(500) {
            let sql = format!("SELECT {COLUMNS} FROM audit_index WHERE id IN ({})", marks(part.len()));
            for row in self.index.rows(sql, &id_values(part)).await? {
                let row = IndexRow::read(&row)?;
                tail.rows.insert(row.id, row);
                tail.indexed += 1;
            }
        }
        for outcome in outcomes {
            if let Some(row) = tail.rows.get_mut(&outcome.attempt) {
                row.take(outcome);
            }
        }
        Ok(())
    }
}

/// The ways through the index that together find all: one, or for "own" one by actor and one by subject.
pub(super) fn walks(filter: &AuditFilter, below: AuditId) -> Vec<Walk<'_>> {
    let mut equalities = filter.equalities();
    match &filter.own_of {
        Some(principal) => ["actor", "subject"]
            .into_iter()
            .map(|column| {
                let driver = Some(Equal::Text(column, crate::index::row::key(principal)));
                Walk { filter, driver, others: equalities.clone(), below }
            })
            .collect(),
        None => {
            let driver = (!equalities.is_empty()).then(|| equalities.remove(0));
            vec![Walk { filter, driver, others: equalities, below }]
        }
    }
}
