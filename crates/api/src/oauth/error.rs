//! Errors as OAuth clients read them (RFC 6749 §5.2), with the members of Doorman's own problems beside.

use crate::error::ApiError;
use axum::response::{IntoResponse, Response};
use doorman_core::code::Code;
use doorman_door::Problem;
use http::{HeaderValue, StatusCode, header};
use serde_json::Value;

/// An error of an OAuth endpoint.
pub(crate) struct OauthError {
    inner: ApiError,
    /// Where the code alone does not say it.
    error: Option<&'static str>,
}

impl OauthError {
    /// A request that is refused by `error` of the RFCs.
    pub fn new(error: &'static str, detail: &str) -> Self {
        let problem = Problem::new(Code::Invalid, detail)
            .hint("GET /.well-known/oauth-authorization-server lists what is supported.");
        Self { inner: problem.into(), error: Some(error) }
    }
}

impl From<ApiError> for OauthError {
    fn from(inner: ApiError) -> Self {
        Self { inner, error: None }
    }
}

fn name_of(code: Code) -> &'static str {
    match code {
        Code::Unauthenticated | Code::BadCredentials | Code::TokenExpired | Code::TokenRevoked => {
            "invalid_client"
        }
        Code::Forbidden => "unauthorized_client",
        Code::AuditUnavailable | Code::DirectoryUnavailable | Code::Throttled => "temporarily_unavailable",
        _ => "invalid_request",
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let ApiError::Problem(mut problem) = self.inner else { return self.inner.into_response() };
        let error = self.error.unwrap_or_else(|| name_of(problem.code));
        // What clients act on by status is fixed: 401 for a bad client, 400 for whatever they asked.
        if error == "invalid_client" {
            problem.status = StatusCode::UNAUTHORIZED;
        } else if problem.status.is_client_error() && problem.code != Code::Throttled {
            problem.status = StatusCode::BAD_REQUEST;
        }
        let mut body: Value = serde_json::from_slice(&problem.to_json()).unwrap_or_default();
        if let Some(fields) = body.as_object_mut() {
            fields.insert("error".to_owned(), error.into());
            fields.insert("error_description".to_owned(), problem.detail.clone().into());
        }
        let answer = ApiError::Problem(problem).into_response();
        let mut headers = answer.headers().clone();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.remove(header::CONTENT_LENGTH);
        (answer.status(), headers, body.to_string()).into_response()
    }
}
