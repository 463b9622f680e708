//! One-off bulk work: a job and its run in one call.

use super::edit::insert_job;
use super::right::check_folder;
use super::runs::start;
use super::shape::fields;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::Json;
use crate::state::ApiState;
use axum::extract::State;
use doorman_client::wire::{self, BulkRequest, RunRequest};
use doorman_core::time::format_rfc3339;
use doorman_jobs::definition::Definition;
use doorman_policy::action;
use http::StatusCode;
use std::sync::Arc;

/// Send one request for each of many rows
///
/// Saves a job in its folder and starts a run of it. The caller must be permitted both.
#[utoipa::path(post, path = "/api/v1/bulk", tag = "runs", request_body = BulkRequest,
    responses((status = 201, description = "The run.", body = wire::Run)))]
pub(crate) async fn start_bulk(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Json(mut value): Json<serde_json::Value>,
) -> ApiResult<(StatusCode, axum::Json<wire::Run>)> {
    let job = value.get_mut("job").map(serde_json::Value::take).unwrap_or_default();
    let mut spec = doorman_core::rollout::decode(job)
        .map_err(|problems| fields(problems.into_iter().map(named).collect()))?;
    let rest: BulkRequest = serde_json::from_value(without_job(value))
        .map_err(|error| ApiError::field("body", error.to_string()))?;
    if spec.name.is_empty() {
        spec.name = format!(
            "bulk {} {}",
            format_rfc3339(state.now_ms()),
            doorman_jobs::run::show_id(&doorman_jobs::run::new_id()).rsplit('-').next().unwrap_or_default()
        );
    }
    let has_rows = spec.input.as_ref().is_some_and(doorman_core::rollout::InputSpec::has_rows);
    if !has_rows && !spec.request.path.is_empty() {
        let template = doorman_jobs::template::Template::compile(&spec.request);
        if template.is_ok_and(|template| template.columns().next().is_some()) {
            return Err(ApiError::field("job.input", "has no rows"));
        }
    }
    let definition = Definition::check(spec, state.jobs.config.limits)
        .map_err(|problems| fields(problems.into_iter().map(named).collect()))?;
    check_folder(&state, &caller, action::JOB_RUN, &definition.spec.folder).await?;
    let job = insert_job(&state, &caller, definition).await?;
    let request = RunRequest { dry_run: rest.dry_run, reason: rest.reason };
    let run = start(&state, &caller, &job, request).await?;
    Ok((StatusCode::CREATED, axum::Json(run)))
}

/// Fields of the job stand below `job` here.
fn named(mut problem: doorman_core::rollout::Problem) -> doorman_core::rollout::Problem {
    if problem.field != "job" {
        problem.field = format!("job.{}", problem.field);
    }
    problem
}

fn without_job(mut value: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = value.as_object_mut() {
        fields.remove("job");
    }
    value
}
