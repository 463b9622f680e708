//! What a proxy can be set to.

use crate::impersonate::Impersonation;
use crate::receipts::ReceiptSettings;
use doorman_egress::{Peer, Protocol};
use doorman_net::Limits;
use rustls::ServerConfig;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Settings of one proxy process.
pub struct ProxySettings {
    /// The region it stands in.
    pub region: String,
    /// Where it listens for `api`.
    pub listen: SocketAddr,
    /// TLS of that listener; without it only loopback may be listened on.
    pub tls: Option<Arc<ServerConfig>>,
    /// Limits of that listener.
    pub limits: Limits,
    /// Server threads; 0 for one a core.
    pub threads: usize,
    /// The JWKS with the statement, control and identity keys.
    pub public_keys: PathBuf,
    /// Where the region's services fetch the keys that verify `Doorman-Identity`; none to listen nowhere.
    pub identity_listen: Option<SocketAddr>,
    /// TLS of that listener, which asks for no certificate: keys are public.
    pub identity_tls: Option<Arc<ServerConfig>>,
    /// Largest body that is read whole before it is forwarded; `api`'s limit must not be larger.
    pub max_whole_body: usize,
    /// Where receipts are kept.
    pub receipts: ReceiptSettings,
    /// Requests end before this after a stop was asked for.
    pub drain: Duration,
    /// The services.
    pub services: Vec<ServiceSettings>,
}

/// One service of the region.
pub struct ServiceSettings {
    /// Its name.
    pub name: String,
    /// What is spoken to its instances.
    pub protocol: Protocol,
    /// Connecting to an instance may take this long.
    pub connect_timeout: Duration,
    /// The head of an answer may take this long.
    pub response_timeout: Duration,
    /// How its health is known.
    pub health: HealthSettings,
    /// Paths with `%2F` are let through.
    pub takes_slash: bool,
    /// How it is told who is calling, besides `Doorman-Identity`.
    pub impersonation: Option<Impersonation>,
    /// Its instances, to begin with: [`Proxy::replacer`](crate::Proxy::replacer).
    pub instances: Vec<InstanceSettings>,
}

/// How the health of a service's instances is known.
#[derive(Clone, Debug)]
pub struct HealthSettings {
    /// A path that answers 2xx when well; without one, that it takes connections is enough.
    pub path: Option<String>,
    /// Between two checks.
    pub interval: Duration,
    /// A check that takes longer has failed.
    pub timeout: Duration,
}

impl Default for HealthSettings {
    fn default() -> Self {
        Self { path: None, interval: Duration::from_secs(5), timeout: Duration::from_secs(2) }
    }
}

/// One instance of a service.
pub struct InstanceSettings {
    /// Its id.
    pub id: String,
    /// Where it is.
    pub peer: Peer,
    /// The address as written, for the catalog.
    pub address: String,
    /// What the operator says of it.
    pub labels: BTreeMap<String, String>,
    /// Whether whoever keeps track of it takes it to be well.
    pub well: bool,
}
