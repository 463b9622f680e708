//! `POST /oauth2/token`: tokens for a service account's secret, and in exchange for a user's token (RFC 8693).

use super::{Form, OauthError};
use crate::error::ApiError;
use crate::gate::Authorized;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_auth::{Ask, Proven, Session};
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use doorman_door::caller::{Refusal, delegation_refused};
use doorman_policy::Subject;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

pub(super) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// What a client asks for. Parameters that are not named here are passed over, as the RFCs want it.
#[derive(Deserialize, ToSchema)]
#[expect(dead_code, reason = "describes the form, which is read field by field")]
pub(crate) struct TokenForm {
    /// `client_credentials` or `urn:ietf:params:oauth:grant-type:token-exchange`.
    grant_type: String,
    /// The service account, unless Basic names it.
    client_id: Option<String>,
    /// Its secret, unless Basic shows it.
    client_secret: Option<String>,
    /// Exchange: the user's own login token.
    subject_token: Option<String>,
    /// Exchange: `urn:ietf:params:oauth:token-type:access_token` or `…:jwt`.
    subject_token_type: Option<String>,
    /// Exchange: the client's own token, if the client wants to name itself again.
    actor_token: Option<String>,
    /// Exchange: as `subject_token_type`.
    actor_token_type: Option<String>,
    /// Exchange: as `subject_token_type`; no other kind is made.
    requested_token_type: Option<String>,
    /// Exchange: this installation, as it stands in `aud` of its tokens; no other is served.
    audience: Option<String>,
}

/// A token (RFC 6749 §5.1, RFC 8693 §2.2.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct Granted {
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds.
    expires_in: u64,
    /// Exchange: what kind of token it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
}

/// Get a token
///
/// With `client_credentials` the service account's own; with a user's login token in exchange, one with which the service
/// acts for that user (`act`), if policy lets it.
#[utoipa::path(post, path = "/oauth2/token", tag = "oauth",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token.", body = Granted)))]
pub(crate) async fn grant_token(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    form: Form,
) -> Result<Json<Granted>, OauthError> {
    if form.value("scope").is_some() {
        return Err(OauthError::new(
            "invalid_scope",
            "There are no scopes; policy decides what a token may do.",
        ));
    }
    match form.value("grant_type") {
        Some("client_credentials") => grant_own(&state, &caller).await,
        Some(EXCHANGE) => exchange(&state, &caller, &form).await,
        Some(_) => Err(OauthError::new("unsupported_grant_type", "This grant type is not supported.")),
        None => Err(OauthError::new("invalid_request", "grant_type is missing.")),
    }
}

async fn grant_own(state: &ApiState, caller: &Authorized) -> Result<Json<Granted>, OauthError> {
    let change = state.begin(caller, &[("change", "issue"), ("grant", "client_credentials")]).await?;
    let (account, client_ip) = (caller.caller.actor_session(), caller.arrival.client_ip);
    let issued = state
        .authenticator
        .issue(Ask::Service { account: account.id, client_ip })
        .await
        .map_err(ApiError::from);
    let id = id_of(&issued);
    let (token, proven) = state.end(change, &[("token", &id)], issued)?;
    Ok(Json(granted(state, &token, &proven, None)))
}

async fn exchange(state: &ApiState, caller: &Authorized, form: &Form) -> Result<Json<Granted>, OauthError> {
    let subject = check_exchange(state, caller, form).await?;
    let user = subject.principal.to_string();
    let detail = [("change", "issue"), ("grant", "token-exchange"), ("principal", &*user)];
    let change = state.begin(caller, &detail).await?;
    let (actor, client_ip) = (caller.caller.actor_session(), caller.arrival.client_ip);
    let issued = state
        .authenticator
        .issue(Ask::Exchange { actor: actor.id, subject: subject.id, client_ip })
        .await
        .map_err(ApiError::from);
    let id = id_of(&issued);
    let (token, proven) = state.end(change, &[("token", &id)], issued)?;
    Ok(Json(granted(state, &token, &proven, Some(ACCESS_TOKEN))))
}

/// The user's session, if the exchange is as it must be and policy lets this service act for that user.
async fn check_exchange(
    state: &ApiState,
    caller: &Authorized,
    form: &Form,
) -> Result<Arc<Session>, OauthError> {
    check_types(state, form)?;
    if let Some(token) = form.value("actor_token") {
        let actor = state.authenticator.verify_bearer(token).await;
        if !actor.is_ok_and(|actor| actor.session.principal == *caller.subject()) {
            return Err(refuse(state, caller, "The actor's token is not the client's own.", None).await);
        }
    }
    let token = form.value("subject_token").unwrap_or_default();
    let subject = match state.authenticator.verify_bearer(token).await {
        Ok(verified) => verified.session,
        Err(error) => {
            return Err(refuse(state, caller, "The user's token is not valid.", error.principal_hint).await);
        }
    };
    let name = subject.principal.name().to_owned();
    let (Principal::User(user), true) = (&subject.principal, subject.is_own_login()) else {
        return Err(refuse(state, caller, "The user's token must be their own login.", Some(name)).await);
    };
    let set = state.door.policies.current();
    let as_policy_sees = Subject::user(user, &subject.groups);
    let service = caller.subject().name();
    if !set.decide_delegate(service, caller.arrival.client_ip, &as_policy_sees).permit {
        let detail = "Policy does not let this service act for this user.";
        return Err(refuse(state, caller, detail, Some(name)).await);
    }
    Ok(subject)
}

fn check_types(state: &ApiState, form: &Form) -> Result<(), OauthError> {
    let is_known = |name| form.value(name).is_none_or(|kind| matches!(kind, ACCESS_TOKEN | JWT));
    let invalid = |detail| Err(OauthError::new("invalid_request", detail));
    if form.value("subject_token").is_none() || form.value("subject_token_type").is_none() {
        return invalid("subject_token and subject_token_type are needed.");
    }
    if form.value("actor_token").is_some() != form.value("actor_token_type").is_some() {
        return invalid("actor_token and actor_token_type go together.");
    }
    if !["subject_token_type", "actor_token_type", "requested_token_type"].into_iter().all(is_known) {
        return invalid("The only type of token here is access_token.");
    }
    let own = state.authenticator.audience();
    let targets = [form.value("audience"), form.value("resource")];
    if targets.into_iter().flatten().any(|target| target != own && target != state.authenticator.issuer()) {
        return Err(OauthError::new("invalid_target", "Tokens for others are not made here."));
    }
    Ok(())
}

async fn refuse(state: &ApiState, caller: &Authorized, detail: &str, claimed: Option<String>) -> OauthError {
    let mut refusal = Refusal { claimed, ..delegation_refused(detail, detail) };
    refusal.problem = refusal
        .problem
        .hint("Show the user's own live login token; policies say which service may act for whom.");
    state.deny_because(&caller.arrival, caller.kind, &caller.caller, refusal).await.into()
}

fn id_of(issued: &Result<(Secret, Proven), ApiError>) -> String {
    issued.as_ref().map(|(_, proven)| proven.session.id_text().to_owned()).unwrap_or_default()
}

fn granted(
    state: &ApiState,
    token: &Secret,
    proven: &Proven,
    issued_token_type: Option<&'static str>,
) -> Granted {
    Granted {
        access_token: token.expose().to_owned(),
        token_type: "Bearer",
        expires_in: proven.token_expires_ms.saturating_sub(state.now_ms()) / 1_000,
        issued_token_type,
    }
}
