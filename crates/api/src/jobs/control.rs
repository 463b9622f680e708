//! What people do to a run: each is an entry, and works within a second.

use super::right::find_run;
use super::shape;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{OptionalJson, Segments};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_auth::SessionKind;
use doorman_client::wire::{self, RetryFailed};
use doorman_core::code::Code;
use doorman_core::rollout::{Command, Gate, Refusal};
use doorman_door::Problem;
use doorman_jobs::run::{CommandError, Commander, Layout, Progress};
use doorman_policy::action;
use doorman_store::RunRow;
use serde::Deserialize;
use std::sync::Arc;

/// Nothing is said beside the path.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

type Controlled = ApiResult<Json<wire::Run>>;

/// Pause a run
///
/// Nothing more is sent; what is in flight ends.
#[utoipa::path(post, path = "/api/v1/runs/{id}/pause", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "The run as it is now.", body = wire::Run)))]
pub(crate) async fn pause_run(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    _nothing: OptionalJson<Nothing>,
) -> Controlled {
    command(&state, &caller, &id, Command::Pause).await
}

/// Go on with a run
///
/// Also with one that a stop condition stopped: the failures so far then count no more.
#[utoipa::path(post, path = "/api/v1/runs/{id}/resume", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "The run as it is now.", body = wire::Run)))]
pub(crate) async fn resume_run(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    _nothing: OptionalJson<Nothing>,
) -> Controlled {
    command(&state, &caller, &id, Command::Resume).await
}

/// Cancel a run
///
/// What was not sent is skipped.
#[utoipa::path(post, path = "/api/v1/runs/{id}/cancel", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "The run as it is now.", body = wire::Run)))]
pub(crate) async fn cancel_run(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    _nothing: OptionalJson<Nothing>,
) -> Controlled {
    command(&state, &caller, &id, Command::Cancel).await
}

/// Open the gate that a run waits at
///
/// A gate of kind `approval` asks for `job:approve`, by somebody else than who started the run, with their own login.
#[utoipa::path(post, path = "/api/v1/runs/{id}/advance", tag = "runs",
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "The run as it is now.", body = wire::Run)))]
pub(crate) async fn advance_run(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    _nothing: OptionalJson<Nothing>,
) -> Controlled {
    let (run, _) = find_run(&state, &caller, &id, action::JOB_READ).await?;
    if !is_approval(&run)? {
        return command(&state, &caller, &id, Command::Advance).await;
    }
    find_run(&state, &caller, &id, action::JOB_APPROVE).await?;
    let is_own_login = caller.caller.actor_session().kind != SessionKind::Personal;
    if caller.caller.is_delegated() || !is_own_login {
        let problem = Problem::new(Code::Forbidden, "An approval is given by a person with their own login.")
            .hint("Log in: `doorman login`, or POST /auth/v1/login.");
        return Err(state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await);
    }
    give(&state, &caller, &run, "approve", Command::Advance).await
}

/// Whether the gate that the run is at needs another person.
fn is_approval(run: &RunRow) -> ApiResult<bool> {
    let layout = Layout::open(&run.spec).map_err(ApiError::internal)?;
    let progress: Progress =
        serde_json::from_str(&run.progress).map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(layout.rollout.wave(progress.run.wave).is_some_and(|wave| wave.gate == Gate::Approval))
}

/// Send failed items again
///
/// Unknown ones only if so wished: they may have arrived.
#[utoipa::path(post, path = "/api/v1/runs/{id}/retry-failed", tag = "runs", request_body = RetryFailed,
    params(("id" = String, Path, description = "The run's id.")),
    responses((status = 200, description = "The run as it is now.", body = wire::Run)))]
pub(crate) async fn retry_failed(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    OptionalJson(RetryFailed { with_unknown }): OptionalJson<RetryFailed>,
) -> Controlled {
    command(&state, &caller, &id, Command::RetryFailed { with_unknown }).await
}

async fn command(state: &ApiState, caller: &Authorized, id: &str, command: Command) -> Controlled {
    let (run, _) = find_run(state, caller, id, action::JOB_RUN).await?;
    give(state, caller, &run, command.as_str(), command).await
}

async fn give(
    state: &ApiState,
    caller: &Authorized,
    run: &RunRow,
    name: &'static str,
    command: Command,
) -> Controlled {
    let id = doorman_jobs::run::show_id(&run.id);
    let job = doorman_jobs::run::show_id(&run.job);
    let change = state.begin(caller, &[("change", name), ("run", &id), ("job", &job)]).await?;
    let by = Commander { subject: caller.caller.subject_text() };
    let given = state.jobs.command(&run.id, command, by).await.map_err(refused);
    let row = state.end(change, &[], given)?;
    Ok(Json(shape::run(state, &row).await?))
}

fn refused(error: CommandError) -> ApiError {
    let sentence = |text: String| format!("This does nothing: {text}.");
    match error {
        CommandError::Refused(Refusal::AnotherPerson) => Problem::new(
            Code::Forbidden,
            "This gate must be opened by somebody else than who started the run.",
        )
        .hint("Ask a colleague whom policy permits `job:approve`.")
        .into(),
        CommandError::Refused(refusal) => Problem::new(Code::Conflict, sentence(refusal.to_string()))
            .hint("GET /api/v1/runs/{id} tells where the run is.")
            .into(),
        error @ CommandError::Contended => {
            Problem::new(Code::Conflict, sentence(error.to_string())).hint("Try again.").into()
        }
        CommandError::Store(error) => error.into(),
        CommandError::Unreadable(why) => ApiError::internal(why),
    }
}
