//! What `api` may ask a proxy besides forwarding: how it is. Never forwards anything.

use crate::answer::{AnswerBody, plain, unauthorized};
use crate::server::Shared;
use doorman_core::keys::KeyUse;
use doorman_core::token;
use http::{HeaderMap, Response, StatusCode, header};
use serde::Serialize;

/// Where `api` polls.
pub const STATUS_PATH: &str = "/control/v1/status";

#[derive(Serialize)]
struct Status<'a> {
    boot_id: String,
    region: &'a str,
    draining: bool,
    statement_keys: Vec<String>,
    services: Vec<crate::registry::ServiceStatus<'a>>,
}

/// Answers a poll that carries a control token for this region.
pub(crate) fn status(shared: &Shared, headers: &HeaderMap, now_ms: u64) -> Response<AnswerBody> {
    let token =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let keys = shared.trust.keys();
    let is_ours = token.is_some_and(|token| {
        token::verify_control(&keys, CONTROL_ISSUER, &audience(&shared.region), token, now_ms).is_ok()
    });
    if !is_ours {
        return unauthorized();
    }
    let status = Status {
        boot_id: shared.boot.to_string(),
        region: &shared.region,
        draining: shared.is_draining(),
        statement_keys: keys.ids(KeyUse::Statement).map(|id| id.to_string()).collect(),
        services: shared.registry.status(),
    };
    plain(StatusCode::OK, "application/json", serde_json::to_vec(&status).unwrap_or_default())
}

/// The issuer of control tokens.
pub const CONTROL_ISSUER: &str = "doorman-api";

/// The audience of control tokens for a region.
pub fn audience(region: &str) -> String {
    format!("proxy:{region}")
}
