//! The live tail: entries as they are committed, and again when their outcome is known, as server-sent events.
//!
//! A tail is two entries, its beginning and its end. While it runs, the caller's rights are looked at again and again.

use super::export::busy;
use super::{filter, own_only, shape};
use crate::entry::Change;
use crate::error::ApiResult;
use crate::gate::Authorized;
use crate::input::Params;
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use doorman_client::wire::AuditStreamQuery;
use doorman_store::{AuditFilter, Follower};
use futures_util::stream;
use http::{HeaderName, HeaderValue, header};
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Tails that run at once in one process.
static TAILS: Semaphore = Semaphore::const_new(64);
/// How often the journal is looked at while nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many journal entries of each writer are read at once.
const AT_ONCE: u64 = 500;
/// The caller's rights are looked at again so often.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// A sign of life while nothing happens.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// Follow the log
///
/// Server-sent events: `entry` (an audit entry) for each that matches from now on, once when it is committed and again when
/// its outcome is known; `end` (`code`, `detail`) when Doorman ends the tail, for example because the session has. Oldest
/// first. There is no resuming: list with `from` what came in between.
#[utoipa::path(get, path = "/api/v1/audit/stream", tag = "audit", params(AuditStreamQuery),
    responses((status = 200, description = "Events.", content_type = "text/event-stream", body = String)))]
pub(crate) async fn stream_entries(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(query): Params<AuditStreamQuery>,
) -> ApiResult<Response> {
    let query = query.filters();
    let mut filter = filter::parse(&query)?;
    filter.own_of = own_only(&caller).then(|| caller.caller.subject_text().to_owned());
    let slot = TAILS.try_acquire().map_err(|_| busy("tails"))?;
    let follower = state.database.follow().await?;
    let change = state.begin(&caller, &[("filter", &filter::canonical(&query)), ("tail", "begins")]).await?;
    let tail = Tail {
        state,
        caller,
        filter,
        follower,
        change: Some(change),
        sent: 0,
        ended: None,
        checked: Instant::now(),
        spoke: Instant::now(),
        has_begun: false,
        _slot: slot,
    };
    let mut response = Response::new(Body::from_stream(stream::unfold(tail, Tail::next)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    // Buffering proxies in front would hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

/// A tail on its way. However it ends, its end is written down.
struct Tail {
    state: Arc<ApiState>,
    caller: Authorized,
    filter: AuditFilter,
    follower: Follower,
    change: Option<Change>,
    sent: u64,
    /// Why it ended, when Doorman ended it.
    ended: Option<&'static str>,
    checked: Instant,
    spoke: Instant,
    has_begun: bool,
    _slot: SemaphorePermit<'static>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        let Some(change) = self.change.take() else { return };
        let why = self.ended.unwrap_or("the client left");
        let detail = [("tail", "ended"), ("why", why), ("entries", &*self.sent.to_string())];
        let _ = self.state.end(change, &detail, Ok(()));
    }
}

impl Tail {
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if self.ended.is_some() {
            return None;
        }
        let text = if std::mem::replace(&mut self.has_begun, true) {
            self.wait().await
        } else {
            // So that the client knows at once that it is listening.
            ": following\n\n".to_owned()
        };
        self.spoke = Instant::now();
        Some((Ok(text.into()), self))
    }

    /// The next events.
    async fn wait(&mut self) -> String {
        loop {
            if self.state.door.draining.load(Ordering::Relaxed) {
                return self.end("draining", "This server is going down; follow again.");
            }
            if self.checked.elapsed() >= CHECK_EVERY {
                if let Err(problem) = self.caller.check_again(&self.state).await {
                    return self.end(problem.code.as_str(), &problem.detail);
                }
                self.checked = Instant::now();
            }
            let followed = match self.follower.next(&self.filter, AT_ONCE).await {
                Ok(followed) => followed,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the journal cannot be followed"
                    );
                    return self.end("audit_unavailable", "The audit log cannot be read; follow again.");
                }
            };
            let mut text = String::new();
            for item in &followed.items {
                let Ok(entry) = shape::entry(item) else {
                    return self.end("audit_unavailable", "An entry of the audit log cannot be read.");
                };
                text.push_str(&event("entry", &serde_json::to_string(&entry).unwrap_or_default()));
                self.sent += 1;
            }
            if text.is_empty() && self.spoke.elapsed() >= ALIVE_EVERY {
                ": alive\n\n".clone_into(&mut text);
            }
            if !text.is_empty() {
                return text;
            }
            if followed.taken < AT_ONCE {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    }

    fn end(&mut self, code: &'static str, detail: &str) -> String {
        self.ended = Some(code);
        event("end", &json!({ "code": code, "detail": detail }).to_string())
    }
}

/// One event; JSON has no raw line break.
fn event(name: &str, data: &str) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}
