//! The sample service `echo`: answers with what it received.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, request};
use http_body_util::BodyExt as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::serve::{Service, Tasks};
use crate::websocket;

/// How much of a body is given back; the rest is only counted and hashed.
const ECHOED: usize = 1 << 20;

/// One instance of the service `echo`.
///
/// Any method and path answers 200 and JSON: `instance, version, method, path, query` (as received, `null` without `?`),
/// `headers` (name to string, or to a list where repeated), `body` with `body_encoding` (`text` or `base64`), `body_size`
/// and `body_sha256` of the whole body, `body_truncated` when `body` is only the first MiB, `trailers` if there were any.
///
/// `/sleep/{ms}` answers so much later; `/status/{code}` answers with that status; `/bytes/{n}` streams n bytes;
/// `/events?n=&interval_ms=` sends server-sent events, endless without `n`; `/ws` echoes WebSocket messages and selects the
/// subprotocol `echo` if it is offered.
#[derive(Clone)]
pub struct Echo {
    instance: Arc<str>,
    tasks: Tasks,
}

impl Echo {
    /// An instance by its id, such as `echo-1`.
    pub fn new(instance: impl Into<Arc<str>>) -> Self {
        Self { instance: instance.into(), tasks: Tasks::default() }
    }

    /// Serves on `listen`; port 0 takes a free one.
    pub async fn start(self, listen: SocketAddr) -> io::Result<Service> {
        let router = Router::new()
            .route("/sleep/{ms}", any(sleep))
            .route("/status/{code}", any(status))
            .route("/bytes/{n}", any(bytes))
            .route("/events", any(events))
            .route("/ws", any(ws))
            .fallback(echo)
            .with_state(self);
        Service::start(listen, router).await
    }

    async fn describe(&self, request: Request) -> Result<Value, axum::Error> {
        let (head, body) = request.into_parts();
        let received = Received::read(body).await?;
        Ok(self.answer(&head, received))
    }

    fn answer(&self, head: &request::Parts, received: Received) -> Value {
        let truncated = received.size > received.prefix.len() as u64;
        let (body, encoding) = encode(&received.prefix, truncated);
        let mut answer = json!({
            "instance": &*self.instance,
            "version": format!("{:?}", head.version),
            "method": head.method.as_str(),
            "path": head.uri.path(),
            "query": head.uri.query(),
            "headers": fields(&head.headers),
            "body": body,
            "body_encoding": encoding,
            "body_size": received.size,
            "body_sha256": hex::encode(received.sha256),
            "body_truncated": truncated,
        });
        if let (Some(trailers), Some(answer)) = (received.trailers, answer.as_object_mut()) {
            answer.insert("trailers".to_owned(), fields(&trailers));
        }
        answer
    }
}

struct Received {
    prefix: Vec<u8>,
    size: u64,
    sha256: digest::Digest,
    trailers: Option<HeaderMap>,
}

impl Received {
    /// Reads a body of any length in flat memory.
    async fn read(mut body: Body) -> Result<Self, axum::Error> {
        let (mut prefix, mut size, mut hash, mut trailers) =
            (Vec::new(), 0, digest::Context::new(&digest::SHA256), None);
        while let Some(frame) = body.frame().await {
            match frame?.into_data() {
                Ok(data) => {
                    size += data.len() as u64;
                    hash.update(&data);
                    let kept = data.len().min(ECHOED - prefix.len());
                    prefix.extend(data.iter().take(kept));
                }
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
        }
        Ok(Self { prefix, size, sha256: hash.finish(), trailers })
    }
}

/// Text if it is text; a prefix may end within a character, which is then left off.
fn encode(body: &[u8], truncated: bool) -> (String, &'static str) {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Some(text),
        Err(error) if truncated && error.error_len().is_none() => {
            body.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok())
        }
        Err(_) => None,
    };
    match text {
        Some(text) => (text.to_owned(), "text"),
        None => (STANDARD.encode(body), "base64"),
    }
}

fn fields(headers: &HeaderMap) -> Value {
    let mut fields = Map::new();
    for name in headers.keys() {
        let mut values: Vec<Value> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned().into())
            .collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        fields.insert(name.to_string(), value);
    }
    Value::Object(fields)
}

fn refuse(status: StatusCode, error: impl ToString) -> Response {
    (status, axum::Json(json!({ "error": error.to_string() }))).into_response()
}

async fn echo(State(echo): State<Echo>, request: Request) -> Response {
    match echo.describe(request).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error),
    }
}

async fn sleep(state: State<Echo>, Path(ms): Path<u64>, request: Request) -> Response {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    echo(state, request).await
}

async fn status(state: State<Echo>, Path(code): Path<u16>, request: Request) -> Response {
    match StatusCode::from_u16(code) {
        Ok(code) if !code.is_informational() => {
            let mut response = echo(state, request).await;
            *response.status_mut() = code;
            response
        }
        _ => refuse(StatusCode::BAD_REQUEST, "not a final status code"),
    }
}

/// Byte `i` of the answer is `i % 251`, so that a lost or doubled piece shows.
async fn bytes(Path(n): Path<u64>) -> Response {
    let pattern: Bytes = (0..251 * 256_u32).map(|i| (i % 251) as u8).collect::<Vec<_>>().into();
    let pieces = stream::unfold(n, move |left| {
        let piece = pattern.slice(..pattern.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
        let rest = left - piece.len() as u64;
        std::future::ready((left > 0).then_some((Ok::<_, Infallible>(piece), rest)))
    });
    let headers = [(CONTENT_TYPE, "application/octet-stream".to_owned()), (CONTENT_LENGTH, n.to_string())];
    (headers, Body::from_stream(pieces)).into_response()
}

#[derive(Deserialize)]
struct Events {
    n: Option<u64>,
    #[serde(default = "one_second")]
    interval_ms: u64,
}

fn one_second() -> u64 {
    1000
}

async fn events(State(echo): State<Echo>, Query(wanted): Query<Events>) -> Response {
    let interval = Duration::from_millis(wanted.interval_ms);
    let events = stream::iter(0..wanted.n.unwrap_or(u64::MAX)).then(move |n| {
        let event = json!({ "instance": &*echo.instance, "n": n });
        async move {
            if n > 0 {
                tokio::time::sleep(interval).await;
            }
            Ok::<_, Infallible>(format!("id: {n}\nevent: tick\ndata: {event}\n\n"))
        }
    });
    ([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-cache")], Body::from_stream(events))
        .into_response()
}

async fn ws(State(echo): State<Echo>, request: Request) -> Response {
    let accepted = websocket::accept(request, "echo", |mut socket| async move {
        while let Some(Ok(message)) = socket.next().await {
            if (message.is_text() || message.is_binary())
                && futures_util::SinkExt::send(&mut socket, message).await.is_err()
            {
                return;
            }
        }
    });
    match accepted {
        Some((response, session)) => {
            echo.tasks.spawn(session);
            response
        }
        None => refuse(StatusCode::UPGRADE_REQUIRED, "not a WebSocket handshake"),
    }
}
