//! What is known of a request before anything is judged, and what no request may be.

use crate::attempt::Origin;
use crate::caller::Refusal;
use crate::forward::Upgrade;
use crate::headers;
use crate::item::Handling;
use crate::problem::Problem;
use doorman_core::code::Code;
use doorman_core::target::TargetError;
use http::{HeaderMap, HeaderName, Method, Request, StatusCode, Version, header};
use hyper::body::Incoming;
use std::net::IpAddr;

/// With what Doorman adds they stay below the hundred that a proxy's listener reads.
const MAX_HEADERS: usize = 88;
pub(crate) const REASON: HeaderName = HeaderName::from_static("doorman-reason");

/// A request's body: still to be read from a client, or all there.
pub(crate) enum Payload {
    Client(Incoming),
    Ready(bytes::Bytes),
}

/// What is known of a request before anything is judged.
pub(crate) struct Arrival {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) client_ip: IpAddr,
    pub(crate) is_tls: bool,
    pub(crate) arrived_ms: u64,
    pub(crate) reason: Option<Box<str>>,
    pub(crate) approved: bool,
    pub(crate) origin: Origin,
    pub(crate) handling: Handling,
}

pub(crate) fn target_refused(error: TargetError) -> Refusal {
    let (code, hint) = match error {
        TargetError::NotTheDoor => (Code::NotFound, "The door is /r/{region}/{service}[@{instance}]/{path}."),
        TargetError::Region => (Code::UnknownRegion, "`doorman regions` lists them."),
        TargetError::Service => (Code::UnknownService, "`doorman services <region>` lists them."),
        TargetError::Instance => {
            (Code::UnknownInstance, "`doorman instances <region> <service>` lists them.")
        }
        TargetError::Path(_) => {
            (Code::AmbiguousPath, "Send the path in its plain form: no dot segments, no encoded slashes.")
        }
        TargetError::Query => {
            (Code::Invalid, "Percent-encode control characters, bytes beyond ASCII and '#' in the query.")
        }
    };
    let reason = error.to_string();
    Refusal::new(Problem::new(code, format!("The target was refused: {reason}.")).hint(hint), reason)
}

pub(crate) fn with_reason(mut arrival: Arrival) -> Result<Arrival, (Arrival, Problem)> {
    let mut values = arrival.headers.get_all(REASON).iter();
    let first = values.next();
    let is_single = values.next().is_none();
    let text = first.map(|value| std::str::from_utf8(value.as_bytes()));
    match text {
        None => Ok(arrival),
        Some(Ok(text)) if is_single => {
            arrival.reason = Some(text.trim().into());
            Ok(arrival)
        }
        Some(_) => {
            let problem = Problem::new(Code::Invalid, "Doorman-Reason is there twice or is not UTF-8.");
            Err((arrival, problem))
        }
    }
}

pub(crate) fn invalid(detail: &str) -> Problem {
    Problem::new(Code::Invalid, detail).hint("Send an ordinary HTTP request to /r/{region}/{service}/…")
}

/// What is wrong with a request whatever its target is.
pub(crate) fn not_forwardable(method: &Method, headers: &HeaderMap) -> Option<Problem> {
    if !is_known_method(method) {
        let problem = invalid("The method is not one that Doorman forwards.");
        return Some(problem.status(StatusCode::METHOD_NOT_ALLOWED));
    }
    (headers.len() > MAX_HEADERS).then(|| {
        invalid("The request has too many headers.").status(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
    })
}

fn is_known_method(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
    )
}

pub(crate) fn is_host(host: &str) -> bool {
    !host.is_empty()
        && host
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
}

/// IPv4 addresses on a dual-stack socket are IPv4 addresses.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// How a request came: `cli`, `ui` or `http`.
pub fn channel_of(headers: &HeaderMap) -> &'static str {
    let agent = headers.get(header::USER_AGENT).map_or(&[] as &[u8], |agent| agent.as_bytes());
    if agent.starts_with(b"doorman-cli/") {
        "cli"
    } else if headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin") {
        "ui"
    } else {
        "http"
    }
}

/// Takes the upgrade out of a request that asks for one.
pub(crate) fn upgrade_of(request: &mut Request<Incoming>) -> Option<Upgrade> {
    if request.version() != Version::HTTP_11 || *request.method() != Method::GET {
        return None;
    }
    let protocol = request.headers().get(header::UPGRADE)?.clone();
    let names_upgrade = request.headers().get_all(header::CONNECTION).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|name| name.trim().eq_ignore_ascii_case("upgrade")))
    });
    if !names_upgrade {
        return None;
    }
    let offers_doorman = headers::offers_doorman(request.headers());
    Some(Upgrade { on: hyper::upgrade::on(request), protocol, offers_doorman })
}
