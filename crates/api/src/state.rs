//! What the handlers share.

use doorman_auth::Authenticator;
use doorman_door::DoorShared;
use doorman_store::Database;
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use url::Url;

/// Everything that a handler can reach.
pub struct ApiState {
    /// Logins, sessions, tokens, service accounts.
    pub authenticator: Authenticator,
    /// What is stored; for reading the audit log.
    pub database: Database,
    /// What the door's threads share: policies, catalog, journal, revocations, the measure of refusals, time.
    pub door: Arc<DoorShared>,
    /// Renders `/metrics`; without it that route says that there is nothing.
    pub metrics: Option<PrometheusHandle>,
    /// Settings.
    pub config: ApiConfig,
    draining: AtomicBool,
}

impl ApiState {
    /// Over these parts.
    pub fn new(
        authenticator: Authenticator,
        database: Database,
        door: Arc<DoorShared>,
        config: ApiConfig,
        metrics: Option<PrometheusHandle>,
    ) -> Self {
        Self { authenticator, database, door, metrics, config, draining: AtomicBool::new(false) }
    }

    /// `/readyz` says from now on that this process takes no new work.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

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
    /// `iss` of tokens, as OAuth metadata states it.
    pub issuer: String,
    /// Whether the cookie is `__Host-doorman` with `Secure`; only plain loopback goes without.
    pub secure_cookie: bool,
}

impl ApiConfig {
    /// Settings for an installation at `public_url`.
    ///
    /// # Errors
    /// When that is no URL.
    pub fn new(public_url: &str) -> Result<Self, url::ParseError> {
        let public_url: Url = public_url.parse()?;
        Ok(Self {
            issuer: public_url.origin().ascii_serialization(),
            secure_cookie: public_url.scheme() == "https",
            public_url,
        })
    }
}

/// Where a request came from, and whether over TLS. The listener puts it into the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddr(pub IpAddr, pub bool);
