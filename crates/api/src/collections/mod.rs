//! Saved requests in folders: private, or shared with groups, whose members see and edit them. The owner alone deletes
//! them and says who shares them. What one may not see is as if it were not there.

mod checks;
mod edit;
mod shape;

pub(crate) use edit::{create_saved_request, delete_saved_request, update_saved_request};
// The macro that builds routes finds these beside the handlers.
pub(crate) use edit::{
    __path_create_saved_request, __path_delete_saved_request, __path_update_saved_request,
};

use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Params, Segments};
use crate::page::{checked_cursor, checked_limit};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_client::wire::{List, SavedRequest, SavedRequestVersion};
use doorman_store::{SavedRequestRow, Viewer};
use http::{HeaderValue, header};
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Which saved requests.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SavedParams {
    /// Contained in name, folder, method or target, in any case.
    q: Option<String>,
    /// Items in a page, 1 to 500; 50 without it.
    limit: Option<u32>,
    /// Where the page before ended: its `next_cursor`.
    cursor: Option<String>,
}

/// Saved requests
///
/// One's own, and those that a group of one's shares.
#[utoipa::path(get, path = "/api/v1/collections", tag = "collections", params(SavedParams),
    responses((status = 200, description = "A page, oldest first.", body = List<SavedRequest>)))]
pub(crate) async fn list_saved_requests(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(asked): Params<SavedParams>,
) -> ApiResult<Json<List<SavedRequest>>> {
    let limit = checked_limit(asked.limit)?;
    let cursor = checked_cursor(asked.cursor.as_deref())?;
    let wanted = asked.q.as_deref().map(str::to_lowercase).filter(|wanted| !wanted.is_empty());
    let found = state.database.saved_requests_page(viewer(&caller), wanted.as_deref(), cursor, limit).await?;
    let items = found.0.into_iter().map(shape::saved).collect::<ApiResult<_>>()?;
    Ok(Json(List { items, next_cursor: found.1 }))
}

/// A saved request
#[utoipa::path(get, path = "/api/v1/collections/{id}", tag = "collections",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "The request; its `ETag` is its version.", body = SavedRequest)))]
pub(crate) async fn show_saved_request(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Response> {
    tagged(find(&state, &caller, &id).await?)
}

/// Its edits
///
/// Newest first, at most the latest hundred.
#[utoipa::path(get, path = "/api/v1/collections/{id}/history", tag = "collections",
    params(("id" = String, Path, description = "Its id.")),
    responses((status = 200, description = "All that are kept.", body = List<SavedRequestVersion>)))]
pub(crate) async fn list_saved_versions(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<Json<List<SavedRequestVersion>>> {
    let row = find(&state, &caller, &id).await?;
    let edits = state.database.saved_request_edits(&row.id).await?;
    Ok(Json(List::whole(edits.into_iter().map(shape::version).collect::<ApiResult<_>>()?)))
}

/// What the caller can see: groups of whoever's rights decide.
fn viewer(caller: &Authorized) -> Viewer<'_> {
    Viewer { principal: caller.caller.subject_text(), groups: &caller.caller.session().groups }
}

/// A request that the caller can see.
async fn find(state: &ApiState, caller: &Authorized, id: &str) -> ApiResult<SavedRequestRow> {
    let found = match shape::parse_id(id) {
        Some(id) => state.database.saved_request(viewer(caller), &id).await?,
        None => None,
    };
    found.ok_or_else(|| ApiError::not_found("saved request"))
}

/// A request with its `ETag`.
fn tagged(row: SavedRequestRow) -> ApiResult<Response> {
    let tag = HeaderValue::try_from(checks::tag(row.version));
    let mut response = Json(shape::saved(row)?).into_response();
    if let Ok(tag) = tag {
        response.headers_mut().insert(header::ETAG, tag);
    }
    Ok(response)
}
