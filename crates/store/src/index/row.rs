//! What the index keeps of a record, and how an outcome changes it.

use crate::StoreError;
use crate::driver::{Row, Value};
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, OutcomeState};
use serde::Deserialize;
use std::borrow::Cow;
use std::cmp::Reverse;

/// `outcome` of an attempt that has none yet.
pub(crate) const OPEN: &str = "open";
/// Longest key that every database can index; longer ones are cut, in filters too.
const MAX_KEY: usize = 255;
/// Longest path and search text kept.
const MAX_TEXT: usize = 8000;

/// One row of `audit_index`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct IndexRow {
    pub id: AuditId,
    pub kind: String,
    pub actor: Option<String>,
    pub subject: Option<String>,
    pub region: Option<String>,
    pub service: Option<String>,
    /// The instance that answered; while none did, the one asked for.
    pub instance: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub run: Option<String>,
    pub status: Option<u16>,
    /// [`OPEN`], an outcome's state, or `None` for what is no attempt.
    pub outcome: Option<String>,
    pub outcome_id: Option<AuditId>,
    /// What `q` searches: lower-case path, reason and names.
    pub search: String,
}

pub(crate) const COLUMNS: &str = "id, kind, actor, subject, region, service, instance, method, path, run, status, outcome, outcome_id, search, status_class";
pub(crate) const COLUMN_COUNT: usize = 15;

/// What a journal record means to the index.
pub(crate) enum Meaning {
    /// A row of its own, and the entry that it repeats.
    Row(Box<IndexRow>, Option<AuditId>),
    /// How an attempt ended.
    Outcome(Outcome),
    /// A second pass for an attempt.
    Pass { id: AuditId, attempt: AuditId },
}

/// What an outcome changes in its attempt's row.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub id: AuditId,
    pub attempt: AuditId,
    pub state: OutcomeState,
    pub status: Option<u16>,
    pub instance: Option<String>,
}

impl Outcome {
    /// Whether it counts more than what is known of its attempt: the state's precedence, then the earlier id.
    pub(crate) fn outranks(&self, known: Option<&str>, known_id: Option<AuditId>) -> bool {
        let known = (known.map_or(0, precedence), Reverse(known_id));
        (self.state.precedence(), Reverse(Some(self.id))) > known
    }

    /// The values of the statement that takes it over.
    pub(crate) fn values(&self) -> [Value<'_>; 6] {
        [
            self.instance.as_deref().into(),
            self.status.into(),
            self.status.map(|status| status / 100).into(),
            self.state.as_str().into(),
            (&self.id.0).into(),
            (&self.attempt.0).into(),
        ]
    }
}

/// The fields of a record that matter here; the rest is skipped.
#[derive(Deserialize)]
struct Slim<'a> {
    id: AuditId,
    kind: Kind,
    #[serde(borrow)]
    actor: Option<Cow<'a, str>>,
    attempt: Option<AuditId>,
    decision: Option<Cow<'a, str>>,
    instance: Option<Cow<'a, str>>,
    job: Option<Cow<'a, str>>,
    method: Option<Cow<'a, str>>,
    path: Option<Cow<'a, str>>,
    reason: Option<Cow<'a, str>>,
    region: Option<Cow<'a, str>>,
    retry_of: Option<AuditId>,
    run: Option<Cow<'a, str>>,
    service: Option<Cow<'a, str>>,
    state: Option<OutcomeState>,
    status: Option<u16>,
    subject: Option<Cow<'a, str>>,
}

impl Meaning {
    /// Reads a record; `None` when it is none (verification names such entries).
    pub(crate) fn of(record: &[u8]) -> Option<Self> {
        let slim: Slim<'_> = serde_json::from_slice(record).ok()?;
        match (slim.kind, slim.attempt) {
            (Kind::Outcome, Some(attempt)) => Some(Self::Outcome(Outcome {
                id: slim.id,
                attempt,
                state: slim.state.unwrap_or(OutcomeState::Unknown),
                status: slim.status,
                instance: slim.instance.as_deref().map(key),
            })),
            (Kind::Pass, Some(attempt)) => Some(Self::Pass { id: slim.id, attempt }),
            _ => Some(Self::Row(Box::new(slim.row()), slim.retry_of)),
        }
    }
}

impl Slim<'_> {
    fn row(&self) -> IndexRow {
        let names = [&self.path, &self.reason, &self.actor, &self.subject, &self.region, &self.service]
            .into_iter()
            .chain([&self.instance, &self.method, &self.job, &self.run]);
        let mut search = String::new();
        for name in names.flatten() {
            search.push_str(&name.to_lowercase());
            search.push('\n');
        }
        let outcome = match (self.kind, self.decision.as_deref(), self.state) {
            (_, Some("deny"), _) => Some(OutcomeState::Denied.as_str()),
            (Kind::Request, _, _) => Some(OPEN),
            // Logins and readings are over when they are written down.
            (_, _, state) => state.map(OutcomeState::as_str),
        };
        let text = |value: &Option<Cow<'_, str>>| value.as_deref().map(key);
        IndexRow {
            id: self.id,
            kind: self.kind.as_str().to_owned(),
            actor: text(&self.actor),
            subject: text(&self.subject),
            region: text(&self.region),
            service: text(&self.service),
            instance: text(&self.instance),
            method: text(&self.method),
            path: self.path.as_deref().map(|path| cut(path, MAX_TEXT)),
            run: text(&self.run),
            status: self.status,
            outcome: outcome.map(str::to_owned),
            outcome_id: None,
            search: cut(&search, MAX_TEXT),
        }
    }
}

impl IndexRow {
    /// Takes the outcome over if it counts more than what is known.
    pub(crate) fn take(&mut self, outcome: &Outcome) {
        if outcome.outranks(self.outcome.as_deref(), self.outcome_id) {
            self.outcome = Some(outcome.state.as_str().to_owned());
            self.outcome_id = Some(outcome.id);
            self.status = outcome.status;
            if outcome.instance.is_some() {
                self.instance.clone_from(&outcome.instance);
            }
        }
    }

    /// The values of [`COLUMNS`].
    pub(crate) fn values(&self) -> [Value<'_>; COLUMN_COUNT] {
        [
            (&self.id.0).into(),
            self.kind.as_str().into(),
            self.actor.as_deref().into(),
            self.subject.as_deref().into(),
            self.region.as_deref().into(),
            self.service.as_deref().into(),
            self.instance.as_deref().into(),
            self.method.as_deref().into(),
            self.path.as_deref().into(),
            self.run.as_deref().into(),
            self.status.into(),
            self.outcome.as_deref().into(),
            self.outcome_id.map(|id| id.0).into(),
            self.search.as_str().into(),
            self.status.map(|status| status / 100).into(),
        ]
    }

    /// A row that was selected by [`COLUMNS`].
    pub(crate) fn read(row: &Row) -> Result<Self, StoreError> {
        let status = row.opt_uint(10)?.map(u16::try_from).transpose();
        Ok(Self {
            id: AuditId(row.array(0)?),
            kind: row.text(1)?,
            actor: row.opt_text(2)?,
            subject: row.opt_text(3)?,
            region: row.opt_text(4)?,
            service: row.opt_text(5)?,
            instance: row.opt_text(6)?,
            method: row.opt_text(7)?,
            path: row.opt_text(8)?,
            run: row.opt_text(9)?,
            status: status.map_err(|_| StoreError::Corrupt("not a status"))?,
            outcome: row.opt_text(11)?,
            outcome_id: row.opt_array(12)?.map(AuditId),
            search: row.text(13)?,
        })
    }
}

fn precedence(outcome: &str) -> u8 {
    use OutcomeState::{Abandoned, Denied, Done, Unknown, Unsent};
    [Done, Denied, Unsent, Abandoned, Unknown]
        .into_iter()
        .find(|state| state.as_str() == outcome)
        .map_or(0, OutcomeState::precedence)
}

/// A name as the index keeps it and filters compare it.
pub(crate) fn key(name: &str) -> String {
    cut(name, MAX_KEY)
}

/// The start of `text`, at most `limit` bytes, without the one character that Postgres cannot store.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    text.get(..text.floor_char_boundary(limit)).unwrap_or_default().replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorman_core::record::Record;

    fn row(record: &Record<'_>) -> IndexRow {
        match Meaning::of(&serde_json::to_vec(record).unwrap()) {
            Some(Meaning::Row(row, _)) => *row,
            _ => panic!("no row"),
        }
    }

    #[test]
    fn the_outcome_of_higher_precedence_counts_in_whatever_order_they_come() {
        let outcome = |tag, state| Outcome {
            id: AuditId([tag; 16]),
            attempt: AuditId([0; 16]),
            state,
            status: None,
            instance: None,
        };
        let all = [
            (1, OutcomeState::Unknown),
            (2, OutcomeState::Done),
            (3, OutcomeState::Done),
            (4, OutcomeState::Unsent),
        ];
        for turn in 0..all.len() {
            let mut attempt = row(&Record::new(Kind::Request, AuditId([0; 16]), 0));
            assert_eq!(attempt.outcome.as_deref(), Some(OPEN));
            for (tag, state) in all.iter().cycle().skip(turn).take(all.len()) {
                attempt.take(&outcome(*tag, *state));
            }
            assert_eq!(
                (attempt.outcome.as_deref(), attempt.outcome_id),
                (Some("done"), Some(AuditId([2; 16])))
            );
        }
    }

    #[test]
    fn long_names_are_cut_between_characters_and_nul_is_replaced() {
        assert_eq!(key(&"é".repeat(200)).len(), 254);
        assert_eq!(cut("a\0b", 10), "a\u{fffd}b");
    }
}
