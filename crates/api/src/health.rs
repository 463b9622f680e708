//! What machines ask: whether the process lives, whether it can do its work, its figures and its public keys.

use crate::error::ApiResult;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use doorman_auth::AuthorityState;
use doorman_core::keys::KeyUse;
use doorman_core::time::format_rfc3339;
use http::{StatusCode, header};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use utoipa::ToSchema;

/// The database must answer a readiness check by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct Alive {
    /// Always `ok`.
    status: &'static str,
}

/// What the process can do now. Nothing here says why not: that is in its log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Readiness {
    /// `ready`; `degraded` when something fails that leaves some requests possible; `draining` while the process
    /// ends; `unavailable`.
    status: &'static str,
    /// Whether the database answers.
    database: bool,
    /// Whether the last entry could be written.
    journal: bool,
    /// The directory.
    directory: DirectoryReadiness,
    /// The `doorman auth` that is asked; `null` where this process checks credentials itself.
    auth: Option<AuthReadiness>,
    /// The policies.
    policy: PolicyReadiness,
    /// Proxies that answer, of those configured, by region.
    regions: BTreeMap<String, RegionReadiness>,
    /// Whether each sink of the log takes it, as far as this process feeds it.
    sinks: BTreeMap<String, bool>,
}

/// Whether people can log in.
#[derive(Serialize, ToSchema)]
pub(crate) struct DirectoryReadiness {
    /// Whether it answered when last asked.
    available: bool,
    /// Since when it does not; RFC 3339.
    down_since: Option<String>,
    /// Until when sessions go on without it; RFC 3339.
    sessions_until: Option<String>,
}

/// Whether a separate `doorman auth` answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct AuthReadiness {
    /// Whether it answered when last asked.
    available: bool,
    /// Since when it does not; RFC 3339.
    down_since: Option<String>,
    /// Until when sessions that it confirmed go on without it; RFC 3339.
    sessions_until: Option<String>,
}

/// Which policies are in force.
#[derive(Serialize, ToSchema)]
pub(crate) struct PolicyReadiness {
    /// SHA-256 of the files in force.
    digest: String,
    /// Whether changed files were refused, so that the set before stays in force.
    refused: bool,
}

/// The proxies of a region.
#[derive(Serialize, ToSchema)]
pub(crate) struct RegionReadiness {
    /// How many are configured.
    proxies: usize,
    /// How many take requests.
    live: usize,
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "meta",
    responses((status = 200, description = "It does.", body = Alive)))]
pub(crate) async fn show_health() -> Json<Alive> {
    Json(Alive { status: "ok" })
}

/// Whether requests can be served
#[utoipa::path(get, path = "/readyz", tag = "meta", responses(
    (status = 200, description = "They can, perhaps not all.", body = Readiness),
    (status = 503, description = "None can.", body = Readiness)))]
pub(crate) async fn show_readiness(State(state): State<Arc<ApiState>>) -> ApiResult<Response> {
    let database = tokio::time::timeout(PATIENCE, state.database.ping()).await.is_ok_and(|ping| ping.is_ok());
    let readiness = readiness_of(&state, database);
    let is_ready = matches!(readiness.status, "ready" | "degraded");
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, Json(readiness)).into_response())
}

fn readiness_of(state: &ApiState, database: bool) -> Readiness {
    let journal = state.door.journal.is_available();
    let AuthorityState { directory, link } = state.authenticator.state();
    let refused = state.door.policies.last_refusal().is_some();
    let regions: BTreeMap<_, _> = state
        .door
        .catalog
        .load()
        .regions
        .iter()
        .map(|(name, region)| {
            let live =
                region.proxies.iter().filter_map(|proxy| proxy.live.as_ref()).filter(|live| !live.draining);
            (name.clone(), RegionReadiness { proxies: region.proxies.len(), live: live.count() })
        })
        .collect();
    let sinks = (state.sinks)();
    let auth_answers = link.is_none_or(|link| link.down_since_ms.is_none());
    let all_well = auth_answers
        && sinks.values().all(|well| *well)
        && directory.down_since_ms.is_none()
        && !refused
        && regions.values().all(|region| region.live > 0);
    let status = match (database && journal, all_well) {
        _ if state.door.draining.load(Ordering::Relaxed) => "draining",
        (false, _) => "unavailable",
        (true, false) => "degraded",
        (true, true) => "ready",
    };
    Readiness {
        status,
        database,
        journal,
        directory: DirectoryReadiness {
            available: directory.down_since_ms.is_none(),
            down_since: directory.down_since_ms.map(format_rfc3339),
            sessions_until: directory.sessions_until_ms.map(format_rfc3339),
        },
        auth: link.map(|link| AuthReadiness {
            available: link.down_since_ms.is_none(),
            down_since: link.down_since_ms.map(format_rfc3339),
            sessions_until: link.sessions_until_ms.map(format_rfc3339),
        }),
        policy: PolicyReadiness { digest: state.door.policies.current().digest(), refused },
        regions,
        sinks,
    }
}

/// Figures for Prometheus
#[utoipa::path(get, path = "/metrics", tag = "meta",
    responses((status = 200, description = "Text exposition format.", body = String, content_type = "text/plain")))]
pub(crate) async fn show_metrics(State(state): State<Arc<ApiState>>) -> Response {
    let text = state.metrics.as_ref().map(|metrics| metrics.render()).unwrap_or_default();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// The public keys that verify tokens and identity assertions
#[utoipa::path(get, path = "/.well-known/jwks.json", tag = "meta",
    responses((status = 200, description = "A JWK set (RFC 7517).", body = serde_json::Value, content_type = "application/jwk-set+json")))]
pub(crate) async fn show_jwks(State(state): State<Arc<ApiState>>) -> Response {
    let keys = state.authenticator.public_keys().only(&[KeyUse::Token, KeyUse::Identity]);
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], keys.to_jwks()).into_response()
}
