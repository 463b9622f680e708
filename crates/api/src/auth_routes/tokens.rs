//! Personal access tokens: issued, listed, revoked.

use super::owner::{OwnedParams, asked_owner, find_owned};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{self, Params, Segments};
use crate::shape;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_auth::{Ask, Proven, Scopes};
use doorman_client::wire::{List, NewPersonalToken, PersonalToken, PersonalTokenSecret};
use doorman_core::time::{format_rfc3339, parse_rfc3339};
use doorman_door::problem::FieldError;
use doorman_store::SessionKind;
use http::StatusCode;
use std::sync::Arc;

/// Names in one list of scopes, at most.
const MAX_SCOPES: usize = 100;

/// Live personal tokens
///
/// Newest first; one's own, unless `principal` says otherwise.
#[utoipa::path(get, path = "/auth/v1/tokens", tag = "auth", params(OwnedParams),
    responses((status = 200, description = "A page.", body = List<PersonalToken>)))]
pub(crate) async fn list_tokens(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(params): Params<OwnedParams>,
) -> ApiResult<Json<List<PersonalToken>>> {
    let (limit, cursor) = params.page()?;
    let owner = asked_owner(&state, &caller, params.principal.as_deref()).await?;
    let (page, next_cursor) = state.authenticator.store().list_tokens(owner.as_ref(), cursor, limit).await?;
    Ok(Json(List { items: page.into_iter().map(shape::personal_token).collect(), next_cursor }))
}

/// Issue a personal token
///
/// For scripts: it acts as the user, within its scopes, until it expires. It is shown this once.
#[utoipa::path(post, path = "/auth/v1/tokens", tag = "auth", request_body = NewPersonalToken,
    responses((status = 201, description = "The token.", body = PersonalTokenSecret)))]
pub(crate) async fn issue_token(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    input::Json(new): input::Json<NewPersonalToken>,
) -> ApiResult<(StatusCode, Json<PersonalTokenSecret>)> {
    let expires_ms = check(&new, state.now_ms())?;
    let said = serde_json::to_string(&new.scopes).unwrap_or_default();
    let detail =
        [("change", "issue"), ("name", &*new.name), ("expires_at", &*new.expires_at), ("scopes", &*said)];
    let change = state.begin(&caller, &detail).await?;
    let scopes = scopes_of(&new);
    let (owner, client_ip) = (caller.caller.actor_session(), caller.arrival.client_ip);
    let ask = Ask::Personal { owner: owner.id, name: new.name.clone(), scopes, expires_ms, client_ip };
    let issued = state.authenticator.issue(ask).await;
    let id = issued.as_ref().map(|(_, made)| made.session.id_text().to_owned()).unwrap_or_default();
    let (token, Proven { session, .. }) =
        state.end(change, &[("token", &id)], issued.map_err(ApiError::from))?;
    let about = PersonalToken {
        id,
        name: new.name,
        created_at: format_rfc3339(session.created_ms),
        expires_at: format_rfc3339(session.expires_ms),
        last_used_at: None,
        scopes: new.scopes,
    };
    Ok((StatusCode::CREATED, Json(PersonalTokenSecret { token: token.expose().to_owned(), about })))
}

/// When the token is to end. All that is wrong with it is told at once.
fn check(new: &NewPersonalToken, now_ms: u64) -> ApiResult<u64> {
    let mut errors = Vec::new();
    let mut wrong = |field: &str, detail: &str| {
        errors.push(FieldError { field: field.to_owned(), detail: detail.to_owned() });
    };
    if new.name.trim().is_empty() || new.name.chars().count() > 100 || new.name.chars().any(char::is_control)
    {
        wrong("name", "1 to 100 characters, none of them control characters");
    }
    let expires_ms = parse_rfc3339(&new.expires_at);
    match expires_ms {
        None => wrong("expires_at", "a time such as 2026-03-01T12:00:00Z (RFC 3339)"),
        Some(at) if at <= now_ms => wrong("expires_at", "in the future"),
        Some(_) => {}
    }
    let scopes = &new.scopes;
    let lists = [("regions", &scopes.regions), ("services", &scopes.services), ("methods", &scopes.methods)];
    for (name, list) in lists {
        let Some(list) = list else { continue };
        if list.is_empty() || list.len() > MAX_SCOPES || list.iter().any(|item| item.len() > 100) {
            wrong(&format!("scopes.{name}"), "1 to 100 names; leave the list out to limit nothing");
        } else if name == "methods" && list.iter().any(|item| !item.bytes().all(|b| b.is_ascii_uppercase())) {
            wrong("scopes.methods", "upper-case HTTP methods");
        }
    }
    match expires_ms {
        Some(at) if errors.is_empty() => Ok(at),
        _ => Err(ApiError::fields(errors)),
    }
}

fn scopes_of(new: &NewPersonalToken) -> Option<Scopes> {
    let scopes = &new.scopes;
    let limits = scopes.regions.is_some() || scopes.services.is_some() || scopes.methods.is_some();
    limits.then(|| Scopes {
        regions: scopes.regions.clone(),
        services: scopes.services.clone(),
        methods: scopes.methods.clone(),
    })
}

/// Revoke a personal token
#[utoipa::path(delete, path = "/auth/v1/tokens/{id}", tag = "auth",
    params(("id" = String, Path, description = "The token's id.")),
    responses((status = 204, description = "It is revoked.")))]
pub(crate) async fn revoke_token(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(id): Segments<String>,
) -> ApiResult<StatusCode> {
    let found = find_owned(&state, &caller, &id, Some(SessionKind::Personal)).await?;
    let owner = found.facts.principal.to_string();
    let change = state.begin(&caller, &[("change", "revoke"), ("token", &id), ("principal", &owner)]).await?;
    let revoked = state.authenticator.store().logout(found.facts.id).await.map_err(ApiError::from);
    state.end(change, &[], revoked)?;
    Ok(StatusCode::NO_CONTENT)
}
