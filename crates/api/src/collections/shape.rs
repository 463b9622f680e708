//! Saved requests between the store's text and the public shapes.

use crate::error::{ApiError, ApiResult};
use doorman_client::wire::{SavedRequest, SavedRequestEdit, SavedRequestVersion};
use doorman_core::time::format_rfc3339;
use doorman_store::{SavedEditRow, SavedRequestRow};
use uuid::Uuid;

/// An id as answers write it.
pub(super) fn parse_id(text: &str) -> Option<[u8; 16]> {
    Uuid::parse_str(text).ok().map(Uuid::into_bytes)
}

/// What the store keeps.
pub(super) fn encode(content: &SavedRequestEdit) -> ApiResult<String> {
    serde_json::to_string(content).map_err(|error| ApiError::internal(error.to_string()))
}

fn decode(content: &str) -> ApiResult<SavedRequestEdit> {
    serde_json::from_str(content)
        .map_err(|error| ApiError::internal(format!("a saved request cannot be read: {error}")))
}

/// A request in lists and answers.
pub(super) fn saved(row: SavedRequestRow) -> ApiResult<SavedRequest> {
    let content = decode(&row.content)?;
    Ok(SavedRequest {
        id: Uuid::from_bytes(row.id).to_string(),
        version: row.version,
        owner: row.owner,
        name: content.name,
        folder: content.folder,
        shared_with: row.groups,
        request: content.request,
        updated_at: format_rfc3339(row.updated_ms),
        updated_by: row.updated_by,
    })
}

/// One edit.
pub(super) fn version(row: SavedEditRow) -> ApiResult<SavedRequestVersion> {
    let content = decode(&row.content)?;
    Ok(SavedRequestVersion {
        version: row.version,
        at: format_rfc3339(row.at_ms),
        by: row.by,
        name: content.name,
        folder: content.folder,
        shared_with: content.shared_with,
        request: content.request,
    })
}
