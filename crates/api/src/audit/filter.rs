//! Filters of the audit log, checked field by field.

use crate::error::{ApiError, ApiResult};
use doorman_client::wire::AuditQuery;
use doorman_core::principal::Principal;
use doorman_core::record::{Kind, OutcomeState};
use doorman_core::time::parse_rfc3339;
use doorman_door::problem::FieldError;
use doorman_store::{AuditFilter, StatusFilter};
use serde::de::DeserializeOwned;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};
use std::collections::BTreeMap;

/// Longest text to filter by.
const MAX_TEXT: usize = 1_024;

/// What the filters say; everything that is wrong with them is told at once.
pub(super) fn parse(query: &AuditQuery) -> ApiResult<AuditFilter> {
    let mut wrong = Wrong(Vec::new());
    let filter = AuditFilter {
        actor: wrong.read("actor", &query.actor, principal),
        subject: wrong.read("subject", &query.subject, principal),
        region: wrong.read("region", &query.region, text),
        service: wrong.read("service", &query.service, text),
        instance: wrong.read("instance", &query.instance, text),
        method: wrong.read("method", &query.method, |method| text(&method.to_ascii_uppercase())),
        path: wrong.read("path", &query.path, text),
        status: wrong.read("status", &query.status, status),
        outcome: wrong.read("outcome", &query.outcome, |name| {
            named::<OutcomeState>(name).ok_or("done, denied, unsent, unknown or abandoned")
        }),
        kind: wrong.read("kind", &query.kind, |name| {
            named::<Kind>(name).ok_or("request, login, token, audit, policy, service_account, …")
        }),
        run: wrong.read("run", &query.run, text),
        from_ms: wrong.read("from", &query.from, time),
        to_ms: wrong.read("to", &query.to, time),
        q: wrong.read("q", &query.q, text),
        own_of: None,
    };
    if wrong.0.is_empty() { Ok(filter) } else { Err(ApiError::fields(wrong.0)) }
}

/// The query as it is written down: without the page, so that all pages of a query have the same.
pub(super) fn canonical(query: &AuditQuery) -> String {
    let value = serde_json::to_value(query).unwrap_or_default();
    let fields = value.as_object().into_iter().flatten();
    let filters =
        fields.filter(|(name, value)| !value.is_null() && !matches!(name.as_str(), "cursor" | "limit"));
    serde_json::to_string(&filters.collect::<BTreeMap<_, _>>()).unwrap_or_default()
}

struct Wrong(Vec<FieldError>);

impl Wrong {
    fn read<T>(
        &mut self,
        field: &str,
        value: &Option<String>,
        parse: impl FnOnce(&str) -> Result<T, &'static str>,
    ) -> Option<T> {
        match parse(value.as_deref()?) {
            Ok(parsed) => Some(parsed),
            Err(wanted) => {
                self.0.push(FieldError { field: field.to_owned(), detail: wanted.to_owned() });
                None
            }
        }
    }
}

/// Whether a text stays on one line and moves nothing.
pub(super) fn is_safe_text(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn text(value: &str) -> Result<String, &'static str> {
    let is_good = !value.is_empty() && value.len() <= MAX_TEXT && !value.contains('\0');
    is_good.then(|| value.to_owned()).ok_or("1 to 1024 bytes, without NUL; leave it out to filter nothing")
}

fn principal(value: &str) -> Result<String, &'static str> {
    let value = text(value)?;
    match value.parse::<Principal>() {
        Ok(_) => Ok(value),
        Err(_) => Ok(Principal::User(value.into()).to_string()),
    }
}

fn status(value: &str) -> Result<StatusFilter, &'static str> {
    const WANTED: &str = "a status such as 404, or a class such as 5xx";
    let number = |text: &str| text.parse::<u16>().map_err(|_| WANTED);
    match value.strip_suffix("xx") {
        Some(class) => {
            number(class).ok().filter(|n| (1..=5).contains(n)).map(StatusFilter::Class).ok_or(WANTED)
        }
        None => number(value).ok().filter(|n| (100..=599).contains(n)).map(StatusFilter::Exact).ok_or(WANTED),
    }
}

fn time(value: &str) -> Result<u64, &'static str> {
    // A plus that was not encoded comes as a space.
    parse_rfc3339(&value.replace(' ', "+")).ok_or("a time such as 2026-03-01T12:00:00Z (RFC 3339)")
}

fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    let reader: StrDeserializer<'_, Error> = name.into_deserializer();
    T::deserialize(reader).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let query = AuditQuery {
            status: Some("6xx".into()),
            outcome: Some("done".into()),
            kind: Some("nothing".into()),
            from: Some("yesterday".into()),
            ..AuditQuery::default()
        };
        let Err(ApiError::Problem(problem)) = parse(&query) else { panic!("accepted") };
        let fields: Vec<_> = problem.errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["status", "kind", "from"]);
    }

    #[test]
    fn a_bare_name_is_a_user() {
        let query = AuditQuery {
            actor: Some("alice".into()),
            subject: Some("service:reports-ui".into()),
            status: Some("5xx".into()),
            ..AuditQuery::default()
        };
        let filter = parse(&query).unwrap();
        assert_eq!(filter.actor.as_deref(), Some("user:alice"));
        assert_eq!(filter.subject.as_deref(), Some("service:reports-ui"));
        assert_eq!(filter.status, Some(StatusFilter::Class(5)));
        assert_eq!(canonical(&query), r#"{"actor":"alice","status":"5xx","subject":"service:reports-ui"}"#);
    }
}
