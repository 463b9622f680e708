//! What the handlers share.

use crate::audit::chain::ChainWatch;
use doorman_auth::Authority;
use doorman_door::DoorShared;
use doorman_jobs::run::Jobs;
use doorman_store::Database;
use metrics_exporter_prometheus::PrometheusHandle;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use url::Url;

/// Everything that a handler can reach.
pub struct ApiState {
    /// Logins, sessions, tokens, service accounts.
    pub authenticator: Arc<dyn Authority>,
    /// What is stored; for reading the audit log.
    pub database: Database,
    /// Jobs and runs.
    pub jobs: Arc<Jobs>,
    /// What the door's threads share: policies, catalog, journal, revocations, the measure of refusals, time.
    pub door: Arc<DoorShared>,
    /// Renders `/metrics`; without it that route says that there is nothing.
    pub metrics: Option<PrometheusHandle>,
    /// How far the log has been verified.
    pub chain: ChainWatch,
    /// Whether each sink takes the log, by name.
    pub sinks: SinkHealth,
    /// Settings.
    pub config: ApiConfig,
}

/// Tells whether each sink takes the log, by name.
pub type SinkHealth = Arc<dyn Fn() -> BTreeMap<String, bool> + Send + Sync>;

impl ApiState {
    /// Wall time in milliseconds, never earlier than before.
    pub(crate) fn now_ms(&self) -> u64 {
        (self.door.now_ms)()
    }
}

/// Settings of the HTTP surface.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where clients find this installation: its origin is the one whose pages may use the cookie.
    pub public_url: Url,
    /// Whether the cookie is `__Host-doorman` with `Secure`; only plain loopback goes without.
    pub secure_cookie: bool,
}

impl ApiConfig {
    /// Settings for an installation at `public_url`.
    pub fn new(public_url: Url) -> Self {
        Self { secure_cookie: public_url.scheme() == "https", public_url }
    }
}

/// Where a request came from, and whether over TLS. The listener puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddr(pub IpAddr, pub bool);
