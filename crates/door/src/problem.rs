//! Doorman's own errors on the wire: RFC 9457 problem details with a stable code and a hint.

use crate::body::AnswerBody;
use bytes::Bytes;
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use std::time::Duration;

/// The header that carries an answer's audit id.
pub const AUDIT_ID: HeaderName = HeaderName::from_static("doorman-audit-id");
/// The header that marks an answer that Doorman itself made.
pub const ERROR: HeaderName = HeaderName::from_static("doorman-error");

/// One field that is not valid.
#[derive(Clone, Debug, Serialize)]
pub struct FieldError {
    /// Path of the field: `plan.waves[1].percent`.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}

/// An error for the caller. What only the log may know is not in it.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The stable code.
    pub code: Code,
    /// HTTP status.
    pub status: StatusCode,
    /// What happened, for people.
    pub detail: String,
    /// What to do next.
    pub hint: Option<String>,
    /// The entry that tells about it.
    pub audit_id: Option<AuditId>,
    /// When to come back.
    pub retry_after: Option<Duration>,
    /// Field by field, for `invalid`.
    pub errors: Vec<FieldError>,
    /// Policies behind a denial.
    pub policies: Vec<String>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_id: Option<AuditId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "<[FieldError]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    policies: &'a [String],
}

impl Problem {
    /// A problem with the code's own status.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            status: StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            detail: detail.into(),
            hint: None,
            audit_id: None,
            retry_after: None,
            errors: Vec::new(),
            policies: Vec::new(),
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Answers with another status than the code's own.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&Body {
            r#type: format!("urn:doorman:problem:{}", self.code),
            title: self.code.title(),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code.as_str(),
            audit_id: self.audit_id,
            hint: self.hint.as_deref(),
            errors: &self.errors,
            policies: &self.policies,
        })
        .unwrap_or_default()
    }

    /// The answer.
    pub fn into_response(self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::full(Bytes::from(self.to_json())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(ERROR, HeaderValue::from_static(self.code.as_str()));
        if let Some(id) = self.audit_id {
            headers.insert(AUDIT_ID, id_value(id));
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        harden(headers);
        response
    }
}

/// An audit id as a header's value.
pub fn id_value(id: AuditId) -> HeaderValue {
    HeaderValue::from_bytes(&id.encode()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// What every answer of Doorman's own carries, so that no browser runs or frames it.
pub fn harden(headers: &mut http::HeaderMap) {
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"),
    );
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

impl From<crate::journal::CommitFailure> for Problem {
    fn from(failure: crate::journal::CommitFailure) -> Self {
        use crate::journal::CommitFailure;
        match failure {
            CommitFailure::Unavailable => Self::new(
                Code::AuditUnavailable,
                "The attempt could not be written down in time. Nothing was sent.",
            )
            .hint(
                "Try again; if it persists, ask the operators to look at the journal's database (/readyz).",
            ),
            CommitFailure::Revoked => {
                Self::new(Code::TokenRevoked, "The session has ended. Nothing was sent.")
                    .hint("Log in again: `doorman login`, or POST /auth/v1/login.")
            }
            CommitFailure::PolicyChanged => Self::new(
                Code::AuditUnavailable,
                "The policy changed again and again while this was judged. Nothing was sent.",
            )
            .hint("Try again."),
            CommitFailure::Fenced => Self::new(
                Code::Conflict,
                "The item of the run has another holder or was sent already. Nothing was sent.",
            ),
            CommitFailure::Overloaded => {
                Self::new(Code::AuditUnavailable, "Too many entries wait to be written. Nothing was sent.")
                    .hint("Slow down.")
            }
        }
    }
}
