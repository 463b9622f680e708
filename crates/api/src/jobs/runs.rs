//! Runs started, listed and shown.

use super::list::checked_id;
use super::right::{find_job, find_run, may};
use super::shape::{self, start_error};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{OptionalJson, Params, Segments};
use crate::page::checked_limit;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_client::wire::{self, List, RunQuery, RunRequest, RunState};
use doorman_jobs::run::{StartRequest, show_id};
use doorman_policy::action;
use doorman_store::{JobRow, RunFilter, RunRow};
use http::StatusCode;
use serde::de::IntoDeserializer as _;
use serde::{Deserialize as _, de};
use std::collections::HashMap;
use std::sync::Arc;

/// Runs looked at for one page: the caller may not see all of them.
const LOOK_AT: u32 = 500;
/// Longest reason.
const MAX_REASON: usize = 1_000;

/// Start a run
///
/// Each item is sent as the caller, through the same door as their own requests, and judged when it is sent. A dry run
/// renders every request, asks policy about each, and sends nothing.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/runs", tag = "runs", request_body = RunRequest,
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 201, description = "The run.", body = wire::Run)))]
pub(crate) async fn start_run(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    OptionalJson(request): OptionalJson<RunRequest>,
) -> ApiResult<(StatusCode, Json<wire::Run>)> {
    let job = find_job(&state, &caller, &id, action::JOB_RUN).await?;
    let run = start(&state, &caller, &job, request).await?;
    Ok((StatusCode::CREATED, Json(run)))
}

/// Starts a run of a job that the caller may run.
pub(super) async fn start(
    state: &ApiState,
    caller: &Authorized,
    job: &JobRow,
    request: RunRequest,
) -> ApiResult<wire::Run> {
    let reason = request.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON || reason.contains(char::is_control)) {
        return Err(ApiError::field("reason", "at most 1000 bytes, without control characters"));
    }
    state.jobs.check_start(job).await.map_err(start_error)?;
    let id = show_id(&job.id);
    let dry = request.dry_run.to_string();
    let mut detail = vec![("change", "start"), ("job", &*id), ("dry_run", &*dry)];
    if let Some(reason) = &reason {
        detail.push(("reason", reason));
    }
    let change = state.begin(caller, &detail).await?;
    let request = StartRequest { dry_run: request.dry_run, reason, ..StartRequest::default() };
    let started = state.jobs.start_run(job, &caller.caller, caller.arrival.client_ip, request).await;
    let started = started.map_err(start_error);
    let run = started.as_ref().map(|run| show_id(&run.id)).unwrap_or_default();
    let row = state.end(change, &[("run", &run)], started)?;
    shape::run(state, &row).await
}

/// Runs that the caller may see
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(RunQuery),
    responses((status = 200, description = "A page; it may be short or empty while `next_cursor` is not null.", body = List<wire::Run>)))]
pub(crate) async fn list_runs(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(query): Params<RunQuery>,
) -> ApiResult<Json<List<wire::Run>>> {
    let limit = checked_limit(query.limit)? as usize;
    let mut after = checked_id("cursor", query.cursor.as_deref())?;
    let job = checked_id("job", query.job.as_deref())?;
    let wanted = query.state.as_deref().map(checked_state).transpose()?;
    let filter = RunFilter { job, state: wanted.map(RunState::as_str) };
    let rows = state.database.runs_page(&filter, after, LOOK_AT).await?;
    let is_last = rows.len() < LOOK_AT as usize;
    let (mut items, mut jobs, mut is_cut) = (Vec::new(), HashMap::new(), false);
    for row in &rows {
        if items.len() >= limit {
            is_cut = true;
            break;
        }
        after = Some(row.id);
        if is_visible(&state, &caller, row, &mut jobs).await? {
            items.push(shape::run(&state, row).await?);
        }
    }
    let next_cursor = after.filter(|_| is_cut || !is_last).map(|id| show_id(&id));
    Ok(Json(List { items, next_cursor }))
}

/// Whether the caller may see a run's job; each job is asked about once.
async fn is_visible(
    state: &ApiState,
    caller: &Authorized,
    run: &RunRow,
    jobs: &mut HashMap<[u8; 16], bool>,
) -> ApiResult<bool> {
    if let Some(known) = jobs.get(&run.job) {
        return Ok(*known);
    }
    let job = state.database.job(&run.job).await?;
    let visible = job.is_some_and(|job| may(state, caller, action::JOB_READ, &job));
    jobs.insert(run.job, visible);
    Ok(visible)
}

fn checked_state(text: &str) -> ApiResult<RunState> {
    let read: Result<_, de::value::Error> = RunState::deserialize(text.into_deserializer());
    read.map_err(|_| ApiError::field("state", "queued, running, paused, waiting, stopped, cancelled or done"))
}

/// A run
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "The run.", body = wire::Run)))]
pub(crate) async fn show_run(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Json<wire::Run>> {
    let (run, _) = find_run(&state, &caller, &id, action::JOB_READ).await?;
    Ok(Json(shape::run(&state, &run).await?))
}
