//! The audit record: what is written down. Its canonical bytes are RFC 8785 JSON, so that anyone with a JSON
//! library can rebuild them from an export and check the leaf.
//!
//! Fields stand in the order of their names, numbers are integers, absent fields are left out: plain `serde_json`
//! then writes exactly RFC 8785. A test holds that.

use crate::id::AuditId;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a record is about (`kind`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An attempt to send a request, or its refusal (`decision` tells).
    Request,
    /// How an attempt ended; `attempt` names it.
    Outcome,
    /// A second pass for the same attempt; `attempt` names it.
    Pass,
    /// A login, good or bad.
    Login,
    /// A token or session made or ended.
    Token,
    /// A count of refusals that were not kept one by one.
    Refused,
    /// A reading of the log.
    Audit,
    /// A job made, changed or deleted.
    Job,
    /// A run started, controlled or ended.
    Run,
    /// A policy set loaded or refused.
    Policy,
    /// A key made, used first or retired.
    Key,
    /// A service account made or changed.
    ServiceAccount,
    /// A request saved, changed or deleted.
    Collection,
    /// Retention, archiving, or a writer's start.
    System,
}

impl Kind {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Outcome => "outcome",
            Self::Pass => "pass",
            Self::Login => "login",
            Self::Token => "token",
            Self::Refused => "refused",
            Self::Audit => "audit",
            Self::Job => "job",
            Self::Run => "run",
            Self::Policy => "policy",
            Self::Key => "key",
            Self::ServiceAccount => "service_account",
            Self::Collection => "collection",
            Self::System => "system",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeState {
    /// The service's answer was handed on.
    Done,
    /// Refused; nothing was sent. Shown for denied requests; a record of its own where the proxy refused what policy let pass.
    Denied,
    /// Committed, and provably not sent.
    Unsent,
    /// It may have been sent; nobody knows how it ended.
    Unknown,
    /// Committed too late and never sent.
    Abandoned,
}

impl OutcomeState {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Denied => "denied",
            Self::Unsent => "unsent",
            Self::Unknown => "unknown",
            Self::Abandoned => "abandoned",
        }
    }

    /// Which of two outcomes of one attempt counts: the higher. `done`, then `unsent` and `abandoned`, then `unknown`.
    pub fn precedence(self) -> u8 {
        match self {
            Self::Done => 3,
            Self::Denied | Self::Unsent | Self::Abandoned => 2,
            Self::Unknown => 1,
        }
    }
}

/// One value or several of one header.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HeaderValue<'a> {
    /// The usual case.
    One(#[serde(borrow)] Cow<'a, str>),
    /// A header that was sent more than once.
    Many(#[serde(borrow)] Vec<Cow<'a, str>>),
}

/// Headers by lower-case name. A value that is not UTF-8 is shown as `base64:` and its bytes.
pub type Headers<'a> = BTreeMap<Cow<'a, str>, HeaderValue<'a>>;

macro_rules! record {
    ($($(#[$meta:meta])* $field:ident: $kind:ty,)*) => {
        /// One audit record. Which fields are there depends on `kind`.
        #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
        #[serde(bound(deserialize = "'de: 'a"))]
        pub struct Record<'a> {
            $($(#[$meta])* pub $field: $kind,)*
        }
    };
}

type Text<'a> = Option<Cow<'a, str>>;

record! {
    /// `user:alice`; absent where nobody was verified.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] actor: Text<'a>,
    /// The attempt that an outcome or a second pass belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")] attempt: Option<AuditId>,
    /// The body, or its prefix: text, or base64.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] body: Text<'a>,
    /// `text` or `base64`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] body_encoding: Text<'a>,
    /// SHA-256 of the body as sent, lower-case hex; absent while a streamed body has not ended.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] body_sha256: Text<'a>,
    /// Bytes of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")] body_size: Option<u64>,
    /// The body is longer than what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")] body_truncated: Option<bool>,
    /// `http`, `ui`, `cli`, `bulk`, `retry`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] channel: Text<'a>,
    /// The client's address.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] client_ip: Text<'a>,
    /// How many refusals a `refused` record stands for.
    #[serde(default, skip_serializing_if = "Option::is_none")] count: Option<u64>,
    /// `permit` or `deny`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] decision: Text<'a>,
    /// What else is to be known, by kind; names and values are text.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")] detail: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    /// Milliseconds from arrival to the end of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")] duration_ms: Option<u64>,
    /// The stable error code, for what was refused or failed.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] error: Text<'a>,
    /// Headers as forwarded (request) or as received (outcome), secrets masked.
    #[serde(default, borrow, skip_serializing_if = "BTreeMap::is_empty")] headers: Headers<'a>,
    /// This entry's id.
    id: AuditId,
    /// The instance asked for (`any` or an id); in an outcome, the one that answered.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] instance: Text<'a>,
    /// Index of the item within its run.
    #[serde(default, skip_serializing_if = "Option::is_none")] item: Option<u64>,
    /// The job.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] job: Text<'a>,
    /// What this record is about.
    kind: Kind,
    /// The HTTP method.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] method: Text<'a>,
    /// The path as received.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] path: Text<'a>,
    /// The policies that decided, by name.
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")] policies: Vec<Cow<'a, str>>,
    /// The query as received, secrets masked.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] query: Text<'a>,
    /// The caller's reason.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] reason: Text<'a>,
    /// What was masked: `header:<name>`, `query:<key>`, `body`.
    #[serde(default, borrow, skip_serializing_if = "Vec::is_empty")] redacted: Vec<Cow<'a, str>>,
    /// The region.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] region: Text<'a>,
    /// In an outcome: SHA-256 of the whole request body as sent.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] request_sha256: Text<'a>,
    /// In an outcome: bytes of the whole request body as sent.
    #[serde(default, skip_serializing_if = "Option::is_none")] request_size: Option<u64>,
    /// The entry that this request repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")] retry_of: Option<AuditId>,
    /// The run.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] run: Text<'a>,
    /// The service.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] service: Text<'a>,
    /// The session whose credential was used.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] session: Text<'a>,
    /// How the attempt ended, in an outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")] state: Option<OutcomeState>,
    /// The HTTP status: of the answer in an outcome, of the refusal in a denied request.
    #[serde(default, skip_serializing_if = "Option::is_none")] status: Option<u16>,
    /// `user:alice`: whose rights decided.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] subject: Text<'a>,
    /// When it happened.
    #[serde(borrow)] time: Cow<'a, str>,
    /// The client's `User-Agent`.
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")] user_agent: Text<'a>,
}

impl<'a> Record<'a> {
    /// A record of `kind` with nothing else in it.
    pub fn new(kind: Kind, id: AuditId, unix_ms: u64) -> Self {
        Self {
            id,
            kind,
            time: crate::time::format_rfc3339(unix_ms).into(),
            actor: None,
            attempt: None,
            body: None,
            body_encoding: None,
            body_sha256: None,
            body_size: None,
            body_truncated: None,
            channel: None,
            client_ip: None,
            count: None,
            decision: None,
            detail: BTreeMap::new(),
            duration_ms: None,
            error: None,
            headers: BTreeMap::new(),
            instance: None,
            item: None,
            job: None,
            method: None,
            path: None,
            policies: Vec::new(),
            query: None,
            reason: None,
            redacted: Vec::new(),
            region: None,
            request_sha256: None,
            request_size: None,
            retry_of: None,
            run: None,
            service: None,
            session: None,
            state: None,
            status: None,
            subject: None,
            user_agent: None,
        }
    }

    /// The canonical bytes (RFC 8785).
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// When they are no record.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_bytes_are_sorted_json_without_absent_fields() {
        let mut record = Record::new(Kind::Request, AuditId::floor_of(1), 1);
        record.actor = Some("user:alice".into());
        record.body = Some("a\u{1}\"\\/\n\u{202e}é".into());
        record.headers.insert("accept".into(), HeaderValue::One("*/*".into()));
        record.headers.insert("x".into(), HeaderValue::Many(vec!["1".into(), "2".into()]));
        record.retry_of = Some(AuditId::floor_of(2));
        record.status = Some(404);
        record.state = Some(OutcomeState::Denied);
        let bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(&bytes).unwrap(), record);
        // `serde_json::Value` keeps its keys sorted, as RFC 8785 asks; so a round trip through it must change nothing.
        let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(serde_json::to_vec(&value).unwrap(), bytes);
    }

    #[test]
    fn every_field_stands_in_its_place() {
        let mut all = Record::new(Kind::Outcome, AuditId::default(), 0);
        let filled = serde_json::json!({
            "actor": "a", "attempt": AuditId::default(), "body": "b", "body_encoding": "text", "body_sha256": "00",
            "body_size": 1, "body_truncated": true, "channel": "http", "client_ip": "::1", "count": 2, "decision": "permit",
            "detail": {"k": "v"}, "duration_ms": 3, "error": "e", "headers": {"h": "v"}, "id": AuditId::default(),
            "instance": "i", "item": 4, "job": "j", "kind": "outcome", "method": "GET", "path": "/", "policies": ["p"],
            "query": "q", "reason": "r", "redacted": ["body"], "region": "eu", "request_sha256": "00", "request_size": 5,
            "retry_of": AuditId::default(), "run": "u", "service": "s", "session": "t", "state": "done", "status": 200,
            "subject": "user:b", "time": "1970-01-01T00:00:00.000Z", "user_agent": "ua"
        });
        let bytes = serde_json::to_vec(&filled).unwrap();
        all.clone_from(&Record::from_bytes(&bytes).unwrap());
        assert_eq!(all.to_bytes(), bytes);
    }
}
