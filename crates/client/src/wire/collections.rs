//! Saved requests (`/api/v1/collections`).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One name and value of a table; lines that are off are kept and not sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedLine {
    /// The name.
    pub name: String,
    /// The value, or a template with `{{variable}}`.
    #[serde(default)]
    pub value: String,
    /// Whether it is sent.
    #[serde(default = "on")]
    pub on: bool,
}

fn on() -> bool {
    true
}

/// What kind of body a saved request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SavedBodyKind {
    /// None.
    #[default]
    None,
    /// `text` as JSON.
    Json,
    /// `text` as it is.
    Text,
    /// `form`, URL-encoded.
    Form,
    /// `parts` as `multipart/form-data`.
    Multipart,
    /// A file that is chosen anew for each sending.
    File,
}

/// The body of a saved request. Files are not saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SavedBody {
    /// Which of the others counts.
    pub kind: SavedBodyKind,
    /// For `json` and `text`.
    pub text: String,
    /// For `form`.
    pub form: Vec<SavedLine>,
    /// For `multipart`.
    pub parts: Vec<SavedLine>,
}

/// A request as it is written, before variables are put in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SavedDraft {
    /// The region; may be empty until it is chosen.
    pub region: String,
    /// The service; may be empty until it is chosen.
    pub service: String,
    /// An instance, `any` or `all`.
    pub instance: String,
    /// `GET`
    pub method: String,
    /// Without the query.
    pub path: String,
    /// Query parameters in order.
    pub query: Vec<SavedLine>,
    /// Headers in order. Values of credentials are not kept.
    pub headers: Vec<SavedLine>,
    /// The body.
    pub body: SavedBody,
    /// Why, as a template.
    pub reason: String,
}

/// A request to save, or to save anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedRequestEdit {
    /// What people call it.
    pub name: String,
    /// Folders from the outermost: `billing/invoices`; empty for none.
    #[serde(default)]
    pub folder: String,
    /// Groups whose members see and edit it; none: private. Only groups of one's own can be added.
    #[serde(default)]
    pub shared_with: Vec<String>,
    /// The request.
    pub request: SavedDraft,
}

/// A saved request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SavedRequest {
    /// Its id.
    pub id: String,
    /// Counts edits, from 1; also the `ETag` to send as `If-Match`.
    pub version: u64,
    /// Whose it is: `user:alice`. The owner alone deletes it and says who shares it.
    pub owner: String,
    /// What people call it.
    pub name: String,
    /// Folders from the outermost.
    pub folder: String,
    /// Groups whose members see and edit it.
    pub shared_with: Vec<String>,
    /// The request.
    pub request: SavedDraft,
    /// When it was last edited.
    #[schema(format = DateTime)]
    pub updated_at: String,
    /// By whom.
    pub updated_by: String,
}

/// One edit of a saved request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SavedRequestVersion {
    /// The version that it made.
    pub version: u64,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// By whom.
    pub by: String,
    /// What people called it then.
    pub name: String,
    /// Where it stood.
    pub folder: String,
    /// Who shared it.
    pub shared_with: Vec<String>,
    /// What it was.
    pub request: SavedDraft,
}
