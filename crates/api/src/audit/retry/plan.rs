//! What of a recorded request can be sent again. What the log does not hold, or holds masked, is never made up.

use super::super::filter::is_safe_text;
use crate::error::ApiError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use doorman_client::wire::{AuditEntry, BodyEncoding, Decision, HeaderValue, RetryRequest};
use doorman_core::code::Code;
use doorman_core::sha256;
use doorman_door::Problem;
use doorman_door::redact::MASK;
use http::{HeaderMap, HeaderName, Method};
use serde_json::Value;

/// A path or query as long as this may have been cut when it was written down.
const MAYBE_CUT: usize = 16 * 1024 - 4;
/// Longest reason.
const MAX_REASON: usize = 4_096;
/// Headers that belong to the first sending.
const OF_THE_FIRST: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "expect", "traceparent", "x-request-id"];

/// A request to be sent again.
#[derive(Debug)]
pub(super) struct Plan {
    /// As the door parses it.
    pub target: String,
    pub query: Option<String>,
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub reason: Option<String>,
}

/// Plans it, or says what is missing.
pub(super) fn plan(entry: &AuditEntry, request: RetryRequest) -> Result<Plan, ApiError> {
    let (method, target) = place(entry)?;
    let is_unsafe = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let query = query(entry, request.query)?;
    let body = body(entry, request.body)?;
    if let Some(reason) = &request.reason
        && (reason.len() > MAX_REASON || !is_safe_text(reason))
    {
        return Err(ApiError::field("reason", "up to 4096 bytes on one line"));
    }
    if is_unsafe && !request.confirm {
        let detail = format!("{method} may change something, and this would send it again.");
        return Err(Problem::new(Code::ConfirmationRequired, detail)
            .hint("Repeat with \"confirm\": true if that is meant.")
            .into());
    }
    Ok(Plan { target, query, method, headers: headers(entry), body, reason: request.reason })
}

fn place(entry: &AuditEntry) -> Result<(Method, String), ApiError> {
    let (Some(region), Some(service), Some(method), Some(path)) =
        (&entry.region, &entry.service, &entry.method, &entry.path)
    else {
        return Err(conflict("This entry tells of no request to a live service.", ""));
    };
    if entry.decision != Some(Decision::Permit) {
        return Err(conflict(
            "The request was refused, so its headers and body were not kept.",
            "Send it anew through /r/….",
        ));
    }
    let is_upgrade = entry.headers.contains_key("sec-websocket-key")
        || entry.outcome.as_ref().is_some_and(|outcome| outcome.status == Some(101));
    if is_upgrade {
        return Err(conflict("This was an upgraded connection, which cannot be repeated.", ""));
    }
    if path.len() > MAYBE_CUT {
        return Err(conflict("The path is too long to have been kept whole.", "Send it anew through /r/…."));
    }
    let instance = match entry.instance.as_deref() {
        None | Some("any") => String::new(),
        Some(instance) => format!("@{instance}"),
    };
    let method = method.parse().map_err(|_| ApiError::internal("an entry's method is none"))?;
    Ok((method, format!("/r/{region}/{service}{instance}{path}")))
}

fn query(entry: &AuditEntry, supplied: Option<String>) -> Result<Option<String>, ApiError> {
    let is_masked = entry.redacted.iter().any(|what| what.starts_with("query:"));
    if let Some(supplied) = supplied {
        if is_masked && supplied.contains(MASK) {
            return Err(ApiError::field("query", "still holds the mask; put the real value in its place"));
        }
        return Ok(Some(supplied).filter(|query| !query.is_empty()));
    }
    let query = entry.query.clone();
    if is_masked || query.as_ref().is_some_and(|query| query.len() > MAYBE_CUT || query.contains(MASK)) {
        return Err(conflict(
            "The query holds what was masked or cut when it was written down.",
            "Supply it as \"query\".",
        ));
    }
    Ok(query)
}

fn body(entry: &AuditEntry, supplied: Option<Value>) -> Result<Bytes, ApiError> {
    let is_masked = entry.redacted.iter().any(|what| what == "body");
    if let Some(supplied) = supplied {
        let text = match supplied {
            Value::String(text) => text,
            other => other.to_string(),
        };
        if is_masked && text.contains(MASK) {
            return Err(ApiError::field("body", "still holds the mask; put the real value in its place"));
        }
        return Ok(text.into());
    }
    let missing = |what: &str| Err(conflict(what, "Supply it as \"body\"."));
    if is_masked {
        return missing("The body holds what was masked when it was written down.");
    }
    if entry.body_truncated == Some(true) {
        return missing("The body was too long to be kept whole, or was streamed.");
    }
    let kept = match (&entry.body, entry.body_encoding) {
        (None, _) => Vec::new(),
        (Some(body), Some(BodyEncoding::Base64)) => STANDARD.decode(body).unwrap_or_default(),
        (Some(body), _) => body.clone().into_bytes(),
    };
    let is_whole = entry.body_size.is_none_or(|size| size == kept.len() as u64)
        && entry.body_sha256.as_ref().is_none_or(|digest| *digest == hex::encode(sha256(&kept)));
    if is_whole { Ok(kept.into()) } else { missing("The log does not hold the body as it was sent.") }
}

/// The recorded headers without what is masked or belongs to the first sending.
fn headers(entry: &AuditEntry) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in &entry.headers {
        let is_masked = entry.redacted.iter().any(|what| what.strip_prefix("header:") == Some(name));
        if is_masked || OF_THE_FIRST.contains(&name.as_str()) {
            continue;
        }
        let Ok(name) = name.parse::<HeaderName>() else { continue };
        let values = match value {
            HeaderValue::One(value) => std::slice::from_ref(value),
            HeaderValue::Many(values) => values,
        };
        for value in values.iter().filter(|value| *value != MASK) {
            let bytes = value.strip_prefix("base64:").and_then(|text| STANDARD.decode(text).ok());
            let bytes = bytes.unwrap_or_else(|| value.clone().into_bytes());
            if let Ok(value) = http::HeaderValue::from_bytes(&bytes) {
                headers.append(name.clone(), value);
            }
        }
    }
    headers
}

fn conflict(detail: &str, hint: &str) -> ApiError {
    let problem = Problem::new(Code::Conflict, detail);
    if hint.is_empty() { problem.into() } else { problem.hint(hint).into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn entry(more: Value) -> AuditEntry {
        let mut entry = json!({
            "id": "i", "time": "t", "kind": "request", "region": "eu", "service": "echo", "instance": "any",
            "method": "GET", "path": "/a", "decision": "permit"
        });
        entry.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(entry).unwrap()
    }

    fn code(entry: &AuditEntry, request: Value) -> (u16, Code, String) {
        match plan(entry, serde_json::from_value(request).unwrap()) {
            Err(ApiError::Problem(problem)) => (problem.status.as_u16(), problem.code, problem.detail),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_was_recorded_whole_is_sent_as_it_was() {
        let post = entry(json!({"method": "POST", "instance": "echo-1", "query": "a=1",
            "headers": {"x": ["1", "2"], "host": "h", "b": "base64:/w==", "traceparent": "t"},
            "body": "/w==", "body_encoding": "base64", "body_size": 1, "body_sha256": hex::encode(sha256(b"\xff"))}));
        assert_eq!(code(&post, json!({})).1, Code::ConfirmationRequired);
        let plan = plan(&post, serde_json::from_value(json!({"confirm": true})).unwrap()).unwrap();
        assert_eq!((plan.target.as_str(), plan.query.as_deref()), ("/r/eu/echo@echo-1/a", Some("a=1")));
        assert_eq!((plan.method, &plan.body[..]), (Method::POST, &b"\xff"[..]));
        assert_eq!(plan.headers.get_all("x").iter().count(), 2);
        assert_eq!(plan.headers["b"].as_bytes(), b"\xff");
        assert_eq!(plan.headers.keys_len(), 2);
    }

    #[test]
    fn what_the_log_does_not_hold_must_be_supplied() {
        for (more, needs) in [
            (json!({"redacted": ["query:token"], "query": "token=[redacted]"}), "query"),
            (json!({"query": "x".repeat(16 * 1024)}), "query"),
            (json!({"redacted": ["body"], "body": "{\"password\":\"[redacted]\"}"}), "body"),
            (json!({"redacted": ["body"]}), "body"),
            (json!({"body_truncated": true, "body": "begin"}), "body"),
            (json!({"body": "a", "body_size": 2}), "body"),
            (json!({"body": "a", "body_sha256": "00"}), "body"),
            (json!({"body_size": 7}), "body"),
        ] {
            let entry = entry(more);
            let (status, code, detail) = code(&entry, json!({}));
            assert_eq!((status, code), (409, Code::Conflict), "{detail}");
            let supplied = json!({needs: "supplied"});
            let plan = plan(&entry, serde_json::from_value(supplied).unwrap()).unwrap();
            let sent =
                if needs == "body" { &plan.body[..] } else { plan.query.as_deref().unwrap().as_bytes() };
            assert_eq!(sent, b"supplied");
        }
    }

    #[test]
    fn what_is_no_kept_request_cannot_be_repeated() {
        for more in [
            json!({"region": null}),
            json!({"decision": "deny"}),
            json!({"headers": {"sec-websocket-key": "k"}}),
            json!({"path": format!("/{}", "x".repeat(16 * 1024))}),
        ] {
            assert_eq!(code(&entry(more), json!({"confirm": true})).1, Code::Conflict);
        }
        assert_eq!(code(&entry(json!({})), json!({"reason": "a\r\nX: y"})).0, 422);
    }

    proptest! {
        #[test]
        fn a_mask_is_never_sent(
            value in prop_oneof![Just(MASK.to_owned()), "a=.{0,3}", ".{0,8}"],
            (masked_query, masked_body, masked_header) in any::<(bool, bool, bool)>(),
            supplied in any::<bool>(),
        ) {
            let mut redacted = Vec::new();
            let of = |is_masked: bool, what: &'static str, redacted: &mut Vec<&str>| {
                if is_masked { redacted.push(what); format!("k={MASK}") } else { value.replace(MASK, "") }
            };
            let query = of(masked_query, "query:k", &mut redacted);
            let body = of(masked_body, "body", &mut redacted);
            let header = if masked_header { redacted.push("header:x"); MASK.to_owned() } else { "v".to_owned() };
            let entry = entry(json!({"query": query, "body": body, "headers": {"x": header}, "redacted": redacted}));
            let request = if supplied {
                json!({"query": format!("q={value}"), "body": value})
            } else { json!({}) };
            if let Ok(plan) = plan(&entry, serde_json::from_value(request).unwrap()) {
                if masked_query { prop_assert!(!plan.query.unwrap_or_default().contains(MASK)); }
                if masked_body { prop_assert!(!String::from_utf8_lossy(&plan.body).contains(MASK)); }
                prop_assert_eq!(plan.headers.contains_key("x"), !masked_header);
            }
        }
    }
}
