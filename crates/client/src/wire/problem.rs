//! Errors that Doorman itself made (RFC 9457, `application/problem+json`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why Doorman refused or could not do what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Problem {
    /// A URI that names the kind of problem; `about:blank` when `code` says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short summary, the same for every problem of this kind.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time, for people.
    pub detail: Option<String>,
    /// The stable code that programs match on, such as `forbidden`.
    pub code: String,
    /// The audit entry that records it, where there is one.
    pub audit_id: Option<String>,
    /// What to do next.
    pub hint: Option<String>,
    /// With code `invalid`: what is wrong, field by field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The policies behind a denial, by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}

/// One field that is not valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FieldError {
    /// Where: `plan.waves[1].count`, or the name of a query parameter.
    pub field: String,
    /// What is wrong with it.
    pub detail: String,
}
