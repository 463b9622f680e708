//! Service accounts: made, changed, rotated, deleted.

use super::owner::principal;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::{self, OptionalJson, Params, Segments};
use crate::page::PageParams;
use crate::shape;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_auth::ServiceChange;
use doorman_client::wire::{
    List, NewServiceAccount, ServiceAccount, ServiceAccountPatch, ServiceAccountSecret,
};
use http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// The secret before a rotation stays good for so long when the call says nothing.
const OVERLAP_S: u64 = 24 * 3_600;
const LONGEST_OVERLAP_S: u64 = 30 * 24 * 3_600;

/// Service accounts
#[utoipa::path(get, path = "/auth/v1/service-accounts", tag = "auth", params(PageParams),
    responses((status = 200, description = "A page, by name.", body = List<ServiceAccount>)))]
pub(crate) async fn list_service_accounts(
    State(state): State<Arc<ApiState>>,
    _caller: Authorized,
    Params(page): Params<PageParams>,
) -> ApiResult<Json<List<ServiceAccount>>> {
    let (limit, cursor) = page.checked()?;
    let (accounts, next_cursor) = state.authenticator.store().list_services(cursor, limit).await?;
    Ok(Json(List { items: accounts.into_iter().map(shape::service_account).collect(), next_cursor }))
}

/// Make a service account
///
/// Its secret is shown this once. With `"directory": true` an account of the directory becomes one; its password there is
/// its secret.
#[utoipa::path(post, path = "/auth/v1/service-accounts", tag = "auth", request_body = NewServiceAccount,
    responses((status = 201, description = "The account and its secret.", body = ServiceAccountSecret)))]
pub(crate) async fn create_service_account(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    input::Json(new): input::Json<NewServiceAccount>,
) -> ApiResult<(StatusCode, Json<ServiceAccountSecret>)> {
    let owner = owner(&new.owner)?;
    let kind = if new.directory { "directory" } else { "secret" };
    let detail = [("change", "create"), ("service_account", &*new.name), ("owner", &*owner), ("proof", kind)];
    let change = state.begin(&caller, &detail).await?;
    let set = ServiceChange {
        owner: Some(owner.clone()),
        description: Some(new.description),
        networks: Some(new.networks),
        disabled: None,
    };
    let made = if new.directory {
        state.authenticator.adopt_service(&new.name, set).await.map(|account| (account, None))
    } else {
        let made = state.authenticator.create_service(&new.name, set, None).await;
        made.map(|(account, secret)| (account, Some(secret.expose().to_owned())))
    };
    let (account, secret) = state.end(change, &[], made.map_err(ApiError::from))?;
    let about = shape::service_account(account);
    Ok((StatusCode::CREATED, Json(ServiceAccountSecret { secret, about })))
}

/// A service account
#[utoipa::path(get, path = "/auth/v1/service-accounts/{name}", tag = "auth",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The account.", body = ServiceAccount)))]
pub(crate) async fn show_service_account(
    State(state): State<Arc<ApiState>>,
    _caller: Authorized,
    Segments(name): Segments<String>,
) -> ApiResult<Json<ServiceAccount>> {
    Ok(Json(shape::service_account(state.authenticator.store().service(&name).await?)))
}

/// Change a service account
///
/// What is left out stays. Disabling it ends its sessions.
#[utoipa::path(patch, path = "/auth/v1/service-accounts/{name}", tag = "auth", request_body = ServiceAccountPatch,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The account.", body = ServiceAccount)))]
pub(crate) async fn update_service_account(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(name): Segments<String>,
    input::Json(patch): input::Json<ServiceAccountPatch>,
) -> ApiResult<Json<ServiceAccount>> {
    let said = serde_json::to_string(&patch).unwrap_or_default();
    let set = ServiceChange {
        owner: patch.owner.as_deref().map(owner).transpose()?,
        description: patch.description,
        networks: patch.networks,
        disabled: patch.disabled,
    };
    let detail = [("change", "update"), ("service_account", &*name), ("set", &*said)];
    let change = state.begin(&caller, &detail).await?;
    let updated = state.authenticator.store().update_service(&name, set).await.map_err(ApiError::from);
    Ok(Json(shape::service_account(state.end(change, &[], updated)?)))
}

/// Delete a service account
///
/// Its sessions end with it.
#[utoipa::path(delete, path = "/auth/v1/service-accounts/{name}", tag = "auth",
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 204, description = "It is gone.")))]
pub(crate) async fn delete_service_account(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(name): Segments<String>,
) -> ApiResult<StatusCode> {
    let change = state.begin(&caller, &[("change", "delete"), ("service_account", &name)]).await?;
    let deleted = state.authenticator.store().delete_service(&name).await.map_err(ApiError::from);
    state.end(change, &[], deleted)?;
    Ok(StatusCode::NO_CONTENT)
}

/// How to rotate; all of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RotateRequest {
    /// For how long the present secret stays good beside the new one; a day without it, 30 days at most.
    overlap_seconds: Option<u64>,
}

/// Rotate a service account's secret
///
/// The new one is shown this once. The present one stays good for the overlap; one from before that ends now.
#[utoipa::path(post, path = "/auth/v1/service-accounts/{name}/rotate", tag = "auth", request_body = Option<RotateRequest>,
    params(("name" = String, Path, description = "Its name.")),
    responses((status = 200, description = "The account and its new secret.", body = ServiceAccountSecret)))]
pub(crate) async fn rotate_service_account(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Segments(name): Segments<String>,
    OptionalJson(rotate): OptionalJson<RotateRequest>,
) -> ApiResult<Json<ServiceAccountSecret>> {
    let overlap_s = rotate.overlap_seconds.unwrap_or(OVERLAP_S);
    if overlap_s > LONGEST_OVERLAP_S {
        return Err(ApiError::field("overlap_seconds", format!("at most {LONGEST_OVERLAP_S}")));
    }
    let change = state.begin(&caller, &[("change", "rotate"), ("service_account", &name)]).await?;
    let overlap = Duration::from_secs(overlap_s);
    let rotated = state.authenticator.store().rotate_service(&name, overlap).await.map_err(ApiError::from);
    let secret = state.end(change, &[], rotated)?;
    let about = shape::service_account(state.authenticator.store().service(&name).await?);
    Ok(Json(ServiceAccountSecret { secret: Some(secret.expose().to_owned()), about }))
}

/// Who answers for an account: a principal, or a bare user name.
fn owner(text: &str) -> ApiResult<String> {
    let owner = principal(text).map(|owner| owner.to_string());
    owner.ok_or_else(|| ApiError::field("owner", "who answers for the account, such as user:erin"))
}
