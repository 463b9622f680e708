//! The one place where errors become answers: problem details with a stable code and a hint.

use axum::response::{IntoResponse, Response};
use doorman_auth::AuthError;
use doorman_core::code::Code;
use doorman_door::Problem;
use doorman_door::caller::Refusal;
use doorman_door::journal::CommitFailure;
use doorman_door::problem::{AUDIT_ID, ERROR, FieldError, id_value};
use doorman_store::StoreError;
use http::{HeaderValue, StatusCode, header};

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Why a call was not answered as asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// What the caller is told.
    Problem(Box<Problem>),
    /// A fault of Doorman's own. The caller learns nothing of it; the log does.
    Internal(String),
}

/// What handlers return.
pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    pub fn internal(why: impl Into<String>) -> Self {
        Self::Internal(why.into())
    }

    /// There is nothing here, or nothing that the caller may know of.
    pub fn not_found(what: &str) -> Self {
        Problem::new(Code::NotFound, format!("There is no {what} here, or you may not see it.")).into()
    }

    /// Fields that are not valid, each with what is wrong.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let names: Vec<_> = errors.iter().map(|error| error.field.as_str()).collect();
        let detail = format!("Not valid: {}.", names.join(", "));
        let mut problem = Problem::new(Code::Invalid, detail)
            .status(StatusCode::UNPROCESSABLE_ENTITY)
            .hint("Correct the fields named in `errors`; GET /api/v1/openapi.json describes them.");
        problem.errors = errors;
        problem.into()
    }

    /// One field that is not valid.
    pub fn field(field: &str, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError { field: field.to_owned(), detail: detail.into() }])
    }

    /// The code and status, for the log.
    pub fn code_and_status(&self) -> (Option<Code>, StatusCode) {
        match self {
            Self::Problem(problem) => (Some(problem.code), problem.status),
            Self::Internal(_) => (None, StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }
}

impl From<CommitFailure> for ApiError {
    fn from(failure: CommitFailure) -> Self {
        let detail = match failure {
            CommitFailure::Overloaded => {
                "Too many entries wait to be written to the audit log. Nothing was done."
            }
            _ => "The audit log cannot be written. Nothing was done.",
        };
        Problem::new(Code::AuditUnavailable, detail)
            .hint("Try again; if it persists, ask the operators to look at the journal's database (/readyz).")
            .into()
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error.code {
            Code::Invalid | Code::Conflict => {
                let (field, detail) =
                    error.audit_reason.split_once(": ").unwrap_or(("", &error.audit_reason));
                let errors = vec![FieldError { field: field.to_owned(), detail: detail.to_owned() }];
                if error.code == Code::Invalid {
                    return Self::fields(errors);
                }
                let mut problem = Problem::new(Code::Conflict, format!("Already taken: {detail}."))
                    .hint("Choose another name.");
                problem.errors = errors;
                problem.into()
            }
            Code::NotFound => Problem::new(Code::NotFound, sentence(&error.audit_reason)).into(),
            Code::Forbidden => Problem::new(Code::Forbidden, sentence(&error.audit_reason)).into(),
            _ => Refusal::from(error).problem.into(),
        }
    }
}

/// An inner message as a sentence.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Cursor) {
            return Self::field("cursor", "not a cursor of this list; hand back `next_cursor` as it came");
        }
        tracing::error!(error = &error as &dyn std::error::Error, "the database failed");
        Problem::new(Code::AuditUnavailable, "The database cannot be asked. Nothing was done.")
            .hint("Try again; if it persists, ask the operators to look at /readyz.")
            .into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem_response(&problem),
            Self::Internal(why) => {
                tracing::error!(%why, "internal error");
                internal_response()
            }
        }
    }
}

fn problem_response(problem: &Problem) -> Response {
    let mut response = (problem.status, problem.to_json()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(ERROR, HeaderValue::from_static(problem.code.as_str()));
    if let Some(id) = problem.audit_id {
        headers.insert(AUDIT_ID, id_value(id));
    }
    if let Some(wait) = problem.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response
}

/// The answer when Doorman itself is at fault.
pub(crate) fn internal_response() -> Response {
    let body = r#"{"type":"urn:doorman:problem:internal","title":"Doorman failed","status":500,"detail":"Doorman itself failed. Nothing more is known here.","code":"internal","hint":"Try again; if it persists, tell the operators the time of this answer."}"#;
    let mut response = (StatusCode::INTERNAL_SERVER_ERROR, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(ERROR, HeaderValue::from_static("internal"));
    response
}
