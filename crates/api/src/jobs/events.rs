//! Progress of a run as server-sent events.

use super::right::find_run;
use super::shape;
use crate::error::ApiResult;
use crate::gate::Authorized;
use crate::input::Segments;
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_client::wire;
use doorman_door::Caller;
use doorman_policy::action;
use futures_util::stream;
use http::header;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The run is looked at so often.
const LOOK: Duration = Duration::from_millis(500);
/// Without news a comment is sent, so that proxies keep the connection.
const SILENCE: Duration = Duration::from_secs(10);

/// Progress of a run
///
/// Server-sent events `progress`, each with the run as data: one at once, then whenever something has changed, at most
/// two a second. The stream ends with the run.
#[utoipa::path(get, path = "/api/v1/runs/{id}/events", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "Events.", content((wire::Run = "text/event-stream")))))]
pub(crate) async fn stream_run_events(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Response> {
    let (run, _) = find_run(&state, &caller, &id, action::JOB_READ).await?;
    let watch = Watch { state, caller, run: run.id, last: None, said: Instant::now() };
    let events = stream::unfold(Some(watch), |watch| async { watch?.next().await });
    let headers = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(events)).into_response())
}

struct Watch {
    state: Arc<ApiState>,
    caller: Authorized,
    run: [u8; 16],
    last: Option<wire::Run>,
    said: Instant,
}

type Event = Result<String, std::convert::Infallible>;

impl Watch {
    /// The next event; the last one leaves no watch.
    async fn next(mut self) -> Option<(Event, Option<Self>)> {
        loop {
            if self.last.is_some() {
                tokio::time::sleep(LOOK).await;
            }
            if !self.may_go_on() {
                return None;
            }
            let row = self.state.database.run(&self.run).await.ok()??;
            let run = shape::run(&self.state, &row).await.ok()?;
            if self.last.as_ref() != Some(&run) {
                let data = serde_json::to_string(&run).unwrap_or_default();
                let is_over = !row.is_open;
                self.last = Some(run);
                self.said = Instant::now();
                let event = format!("event: progress\ndata: {data}\n\n");
                return Some((Ok(event), (!is_over).then_some(self)));
            }
            if !row.is_open {
                return None;
            }
            if self.said.elapsed() >= SILENCE {
                self.said = Instant::now();
                return Some((Ok(": \n\n".to_owned()), Some(self)));
            }
        }
    }

    /// Whether the caller's session is still there.
    fn may_go_on(&self) -> bool {
        let caller: &Caller = &self.caller.caller;
        let revocations = &self.state.door.revocations;
        ![caller.actor_session(), caller.session()].iter().any(|session| revocations.contains(&session.id))
            && !self.state.door.draining.load(std::sync::atomic::Ordering::Relaxed)
    }
}
