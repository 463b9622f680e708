//! What is written down of an attempt, and what its pass will say.

use crate::body::InBody;
use crate::caller::Caller;
use crate::catalog::Route;
use crate::journal::{AttemptDraft, Draft, PassParts};
use crate::permit::Permit;
use crate::redact::{MASK, Masked, Redaction};
use crate::thread::DoorThread;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_core::header;
use doorman_core::id::AuditId;
use doorman_core::pass::{BodyClaim, Claims, query_digest};
use doorman_core::record::{HeaderValue, Headers, Kind, Record};
use doorman_core::target::Target;
use doorman_store::ItemMark;
use http::HeaderMap;
use std::borrow::Cow;

/// Longest text of a header, path or query that is kept in an entry.
const MAX_TEXT: usize = 16 * 1024;

/// Where a request came from and what it is part of.
#[derive(Clone, Copy, Default)]
pub struct Origin {
    /// `http`, `ui`, `cli`, `bulk`, `retry`.
    pub channel: &'static str,
    /// The entry that this request repeats.
    pub retry_of: Option<AuditId>,
    /// Fencing number of a bulk item; 0 otherwise.
    pub fence: u64,
    /// The item of a run that this is.
    pub item: Option<ItemRef>,
}

/// Names one item of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ItemRef {
    /// The job's id (a UUID).
    pub job: [u8; 16],
    /// The run's id (a UUID).
    pub run: [u8; 16],
    /// The item's place in the run's input, from 0.
    pub index: u64,
}

/// Headers for the log: those of the client or the service, secrets masked, names of what was masked.
pub(crate) fn recorded_headers<'a>(
    headers: &'a HeaderMap,
    redaction: &Redaction,
    masked: &mut Vec<Cow<'a, str>>,
) -> Headers<'a> {
    let mut out = Headers::new();
    for name in headers.keys() {
        let text = name.as_str();
        if is_own(text) {
            continue;
        }
        if redaction.masks_header(text) {
            masked.push(Cow::Owned(format!("header:{text}")));
            out.insert(Cow::Borrowed(text), HeaderValue::One(Cow::Borrowed(MASK)));
            continue;
        }
        let mut values = headers.get_all(name).iter().map(|value| value_text(value));
        let first = values.next().unwrap_or_default();
        let value = match values.next() {
            None => HeaderValue::One(first),
            Some(second) => HeaderValue::Many([first, second].into_iter().chain(values).collect()),
        };
        out.insert(Cow::Borrowed(text), value);
    }
    out
}

/// Headers that Doorman builds from what the record says elsewhere.
fn is_own(name: &str) -> bool {
    name.starts_with("x-forwarded-") || name == "doorman-identity"
}

fn value_text(value: &http::HeaderValue) -> Cow<'_, str> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(format!("base64:{}", STANDARD.encode(value.as_bytes()))),
    }
}

/// Puts who and from where into a record.
pub(crate) fn put_caller<'a>(record: &mut Record<'a>, caller: &'a Caller) {
    record.actor = Some(caller.actor_text().into());
    record.subject = Some(caller.subject_text().into());
    record.session = Some(caller.session().id_text().into());
}

/// Puts the target into a record, secrets in its query masked.
pub(crate) fn put_target<'a>(record: &mut Record<'a>, target: &'a Target, redaction: &Redaction) {
    record.region = Some(target.region().into());
    record.service = Some(target.service().into());
    record.instance = Some(target.selector().as_str().into());
    record.path = Some(clipped(target.path()).into());
    if let Some(query) = target.query() {
        let (query, keys) = redaction.query(query);
        record.query = Some(match query {
            Cow::Borrowed(query) => clipped(query).into(),
            Cow::Owned(query) => clipped(&query).to_owned().into(),
        });
        record.redacted.extend(keys.into_iter().map(|key| Cow::Owned(format!("query:{key}"))));
    }
}

/// Puts the item of a run into a record.
pub(crate) fn put_item(record: &mut Record<'_>, item: Option<ItemRef>) {
    let Some(item) = item else { return };
    record.job = Some(AuditId(item.job).to_string().into());
    record.run = Some(AuditId(item.run).to_string().into());
    record.item = Some(item.index);
}

pub(crate) fn clipped(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}

fn put_body<'a>(record: &mut Record<'a>, body: &'a InBody, claim: &BodyClaim, redaction: &Redaction) {
    let bytes = body.recorded();
    if let BodyClaim::Whole(size, digest) = claim {
        record.body_size = Some(*size);
        if *size > 0 {
            record.body_sha256 = Some(hex::encode(digest).into());
        }
    } else {
        record.body_truncated = Some(true);
    }
    if bytes.is_empty() {
        return;
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => Some(text),
        // A prefix may end within a character.
        Err(error) if !body.is_whole() && error.error_len().is_none() => {
            bytes.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok())
        }
        Err(_) => None,
    };
    match text {
        Some(text) => match redaction.body(text) {
            Masked::Clean => record.body = Some(text.into()),
            Masked::Text(text) => {
                record.body = Some(text.into());
                record.redacted.push("body".into());
            }
            Masked::Withheld => record.redacted.push("body".into()),
        },
        None if redaction.mentions_field(&String::from_utf8_lossy(bytes)) => {
            if let Masked::Text(text) = redaction.beginning(&String::from_utf8_lossy(bytes)) {
                record.body = Some(text.into());
            }
            record.redacted.push("body".into());
        }
        None => {
            record.body = Some(STANDARD.encode(bytes).into());
            record.body_encoding = Some("base64".into());
            return;
        }
    }
    record.body_encoding = Some("text".into());
}

/// The audit record of an attempt.
pub(crate) fn record(
    permit: &Permit,
    headers: &HeaderMap,
    body: &InBody,
    claim: &BodyClaim,
    origin: Origin,
    redaction: &Redaction,
) -> Draft {
    let facts = permit.facts();
    let client_ip = facts.client_ip.to_string();
    let mut masked = Vec::new();
    let recorded = recorded_headers(headers, redaction, &mut masked);
    let mut record = Record::new(Kind::Request, AuditId::default(), facts.now_ms);
    put_caller(&mut record, permit.caller());
    record.redacted = masked;
    put_target(&mut record, permit.target(), redaction);
    put_body(&mut record, body, claim, redaction);
    record.headers = recorded;
    record.channel = Some(origin.channel.into());
    record.client_ip = Some(client_ip.into());
    record.user_agent = headers.get(http::header::USER_AGENT).map(value_text);
    record.method = Some(permit.method().as_str().into());
    record.reason = facts.reason.as_deref().map(|reason| clipped(reason).into());
    record.decision = Some("permit".into());
    record.policies = permit.policies().iter().map(|name| Cow::Borrowed(&**name)).collect();
    record.retry_of = origin.retry_of;
    put_item(&mut record, origin.item);
    Draft::new(record)
}

/// What a pass is made for.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'a> {
    pub(crate) permit: &'a Permit,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) claim: BodyClaim,
    pub(crate) route: &'a Route,
    pub(crate) origin: Origin,
}

/// The claims and the rest of what the pass will hold. `first` names the attempt when this is a second pass for it.
pub(crate) fn draft(
    thread: &DoorThread,
    errand: Errand<'_>,
    record: Draft,
    first: Option<AuditId>,
) -> (AttemptDraft, PassParts) {
    let Errand { permit, headers, claim, route, origin } = errand;
    let target = permit.target();
    let caller = permit.caller();
    let expires_ms = thread.now_ms() + thread.pass_lifetime_ms();
    let claims = Claims {
        audit_id: first.unwrap_or_default(),
        expires_ms,
        audience: route.boot_id,
        fence: origin.fence,
        method: permit.method().as_str(),
        region: target.region(),
        service: target.service(),
        selector: target.selector().as_str(),
        path: target.path(),
        query: query_digest(target.query()),
        headers: header::digest(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))),
        body: claim,
        actor: caller.actor_text(),
        subject: caller.subject_text(),
    };
    let attempt = AttemptDraft {
        record,
        claims: claims.to_bytes(),
        keeps_id: first.is_some(),
        sessions: caller.session_ids(),
        policy_version: permit.policy_version(),
        item: origin.item.filter(|_| first.is_none()).map(|item| ItemMark {
            run: item.run,
            item: item.index,
            fence: origin.fence,
        }),
    };
    let [a, b, c, d, ..] = route.boot_id.0;
    let parts = PassParts {
        expires_ms,
        audience_hint: [a, b, c, d],
        fence: origin.fence,
        actor: caller.actor_text().into(),
        subject: caller.subject_text().into(),
        body_prefix: match claim {
            BodyClaim::Whole(..) => None,
            BodyClaim::Prefix(length, _) => Some(length),
        },
    };
    (attempt, parts)
}
