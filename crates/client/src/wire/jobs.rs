//! Jobs (`/api/v1/jobs`) and one-off bulk work (`/api/v1/bulk`).

use doorman_core::rollout::{JobSpec, Row};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A saved job: what was written, and what Doorman adds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// UUIDv7.
    pub id: String,
    /// Counts edits, from 1; also the `ETag` to send as `If-Match`.
    pub version: u64,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// `user:dave`
    pub created_by: String,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// `user:dave`
    pub updated_by: String,
    /// The rows, where they are many or were uploaded; then `input` is absent.
    pub uploaded: Option<UploadedInput>,
    /// When the schedule runs it next; RFC 3339.
    pub next_run_at: Option<String>,
    /// What was written.
    #[serde(flatten)]
    pub spec: JobSpec,
}

/// What is known about an uploaded input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct UploadedInput {
    /// The columns, in their order.
    pub columns: Vec<String>,
    /// Rows that will be sent.
    pub rows: u64,
    /// Duplicates that were left out.
    pub duplicates: u64,
    /// Bytes as uploaded.
    pub bytes: u64,
    /// SHA-256 of the bytes as uploaded.
    pub sha256: String,
}

/// How an upload is to be read (`PUT /api/v1/jobs/{id}/input`, `text/csv` or `application/jsonl`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UploadQuery {
    /// Names the columns of a CSV without a header line, separated by commas.
    pub columns: Option<String>,
    /// The column by which rows are told apart; absent: the whole row.
    pub key: Option<String>,
    /// `refuse` (the default), `skip` or `allow`.
    pub duplicates: Option<String>,
}

/// What is wrong with an input. Nothing of it was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Rejected {
    /// The first of them, by line.
    pub rows: Vec<RejectedRow>,
    /// How many there are in all.
    pub total: u64,
}

/// A row that cannot be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RejectedRow {
    /// The line where the row begins, from 1; of inline rows, their number.
    pub line: u64,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// What is wrong.
    pub detail: String,
}

/// One edit of a job (`GET /api/v1/jobs/{id}/history`), newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobEdit {
    /// The version that came of it.
    pub version: u64,
    /// RFC 3339.
    #[schema(format = DateTime)]
    pub at: String,
    /// `user:dave`
    pub by: String,
    /// `created`, `updated`, `input`, `deleted`.
    pub action: String,
    /// The job as it was then.
    pub spec: JobSpec,
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// In this folder or below it.
    pub folder: Option<String>,
    /// A text that occurs in the name, in any case.
    pub q: Option<String>,
    /// Jobs in a page.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// How many requests to render (`GET /api/v1/jobs/{id}/preview`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PreviewQuery {
    /// 10 when absent, 100 at most.
    pub limit: Option<u32>,
}

/// What a job would send. Nothing is sent and no policy is asked: a dry run does that.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Preview {
    /// The first requests.
    pub requests: Vec<RenderedRequest>,
    /// How many there would be, where one row makes one request.
    pub total: u64,
    /// Columns of the input that the request does not use.
    pub unused_columns: Vec<String>,
    /// The next times of the schedule; RFC 3339 in UTC.
    pub next_runs: Vec<String>,
}

/// One request as it would be sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct RenderedRequest {
    /// The line of the row.
    pub line: u64,
    /// The row.
    #[schema(value_type = Object)]
    pub input: Row,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
    /// `any`, `all` or an id.
    pub instance: String,
    /// The HTTP method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// Headers, each a name and a value.
    pub headers: Vec<(String, String)>,
    /// The body, as text.
    pub body: Option<String>,
    /// Why this row cannot be sent; then the rest is empty.
    pub error: Option<String>,
}

/// One-off bulk work: makes a job and starts a run of it (`POST /api/v1/bulk`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BulkRequest {
    /// The job; a name is made up where there is none.
    pub job: JobSpec,
    /// Render and judge everything, send nothing.
    pub dry_run: bool,
    /// Why, for the audit log.
    pub reason: Option<String>,
}
