//! What stands before every handler: it verifies the credential and enforces the route's class.

use crate::access::{Access, By, Who};
use crate::arrival::Arrival;
use crate::error::{ApiError, ApiResult};
use crate::oauth::{Form, OauthError, shows_secret};
use crate::origin::{check_cookie_call, check_not_foreign};
use crate::state::ApiState;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_core::record::Kind;
use doorman_door::caller::{Credentials, Refusal, verify};
use doorman_door::{Caller, Problem};
use doorman_policy::{Decision, PolicySet, Resource};
use doorman_store::SessionKind;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Instant;

const TOKEN: HeaderName = HeaderName::from_static("doorman-token");
const DELEGATION: [HeaderName; 2] =
    [HeaderName::from_static("doorman-on-behalf-of"), HeaderName::from_static("doorman-user-token")];

/// The gate of one route.
#[derive(Clone)]
pub(crate) struct Gate {
    pub state: Arc<ApiState>,
    pub access: Access,
    /// The route's path with its placeholders, for metrics.
    pub route: Arc<str>,
}

/// Proof that the caller may be here. Handlers get it from the gate and cannot make it.
#[derive(Clone)]
pub(crate) struct Authorized(Arc<Grant>);

/// What the gate found out.
pub(crate) struct Grant {
    pub arrival: Arrival,
    pub caller: Arc<Caller>,
    pub by_cookie: bool,
    /// The kind of entries about this call.
    pub kind: Kind,
    pub permits: Permits,
    access: Access,
    credentials: Credentials,
}

/// What policy permits of a route's actions; nothing where it was not asked.
#[derive(Default)]
pub(crate) struct Permits {
    /// The policies behind it.
    pub policies: Vec<Arc<str>>,
    granted: Vec<(&'static str, Resource<'static>)>,
}

impl Deref for Authorized {
    type Target = Grant;

    fn deref(&self) -> &Grant {
        &self.0
    }
}

impl Authorized {
    /// Whether policy permits this one of the route's actions.
    pub fn may(&self, action: &'static str, resource: Resource<'static>) -> bool {
        self.permits.granted.contains(&(action, resource))
    }

    /// Whether the caller may still be here: a live credential, and all that policy permitted. For answers that go on
    /// and on.
    pub async fn check_again(&self, state: &ApiState) -> Result<(), Box<Problem>> {
        let policies = state.door.policies.current();
        let ip = self.arrival.client_ip;
        let caller = verify(&*state.door.authenticate, &policies, &self.credentials, ip)
            .await
            .map_err(|refusal| Box::new(refusal.problem))?;
        let permits = judge(&policies, &self.access, &caller, self.by_cookie)?;
        if self.permits.granted.iter().all(|grant| permits.granted.contains(grant)) {
            return Ok(());
        }
        Err(Box::new(Problem::new(Code::Forbidden, "Policy does not permit as much any more.")))
    }

    /// Whose rights decide.
    pub fn subject(&self) -> &Principal {
        self.caller.identity().subject()
    }
}

/// Lets a request through to its handler, or answers it.
pub(crate) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = request.method().as_str().to_owned();
    let is_client = gate.access.who == Who::Client;
    let response = match gate.admit(request).await {
        Ok(request) => next.run(request).await,
        Err(error) if is_client => OauthError::from(error).into_response(),
        Err(error) => error.into_response(),
    };
    let labels = [
        ("route", gate.route.to_string()),
        ("method", method),
        ("status", response.status().as_u16().to_string()),
    ];
    metrics::counter!("doorman_api_requests_total", &labels).increment(1);
    metrics::histogram!("doorman_api_request_seconds", "route" => gate.route.to_string())
        .record(started.elapsed().as_secs_f64());
    response
}

impl Gate {
    async fn admit(&self, request: Request) -> ApiResult<Request> {
        let (mut parts, mut body) = request.into_parts();
        let arrival = Arrival::of(&parts, self.state.now_ms())?;
        if matches!(self.access.who, Who::Public | Who::Client)
            && let Err(problem) = check_not_foreign(&self.state.config, &parts)
        {
            return Err(self.refuse(&arrival, Refusal::new(*problem, "foreign origin")).await);
        }
        if self.access.who == Who::Public {
            parts.extensions.insert(arrival);
            return Ok(Request::from_parts(parts, body));
        }
        if self.access.who == Who::Client {
            let form = Form::read(&parts.headers, std::mem::take(&mut body)).await?;
            form.put_credential(&mut parts.headers)?;
            parts.extensions.insert(form);
            if !shows_secret(&parts.headers) {
                let problem = Problem::new(Code::Unauthenticated, "The client did not show its secret.")
                    .hint("Send name and secret as Basic, or as client_id and client_secret in the form.");
                return Err(self.refuse(&arrival, Refusal::new(problem, "no client secret")).await);
            }
        }
        let (caller, credentials, by_cookie) = match self.authenticate(&parts, &arrival).await {
            Ok(authenticated) => authenticated,
            Err(refusal) => return Err(self.refuse(&arrival, refusal).await),
        };
        match judge(&self.state.door.policies.current(), &self.access, &caller, by_cookie) {
            Ok(permits) => {
                let (access, kind) = (self.access, self.access.kind);
                let caller = Arc::new(caller);
                let grant = Grant { arrival, caller, by_cookie, kind, permits, access, credentials };
                parts.extensions.insert(Authorized(Arc::new(grant)));
                Ok(Request::from_parts(parts, body))
            }
            Err(problem) => Err(self.state.deny(&arrival, self.access.kind, &caller, *problem).await),
        }
    }

    async fn refuse(&self, arrival: &Arrival, refusal: Refusal) -> ApiError {
        self.state.refuse(arrival, self.access.kind, refusal).await
    }

    /// The verified caller with its credentials, and whether the cookie was one.
    async fn authenticate(
        &self,
        parts: &Parts,
        arrival: &Arrival,
    ) -> Result<(Caller, Credentials, bool), Refusal> {
        let state = &*self.state;
        let has_header = [TOKEN, header::AUTHORIZATION].iter().any(|name| parts.headers.contains_key(name));
        let cookie = state.config.cookie(&parts.headers).filter(|_| !has_header);
        let credentials = match cookie {
            Some(token) => {
                check_cookie_call(&state.config, parts).map_err(|problem| {
                    Refusal::new(*problem, "the cookie from elsewhere than our own pages")
                })?;
                Credentials::from_headers(&with_token(&parts.headers, token), None, arrival.client_ip)?.0
            }
            None => Credentials::from_headers(&parts.headers, None, arrival.client_ip)?.0,
        };
        let policies = state.door.policies.current();
        let caller = verify(&*state.door.authenticate, &policies, &credentials, arrival.client_ip).await?;
        Ok((caller, credentials, cookie.is_some()))
    }
}

/// Which of the route's actions are permitted, and by which policies.
fn judge(
    set: &PolicySet,
    access: &Access,
    caller: &Caller,
    by_cookie: bool,
) -> Result<Permits, Box<Problem>> {
    check_credential(access, caller, by_cookie)?;
    let mut permits = Permits::default();
    let Who::Permitted(actions) = access.who else { return Ok(permits) };
    let mut denials = Vec::new();
    for (action, resource) in actions {
        let decision = set.decide(caller.policy_subject(), action, *resource);
        if decision.permit {
            permits.granted.push((*action, *resource));
            permits.policies.extend(decision.policies.iter().cloned());
        } else {
            denials.push((*action, decision));
        }
    }
    if permits.granted.is_empty() { Err(Box::new(denied(caller, &denials))) } else { Ok(permits) }
}

fn check_credential(access: &Access, caller: &Caller, by_cookie: bool) -> Result<(), Box<Problem>> {
    let refuse = |detail: &str, hint: &str| Err(Box::new(Problem::new(Code::Forbidden, detail).hint(hint)));
    let session = caller.actor_session();
    if access.by != By::Any && caller.is_delegated() {
        return refuse(
            "This cannot be done on somebody's behalf.",
            "The user must do it with their own login.",
        );
    }
    if access.by == By::Login && session.kind == SessionKind::Personal {
        return refuse(
            "A personal token cannot manage credentials.",
            "Log in: `doorman login`, or POST /auth/v1/login.",
        );
    }
    match access.who {
        Who::Service | Who::Client if !matches!(session.principal, Principal::Service(_)) => refuse(
            "Only a service account may do this.",
            "Call with a service account's name and secret (Basic), or its token.",
        ),
        Who::Cookie if !by_cookie => refuse(
            "Only Doorman's own pages, with their cookie, may do this.",
            "Programs use the token that POST /auth/v1/login gave them.",
        ),
        _ => Ok(()),
    }
}

/// Whatever tells about delegation, and the cookie's token as the credential.
fn with_token(headers: &HeaderMap, token: &str) -> HeaderMap {
    let mut picked = HeaderMap::new();
    for name in &DELEGATION {
        for value in headers.get_all(name) {
            picked.append(name, value.clone());
        }
    }
    if let Ok(value) = HeaderValue::try_from(token) {
        picked.insert(TOKEN, value);
    }
    picked
}

/// Says which policies denied, or that none permits.
pub(crate) fn denied(caller: &Caller, denials: &[(&str, Decision)]) -> Problem {
    let mut names: Vec<String> = denials
        .iter()
        .flat_map(|(_, decision)| decision.policies.iter())
        .map(|name| name.to_string())
        .collect();
    names.dedup();
    let error = denials.iter().find_map(|(_, decision)| decision.error.as_deref());
    let action = denials.first().map_or("", |(action, _)| action);
    let detail = match (error, names.is_empty()) {
        (Some(error), _) => format!("A policy could not be evaluated, so this is denied: {error}."),
        (None, true) => format!("No policy permits {} the action {action} here.", caller.subject_text()),
        (None, false) => format!("Denied by policy {}.", names.join(", ")),
    };
    let mut problem = Problem::new(Code::Forbidden, detail)
        .hint("GET /auth/v1/me tells what you may do; ask whoever keeps the policies for more.");
    problem.policies = names;
    problem
}

impl<S: Send + Sync> FromRequestParts<S> for Authorized {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let granted = parts.extensions.get::<Self>().cloned();
        granted.ok_or_else(|| ApiError::internal("a handler asks for a caller on a public route"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Arrival {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let arrival = parts.extensions.get::<Self>().cloned();
        arrival.ok_or_else(|| ApiError::internal("a handler asks for the arrival on a route with a caller"))
    }
}
