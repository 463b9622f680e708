//! Why a credential was not accepted: what the caller may know, and what only the audit log may.

use crate::directory::DirectoryError;
use doorman_core::code::Code;
use doorman_store::StoreError;
use std::time::Duration;

/// A refused or impossible authentication.
///
/// The caller gets `code` (and `retry_after`) and nothing else; an unknown user and a wrong password differ only in
/// `audit_reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {audit_reason}")]
pub struct AuthError {
    /// What the caller is told.
    pub code: Code,
    /// What the audit entry says; never a secret. The caller may see it only with [`Code::Invalid`], [`Code::Conflict`]
    /// and [`Code::NotFound`].
    pub audit_reason: String,
    /// For [`Code::Throttled`]: when to come back.
    pub retry_after: Option<Duration>,
    /// The name that was claimed, unproven.
    pub principal_hint: Option<String>,
}

impl AuthError {
    /// An error with `code` that the audit log explains by `audit_reason`.
    pub fn new(code: Code, audit_reason: impl Into<String>) -> Self {
        Self { code, audit_reason: audit_reason.into(), retry_after: None, principal_hint: None }
    }

    /// Names whom the caller claimed to be.
    #[must_use]
    pub fn claimed_by(mut self, name: &str) -> Self {
        self.principal_hint = Some(name.chars().take(256).collect());
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_in(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }
}

impl From<StoreError> for AuthError {
    /// Without the database nothing can be written down either, so nothing is let through.
    fn from(error: StoreError) -> Self {
        if let StoreError::Cursor = error {
            return Self::new(
                Code::Invalid,
                "cursor: not a cursor of this list; hand back `next_cursor` as it came",
            );
        }
        let mut reason = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(error) = source {
            reason.push_str(": ");
            reason.push_str(&error.to_string());
            source = error.source();
        }
        Self::new(Code::AuditUnavailable, reason)
    }
}

impl From<DirectoryError> for AuthError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::BadCredentials { reason } => Self::new(Code::BadCredentials, reason.to_string()),
            DirectoryError::Unavailable { detail } => Self::new(Code::DirectoryUnavailable, detail),
        }
    }
}
