//! Headers across the door, built from empty.

use crate::caller::Caller;
use crate::thread::DoorThread;
use doorman_core::header::{Class, classify, is_masked_in_response, is_own};
use doorman_core::pass;
use doorman_core::target::Target;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::net::IpAddr;
use std::time::Instant;

pub(crate) const PASS: HeaderName = HeaderName::from_static(pass::HEADER);
pub(crate) const IDENTITY: HeaderName = HeaderName::from_static("doorman-identity");
pub(crate) const INSTANCE: HeaderName = HeaderName::from_static("doorman-instance");
pub(crate) const REFUSAL: HeaderName = HeaderName::from_static("doorman-refusal");
/// Sent with any value, it asks where the time went; answered as `Server-Timing` would be: `door;dur=1, log;dur=0.40, region;dur=3.10`,
/// in milliseconds, the last until the head of the answer.
pub(crate) const TIMING: HeaderName = HeaderName::from_static("doorman-timing");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What is known of the client's connection and request line.
pub(crate) struct Client<'a> {
    pub(crate) ip: IpAddr,
    pub(crate) is_tls: bool,
    pub(crate) host: Option<&'a HeaderValue>,
}

/// The headers that `api` forwards: the client's end-to-end ones, and Doorman's own, made afresh.
pub(crate) fn outbound(
    thread: &DoorThread,
    sent: &HeaderMap,
    consumes_authorization: bool,
    caller: &Caller,
    target: &Target,
    client: &Client<'_>,
) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(sent.len() + 8);
    for (name, value) in sent {
        if classify(name.as_str()) != Class::EndToEnd {
            continue;
        }
        if name == header::AUTHORIZATION && consumes_authorization {
            continue;
        }
        if name == header::COOKIE {
            if let Some(kept) = without_own_cookies(value) {
                out.append(name.clone(), kept);
            }
            continue;
        }
        if name == header::SEC_WEBSOCKET_PROTOCOL {
            if let Some(kept) = without_own_subprotocols(value) {
                out.append(name.clone(), kept);
            }
            continue;
        }
        out.append(name.clone(), value.clone());
    }
    drop_connection_named(sent, &mut out);
    if let Ok(value) = HeaderValue::try_from(client.ip.to_string()) {
        out.insert(FORWARDED_FOR, value);
    }
    out.insert(FORWARDED_PROTO, HeaderValue::from_static(if client.is_tls { "https" } else { "http" }));
    if let Some(host) = client.host {
        out.insert(FORWARDED_HOST, host.clone());
    }
    out.insert(TRACEPARENT, thread.traceparent(sent.get(TRACEPARENT)));
    if let Some(identity) = thread.identity(caller, target) {
        out.insert(IDENTITY, identity);
    }
    out
}

/// Where the time of one request goes, for those who ask with [`TIMING`].
pub(crate) struct Timing {
    door_ms: u64,
    judged: Instant,
}

impl Timing {
    /// A request was judged, `door_ms` after it arrived, and goes to the log.
    pub(crate) fn asked(headers: &HeaderMap, door_ms: impl FnOnce() -> u64) -> Option<Self> {
        headers.contains_key(TIMING).then(|| Self { door_ms: door_ms(), judged: Instant::now() })
    }

    /// The answer's head is there; the log had the request since `committed`.
    pub(crate) fn put(&self, answer: &mut HeaderMap, committed: Instant) {
        let ms = |time: std::time::Duration| time.as_secs_f64() * 1_000.0;
        let (log, region) = (ms(committed - self.judged), ms(committed.elapsed()));
        let text = format!("door;dur={}, log;dur={log:.2}, region;dur={region:.2}", self.door_ms);
        if let Ok(value) = HeaderValue::try_from(text) {
            answer.insert(TIMING, value);
        }
    }
}

/// Headers that `Connection` names belong to the connection (RFC 9110 §7.6.1).
pub(crate) fn drop_connection_named(sent: &HeaderMap, out: &mut HeaderMap) {
    for value in sent.get_all(header::CONNECTION) {
        for name in value.to_str().unwrap_or_default().split(',') {
            let name = name.trim().to_ascii_lowercase();
            // Doorman's own names cannot be dropped this way: they are not in `out` yet.
            out.remove(&name);
        }
    }
}

/// Doorman's session cookie is for Doorman alone.
fn without_own_cookies(value: &HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = value.to_str() else { return Some(value.clone()) };
    let is_own = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        name == "__Host-doorman" || name == "doorman"
    };
    if !text.split(';').any(|pair| is_own(&pair)) {
        return Some(value.clone());
    }
    let kept: Vec<&str> = text.split(';').filter(|pair| !is_own(pair)).map(str::trim).collect();
    if kept.is_empty() { None } else { HeaderValue::try_from(kept.join("; ")).ok() }
}

/// The token that a browser's WebSocket offers as a subprotocol.
pub(crate) fn subprotocol_token(headers: &HeaderMap) -> Option<&str> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offer| offer.trim().strip_prefix("doorman.token."))
}

/// Whether a browser's WebSocket offers the subprotocol `doorman`.
pub(crate) fn offers_doorman(headers: &HeaderMap) -> bool {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    offers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|o| o.trim() == "doorman")
}

fn without_own_subprotocols(value: &HeaderValue) -> Option<HeaderValue> {
    let Ok(text) = value.to_str() else { return Some(value.clone()) };
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|offer| *offer != "doorman" && !offer.starts_with("doorman.token."))
        .collect();
    if kept.is_empty() { None } else { HeaderValue::try_from(kept.join(", ")).ok() }
}

/// The headers that a client gets of a service's answer.
pub(crate) fn inbound(from: &HeaderMap) -> HeaderMap {
    let mut out = HeaderMap::with_capacity(from.len() + 4);
    for (name, value) in from {
        let text = name.as_str();
        if is_masked_in_response(text) || is_password_challenge(name, value) {
            if let Ok(renamed) = HeaderName::try_from(format!("doorman-service-{text}")) {
                out.append(renamed, value.clone());
            }
        } else if text == "doorman-instance" {
            out.insert(INSTANCE, value.clone());
        } else if !is_own(text) && is_forwarded_response(text) {
            out.append(name.clone(), value.clone());
        }
    }
    drop_connection_named(from, &mut out);
    out.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    out
}

/// A challenge on which a browser asks for a password, as if Doorman wanted it.
fn is_password_challenge(name: &HeaderName, value: &HeaderValue) -> bool {
    name == header::WWW_AUTHENTICATE && {
        let value = value.as_bytes().to_ascii_lowercase();
        [&b"basic"[..], b"digest"].iter().any(|scheme| memchr::memmem::find(&value, scheme).is_some())
    }
}

/// Whether a response header goes on: `content-length` describes a `HEAD` answer, the rest of the framing does not.
fn is_forwarded_response(name: &str) -> bool {
    name == "content-length" || name == "trailer" || classify(name) != Class::HopByHop
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doormans_own_cookie_and_subprotocols_stay_here() {
        let value = |text: &'static str| HeaderValue::from_static(text);
        assert_eq!(without_own_cookies(&value("a=1; __Host-doorman=x; b=2")).unwrap(), "a=1; b=2");
        assert_eq!(without_own_cookies(&value("doorman=x")), None);
        assert_eq!(without_own_cookies(&value("a=doorman")).unwrap(), "a=doorman");
        assert_eq!(without_own_subprotocols(&value("doorman, doorman.token.abc, chat")).unwrap(), "chat");
        assert_eq!(without_own_subprotocols(&value("doorman,doorman.token.abc")), None);
    }

    #[test]
    fn a_service_changes_nothing_on_doormans_origin() {
        let mut from = HeaderMap::new();
        for (name, text) in [
            ("set-cookie", "a=1"),
            ("access-control-allow-origin", "*"),
            ("content-security-policy", "default-src *"),
            ("doorman-audit-id", "forged"),
            ("connection", "x-gone"),
            ("x-gone", "1"),
            ("content-type", "text/html"),
        ] {
            from.append(name, HeaderValue::from_static(text));
        }
        let out = inbound(&from);
        assert_eq!(out.get("doorman-service-set-cookie").unwrap(), "a=1");
        assert_eq!(out.get("doorman-service-access-control-allow-origin").unwrap(), "*");
        assert_eq!(out.get("content-security-policy").unwrap(), "sandbox");
        for name in ["set-cookie", "access-control-allow-origin", "doorman-audit-id", "x-gone", "connection"]
        {
            assert!(!out.contains_key(name), "{name}");
        }
        assert_eq!(out.get("content-type").unwrap(), "text/html");
    }
}
