//! Sessions: listed and ended.

use super::owner::{OwnedParams, asked_owner, find_owned};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{Params, Segments};
use crate::shape;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_client::wire::{self, List};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::IntoParams;

/// Live sessions
///
/// Newest first; one's own, unless `principal` says otherwise. Personal tokens are not among them, so a page may be
/// short.
#[utoipa::path(get, path = "/auth/v1/sessions", tag = "auth", params(OwnedParams),
    responses((status = 200, description = "A page.", body = List<wire::Session>)))]
pub(crate) async fn list_sessions(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(params): Params<OwnedParams>,
) -> ApiResult<Json<List<wire::Session>>> {
    let (limit, cursor) = params.page()?;
    let owner = asked_owner(&state, &caller, params.principal.as_deref()).await?;
    let (page, next_cursor) =
        state.authenticator.store().list_sessions(owner.as_ref(), cursor, limit).await?;
    let current = caller.caller.actor_session().id;
    let items = page.into_iter().map(|info| shape::session(info, &current)).collect();
    Ok(Json(List { items, next_cursor }))
}

/// Whose sessions to end.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EndParams {
    /// `user:alice`, or a bare user name. Without it one's own. Others' need `session:manage` on all sessions.
    pub principal: Option<String>,
}

/// End all sessions
///
/// Ends every session and every personal token of a principal: one's own, unless `principal` says otherwise.
#[utoipa::path(delete, path = "/auth/v1/sessions", tag = "auth", params(EndParams),
    responses((status = 204, description = "They have ended.")))]
pub(crate) async fn end_sessions(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(params): Params<EndParams>,
) -> ApiResult<StatusCode> {
    let owner = asked_owner(&state, &caller, params.principal.as_deref()).await?;
    let owner = owner.ok_or_else(|| ApiError::field("principal", "one principal at a time"))?;
    let text = owner.to_string();
    let change = state.begin(&caller, &[("change", "end-sessions"), ("principal", &text)]).await?;
    let ended = state.authenticator.store().revoke_all_of(&owner).await.map_err(ApiError::from);
    let count = ended.as_ref().map(ToString::to_string).unwrap_or_default();
    state.end(change, &[("ended", &count)], ended)?;
    Ok(StatusCode::NO_CONTENT)
}

/// End a session
#[utoipa::path(delete, path = "/auth/v1/sessions/{id}", tag = "auth",
    params(("id" = String, Path, description = "The session's id.")),
    responses((status = 204, description = "It has ended.")))]
pub(crate) async fn end_session(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<StatusCode> {
    let found = find_owned(&state, &caller, &id, None).await?;
    let owner = found.facts.principal.to_string();
    let change =
        state.begin(&caller, &[("change", "end-session"), ("session", &id), ("principal", &owner)]).await?;
    let ended = state.authenticator.store().logout(found.facts.id).await.map_err(ApiError::from);
    state.end(change, &[], ended)?;
    Ok(StatusCode::NO_CONTENT)
}
