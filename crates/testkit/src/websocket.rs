//! The server's side of a WebSocket handshake (RFC 6455 §4.2), for sample services.

use std::future::Future;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{HeaderMap, HeaderValue, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// An open WebSocket, seen from the server.
pub(crate) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers a handshake, choosing `protocol` only if it is offered, and gives the task that then talks. `None` if the request
/// is no handshake.
pub(crate) fn accept<T, S>(
    mut request: Request,
    protocol: &'static str,
    talk: T,
) -> Option<(Response, impl Future<Output = ()> + Send + use<T, S>)>
where
    T: FnOnce(Socket) -> S + Send + 'static,
    S: Future<Output = ()> + Send,
{
    let headers = request.headers();
    if !lists(headers, UPGRADE, "websocket") {
        return None;
    }
    let accept = derive_accept_key(headers.get(SEC_WEBSOCKET_KEY)?.as_bytes());
    let offered = lists(headers, SEC_WEBSOCKET_PROTOCOL, protocol);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).ok()?);
    if offered {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let session = async move {
        if let Ok(upgraded) = upgrade.await {
            talk(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await).await;
        }
    };
    Some((response, session))
}

fn lists(headers: &HeaderMap, name: http::HeaderName, member: &str) -> bool {
    let values = headers.get_all(name);
    values
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|item| item.trim().eq_ignore_ascii_case(member))
}
