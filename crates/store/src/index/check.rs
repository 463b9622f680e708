//! Whether the index says what the journal says.

use crate::driver::{Row, args};
use crate::index::row::{self, IndexRow, Meaning, Outcome};
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::statement::WriterId;
use futures_util::TryStreamExt as _;
use std::collections::BTreeMap;

/// An entry of the journal that is, or should be, a row of the index.
struct Pair {
    expected: IndexRow,
    shown: Option<IndexRow>,
    /// The entry is among those that were indexed when the check began.
    is_indexed: bool,
    /// An outcome came that may or may not be indexed by now.
    is_moving: bool,
}

impl Pair {
    fn differs(&self) -> bool {
        match &self.shown {
            None => self.is_indexed,
            Some(shown) if self.is_moving || !self.is_indexed => {
                let mut expected = self.expected.clone();
                expected.outcome.clone_from(&shown.outcome);
                expected.instance.clone_from(&shown.instance);
                (expected.outcome_id, expected.status) = (shown.outcome_id, shown.status);
                expected != *shown
            }
            Some(shown) => self.expected != *shown,
        }
    }
}

/// Attempts whose outcome may still come, and outcomes whose attempt may: ids of two writers are not in one order.
#[derive(Default)]
struct Waiting {
    attempts: BTreeMap<AuditId, Pair>,
    outcomes: BTreeMap<AuditId, Vec<(Outcome, bool)>>,
}

impl Waiting {
    /// Takes an entry; gives it back when nothing can change it any more.
    fn entry(&mut self, mut pair: Pair) -> Option<Pair> {
        for (outcome, is_indexed) in self.outcomes.remove(&pair.expected.id).unwrap_or_default() {
            pair.take(&outcome, is_indexed);
        }
        if pair.is_settled() {
            return Some(pair);
        }
        self.attempts.insert(pair.expected.id, pair);
        None
    }

    fn outcome(&mut self, outcome: Outcome, is_indexed: bool) -> Option<Pair> {
        match self.attempts.get_mut(&outcome.attempt) {
            Some(pair) => {
                pair.take(&outcome, is_indexed);
                if pair.is_settled() { self.attempts.remove(&outcome.attempt) } else { None }
            }
            None => {
                self.outcomes.entry(outcome.attempt).or_default().push((outcome, is_indexed));
                None
            }
        }
    }
}

impl Pair {
    fn take(&mut self, outcome: &Outcome, is_indexed: bool) {
        if is_indexed {
            self.expected.take(outcome);
        } else {
            self.is_moving = true;
        }
    }

    /// Its outcome is the one that counts most: the first `done`. One without any may still get it, as changes of
    /// Doorman's own do.
    fn is_settled(&self) -> bool {
        matches!(self.expected.outcome.as_deref(), Some("done" | "denied"))
    }
}

impl Database {
    /// The first entry that lists show other than the journal has it, of those that were indexed when this began; `None`
    /// when there is none. Reads both from end to end.
    pub async fn first_index_difference(&self) -> Result<Option<AuditId>, StoreError> {
        let places = self.index_places().await?;
        let journal = "SELECT id, writer, record FROM journal ORDER BY id";
        let mut journal = self.pool.stream(journal, &[])?;
        let shown = format!("SELECT {} FROM audit_index ORDER BY id", row::COLUMNS);
        let mut shown = self.index.stream(shown, &[])?;
        let mut next = read(shown.try_next().await?)?;
        let (mut waiting, mut alone, mut first) = (Waiting::default(), None::<AuditId>, None::<AuditId>);
        while let Some(row) = journal.try_next().await? {
            let (id, writer) = (AuditId(row.array(0)?), WriterId(row.array(1)?));
            let is_indexed = places.get(&writer).is_some_and(|place| id <= place.last_id);
            let ready = match Meaning::of(&row.bytes(2)?) {
                Some(Meaning::Row(expected, _)) => {
                    while let Some(found) = next.take_if(|found| found.id < id) {
                        alone = alone.or(Some(found.id));
                        next = read(shown.try_next().await?)?;
                    }
                    let found = next.take_if(|found| found.id == id);
                    if found.is_some() {
                        next = read(shown.try_next().await?)?;
                    }
                    waiting.entry(Pair { expected: *expected, shown: found, is_indexed, is_moving: false })
                }
                Some(Meaning::Outcome(outcome)) => waiting.outcome(outcome, is_indexed),
                Some(Meaning::Pass { .. }) | None => None,
            };
            // Not yet the first: attempts before it may still wait for their outcomes.
            let differs = ready.filter(Pair::differs).map(|pair| pair.expected.id);
            first = first.into_iter().chain(differs).min();
        }
        let late = waiting.attempts.into_values().find(Pair::differs).map(|pair| pair.expected.id);
        // A row without an entry: written and indexed since this began, or made up.
        let alone = alone.or(next.map(|found| found.id));
        let is_made_up = match alone {
            Some(id) => self.pool.row("SELECT 1 FROM journal WHERE id = ?", args![id.0]).await?.is_none(),
            None => false,
        };
        Ok(alone.filter(|_| is_made_up).into_iter().chain(first).chain(late).min())
    }
}

fn read(row: Option<Row>) -> Result<Option<IndexRow>, StoreError> {
    row.as_ref().map(IndexRow::read).transpose()
}
