//! To an instance and back. Headers are built from empty; redirects are handed back, never followed.

use crate::answer::{AnswerBody, INSTANCE, Sent, failed};
use crate::body::OutBody;
use crate::handler::{Honoured, ProxyHandler};
use crate::impersonate::{Impersonation, is_ticket, through_the_door};
use crate::registry::{Instance, Service};
use doorman_core::code::Code;
use doorman_core::header::{Class, HOP_BY_HOP, classify, is_own};
use doorman_core::pass;
use doorman_core::target::Selector;
use doorman_egress::{Protocol, ResponseBody, SendError};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header};
use hyper_util::rt::TokioIo;
use std::sync::Arc;

/// Said instead of an inside address.
const REDIRECTED: &str = "the service sent the client to an address that is no instance of this region; add its data nodes to [[services]]";
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Sends an honoured request to the instance that it names, or to one whose turn it is.
pub(crate) async fn forward(proxy: &ProxyHandler, mut honoured: Honoured) -> Response<AnswerBody> {
    let Some(service) = proxy.shared.registry.service(honoured.target.service()) else {
        return failed(Code::UnknownService, Sent::No, "no such service");
    };
    let candidates: Vec<Arc<Instance>> = match honoured.target.selector() {
        Selector::All => return failed(Code::Invalid, Sent::No, "@all is expanded by api"),
        Selector::Any => service.candidates(),
        Selector::Instance(id) => match service.instance(id) {
            Some(instance) => vec![instance],
            None => return failed(Code::UnknownInstance, Sent::No, "no such instance"),
        },
    };
    let mut why = "the service has no instance".to_owned();
    let mut headers = outbound(&mut honoured);
    let mut path = honoured.target.path_and_query();
    if let Some(style) = &service.impersonation {
        honoured.body.drop_trailers();
        match style.apply(&honoured.pass.subject, &mut headers, &path) {
            Ok(changed) => path = changed.into_owned(),
            Err(refused) => return failed(Code::Invalid, Sent::Denied, &refused.to_string()),
        }
    }
    let mut headers = Some(headers);
    let last = candidates.len().saturating_sub(1);
    for (turn, instance) in candidates.into_iter().enumerate() {
        let headers = if turn == last { headers.take() } else { headers.clone() };
        match send_to(proxy, service, &instance, &mut honoured, &path, headers.unwrap_or_default()).await {
            Ok(mut response) => {
                if let Some(Impersonation::Hadoop(_)) = service.impersonation {
                    withhold_ticket(response.headers_mut());
                    if !leads_through_the_door(proxy, &mut response) {
                        return failed(Code::ServiceUnreachable, Sent::Maybe, REDIRECTED);
                    }
                }
                return answered(response, &instance, honoured.upgrade.take());
            }
            Err(error) if error.is_unsent() => {
                instance.set_healthy(false);
                why = format!("{}: {error}", instance.id);
                if !honoured.body.is_whole() {
                    break;
                }
            }
            Err(SendError::Timeout) => return failed(Code::Timeout, Sent::Maybe, "no answer in time"),
            Err(error) => return failed(Code::ServiceUnreachable, Sent::Maybe, &error.to_string()),
        }
    }
    failed(Code::ServiceUnreachable, Sent::No, &why)
}

async fn send_to(
    proxy: &ProxyHandler,
    service: &Service,
    instance: &Instance,
    honoured: &mut Honoured,
    path: &str,
    headers: HeaderMap,
) -> Result<Response<ResponseBody>, SendError> {
    let mut request = Request::new(honoured.body.take());
    *request.method_mut() = honoured.method.clone();
    let uri = match service.protocol {
        Protocol::Http1 => path.parse::<Uri>().ok(),
        Protocol::Http2 => {
            let scheme = if instance.peer.is_tls() { "https" } else { "http" };
            *request.version_mut() = Version::HTTP_2;
            Uri::builder()
                .scheme(scheme)
                .authority(instance.peer.authority())
                .path_and_query(path)
                .build()
                .ok()
        }
    };
    *request.uri_mut() = uri.ok_or_else(|| SendError::Unsent("the path is no URI".into()))?;
    *request.headers_mut() = headers;
    fit_link(
        request.headers_mut(),
        service.protocol,
        instance.peer.host_header(),
        honoured.upgrade.as_ref().map(|(_, protocol)| protocol),
    );
    proxy
        .pool
        .send(instance.key, &instance.peer, service.protocol, request, Some(service.response_timeout))
        .await
}

/// Hadoop answers with a ticket of the user who may act for everybody.
fn withhold_ticket(headers: &mut HeaderMap) {
    if !headers.contains_key(header::SET_COOKIE) {
        return;
    }
    let kept: Vec<_> =
        headers.get_all(header::SET_COOKIE).iter().filter(|v| !is_ticket(v)).cloned().collect();
    headers.remove(header::SET_COOKIE);
    for value in kept {
        headers.append(header::SET_COOKIE, value);
    }
}

/// Turns a redirect to an instance of this region into one through the door; `false` when it leads elsewhere. Where an
/// answer merely says where something lies, an inside address is left out: a DataNode names the NameNode's.
fn leads_through_the_door(proxy: &ProxyHandler, response: &mut Response<ResponseBody>) -> bool {
    let region = &proxy.shared.region;
    let door = |authority: &str| {
        let (service, id) = proxy.shared.registry.at(authority)?;
        Some(format!("/r/{region}/{service}@{id}"))
    };
    let Some(location) = response.headers().get(header::LOCATION) else { return true };
    let through = location.to_str().ok().and_then(|location| through_the_door(location, door));
    match through.and_then(|text| HeaderValue::try_from(text).ok()) {
        Some(through) => response.headers_mut().insert(header::LOCATION, through),
        None if response.status().is_redirection() => return false,
        None => response.headers_mut().remove(header::LOCATION),
    };
    true
}

/// What a service sees: exactly the headers that the pass binds, and the audit id. Impersonation comes on top.
fn outbound(honoured: &mut Honoured) -> HeaderMap {
    let mut out = std::mem::take(&mut honoured.headers);
    out.remove(pass::HEADER);
    for name in HOP_BY_HOP {
        out.remove(name);
    }
    if let Ok(id) = HeaderValue::from_bytes(&honoured.pass.audit_id.encode()) {
        out.insert(REQUEST_ID, id);
    }
    out
}

/// Makes headers fit the connection to an instance.
fn fit_link(headers: &mut HeaderMap, protocol: Protocol, host: &HeaderValue, upgrade: Option<&HeaderValue>) {
    match protocol {
        Protocol::Http1 => {
            headers.insert(header::HOST, host.clone());
            if let Some(upgrade) = upgrade {
                headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
                headers.insert(header::UPGRADE, upgrade.clone());
            }
        }
        Protocol::Http2 => {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
    }
}

/// A service's answer without what belongs to its connection or speaks in Doorman's name.
fn answered(
    mut response: Response<ResponseBody>,
    instance: &Instance,
    upgrade: Option<(hyper::upgrade::OnUpgrade, HeaderValue)>,
) -> Response<AnswerBody> {
    instance.set_healthy(true);
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switches {
        let Some((client, _)) = upgrade else {
            return failed(Code::ServiceUnreachable, Sent::Maybe, "the service switched protocols unasked");
        };
        tokio::task::spawn_local(tunnel(client, hyper::upgrade::on(&mut response)));
    }
    let (parts, body) = response.into_parts();
    let mut headers = parts.headers;
    let protocol = headers.get(header::UPGRADE).cloned().filter(|_| switches);
    keep_end_to_end(&mut headers);
    if let Some(protocol) = protocol {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
    headers.insert(INSTANCE, instance.id_header.clone());
    let mut answer = Response::new(if switches { AnswerBody::Full(None) } else { AnswerBody::Service(body) });
    *answer.status_mut() = parts.status;
    *answer.headers_mut() = headers;
    answer
}

/// Takes off what belongs to the connection or speaks in Doorman's name; most answers have nothing of it.
fn keep_end_to_end(headers: &mut HeaderMap) {
    let mut dropped: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let named = value.to_str().unwrap_or_default().split(',');
        dropped.extend(named.filter_map(|name| HeaderName::try_from(name.trim()).ok()));
    }
    for name in headers.keys() {
        let text = name.as_str();
        let is_kept = text == "content-length" || text == "trailer" || classify(text) != Class::HopByHop;
        if !is_kept || is_own(text) {
            dropped.push(name.clone());
        }
    }
    for name in dropped {
        headers.remove(name);
    }
}

/// Carries bytes of a connection that switched protocols, until one side ends.
async fn tunnel(client: hyper::upgrade::OnUpgrade, service: hyper::upgrade::OnUpgrade) {
    let copied = async {
        let (client, service) = tokio::try_join!(client, service).map_err(std::io::Error::other)?;
        doorman_egress::carry(TokioIo::new(client), TokioIo::new(service)).await
    };
    if let Err(error) = copied.await {
        tracing::debug!(%error, "a switched connection broke");
    }
}

/// The body type that health checks share with requests.
pub(crate) fn probe(path: &str, host: &HeaderValue) -> Option<Request<OutBody>> {
    let mut request = Request::new(OutBody::empty());
    *request.uri_mut() = path.parse().ok()?;
    request.headers_mut().insert(header::HOST, host.clone());
    Some(request)
}
