//! A Doorman of few lines: it answers in the contract's shapes and remembers what it was sent.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::sync::oneshot;

/// The only token that it accepts.
pub const TOKEN: &str = "good.token-1";

pub const AUDIT_ID: &str = "0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f";

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub uri: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

type Log = Arc<Mutex<Vec<Seen>>>;

/// Answers until it is dropped.
pub struct Fake {
    pub url: String,
    seen: Log,
    _stop: oneshot::Sender<()>,
}

impl Fake {
    pub fn start() -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let seen = Log::default();
        let router = router(seen.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, router).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { url, seen, _stop: stop }
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.seen.lock().unwrap().last().cloned().expect("no request came")
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

fn router(log: Log) -> Router {
    let keep = axum::middleware::from_fn_with_state(log, remember);
    Router::new()
        .route("/auth/v1/login", post(login))
        .route("/auth/v1/logout", post(async || StatusCode::NO_CONTENT))
        .route("/auth/v1/me", get(async || axum::Json(me())))
        .route("/api/v1/regions", get(async || list(json!([{ "name": "eu", "health": "healthy" }]))))
        .route("/api/v1/regions/{region}/services", get(services))
        .route("/api/v1/regions/{region}/services/{service}/instances", get(instances))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/audit/{id}", get(async || axum::Json(entry())))
        .route("/r/{*target}", any(door))
        .layer(axum::middleware::from_fn(authenticate))
        .layer(keep)
}

async fn remember(State(log): State<Log>, request: Request, next: axum::middleware::Next) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    log.lock().unwrap().push(Seen {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: parts.headers.clone(),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    next.run(Request::from_parts(parts, body.into())).await
}

async fn authenticate(request: Request, next: axum::middleware::Next) -> Response {
    if is_known(request.headers()) || request.uri().path() == "/auth/v1/login" {
        return next.run(request).await;
    }
    problem(401, "token_revoked", "The token was revoked", None)
}

fn is_known(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    text("authorization") == Some(&format!("Bearer {TOKEN}")) || text("doorman-token") == Some(TOKEN)
}

fn problem(status: u16, code: &str, title: &str, hint: Option<&str>) -> Response {
    let body = json!({ "type": "about:blank", "title": title, "status": status, "code": code, "hint": hint,
        "detail": format!("{title}, \u{1b}[31mthis time"), "audit_id": AUDIT_ID });
    let headers = [("content-type", "application/problem+json"), ("doorman-error", code)];
    (StatusCode::from_u16(status).unwrap(), headers, body.to_string()).into_response()
}

async fn login(body: String) -> Response {
    let login: Value = serde_json::from_str(&body).unwrap();
    if login["password"] != "alice-demo" {
        return problem(401, "bad_credentials", "User name or password is wrong", Some("check caps lock"));
    }
    axum::Json(json!({ "token": TOKEN, "token_type": "Bearer", "expires_at": "2999-01-01T00:00:00.000Z",
        "user": { "name": "alice", "display_name": "Alice", "email": null, "groups": ["developers"] } }))
    .into_response()
}

fn me() -> Value {
    json!({ "actor": "user:alice", "subject": "user:alice", "groups": ["developers"], "session": "5e55",
        "expires_at": "2999-01-01T00:00:00.000Z",
        "user": { "name": "alice", "display_name": "Al\u{1b}[2Jice\u{202e}", "email": null, "groups": ["developers"] },
        "may": [{ "action": "audit:read", "resource": "audit:own" }] })
}

fn list(items: Value) -> axum::Json<Value> {
    axum::Json(json!({ "items": items, "next_cursor": null }))
}

async fn services(axum::extract::Path(region): axum::extract::Path<String>) -> Response {
    if region != "eu" {
        return problem(404, "unknown_region", "There is no such region", None);
    }
    list(json!([{ "name": "echo", "region": "eu", "protocol": "http1", "instances": 2, "healthy": 1 }]))
        .into_response()
}

async fn instances() -> axum::Json<Value> {
    list(json!([
        { "id": "echo-1", "address": "http://127.0.0.1:1", "health": "healthy", "labels": { "zone": "a" } },
        { "id": "echo-2", "address": "http://127.0.0.1:2", "health": "sleepy" },
    ]))
}

fn entry() -> Value {
    json!({ "id": AUDIT_ID, "time": "2026-03-01T12:00:00.000Z", "kind": "request", "actor": "service:reports-ui",
        "subject": "user:alice", "channel": "http", "session": "5e55", "client_ip": "127.0.0.1",
        "user_agent": "curl/8\u{1b}]0;owned\u{7}", "region": "eu", "service": "echo", "instance": "echo-1",
        "method": "POST", "path": "/x", "query": "a=1", "headers": { "accept": ["a", "b"], "x": "\u{202e}y" },
        "body": "{\"to\":\"v2\"}\nsecond line", "body_encoding": "text", "body_size": 11, "body_sha256": "ab",
        "body_truncated": false, "reason": "ticket 4711", "decision": "permit", "policies": ["developers-echo"],
        "job": null, "run": null, "item": null, "retry_of": null, "retries": [],
        "outcome": { "state": "done", "status": 200, "headers": {}, "body_size": 12, "body_sha256": "cd",
            "request_size": 11, "request_sha256": "ab", "duration_ms": 7, "instance": "echo-1", "error": null },
        "something_new": 1 })
}

async fn audit() -> axum::Json<Value> {
    axum::Json(json!({ "items": [entry()], "next_cursor": "n3xt" }))
}

async fn door(request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let answer = [("doorman-audit-id", AUDIT_ID), ("doorman-instance", "echo-1")];
    match path.strip_prefix("/r/eu/echo").unwrap_or(&path) {
        "/forbidden" => problem(403, "reason_required", "Policy permits this only with a reason", None),
        "/teapot" => (StatusCode::IM_A_TEAPOT, answer, "short and stout").into_response(),
        "/elsewhere" => (StatusCode::FOUND, answer, [("location", "/r/eu/echo/")], "gone").into_response(),
        "/gzip" => (answer, [("content-encoding", "gzip")], "not unpacked").into_response(),
        _ => (answer, [("content-type", "text/plain")], "hel\u{1b}[31mlo\n").into_response(),
    }
}
