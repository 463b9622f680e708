//! Repeating a request from the audit log (`POST /api/v1/audit/{id}/retry`).

use super::{BodyEncoding, Headers};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// How to repeat it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetryRequest {
    /// Why; the recorded reason is not taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `true` for a method that may change something.
    pub confirm: bool,
    /// The body to send in place of the recorded one: a text as it is, or any other JSON value as JSON. Needed where the
    /// recorded one was masked, cut or streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub body: Option<Value>,
    /// The query to send in place of the recorded one, without `?`. Needed where the recorded one was masked or cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// The answer to a repeated request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetryAnswer {
    /// The new entry.
    pub audit_id: Option<String>,
    /// The status that the service answered with.
    pub status: u16,
    /// The answer's headers.
    #[schema(value_type = BTreeMap<String, super::HeaderValue>)]
    pub headers: Headers,
    /// The answer's body, or its beginning.
    pub body: String,
    /// How `body` is written.
    pub body_encoding: BodyEncoding,
    /// Bytes of the whole body.
    pub body_size: u64,
    /// SHA-256 of the whole body; `null` when it broke off.
    pub body_sha256: Option<String>,
    /// Whether `body` is only its beginning.
    pub body_truncated: bool,
    /// The instance that answered.
    pub instance: Option<String>,
    /// Whether it is as the recorded answer was.
    pub same: Same,
}

/// What is as it was recorded; `null` where that is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Same {
    /// The status.
    pub status: Option<bool>,
    /// The headers, but for the date and what is masked in the log.
    pub headers: Option<bool>,
    /// The body, by its digest.
    pub body: Option<bool>,
    /// Names of the headers that differ.
    pub differing_headers: Vec<String>,
}
