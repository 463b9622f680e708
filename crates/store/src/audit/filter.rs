//! What a list of audit entries can be narrowed to, in SQL and in memory alike.

use crate::dialect::Dialect;
use crate::driver::Value;
use crate::index::row::{IndexRow, cut, key};
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, OutcomeState};

/// A status, or a class of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusFilter {
    /// `404`
    Exact(u16),
    /// `5` for `5xx`
    Class(u16),
}

/// Which entries to list; what is `None` does not matter.
#[derive(Clone, Default, Debug)]
pub struct AuditFilter {
    /// Whose credential: `user:alice`.
    pub actor: Option<String>,
    /// On whose behalf.
    pub subject: Option<String>,
    /// The region.
    pub region: Option<String>,
    /// The service.
    pub service: Option<String>,
    /// The instance that answered or, while none has, the one asked for.
    pub instance: Option<String>,
    /// The HTTP method.
    pub method: Option<String>,
    /// How the path begins.
    pub path: Option<String>,
    /// The status.
    pub status: Option<StatusFilter>,
    /// How the attempt ended.
    pub outcome: Option<OutcomeState>,
    /// What the entry is about.
    pub kind: Option<Kind>,
    /// The run.
    pub run: Option<String>,
    /// Not before this time.
    pub from_ms: Option<u64>,
    /// Before this time.
    pub to_ms: Option<u64>,
    /// Part of path, reason or a name, in any case.
    pub q: Option<String>,
    /// Only entries whose actor or subject this is.
    pub own_of: Option<String>,
}

/// One column that must have one value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Equal {
    Text(&'static str, String),
    Number(&'static str, u16),
}

impl Equal {
    pub(super) fn column(&self) -> &'static str {
        match self {
            Self::Text(column, _) | Self::Number(column, _) => column,
        }
    }

    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Self::Text(_, value) => value.as_str().into(),
            Self::Number(_, value) => (*value).into(),
        }
    }

    fn holds(&self, row: &IndexRow) -> bool {
        match self {
            Self::Text(column, value) => {
                let of = match *column {
                    "run" => &row.run,
                    "instance" => &row.instance,
                    "actor" => &row.actor,
                    "subject" => &row.subject,
                    "service" => &row.service,
                    "outcome" => &row.outcome,
                    "region" => &row.region,
                    "method" => &row.method,
                    _ => return row.kind == *value,
                };
                of.as_ref() == Some(value)
            }
            Self::Number("status", value) => row.status == Some(*value),
            Self::Number(_, value) => row.status.map(|status| status / 100) == Some(*value),
        }
    }
}

impl AuditFilter {
    /// Whether it leaves everything.
    pub fn is_everything(&self) -> bool {
        self.id_range() == Self::default().id_range()
            && self.equalities().is_empty()
            && self.path.is_none()
            && self.q.is_none()
            && self.own_of.is_none()
    }

    /// The equalities, the one that is likely to leave the fewest entries first.
    pub(super) fn equalities(&self) -> Vec<Equal> {
        let text =
            |column, value: &Option<String>| value.as_deref().map(|value| Equal::Text(column, key(value)));
        let status = self.status.map(|status| match status {
            StatusFilter::Exact(status) => Equal::Number("status", status),
            StatusFilter::Class(class) => Equal::Number("status_class", class),
        });
        let rare = [text("run", &self.run), text("instance", &self.instance)];
        let middling = [text("actor", &self.actor), text("subject", &self.subject), status];
        let common = [
            text("service", &self.service),
            self.kind.map(|kind| Equal::Text("kind", kind.as_str().to_owned())),
            self.outcome.map(|state| Equal::Text("outcome", state.as_str().to_owned())),
            text("region", &self.region),
            text("method", &self.method),
        ];
        rare.into_iter().chain(middling).chain(common).flatten().collect()
    }

    /// Whether indexes answer all of it.
    pub(super) fn is_indexed(&self) -> bool {
        self.path.is_none() && self.q.is_none()
    }

    /// What no index answers: ` AND …` and its values.
    pub(super) fn scanned(&self, dialect: Dialect) -> (String, Vec<Value<'static>>) {
        let position = dialect.position();
        let (mut sql, mut values) = (String::new(), Vec::new());
        if let Some(path) = &self.path {
            sql.push_str(&format!(" AND {position}(path, ?) = 1"));
            values.push(prefix(path).into());
        }
        if let Some(q) = &self.q {
            sql.push_str(&format!(" AND {position}(search, ?) > 0"));
            values.push(needle(q).into());
        }
        (sql, values)
    }

    /// The smallest id of the list, and the one that all are below.
    pub(super) fn id_range(&self) -> (AuditId, AuditId) {
        /// The last millisecond that an id can hold.
        const LAST_MS: u64 = (1 << 48) - 1;
        let floor =
            |ms: Option<u64>, otherwise| ms.map_or(otherwise, |ms| AuditId::floor_of(ms.min(LAST_MS)));
        (floor(self.from_ms, AuditId([0; 16])), floor(self.to_ms, AuditId([0xff; 16])))
    }

    pub(super) fn holds(&self, row: &IndexRow) -> bool {
        let (from, to) = self.id_range();
        let own = |principal: &String| {
            let name = Some(key(principal));
            row.actor == name || row.subject == name
        };
        let starts = |path: &String| row.path.as_ref().is_some_and(|of| of.starts_with(&prefix(path)));
        row.id >= from
            && row.id < to
            && self.own_of.as_ref().is_none_or(own)
            && self.equalities().iter().all(|equal| equal.holds(row))
            && self.path.as_ref().is_none_or(starts)
            && self.q.as_ref().is_none_or(|q| row.search.contains(&needle(q)))
    }
}

fn prefix(path: &str) -> String {
    cut(path, 8000)
}

fn needle(q: &str) -> String {
    cut(&q.to_lowercase(), 8000)
}
