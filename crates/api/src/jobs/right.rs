//! Whether the caller may do what they ask for, with which job or in which folder.

use crate::error::{ApiError, ApiResult};
use crate::gate::{Authorized, denied};
use crate::state::ApiState;
use doorman_core::code::Code;
use doorman_door::Problem;
use doorman_jobs::run::{parse_id, show_id};
use doorman_policy::{Resource, action};
use doorman_store::{JobRow, RunRow};

/// Whether policy permits it.
pub(super) fn may(state: &ApiState, caller: &Authorized, action: &str, job: &JobRow) -> bool {
    let (set, id) = (state.door.policies.current(), show_id(&job.id));
    let resource = Resource::Job { id: &id, folder: &job.folder };
    set.decide(caller.caller.policy_subject(), action, resource).permit
}

/// Denies and writes that down, unless policy permits `action` in a folder.
pub(super) async fn check_folder(
    state: &ApiState,
    caller: &Authorized,
    action: &'static str,
    folder: &str,
) -> ApiResult<()> {
    check(state, caller, action, Resource::Folder(folder)).await
}

async fn check(
    state: &ApiState,
    caller: &Authorized,
    action: &'static str,
    resource: Resource<'_>,
) -> ApiResult<()> {
    let decision = state.door.policies.current().decide(caller.caller.policy_subject(), action, resource);
    if decision.permit {
        return Ok(());
    }
    let problem = denied(&caller.caller, &[(action, decision)]);
    Err(state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await)
}

/// The job of that id, if the caller may see it and do `action` with it. Deleted ones are gone but for their runs.
pub(super) async fn find_job(
    state: &ApiState,
    caller: &Authorized,
    id: &str,
    action: &'static str,
) -> ApiResult<JobRow> {
    let found = match parse_id(id) {
        Some(id) => state.database.job(&id).await?,
        None => None,
    };
    let Some(job) = found.filter(|job| !job.is_deleted && may(state, caller, action::JOB_READ, job)) else {
        return Err(hidden(state, caller, "job").await);
    };
    let text = show_id(&job.id);
    check(state, caller, action, Resource::Job { id: &text, folder: &job.folder }).await?;
    Ok(job)
}

/// The run of that id with its job, if the caller may see it and do `action` with the job.
pub(super) async fn find_run(
    state: &ApiState,
    caller: &Authorized,
    id: &str,
    action: &'static str,
) -> ApiResult<(RunRow, JobRow)> {
    let run = match parse_id(id) {
        Some(id) => state.database.run(&id).await?,
        None => None,
    };
    let job = match &run {
        Some(run) => state.database.job(&run.job).await?,
        None => None,
    };
    let found = run.zip(job).filter(|(_, job)| may(state, caller, action::JOB_READ, job));
    let Some((run, job)) = found else { return Err(hidden(state, caller, "run").await) };
    let text = show_id(&job.id);
    check(state, caller, action, Resource::Job { id: &text, folder: &job.folder }).await?;
    Ok((run, job))
}

async fn hidden(state: &ApiState, caller: &Authorized, what: &str) -> ApiError {
    let problem = Problem::new(Code::NotFound, format!("There is no such {what}, or you may not see it."))
        .hint(format!("GET /api/v1/{what}s lists those that you may see."));
    state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await
}
