//! Saving, changing and deleting requests. Each is an entry in the audit log.

use super::{checks, find, shape, tagged};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{self, Segments};
use crate::state::ApiState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_client::wire::{SavedRequest, SavedRequestEdit};
use doorman_core::code::Code;
use doorman_door::Problem;
use doorman_store::SavedRequestRow;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// More than anybody writes by hand; imports of several large documents fit.
const MAX_OWNED: u64 = 10_000;

/// Save a request
#[utoipa::path(post, path = "/api/v1/collections", tag = "collections", request_body = SavedRequestEdit,
    responses((status = 201, description = "The saved request; its `ETag` is its version.", body = SavedRequest)))]
pub(crate) async fn create_saved_request(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    input::Json(new): input::Json<SavedRequestEdit>,
) -> ApiResult<Response> {
    let groups = &caller.caller.session().groups;
    let content = checks::content(new, |group| groups.iter().any(|own| own == group))?;
    let owner = caller.caller.subject_text();
    if state.database.count_saved_requests(owner).await? >= MAX_OWNED {
        return Err(Problem::new(Code::TooLarge, format!("Nobody keeps more than {MAX_OWNED} requests."))
            .hint("Delete what you no longer need.")
            .into());
    }
    let id = uuid::Uuid::now_v7();
    let row = SavedRequestRow {
        id: *id.as_bytes(),
        owner: owner.to_owned(),
        version: 1,
        groups: content.shared_with.clone(),
        search: checks::search_text(&content),
        content: shape::encode(&content)?,
        updated_ms: state.now_ms(),
        updated_by: caller.caller.actor_text().to_owned(),
    };
    let detail = [("change", "save"), ("saved_request", &*id.to_string()), ("name", &*content.name)];
    let change = state.begin(&caller, &detail).await?;
    let saved = state.database.insert_saved_request(&row).await.map_err(ApiError::from);
    state.end(change, &[], saved)?;
    let mut response = tagged(row)?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// Save a request anew
///
/// Who shares it is the owner's to change.
#[utoipa::path(put, path = "/api/v1/collections/{id}", tag = "collections", request_body = SavedRequestEdit,
    params(("id" = String, Path, description = "Its id."), ("If-Match" = String, Header, description = "Its ETag.")),
    responses((status = 200, description = "The saved request; its `ETag` is its version.", body = SavedRequest)))]
pub(crate) async fn update_saved_request(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    headers: HeaderMap,
    input::Json(edit): input::Json<SavedRequestEdit>,
) -> ApiResult<Response> {
    let mut row = find(&state, &caller, &id).await?;
    checks::version(&headers, row.version)?;
    let is_owner = row.owner == caller.caller.subject_text();
    let groups = &caller.caller.session().groups;
    let mut content =
        checks::content(edit, |group| groups.iter().chain(&row.groups).any(|known| known == group))?;
    content.shared_with.sort();
    if !is_owner && content.shared_with != row.groups {
        return Err(not_the_owners(&state, &caller, "Only its owner says who shares a request.").await);
    }
    row.version = row.version.saturating_add(1);
    row.groups = content.shared_with.clone();
    row.search = checks::search_text(&content);
    row.content = shape::encode(&content)?;
    row.updated_ms = state.now_ms();
    row.updated_by = caller.caller.actor_text().to_owned();
    let detail = [("change", "update"), ("saved_request", &*id), ("name", &*content.name)];
    let change = state.begin(&caller, &detail).await?;
    let saved = state.database.update_saved_request(&row).await.map_err(ApiError::from);
    let saved = saved.and_then(|held| if held { Ok(()) } else { Err(checks::changed_meanwhile()) });
    state.end(change, &[], saved)?;
    tagged(row)
}

/// Delete a saved request
///
/// Its history goes with it; the audit log keeps who did that.
#[utoipa::path(delete, path = "/api/v1/collections/{id}", tag = "collections",
    params(("id" = String, Path, description = "Its id."), ("If-Match" = String, Header, description = "Its ETag.")),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn delete_saved_request(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let row = find(&state, &caller, &id).await?;
    checks::version(&headers, row.version)?;
    if row.owner != caller.caller.subject_text() {
        return Err(not_the_owners(&state, &caller, "Only its owner deletes a request.").await);
    }
    let change = state.begin(&caller, &[("change", "delete"), ("saved_request", &id)]).await?;
    let deleted = state.database.delete_saved_request(&row.id, row.version).await.map_err(ApiError::from);
    let deleted = deleted.and_then(|held| if held { Ok(()) } else { Err(checks::changed_meanwhile()) });
    state.end(change, &[], deleted)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn not_the_owners(state: &ApiState, caller: &Authorized, detail: &str) -> ApiError {
    let problem = Problem::new(Code::Forbidden, detail).hint("Ask the owner, or save a copy of your own.");
    state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await
}
