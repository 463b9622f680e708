//! Entries in the shape of the public contract.

use super::unreadable;
use crate::error::ApiResult;
use doorman_client::wire;
use doorman_core::record::{HeaderValue, Headers, OutcomeState, Record};
use doorman_store::AuditItem;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// An entry with its outcome.
pub(super) fn entry(item: &AuditItem) -> ApiResult<wire::AuditEntry> {
    let read = |bytes| Record::from_bytes(bytes).map_err(|error| unreadable(item, &error));
    let record = read(&item.record)?;
    let end = item.outcome.as_deref().map(read).transpose()?;
    let mut detail = texts(&record.detail);
    detail.extend(end.iter().flat_map(|end| texts(&end.detail)));
    let ended = outcome(&record, end.as_ref());
    Ok(wire::AuditEntry {
        id: record.id.to_string(),
        time: record.time.into_owned(),
        kind: record.kind.as_str().to_owned(),
        actor: owned(record.actor),
        subject: owned(record.subject),
        channel: owned(record.channel),
        session: owned(record.session),
        client_ip: owned(record.client_ip),
        user_agent: owned(record.user_agent),
        region: owned(record.region),
        service: owned(record.service),
        instance: owned(record.instance),
        method: owned(record.method),
        path: owned(record.path),
        query: owned(record.query),
        headers: headers(&record.headers),
        body: owned(record.body),
        body_encoding: record.body_encoding.as_deref().and_then(body_encoding),
        body_size: record.body_size,
        body_sha256: owned(record.body_sha256),
        body_truncated: record.body_truncated,
        reason: owned(record.reason),
        decision: record.decision.as_deref().and_then(decision),
        policies: record.policies.into_iter().map(Cow::into_owned).collect(),
        job: owned(record.job),
        run: owned(record.run),
        item: record.item,
        retry_of: record.retry_of.map(|id| id.to_string()),
        retries: item.retries.iter().map(ToString::to_string).collect(),
        redacted: record.redacted.into_iter().map(Cow::into_owned).collect(),
        count: record.count,
        detail,
        outcome: ended,
    })
}

/// What the outcome's record says; without one, what the entry says by itself.
fn outcome(record: &Record<'_>, end: Option<&Record<'_>>) -> Option<wire::Outcome> {
    if let Some(end) = end {
        return Some(wire::Outcome { headers: headers(&end.headers), ..outcome_of(end, end.state?) });
    }
    if record.decision.as_deref() == Some("deny") {
        return Some(plain(record, OutcomeState::Denied));
    }
    record.state.map(|state| plain(record, state))
}

/// The outcome of what was over when it was written down.
fn plain(record: &Record<'_>, state: OutcomeState) -> wire::Outcome {
    wire::Outcome { body_size: None, body_sha256: None, instance: None, ..outcome_of(record, state) }
}

fn outcome_of(record: &Record<'_>, state: OutcomeState) -> wire::Outcome {
    wire::Outcome {
        state: match state {
            OutcomeState::Done => wire::OutcomeState::Done,
            OutcomeState::Denied => wire::OutcomeState::Denied,
            OutcomeState::Unsent => wire::OutcomeState::Unsent,
            OutcomeState::Unknown => wire::OutcomeState::Unknown,
            OutcomeState::Abandoned => wire::OutcomeState::Abandoned,
        },
        status: record.status,
        headers: wire::Headers::new(),
        body_size: record.body_size,
        body_sha256: record.body_sha256.as_deref().map(str::to_owned),
        request_size: record.request_size,
        request_sha256: record.request_sha256.as_deref().map(str::to_owned),
        duration_ms: record.duration_ms,
        instance: record.instance.as_deref().map(str::to_owned),
        error: record.error.as_deref().map(str::to_owned),
    }
}

fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

fn texts(map: &BTreeMap<Cow<'_, str>, Cow<'_, str>>) -> BTreeMap<String, String> {
    map.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

fn headers(headers: &Headers<'_>) -> wire::Headers {
    let value = |value: &HeaderValue<'_>| match value {
        HeaderValue::One(value) => wire::HeaderValue::One(value.to_string()),
        HeaderValue::Many(values) => {
            wire::HeaderValue::Many(values.iter().map(ToString::to_string).collect())
        }
    };
    headers.iter().map(|(name, values)| (name.to_string(), value(values))).collect()
}

fn decision(text: &str) -> Option<wire::Decision> {
    match text {
        "permit" => Some(wire::Decision::Permit),
        "deny" => Some(wire::Decision::Deny),
        _ => None,
    }
}

fn body_encoding(text: &str) -> Option<wire::BodyEncoding> {
    match text {
        "text" => Some(wire::BodyEncoding::Text),
        "base64" => Some(wire::BodyEncoding::Base64),
        _ => None,
    }
}
