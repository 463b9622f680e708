//! One step of the indexer.

use crate::database::Options;
use crate::dialect::Dialect;
use crate::driver::{Pool, Tx, Value, args, retrying};
use crate::index::row::{self, IndexRow, Meaning, Outcome};
use crate::index::sqlite;
use crate::index::tail::Span;
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use std::collections::BTreeMap;

/// Row counts of the prepared inserts.
const BUCKETS: [usize; 4] = [128, 32, 8, 1];

impl Database {
    /// Indexes up to about `max` journal entries of each writer, and returns how many it took: call again at once when it
    /// is as many. Replicas may run it side by side; a lease (`try_lease`) spares them the work.
    pub async fn index_step(&self, max: usize) -> Result<usize, StoreError> {
        let places = self.index_places().await?;
        let mut taken = 0;
        for span in self.unindexed_spans(&places, max as u64).await? {
            let entries = span.entries as usize;
            let is_taken = match (&*self.options, &self.index) {
                (Options::Sqlite(options), Pool::Sqlite(file)) => {
                    let path = options.get_filename().to_owned();
                    sqlite::index_span(path, file, &self.index_link, span).await?
                }
                _ => {
                    let changes = Changes::of(span.meanings(&self.pool).await?);
                    retrying!(self.index_span(&span, &changes))?
                }
            };
            if is_taken {
                taken += entries;
            }
        }
        retrying!(self.adopt_orphans())?;
        Ok(taken)
    }

    /// Merges outcomes that were indexed before their attempt, once that is there.
    async fn adopt_orphans(&self) -> Result<(), StoreError> {
        let sql = "SELECT o.id FROM audit_orphan o JOIN audit_index i ON i.id = o.attempt LIMIT 500";
        let found = self.index.rows(sql, &[]).await?;
        if found.is_empty() {
            return Ok(());
        }
        let ids =
            found.iter().map(|row| Ok(AuditId(row.array(0)?))).collect::<Result<Vec<_>, StoreError>>()?;
        let records = self.records(&ids).await?;
        let mut tx = self.index.begin().await?;
        for id in ids {
            if let Some(Meaning::Outcome(outcome)) = records.get(&id).and_then(|record| Meaning::of(record)) {
                apply(&mut tx, &outcome).await?;
            }
            tx.execute("DELETE FROM audit_orphan WHERE id = ?", args![id.0]).await?;
        }
        tx.commit().await
    }

    /// Writes one span; `false` when another replica was faster.
    async fn index_span(&self, span: &Span, changes: &Changes) -> Result<bool, StoreError> {
        let mut tx = self.index.begin().await?;
        if tx.dialect() == Dialect::Postgres {
            // Derived: what a crash takes is indexed again.
            tx.execute("SET LOCAL synchronous_commit = off", &[]).await?;
        }
        let (from, to) = (span.from, span.to);
        if tx
            .execute(MOVE_CURSOR, args![to.next_number, to.last_id.0, span.writer.0, from.next_number])
            .await?
            == 0
        {
            let insert = tx
                .dialect()
                .insert_missing("INTO audit_cursor (writer, next_number, last_id) VALUES (?, ?, ?)");
            if from.next_number > 0
                || tx.execute(insert, args![span.writer.0, to.next_number, to.last_id.0]).await? == 0
            {
                return Ok(false);
            }
        }
        changes.write(&mut tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Claims a span: moves the cursor unless another replica did.
pub(super) const MOVE_CURSOR: &str =
    "UPDATE audit_cursor SET next_number = ?, last_id = ? WHERE writer = ? AND next_number = ?";
/// What is known of how an attempt ended.
pub(super) const ENDING: &str = "SELECT outcome, outcome_id FROM audit_index WHERE id = ?";
/// Takes an outcome over.
pub(super) const TAKE_OUTCOME: &str = "UPDATE audit_index SET instance = COALESCE(?, instance), status = ?, \
     status_class = ?, outcome = ?, outcome_id = ? WHERE id = ?";
/// Keeps an outcome for when its attempt is indexed.
pub(super) const KEEP_ORPHAN: &str = "INSERT INTO audit_orphan (id, attempt) VALUES (?, ?)";

/// What a span changes in the index.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) rows: BTreeMap<AuditId, IndexRow>,
    /// Outcomes of attempts of earlier spans, or of other writers.
    pub(super) outcomes: Vec<Outcome>,
    /// target, id, what
    pub(super) links: Vec<(AuditId, AuditId, &'static str)>,
}

impl Changes {
    pub(super) fn of(meanings: impl IntoIterator<Item = Meaning>) -> Self {
        let mut changes = Self::default();
        for meaning in meanings {
            match meaning {
                Meaning::Row(row, retry_of) => {
                    changes.links.extend(retry_of.map(|original| (original, row.id, "retry")));
                    changes.rows.insert(row.id, *row);
                }
                Meaning::Pass { id, attempt } => changes.links.push((attempt, id, "pass")),
                Meaning::Outcome(outcome) => match changes.rows.get_mut(&outcome.attempt) {
                    Some(row) => row.take(&outcome),
                    None => changes.outcomes.push(outcome),
                },
            }
        }
        changes
    }

    async fn write(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let rows: Vec<_> = self.rows.values().map(IndexRow::values).collect();
        insert(tx, &format!("audit_index ({})", row::COLUMNS), &rows).await?;
        let links: Vec<_> = self
            .links
            .iter()
            .map(|(target, id, what)| [(&target.0).into(), (&id.0).into(), (*what).into()])
            .collect();
        insert(tx, "audit_link (target, id, what)", &links).await?;
        for outcome in &self.outcomes {
            if !apply(tx, outcome).await? {
                tx.execute(KEEP_ORPHAN, args![outcome.id.0, outcome.attempt.0]).await?;
            }
        }
        Ok(())
    }
}

/// Merges an outcome into its attempt's row; `false` when that is not indexed yet.
async fn apply(tx: &mut Tx, outcome: &Outcome) -> Result<bool, StoreError> {
    let sql = format!("{ENDING}{}", tx.dialect().for_update());
    let Some(found) = tx.row(sql, args![outcome.attempt.0]).await? else { return Ok(false) };
    if outcome.outranks(found.opt_text(0)?.as_deref(), found.opt_array(1)?.map(AuditId)) {
        tx.execute(TAKE_OUTCOME, &outcome.values()).await?;
    }
    Ok(true)
}

/// Inserts rows in as few statements as the buckets allow.
async fn insert<const N: usize>(
    tx: &mut Tx,
    into: &str,
    mut rows: &[[Value<'_>; N]],
) -> Result<(), StoreError> {
    let one = format!("({})", ["?"; N].join(","));
    for bucket in BUCKETS {
        while let Some((now, rest)) = rows.split_at_checked(bucket) {
            let sql = format!("INSERT INTO {into} VALUES {}", vec![one.as_str(); bucket].join(","));
            let values: Vec<Value<'_>> = now.iter().flatten().cloned().collect();
            tx.execute(sql, &values).await?;
            rows = rest;
        }
    }
    Ok(())
}
