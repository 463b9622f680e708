//! What OAuth clients ask about tokens and do to them: introspection (RFC 7662) and revocation (RFC 7009).

use super::{Form, OauthError};
use crate::error::ApiError;
use crate::gate::Authorized;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_auth::{Session, Verified};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_door::Problem;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// The token in question.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
pub(crate) struct AboutForm {
    token: String,
    /// Passed over: there is one kind of token.
    token_type_hint: Option<String>,
    /// The service account, unless Basic names it.
    client_id: Option<String>,
    /// Its secret, unless Basic shows it.
    client_secret: Option<String>,
}

/// What a token says; of one that is not live, only that.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Introspection {
    /// Whether it is live.
    active: bool,
    /// `user:alice` or `service:reports-ui`.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// The bare name.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// `doorman` for people's logins, else the service account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// Always `Bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
    /// Seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<u64>,
    /// When its session began; seconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// The user's groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<String>>,
    /// Who acts for `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<ActorClaim>,
}

/// Who acts (RFC 8693 §4.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct ActorClaim {
    /// `service:reports-ui`
    sub: String,
}

/// Ask what a token says
#[utoipa::path(post, path = "/oauth2/introspect", tag = "oauth",
    request_body(content = AboutForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "What it says.", body = Introspection)))]
pub(crate) async fn introspect_token(
    State(state): State<Arc<ApiState>>,
    _caller: Authorized,
    form: Form,
) -> Result<Json<Introspection>, OauthError> {
    let found = find(&state, &form).await?;
    Ok(Json(found.map(|verified| describe(&state, &verified)).unwrap_or_default()))
}

fn describe(state: &ApiState, verified: &Verified) -> Introspection {
    let session = &verified.session;
    let client_id = match (&session.actor, &session.principal) {
        (Some(actor), _) => actor.name().to_owned(),
        (None, Principal::Service(name)) => name.to_string(),
        (None, Principal::User(_)) => "doorman".to_owned(),
    };
    Introspection {
        active: true,
        sub: Some(session.principal.to_string()),
        username: Some(session.principal.name().to_owned()),
        client_id: Some(client_id),
        token_type: Some("Bearer"),
        exp: Some(verified.token_expires_ms / 1_000),
        iat: Some(session.created_ms / 1_000),
        iss: Some(state.authenticator.issuer().to_owned()),
        aud: Some(state.authenticator.audience().to_owned()),
        groups: matches!(session.principal, Principal::User(_)).then(|| session.groups.to_vec()),
        act: session.actor.as_ref().map(|actor| ActorClaim { sub: actor.to_string() }),
    }
}

/// Revoke a token
///
/// One of the client's own, or one with which it acts for a user. A token that is not live is no error.
#[utoipa::path(post, path = "/oauth2/revoke", tag = "oauth",
    request_body(content = AboutForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is not live any more.")))]
pub(crate) async fn revoke_oauth_token(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    form: Form,
) -> Result<StatusCode, OauthError> {
    let Some(verified) = find(&state, &form).await? else { return Ok(StatusCode::OK) };
    let session = &verified.session;
    if !is_of(session, caller.subject()) {
        let problem = Problem::new(Code::Forbidden, "The token was issued to somebody else.")
            .hint("Users end their sessions with POST /auth/v1/logout.");
        return Err(state.deny(&caller.arrival, caller.kind, &caller.caller, problem).await.into());
    }
    let detail = [("change", "revoke"), ("token", session.id_text())];
    let change = state.begin(&caller, &detail).await?;
    let revoked = state.authenticator.store().logout(session.id).await.map_err(ApiError::from);
    state.end(change, &[], revoked)?;
    Ok(StatusCode::OK)
}

fn is_of(session: &Session, client: &Principal) -> bool {
    session.principal == *client || session.actor.as_ref() == Some(client)
}

/// The token's live session; `None` when it has none.
async fn find(state: &ApiState, form: &Form) -> Result<Option<Verified>, OauthError> {
    let Some(token) = form.value("token") else {
        return Err(OauthError::new("invalid_request", "token is missing."));
    };
    match state.authenticator.verify_bearer(token).await {
        Ok(verified) => Ok(Some(verified)),
        Err(error) if matches!(error.code, Code::DirectoryUnavailable | Code::AuditUnavailable) => {
            Err(ApiError::from(error).into())
        }
        Err(_) => Ok(None),
    }
}
