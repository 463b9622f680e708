//! The JSON shapes of the public contract.

mod audit;
mod catalog;
mod collections;
mod identity;
mod jobs;
mod problem;
mod retry;
mod runs;

pub use audit::{
    AuditEntry, AuditExportQuery, AuditQuery, AuditStreamQuery, BodyEncoding, Decision, ExportFormat,
    HeaderValue, Headers, Outcome, OutcomeState,
};
pub use catalog::{Health, Instance, Region, Service};
pub use collections::{
    SavedBody, SavedBodyKind, SavedDraft, SavedLine, SavedRequest, SavedRequestEdit, SavedRequestVersion,
};
pub use doorman_core::rollout::{
    Counts, Duplicates, GateSpec, InputSpec, ItemState, JobSpec, Missed, Overlap, PlanSpec, RequestSpec,
    RetrySpec, Row, RunState, ScheduleSpec, StopSpec, SuccessSpec, WaveSpec,
};
pub use identity::{
    Allowed, LoginRequest, LoginResponse, Me, NewPersonalToken, NewServiceAccount, PersonalToken,
    PersonalTokenSecret, Scopes, ServiceAccount, ServiceAccountPatch, ServiceAccountSecret, Session,
    SessionToken, User, VerifyRequest, VerifyResponse,
};
pub use jobs::{
    BulkRequest, Job, JobEdit, JobQuery, Preview, PreviewQuery, Rejected, RejectedRow, RenderedRequest,
    UploadQuery, UploadedInput,
};
pub use problem::{FieldError, Problem};
pub use retry::{RetryAnswer, RetryRequest, Same};
pub use runs::{ErrorCount, Item, ItemQuery, ResultsFormat, RetryFailed, Run, RunQuery, RunRequest};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// This page.
    pub items: Vec<T>,
    /// Hand it back as `cursor` for the next page; `null` on the last. A page may be short or empty and still have one.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that is complete in one page.
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}
