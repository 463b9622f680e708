//! What can go wrong between a client and Doorman.

use crate::Problem;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address cannot be one of Doorman.
    #[error("{url:?} is no address of Doorman: {why}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The target would not arrive as it was written.
    #[error("{target:?} cannot be sent as it stands: {why}")]
    Target {
        /// What was given.
        target: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A header, a method or a certificate that HTTP does not know.
    #[error("{0}")]
    Invalid(String),
    /// Nothing answered, or the answer broke off.
    #[error("{0}")]
    Unreachable(#[from] Unreachable),
    /// Doorman answered with an error of its own.
    #[error("{}", .0.detail.as_deref().unwrap_or(&.0.title))]
    Problem(Box<Problem>),
    /// Something answered that does not speak like Doorman.
    #[error("{url} answered with status {status}, but not as Doorman does ({why})")]
    NotDoorman {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What was unexpected.
        why: String,
    },
}

impl ClientError {
    /// What Doorman said, if it was Doorman that refused.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }
}

/// The connection could not be made, or broke. The chain of causes is told in one line, without the URL's query.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(String);

impl From<reqwest::Error> for Unreachable {
    fn from(error: reqwest::Error) -> Self {
        let place = error.url().map(|url| url.origin().ascii_serialization());
        let error = error.without_url();
        let mut text = match place {
            Some(place) => format!("{place}: {error}"),
            None => error.to_string(),
        };
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        Self(text)
    }
}

impl From<reqwest::Error> for ClientError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_builder() { Self::Invalid(error.to_string()) } else { Self::Unreachable(error.into()) }
    }
}
