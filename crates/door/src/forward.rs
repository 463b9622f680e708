//! Sending: a receipt is consumed, its request leaves once.

use crate::attempt::Errand;
use crate::body::{AnswerBody, OutBody, ServiceBody};
use crate::headers::{self, INSTANCE, PASS, REFUSAL};
use crate::item::ItemWatch;
use crate::outcome::{OutcomeGuard, OutcomeTap};
use crate::problem::{AUDIT_ID, ERROR, Problem, id_value};
use crate::receipt::{Receipt, ReceiptParts, commit_second_pass, region_unavailable};
use crate::thread::DoorThread;
use crate::tunnel;
use doorman_core::code::Code;
use doorman_core::record::OutcomeState;
use doorman_egress::{Peer, Protocol, ResponseBody, SendError};
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use std::rc::Rc;

/// A client that asked to switch protocols.
pub(crate) struct Upgrade {
    pub(crate) on: OnUpgrade,
    /// What `Upgrade` said.
    pub(crate) protocol: HeaderValue,
    /// The client offered the subprotocol `doorman`, to be selected when the service selects none.
    pub(crate) offers_doorman: bool,
}

/// How often a request that provably was not taken is sent elsewhere.
const MAX_PASSES: usize = 4;

/// Sends what the receipt proves to be written down, and gives the answer.
pub(crate) async fn forward(
    thread: &Rc<DoorThread>,
    receipt: Receipt,
    upgrade: Option<Upgrade>,
) -> Response<AnswerBody> {
    let ReceiptParts { permit, headers, body, claim, mut route, origin, audit_id, mut pass, handling } =
        receipt.into_parts();
    let target = permit.target();
    let is_retriable = body.is_whole();
    let whole = is_retriable.then(|| body.recorded().clone());
    let (body, meter) = body.into_out();
    let guard = OutcomeGuard::new(thread.clone(), audit_id, permit.facts().now_ms, meter)
        .watching(ItemWatch::new(origin.item, handling.judge));
    let uri: Uri = match target.door_path_and_query().parse() {
        Ok(uri) => uri,
        Err(_) => {
            let problem = Problem::new(Code::Invalid, "The target cannot be forwarded.");
            return fail(guard, OutcomeState::Unsent, "the target is no URI", problem);
        }
    };
    let protocol = thread.protocol_of(target);
    let patience = handling.patience.unwrap_or(thread.config().response_timeout);
    let mut body = Some(body);
    for attempt in 1..=MAX_PASSES {
        let out = match (body.take(), &whole) {
            (Some(body), _) => body,
            (None, Some(whole)) => {
                OutBody::Whole { data: Some(whole.clone()).filter(|b| !b.is_empty()), trailers: None }
            }
            (None, None) => OutBody::empty(),
        };
        let mut request = Request::new(out);
        *request.method_mut() = permit.method().clone();
        *request.uri_mut() = uri.clone();
        let out_headers = request.headers_mut();
        *out_headers = headers.clone();
        if let Ok(value) = HeaderValue::try_from(pass.encode()) {
            out_headers.insert(PASS, value);
        }
        fit_link(&mut request, &route.peer, protocol, upgrade.as_ref());
        let sent = thread.pool().send(route.key, &route.peer, protocol, request, Some(patience)).await;
        let why = match sent {
            Ok(response) if !response.headers().contains_key(REFUSAL) => {
                return answered(thread, guard, permit, response, upgrade).await;
            }
            Ok(response) => response
                .headers()
                .get(REFUSAL)
                .and_then(|why| why.to_str().ok())
                .unwrap_or("refused")
                .to_owned(),
            Err(error) if error.is_unsent() => error.to_string(),
            Err(error) => return lost(thread, guard, &permit, error),
        };
        // The proxy said so itself, or not a byte was written: another pass may be made for the same attempt.
        thread.catalog().suspect(target.region(), route.boot_id);
        thread.pool().forget(route.key);
        let may_repeat = attempt < MAX_PASSES && is_retriable;
        let next = if may_repeat {
            thread.catalog().route_soon(target.region(), thread.config().restart_grace).await
        } else {
            None
        };
        let Some(next) = next else {
            return fail(guard, OutcomeState::Unsent, &why, region_unavailable(target.region()));
        };
        let errand = Errand { permit: &permit, headers: &headers, claim, route: &next, origin };
        match commit_second_pass(thread, errand, audit_id).await {
            Ok(second) => (pass, route) = (second, next),
            Err(failure) => {
                let why = "a second pass could not be committed";
                return fail(guard, OutcomeState::Unsent, why, failure.into());
            }
        }
    }
    fail(guard, OutcomeState::Unsent, "no proxy took it", region_unavailable(target.region()))
}

/// Nobody knows whether the request arrived.
fn lost(
    thread: &Rc<DoorThread>,
    guard: OutcomeGuard,
    permit: &crate::permit::Permit,
    error: SendError,
) -> Response<AnswerBody> {
    thread.catalog().poke.notify_waiters();
    let (why, problem) = match error {
        SendError::Timeout => (
            "the proxy did not answer in time".to_owned(),
            Problem::new(Code::Timeout, "No answer came in time. The request may have been carried out."),
        ),
        error => {
            let region = permit.target().region();
            let detail =
                format!("The connection to region {region} broke. The request may have been carried out.");
            (error.to_string(), Problem::new(Code::RegionUnavailable, detail))
        }
    };
    let problem = problem.hint("Look at the service before you send it again.");
    fail(guard, OutcomeState::Unknown, &why, problem)
}

/// Writes down that there is no answer of the service's, and says so. The answer's extensions hold the state.
fn fail(guard: OutcomeGuard, state: OutcomeState, why: &str, mut problem: Problem) -> Response<AnswerBody> {
    problem.audit_id = Some(guard.attempt());
    guard.failed(state, problem.code, why);
    let mut response = problem.into_response();
    response.extensions_mut().insert(state);
    response
}

/// The proxy answered: with the service's answer, or saying that there is none.
async fn answered(
    thread: &Rc<DoorThread>,
    guard: OutcomeGuard,
    permit: crate::permit::Permit,
    mut response: Response<ResponseBody>,
    upgrade: Option<Upgrade>,
) -> Response<AnswerBody> {
    let audit_id = guard.attempt();
    if let Some(code) = response.headers().get(ERROR).and_then(|code| code.to_str().ok()) {
        return proxy_problem(guard, &permit, code, response.headers());
    }
    let instance: Option<Box<str>> =
        response.headers().get(INSTANCE).and_then(|id| id.to_str().ok()).map(Into::into);
    if instance.is_none() {
        return turned_away(guard, &permit, response.status());
    }
    let mut client_headers = headers::inbound(response.headers());
    client_headers.insert(AUDIT_ID, id_value(audit_id));
    let status = response.status();
    let ticket = thread.streams().open(permit);
    if status == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client) = upgrade else {
            let problem =
                Problem::new(Code::ServiceUnreachable, "The service switched protocols without being asked.");
            return fail(guard, OutcomeState::Unknown, "the service switched protocols unasked", problem);
        };
        tunnel::copy_upgrade_headers(response.headers(), &mut client_headers);
        if client.offers_doorman && !client_headers.contains_key(header::SEC_WEBSOCKET_PROTOCOL) {
            client_headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("doorman"));
        }
        let service = hyper::upgrade::on(&mut response);
        let (parts, _) = response.into_parts();
        let tap = OutcomeTap::new(guard, status, parts.headers, instance, None, None);
        tokio::task::spawn_local(tunnel::run(client.on, service, tap, ticket));
        let mut answer = Response::new(AnswerBody::Full(None));
        *answer.status_mut() = status;
        *answer.headers_mut() = client_headers;
        return answer;
    }
    let (parts, body) = response.into_parts();
    let expected = body.size_hint().exact();
    let ends_now = body.is_end_stream();
    let mut tap = OutcomeTap::new(guard, status, parts.headers, instance, expected, Some(ticket));
    let body = if ends_now {
        tap.complete();
        AnswerBody::Full(None)
    } else {
        AnswerBody::Service(Box::new(ServiceBody { inner: body, tap }))
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = client_headers;
    if parts.version != Version::HTTP_2 {
        *answer.version_mut() = Version::HTTP_11;
    }
    answer
}

/// The proxy's HTTP listener answered by itself, since nobody else answers without naming an instance or an error: it could
/// not read the request, so nobody behind it got it.
fn turned_away(
    guard: OutcomeGuard,
    permit: &crate::permit::Permit,
    status: StatusCode,
) -> Response<AnswerBody> {
    let is_large = matches!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE | StatusCode::URI_TOO_LONG);
    let code = if is_large { Code::TooLarge } else { Code::RegionUnavailable };
    let region = permit.target().region();
    let detail =
        format!("The proxy of {region} could not read the request ({status}). No byte of it was sent.");
    let problem = Problem::new(code, detail).hint("Send fewer and shorter headers.");
    fail(guard, OutcomeState::Unsent, &format!("the proxy's listener answered {status}"), problem)
}

/// What a proxy says of a request that it could not bring to an end.
fn proxy_problem(
    guard: OutcomeGuard,
    permit: &crate::permit::Permit,
    code: &str,
    headers: &http::HeaderMap,
) -> Response<AnswerBody> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let state = match text("doorman-sent") {
        "no" => OutcomeState::Unsent,
        "denied" => OutcomeState::Denied,
        _ => OutcomeState::Unknown,
    };
    let sent = state == OutcomeState::Unknown;
    let code =
        Code::ALL.iter().copied().find(|known| known.as_str() == code).unwrap_or(Code::RegionUnavailable);
    let target = permit.target();
    let why = text("doorman-detail");
    let place = format!("{}/{}", target.region(), target.service());
    let fate =
        if sent { "The request may have been carried out." } else { "No byte of the request was sent." };
    let (detail, hint) = match code {
        Code::UnknownService => (
            format!("Region {} has no service {}.", target.region(), target.service()),
            "`doorman services <region>` lists them.",
        ),
        Code::UnknownInstance => (
            format!("{place} has no instance {}.", target.selector().as_str()),
            "`doorman instances <region> <service>` lists them.",
        ),
        Code::Timeout => (
            format!("{place} did not answer in time. {fate}"),
            "Look at the service before you send it again.",
        ),
        Code::ServiceUnreachable => {
            (format!("{place} cannot be reached: {why}. {fate}"), "`doorman instances` shows their health.")
        }
        Code::TooLarge => (format!("{place}: {why}. {fate}"), "Send less."),
        _ => (
            format!("The proxy of {} refused: {why}. {fate}", target.region()),
            "Ask the operators to look at the proxy's log.",
        ),
    };
    fail(guard, state, why, Problem::new(code, detail).hint(hint))
}

/// Makes the request fit the connection to the proxy.
fn fit_link(request: &mut Request<OutBody>, peer: &Peer, protocol: Protocol, upgrade: Option<&Upgrade>) {
    match protocol {
        Protocol::Http1 => {
            *request.version_mut() = Version::HTTP_11;
            request.headers_mut().insert(header::HOST, peer.host_header().clone());
            if let Some(upgrade) = upgrade {
                request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                request.headers_mut().insert(header::UPGRADE, upgrade.protocol.clone());
            }
        }
        Protocol::Http2 => {
            *request.version_mut() = Version::HTTP_2;
            let scheme = if peer.is_tls() { "https" } else { "http" };
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
            if let Ok(uri) =
                Uri::builder().scheme(scheme).authority(peer.authority()).path_and_query(path).build()
            {
                *request.uri_mut() = uri;
            }
            request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
}
