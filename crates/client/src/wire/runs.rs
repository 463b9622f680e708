//! Runs of jobs and their items (`/api/v1/runs`).

use doorman_core::rollout::{Counts, GateSpec, ItemState, Row, RunState};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// How a run is to be started (`POST /api/v1/jobs/{id}/runs`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RunRequest {
    /// Render and judge everything, send nothing.
    pub dry_run: bool,
    /// Why, for the audit log; instead of the job's own.
    pub reason: Option<String>,
}

/// One execution of a job; also the data of a `progress` event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// UUIDv7.
    pub id: String,
    /// The job's id.
    pub job: String,
    /// The job's name.
    #[serde(default)]
    pub name: String,
    /// Where it is.
    pub state: RunState,
    /// Why it is paused, stopped, cancelled or waiting, for people.
    #[serde(default)]
    pub why: Option<String>,
    /// Whether it sends nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Items by state.
    pub counts: Counts,
    /// The last open wave, from 0.
    pub wave: u32,
    /// How many waves there are.
    #[serde(default)]
    pub waves: u32,
    /// While it waits: who opens the gate.
    #[serde(default)]
    pub gate: Option<GateSpec>,
    /// With a gate that opens by itself: when; RFC 3339.
    #[serde(default)]
    pub gate_opens_at: Option<String>,
    /// `user:dave`
    pub started_by: String,
    /// Why, as whoever started it said.
    #[serde(default)]
    pub reason: Option<String>,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Items that ended in a second, lately.
    pub rate: Option<f64>,
    /// When it will end, if it goes on like this; RFC 3339.
    pub eta: Option<String>,
    /// Errors by kind, most frequent first: a status or a code.
    #[serde(default)]
    pub errors: Vec<ErrorCount>,
}

/// How often one kind of error happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ErrorCount {
    /// `status 500`, `forbidden`, `timeout`, …
    pub error: String,
    /// How often.
    pub count: u64,
}

/// Which runs to list; newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RunQuery {
    /// Of this job.
    pub job: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Runs in a page.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// One row of a run's input, sent to one place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// From 0, in the order of sending.
    pub index: u64,
    /// The row.
    #[schema(value_type = Object)]
    pub input: Row,
    /// Where it is.
    pub state: ItemState,
    /// The HTTP status of the last answer.
    pub status: Option<u16>,
    /// The audit entry of the last attempt.
    pub audit_id: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// The region, where the job fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The instance, where the job fans out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// Which items to list, by index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemQuery {
    /// `pending`, `sending`, `done`, `failed`, `unknown`, `skipped`.
    pub state: Option<String>,
    /// Items in a page.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// What to send again (`POST /api/v1/runs/{id}/retry-failed`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryFailed {
    /// Unknown items too, though they may have arrived.
    pub with_unknown: bool,
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResultsFormat {
    /// With a header line: the input's columns, then `doorman_state`, `doorman_status`, `doorman_error`,
    /// `doorman_attempts`, `doorman_audit_id`.
    #[default]
    Csv,
    /// One item a line.
    Jsonl,
}
