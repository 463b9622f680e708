//! Jobs and runs as the contract shows them.

use crate::error::{ApiError, ApiResult};
use crate::state::ApiState;
use doorman_client::wire::{self, UploadedInput};
use doorman_core::rollout::{InputSpec, JobSpec, Problem, RunState};
use doorman_core::time::format_rfc3339;
use doorman_door::problem::FieldError;
use doorman_jobs::run::{Layout, Progress, StartError, show_id};
use doorman_jobs::upload::UploadError;
use doorman_store::{EditRow, InputAbout, JobRow, RunRow};

/// Kinds of errors that a run shows.
const MOST_ERRORS: usize = 10;

pub(super) fn fields(problems: Vec<Problem>) -> ApiError {
    let field = |problem: Problem| FieldError { field: problem.field, detail: problem.detail };
    ApiError::fields(problems.into_iter().map(field).collect())
}

pub(super) fn start_error(error: StartError) -> ApiError {
    match error {
        StartError::Invalid(problems) => fields(problems),
        StartError::Auth(error) => error.into(),
        StartError::Store(error) => error.into(),
        error @ StartError::Unreadable(_) => ApiError::internal(error.to_string()),
    }
}

/// Everything that is wrong with an input, line by line.
pub(super) fn upload_error(error: UploadError) -> ApiError {
    match error {
        UploadError::Rejected(report) => {
            let told = report.problems.iter().map(|problem| Problem {
                field: format!("line {}", problem.line),
                detail: match &problem.column {
                    Some(column) => format!("`{column}` {}", problem.detail),
                    None => problem.detail.clone(),
                },
            });
            let mut problems: Vec<_> = told.collect();
            let untold = report.problem_count.saturating_sub(problems.len() as u64);
            if untold > 0 {
                let detail = format!("and {untold} more rows that cannot be sent");
                problems.push(Problem { field: "input".to_owned(), detail });
            }
            fields(problems)
        }
        UploadError::Invalid(problems) => fields(problems),
        UploadError::Read(error) => ApiError::field("input", error.to_string()),
        UploadError::Store(error) => error.into(),
        UploadError::Failed => ApiError::internal("an input was not read to its end"),
    }
}

pub(super) fn spec_of(definition: &str) -> ApiResult<JobSpec> {
    serde_json::from_str(definition)
        .map_err(|error| ApiError::internal(format!("a stored job cannot be read: {error}")))
}

fn uploaded(about: InputAbout) -> UploadedInput {
    let InputAbout { columns, rows, duplicates, bytes, sha256 } = about;
    UploadedInput { columns, rows, duplicates, bytes, sha256 }
}

/// A job with what is known of its rows.
pub(super) async fn job(state: &ApiState, job: &JobRow) -> ApiResult<wire::Job> {
    let spec = spec_of(&job.definition)?;
    // Rows inside the job speak for themselves.
    let is_inline = spec.input.as_ref().is_some_and(InputSpec::has_rows);
    let input = match &job.input {
        Some(input) if !is_inline => state.database.input(input).await?,
        _ => None,
    };
    Ok(wire::Job {
        id: show_id(&job.id),
        version: job.version,
        created_at: format_rfc3339(job.created_ms),
        created_by: job.created_by.clone(),
        updated_at: format_rfc3339(job.updated_ms),
        updated_by: job.updated_by.clone(),
        uploaded: input.map(uploaded),
        next_run_at: job.next_ms.map(format_rfc3339),
        spec,
    })
}

/// An edit.
pub(super) fn edit(edit: &EditRow) -> ApiResult<wire::JobEdit> {
    Ok(wire::JobEdit {
        version: edit.version,
        at: format_rfc3339(edit.at_ms),
        by: edit.subject.clone(),
        action: edit.change.clone(),
        spec: spec_of(&edit.definition)?,
    })
}

/// A run as it is now.
pub(super) async fn run(state: &ApiState, row: &RunRow) -> ApiResult<wire::Run> {
    let unreadable = |error: String| ApiError::internal(format!("a stored run cannot be read: {error}"));
    let layout = Layout::open(&row.spec).map_err(unreadable)?;
    let progress: Progress =
        serde_json::from_str(&row.progress).map_err(|error| unreadable(error.to_string()))?;
    let counts = state.jobs.counts(row).await?;
    let is_running = progress.run.state == RunState::Running;
    let is_waiting = progress.run.state == RunState::Waiting;
    let rate = progress.rate().filter(|_| is_running);
    let left = counts.pending + counts.sending;
    let eta = rate.filter(|rate| *rate > 0.0).map(|rate| {
        let ms = (left as f64 / rate * 1_000.0) as u64;
        format_rfc3339(state.now_ms().saturating_add(ms))
    });
    let mut errors: Vec<_> = progress
        .errors
        .iter()
        .map(|(error, count)| wire::ErrorCount { error: error.clone(), count: *count })
        .collect();
    errors.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.error.cmp(&b.error)));
    errors.truncate(MOST_ERRORS);
    Ok(wire::Run {
        id: show_id(&row.id),
        job: show_id(&row.job),
        name: layout.spec.job.name.clone(),
        state: progress.run.state,
        why: progress.run.why.clone(),
        dry_run: layout.spec.dry_run,
        counts,
        wave: progress.run.wave,
        waves: u32::try_from(layout.rollout.waves().len()).unwrap_or(u32::MAX),
        gate: layout
            .rollout
            .waves()
            .get(progress.run.wave as usize)
            .filter(|_| is_waiting)
            .map(|wave| wave.gate.kind()),
        gate_opens_at: progress.run.wakes_at_ms(&layout.rollout).map(format_rfc3339),
        started_by: row.started_by.clone(),
        reason: layout.spec.reason.clone(),
        started_at: Some(format_rfc3339(row.started_ms)),
        ended_at: row.ended_ms.map(format_rfc3339),
        rate,
        eta: eta.filter(|_| left > 0),
        errors,
    })
}
