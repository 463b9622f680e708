//! Jobs made, changed and deleted. What cannot run is refused whole, with everything that is wrong with it.

use super::list::tagged;
use super::right::{check_folder, find_job};
use super::shape::{fields, spec_of, upload_error};
use super::source::BodySource;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Json, Params, Segments};
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use doorman_auth::Granted;
use doorman_client::wire::{self, UploadQuery};
use doorman_core::code::Code;
use doorman_core::rollout::{Duplicates, InputSpec, JobSpec};
use doorman_door::Problem;
use doorman_jobs::definition::Definition;
use doorman_jobs::input::{Format, Options};
use doorman_jobs::run::{new_id, show_id};
use doorman_jobs::template::Template;
use doorman_policy::action;
use doorman_store::{JobRow, StoreError};
use http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

/// Save a job
///
/// Refused whole, with every problem, when it could not run. Judged on its folder.
#[utoipa::path(post, path = "/api/v1/jobs", tag = "jobs", request_body = JobSpec,
    responses((status = 201, description = "The job; its `ETag` is its version.", body = wire::Job)))]
pub(crate) async fn create_job(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Json(value): Json<serde_json::Value>,
) -> ApiResult<Response> {
    let definition = Definition::parse(value, state.jobs.config.limits).map_err(fields)?;
    let job = insert_job(&state, &caller, definition).await?;
    let mut response = tagged(&state, &job).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Saves a checked job, if the caller may in its folder.
pub(super) async fn insert_job(
    state: &ApiState,
    caller: &Authorized,
    definition: Definition,
) -> ApiResult<JobRow> {
    check_folder(state, caller, action::JOB_CREATE, &definition.spec.folder).await?;
    let (id, now_ms) = (new_id(), state.now_ms());
    let mut job = JobRow {
        id,
        folder: String::new(),
        name: String::new(),
        version: 1,
        definition: String::new(),
        input: None,
        is_deleted: false,
        created_ms: now_ms,
        created_by: caller.caller.subject_text().to_owned(),
        updated_ms: now_ms,
        updated_by: String::new(),
        run_as: None,
        next_ms: None,
    };
    let detail = [("change", "create"), ("job", &*show_id(&id)), ("name", &*definition.spec.name)];
    let change = state.begin(caller, &detail).await?;
    let saved = async {
        fill(state, caller, &mut job, definition).await?;
        state.database.insert_job(&job, caller.caller.actor_text()).await.map_err(name_taken)
    };
    let saved = saved.await;
    drop_input_if_failed(state, &job, &saved).await;
    state.end(change, &[], saved)?;
    Ok(job)
}

/// Puts a checked definition into a job's row, and its rows into the database.
async fn fill(
    state: &ApiState,
    caller: &Authorized,
    job: &mut JobRow,
    definition: Definition,
) -> ApiResult<()> {
    let Definition { mut spec, template, schedule, .. } = definition;
    let identity = caller.caller.identity();
    if let Some(schedule) = &mut spec.schedule {
        schedule.run_as = Some(identity.subject().to_string());
    }
    job.run_as = spec.schedule.as_ref().and_then(|_| {
        let actor = caller.caller.is_delegated().then(|| identity.actor().to_string());
        serde_json::to_string(&Granted { subject: identity.subject().to_string(), actor }).ok()
    });
    job.next_ms = schedule.as_ref().and_then(|schedule| schedule.next_after(state.now_ms()));
    if let Some(input) = &spec.input {
        let stored = state.jobs.store_inline(input, Arc::new(template)).await;
        job.input = stored.map_err(upload_error)?.or(job.input);
    }
    job.folder.clone_from(&spec.folder);
    job.name.clone_from(&spec.name);
    job.updated_ms = state.now_ms();
    job.updated_by = caller.caller.subject_text().to_owned();
    job.definition = serde_json::to_string(&spec).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(())
}

async fn drop_input_if_failed<T>(state: &ApiState, job: &JobRow, saved: &ApiResult<T>) {
    if saved.is_err()
        && let Some(input) = &job.input
        && let Err(error) = state.database.drop_input(input).await
    {
        tracing::warn!(%error, "rows that belong to nothing are deleted later");
    }
}

fn name_taken(error: StoreError) -> ApiError {
    match error {
        StoreError::Conflict => Problem::new(Code::Conflict, "The folder has a job of this name.")
            .hint("Choose another name.")
            .into(),
        error => error.into(),
    }
}

/// Replace a job
///
/// `If-Match` must hold the version that was read. An uploaded input stays, unless the new job has rows of its own.
#[utoipa::path(put, path = "/api/v1/jobs/{id}", tag = "jobs", request_body = JobSpec,
    params(("id" = String, Path, description = "The job's id."), ("If-Match" = String, Header, description = "Its ETag.")),
    responses((status = 200, description = "The job as it is now.", body = wire::Job)))]
pub(crate) async fn update_job(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    headers: HeaderMap,
    Json(value): Json<serde_json::Value>,
) -> ApiResult<Response> {
    let before = find_job(&state, &caller, &id, action::JOB_UPDATE).await?;
    check_version(&headers, &before)?;
    let definition = Definition::parse(value, state.jobs.config.limits).map_err(fields)?;
    if definition.spec.folder != before.folder {
        // To where it goes it is as if it were made there.
        check_folder(&state, &caller, action::JOB_CREATE, &definition.spec.folder).await?;
        check_folder(&state, &caller, action::JOB_UPDATE, &definition.spec.folder).await?;
    }
    let mut job = JobRow { version: before.version + 1, ..before.clone() };
    let has_rows = |input: &Option<InputSpec>| input.as_ref().is_some_and(InputSpec::has_rows);
    let is_inline = has_rows(&definition.spec.input);
    if has_rows(&spec_of(&before.definition)?.input) && !is_inline {
        job.input = None;
    } else if let (Some(input), false) = (&job.input, is_inline)
        && let Some(about) = state.database.input(input).await?
    {
        definition.template.check_columns(&about.columns).map_err(fields)?;
    }
    let change = state.begin(&caller, &[("change", "update"), ("job", &id)]).await?;
    let saved = async {
        fill(&state, &caller, &mut job, definition).await?;
        replace(&state, &caller, &job, "updated").await
    };
    let saved = saved.await;
    if job.input != before.input {
        drop_input_if_failed(&state, &job, &saved).await;
    }
    state.end(change, &[], saved)?;
    tagged(&state, &job).await
}

async fn replace(state: &ApiState, caller: &Authorized, job: &JobRow, change: &str) -> ApiResult<()> {
    match state.database.update_job(job, change, caller.caller.actor_text()).await.map_err(name_taken)? {
        true => Ok(()),
        false => Err(changed_meanwhile()),
    }
}

fn changed_meanwhile() -> ApiError {
    Problem::new(Code::Conflict, "Somebody else has changed the job since you read it.")
        .status(StatusCode::PRECONDITION_FAILED)
        .hint("Read it again, and send its ETag as If-Match.")
        .into()
}

/// The version that the caller has seen must be the one that there is.
fn check_version(headers: &HeaderMap, job: &JobRow) -> ApiResult<()> {
    let Some(wanted) = headers.get(header::IF_MATCH) else {
        return Err(Problem::new(Code::Invalid, "Which version of the job is meant is not said.")
            .status(StatusCode::PRECONDITION_REQUIRED)
            .hint("Send the job's ETag as If-Match, or `If-Match: *`.")
            .into());
    };
    let tag = format!("\"{}\"", job.version);
    let holds = wanted.to_str().is_ok_and(|wanted| {
        wanted.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    if holds { Ok(()) } else { Err(changed_meanwhile()) }
}

/// Delete a job
///
/// Its runs stay, and go on.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = String, Path, description = "The job's id."), ("If-Match" = String, Header, description = "Its ETag.")),
    responses((status = 204, description = "It is deleted.")))]
pub(crate) async fn delete_job(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    headers: HeaderMap,
) -> ApiResult<StatusCode> {
    let before = find_job(&state, &caller, &id, action::JOB_DELETE).await?;
    check_version(&headers, &before)?;
    let job = JobRow {
        version: before.version + 1,
        is_deleted: true,
        next_ms: None,
        updated_ms: state.now_ms(),
        updated_by: caller.caller.subject_text().to_owned(),
        ..before
    };
    let change = state.begin(&caller, &[("change", "delete"), ("job", &id)]).await?;
    let deleted = replace(&state, &caller, &job, "deleted").await;
    state.end(change, &[], deleted)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Upload the rows of a job
///
/// As `text/csv` or `application/jsonl`, as long as they like up to a million rows. Refused whole, with the lines of all
/// bad rows and duplicates. What the query leaves unsaid is as in the job's `input`.
#[utoipa::path(put, path = "/api/v1/jobs/{id}/input", tag = "jobs",
    params(("id" = String, Path, description = "The job's id."), UploadQuery),
    request_body(content((String = "text/csv"), (String = "application/jsonl"))),
    responses((status = 200, description = "The job as it is now.", body = wire::Job)))]
pub(crate) async fn upload_job_input(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    Params(query): Params<UploadQuery>,
    headers: HeaderMap,
    body: Body,
) -> ApiResult<Response> {
    let before = find_job(&state, &caller, &id, action::JOB_UPDATE).await?;
    if headers.contains_key(header::IF_MATCH) {
        check_version(&headers, &before)?;
    }
    let mut spec = spec_of(&before.definition)?;
    spec.input = spec.input.as_ref().and_then(InputSpec::without_rows);
    let options = options_of(&state, &query, &headers, spec.input.clone().unwrap_or_default())?;
    let template = Template::compile(&spec.request).map_err(fields)?;
    let change = state.begin(&caller, &[("change", "input"), ("job", &id)]).await?;
    let mut job = JobRow { version: before.version + 1, ..before };
    let stored = async {
        let source = BodySource::new(body);
        let input =
            state.jobs.store_upload(source, options, Arc::new(template)).await.map_err(upload_error)?;
        job.input = Some(input);
        job.updated_ms = state.now_ms();
        job.updated_by = caller.caller.subject_text().to_owned();
        job.definition =
            serde_json::to_string(&spec).map_err(|error| ApiError::internal(error.to_string()))?;
        let saved = replace(&state, &caller, &job, "input").await;
        drop_input_if_failed(&state, &job, &saved).await;
        saved
    };
    let stored = stored.await;
    state.end(change, &[], stored)?;
    tagged(&state, &job).await
}

/// How an upload is read: as the query says, or else as the job does.
fn options_of(
    state: &ApiState,
    query: &UploadQuery,
    headers: &HeaderMap,
    of_job: InputSpec,
) -> ApiResult<Options> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let format = kind.and_then(Format::of_media_type).ok_or_else(|| {
        Problem::new(Code::Invalid, "Rows must be CSV or JSON Lines.")
            .status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .hint("Send `Content-Type: text/csv` or `application/jsonl`.")
    })?;
    let duplicates = match query.duplicates.as_deref() {
        None => of_job.duplicates,
        Some("refuse") => Duplicates::Refuse,
        Some("skip") => Duplicates::Skip,
        Some("allow") => Duplicates::Allow,
        Some(_) => return Err(ApiError::field("duplicates", "refuse, skip or allow")),
    };
    let columns = query.columns.as_deref();
    let columns = columns.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect());
    let key = query.key.clone().or(of_job.key);
    let limits = state.jobs.config.limits;
    Ok(Options { format, columns: columns.or(of_job.columns), key, duplicates, limits })
}
