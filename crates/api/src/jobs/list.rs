//! Jobs listed and shown, with the history of their edits.

use super::right::{find_job, may};
use super::shape;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Params, Segments};
use crate::page::{PageParams, checked_limit};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_client::wire::{self, JobEdit, JobQuery, List};
use doorman_jobs::run::{parse_id, show_id};
use doorman_policy::action;
use doorman_store::JobRow;
use http::{HeaderValue, header};
use std::sync::Arc;

/// Jobs looked at for one page: the caller may not see all of them.
const LOOK_AT: u32 = 500;

/// Jobs that the caller may see
///
/// Newest first.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery),
    responses((status = 200, description = "A page; it may be short or empty while `next_cursor` is not null.", body = List<wire::Job>)))]
pub(crate) async fn list_jobs(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(query): Params<JobQuery>,
) -> ApiResult<Json<List<wire::Job>>> {
    let limit = checked_limit(query.limit)? as usize;
    let mut after = checked_id("cursor", query.cursor.as_deref())?;
    let folder = query.folder.as_deref();
    let sought = query.q.as_deref().unwrap_or_default().to_lowercase();
    let is_sought = |job: &JobRow| {
        let below = |folder: &str| {
            job.folder == folder || job.folder.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        folder.is_none_or(below) && job.name.to_lowercase().contains(&sought)
    };
    let mut items = Vec::new();
    let rows = state.database.jobs_page(None, after, LOOK_AT).await?;
    let is_last = rows.len() < LOOK_AT as usize;
    let mut is_cut = false;
    for row in &rows {
        if items.len() >= limit {
            is_cut = true;
            break;
        }
        after = Some(row.id);
        if is_sought(row) && may(&state, &caller, action::JOB_READ, row) {
            items.push(shape::job(&state, row).await?);
        }
    }
    let next_cursor = after.filter(|_| is_cut || !is_last).map(|id| show_id(&id));
    Ok(Json(List { items, next_cursor }))
}

pub(super) fn checked_id(field: &str, text: Option<&str>) -> ApiResult<Option<[u8; 16]>> {
    let refuse = || ApiError::field(field, "not an id as Doorman gives them");
    text.map(|text| parse_id(text).ok_or_else(refuse)).transpose()
}

/// A job
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The job; its `ETag` is its version.", body = wire::Job)))]
pub(crate) async fn show_job(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Response> {
    let job = find_job(&state, &caller, &id, action::JOB_READ).await?;
    tagged(&state, &job).await
}

/// A job with its `ETag`.
pub(super) async fn tagged(state: &ApiState, job: &JobRow) -> ApiResult<Response> {
    let mut response = Json(shape::job(state, job).await?).into_response();
    if let Ok(tag) = HeaderValue::try_from(format!("\"{}\"", job.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}

/// The edits of a job
///
/// Newest first, each with the job as it was then.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/history", tag = "jobs",
    params(("id" = String, Path, description = "The job's id."), PageParams),
    responses((status = 200, description = "A page.", body = List<JobEdit>)))]
pub(crate) async fn list_job_edits(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    Params(page): Params<PageParams>,
) -> ApiResult<Json<List<JobEdit>>> {
    let limit = checked_limit(page.limit)?;
    let before = page.cursor.as_deref().map(str::parse).transpose();
    let before = before.map_err(|_| ApiError::field("cursor", "hand back `next_cursor` as it came"))?;
    let job = find_job(&state, &caller, &id, action::JOB_READ).await?;
    let edits = state.database.job_history(&job.id, before, limit).await?;
    let next_cursor = edits.last().filter(|edit| edit.version > 1).map(|edit| edit.version.to_string());
    let items = edits.iter().map(shape::edit).collect::<ApiResult<_>>()?;
    Ok(Json(List { items, next_cursor }))
}
