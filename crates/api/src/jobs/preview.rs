//! What a job would send.

use super::right::find_job;
use super::shape::{fields, spec_of};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Params, Segments};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_client::wire::{Preview, PreviewQuery, RenderedRequest, Row};
use doorman_core::time::format_rfc3339;
use doorman_jobs::schedule::Schedule;
use doorman_jobs::template::{Destination, Template};
use doorman_policy::action;
use doorman_store::InputRow;
use std::sync::Arc;

const DEFAULT_LIMIT: u32 = 10;
const MOST: u32 = 100;
/// Times of a schedule that are shown.
const TIMES: usize = 5;

/// What a job would send
///
/// The first requests as they would be rendered. Nothing is sent, and no policy is asked: a dry run does that.
#[utoipa::path(get, path = "/api/v1/jobs/{id}/preview", tag = "jobs",
    params(("id" = String, Path, description = "The job's id."), PreviewQuery),
    responses((status = 200, description = "The first requests.", body = Preview)))]
pub(crate) async fn preview_job(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    Params(query): Params<PreviewQuery>,
) -> ApiResult<Json<Preview>> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(ApiError::field("limit", format!("between 1 and {MOST}")));
    }
    let job = find_job(&state, &caller, &id, action::JOB_READ).await?;
    let spec = spec_of(&job.definition)?;
    let template = Template::compile(&spec.request).map_err(fields)?;
    let (columns, rows, first) = match &job.input {
        Some(input) => {
            let about = state.database.input(input).await?.unwrap_or_default();
            let first = state.database.input_rows(input, 0, limit.into()).await?;
            (about.columns, about.rows, first)
        }
        None if template.columns().next().is_none() => {
            (Vec::new(), 1, vec![InputRow { number: 0, line: 1, content: "{}".to_owned() }])
        }
        None => return Err(ApiError::field("input", "has no rows yet")),
    };
    let regions = template.regions().len().max(1) as u64;
    let schedule = spec.schedule.as_ref().and_then(|schedule| Schedule::check(schedule).ok());
    let next = schedule.map(|schedule| schedule.next_times(state.now_ms(), TIMES)).unwrap_or_default();
    Ok(Json(Preview {
        requests: first.iter().map(|row| rendered(&template, row)).collect(),
        total: rows * regions,
        unused_columns: template.unused_columns(&columns),
        next_runs: next.into_iter().map(format_rfc3339).collect(),
    }))
}

fn rendered(template: &Template, row: &InputRow) -> RenderedRequest {
    let input: Row = serde_json::from_str(&row.content).unwrap_or_default();
    let to = Destination { region: template.regions().first().map(|region| &**region), instance: None };
    let mut shown = RenderedRequest { line: row.line, ..RenderedRequest::default() };
    match template.render(&input, to) {
        Ok(request) => {
            let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
            shown.region = request.target.region().to_owned();
            shown.service = request.target.service().to_owned();
            shown.instance = request.target.selector().as_str().to_owned();
            shown.method = request.method.to_string();
            shown.path = request.target.path().to_owned();
            shown.query = request.target.query().map(str::to_owned);
            shown.headers =
                request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
            shown.body =
                (!request.body.is_empty()).then(|| String::from_utf8_lossy(&request.body).into_owned());
        }
        Err(error) => shown.error = Some(error.to_string()),
    }
    shown.input = input;
    shown
}
