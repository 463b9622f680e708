//! Logins and their end.

use crate::arrival::Arrival;
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::Json;
use crate::shape::user_of;
use crate::state::ApiState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_auth::{Ask, Proven, Session};
use doorman_client::wire::{LoginRequest, LoginResponse, SessionToken};
use doorman_core::code::Code;
use doorman_core::record::{Kind, OutcomeState};
use doorman_core::secret::Secret;
use doorman_core::time::format_rfc3339;
use doorman_door::caller::Refusal;
use doorman_door::journal::Draft;
use http::{HeaderValue, StatusCode, header};
use std::sync::Arc;

/// Longer names and passwords are nobody's.
const MAX_CREDENTIAL: usize = 1_024;

/// Log in
///
/// Checks the directory's password and begins a session. With `"cookie":true` the answer also sets the cookie of
/// Doorman's own pages.
#[utoipa::path(post, path = "/auth/v1/login", tag = "auth", request_body = LoginRequest,
    responses((status = 200, description = "Logged in.", body = LoginResponse)))]
pub(crate) async fn log_in(
    State(state): State<Arc<ApiState>>,
    arrival: Arrival,
    Json(login): Json<LoginRequest>,
) -> ApiResult<Response> {
    let LoginRequest { username, password, cookie } = login;
    let password = Secret::new(password);
    let agent = arrival.user_agent.as_deref().unwrap_or_default();
    if username.len() > MAX_CREDENTIAL || password.expose().len() > MAX_CREDENTIAL {
        let error = doorman_auth::AuthError::new(Code::BadCredentials, "the name or password is too long");
        return Err(state.refuse(&arrival, Kind::Login, error.claimed_by(&username).into()).await);
    }
    let ask = Ask::Login {
        username: username.clone(),
        password,
        client_ip: arrival.client_ip,
        user_agent: agent.to_owned(),
        ttl: None,
    };
    let (token, Proven { session, .. }) = match state.authenticator.issue(ask).await {
        Ok(begun) => begun,
        Err(error) => {
            let refusal = Refusal::from(error.claimed_by(&username));
            return Err(state.refuse(&arrival, Kind::Login, refusal).await);
        }
    };
    write_login(&state, &arrival, &session).await?;
    let lifetime_s = session.expires_ms.saturating_sub(arrival.arrived_ms) / 1_000;
    let set_cookie = cookie.then(|| state.config.set_cookie(Some(&token), lifetime_s)).flatten();
    let user = user_of(&session).ok_or_else(|| ApiError::internal("a login that is no user's"))?;
    let answer = LoginResponse {
        token: token.expose().to_owned(),
        token_type: "Bearer".to_owned(),
        expires_at: format_rfc3339(session.expires_ms),
        user,
    };
    Ok(with_cookie(axum::Json(answer).into_response(), set_cookie))
}

/// Writes the login down. Where that cannot be, there was none.
async fn write_login(state: &ApiState, arrival: &Arrival, session: &Arc<Session>) -> ApiResult<()> {
    let user = session.principal.to_string();
    let mut record = arrival.record(Kind::Login);
    record.actor = Some(user.as_str().into());
    record.subject = Some(user.as_str().into());
    record.session = Some(session.id_text().into());
    record.decision = Some("permit".into());
    record.state = Some(OutcomeState::Done);
    record.status = Some(200);
    if let Err(failure) = state.door.journal.write(Draft::new(record)).await {
        if let Err(error) = state.authenticator.store().logout(session.id).await {
            tracing::warn!(%error, "a login that could not be written down was not ended; its token is given to nobody");
        }
        return Err(failure.into());
    }
    Ok(())
}

/// Log out
///
/// Ends the session of the credential for good, with every token of it.
#[utoipa::path(post, path = "/auth/v1/logout", tag = "auth",
    responses((status = 204, description = "The session has ended.")))]
pub(crate) async fn log_out(State(state): State<Arc<ApiState>>, caller: Authorized) -> ApiResult<Response> {
    let session = caller.caller.actor_session();
    let change = state.begin(&caller, &[("change", "logout")]).await?;
    let ended = state.authenticator.store().log_out_oneself(session.id).await.map_err(ApiError::from);
    state.end(change, &[], ended)?;
    let forget = caller.by_cookie.then(|| state.config.set_cookie(None, 0)).flatten();
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), forget))
}

/// Get a token for the door
///
/// A five-minute token of the cookie's session, for pages that call live services: cookies never open `/r/…`.
#[utoipa::path(post, path = "/auth/v1/session-token", tag = "auth",
    responses((status = 200, description = "The token.", body = SessionToken)))]
pub(crate) async fn make_session_token(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
) -> ApiResult<axum::Json<SessionToken>> {
    let change = state.begin(&caller, &[("change", "session-token")]).await?;
    let ask = Ask::SessionToken { session: caller.caller.actor_session().id };
    let made = state.authenticator.issue(ask).await.map_err(ApiError::from);
    let (token, Proven { token_expires_ms, .. }) = state.end(change, &[], made)?;
    Ok(axum::Json(SessionToken {
        token: token.expose().to_owned(),
        token_type: "Bearer".to_owned(),
        expires_at: format_rfc3339(token_expires_ms),
    }))
}

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
