//! The file of `doorman proxy`.

use super::checks::Checks;
use super::load::RoleConfig;
use super::path::Path;
use super::server::{LogConfig, ServerConfig, ServerSection};
use super::services::{self, ServiceConfig};
use super::units::{address, duration, size};
use doorman_core::target::is_region_name;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Where a proxy listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 8441;

/// The file as written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProxyFile {
    server: ServerSection,
    region: Option<RegionSection>,
    keys: Option<TrustConfig>,
    data: DataConfig,
    jwks: Option<JwksConfig>,
    services: Vec<ServiceConfig>,
    log: LogConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegionSection {
    name: String,
}

/// `[keys]`: whom the proxy believes. It has no private keys.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustConfig {
    /// The public keys of `api`: a copy of `public.json` beside its keys; read again when it changes.
    pub public_file: PathBuf,
}

/// `[data]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataConfig {
    /// Keeps the passes that were used, as receipts. Of this proxy alone.
    pub dir: PathBuf,
    /// How long receipts stay once `api` has collected them.
    #[serde(deserialize_with = "duration::deserialize")]
    pub keep_receipts: Duration,
    /// What receipts may take; beyond it the oldest go, collected ones first.
    #[serde(deserialize_with = "size::deserialize")]
    pub max_receipts: usize,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            dir: "doorman-data".into(),
            keep_receipts: Duration::from_secs(7 * 24 * 3600),
            max_receipts: 4 << 30,
        }
    }
}

/// `[jwks]`: the keys of `Doorman-Identity` for this region's services, which cannot ask `api`.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JwksConfig {
    #[serde(deserialize_with = "address::deserialize")]
    listen: Option<SocketAddr>,
}

/// How `doorman proxy` runs.
pub struct ProxyConfig {
    /// How it listens.
    pub server: ServerConfig,
    /// The region's name.
    pub region: String,
    /// Whom it believes.
    pub keys: TrustConfig,
    /// Where receipts are kept.
    pub data: DataConfig,
    /// Where services get keys, with the certificate of `server.tls`.
    pub jwks: Option<SocketAddr>,
    /// What it reaches; at least one.
    pub services: Vec<ServiceConfig>,
    /// What the process tells.
    pub log: LogConfig,
}

impl RoleConfig for ProxyConfig {
    type File = ProxyFile;

    fn validate(file: ProxyFile, checks: &mut Checks<'_>) -> Option<Self> {
        let help = "clients never call a proxy; the url of this one stands in the file of api";
        checks.refuse_key(&Path::of("server").key("public_url"), help);
        let server = file.server.validate(DEFAULT_PORT, checks);
        services::validate(&file.services, checks);
        if file.data.max_receipts < 64 << 20 {
            let message = "receipts of a busy hour need more";
            checks.refuse(&Path::of("data").key("max_receipts"), message, "choose at least \"64MiB\"");
        }
        checks.require(&Path::of("region"), file.region.is_some(), "add [region] with name = \"…\"");
        let help = "add [keys] with public_file, a copy of public.json from the keys of api";
        checks.require(&Path::of("keys"), file.keys.is_some(), help);
        let jwks = file.jwks.and_then(|jwks| jwks.listen);
        if let Some(listen) = jwks
            && server.tls.is_none()
            && !listen.ip().is_loopback()
        {
            let message = "plain HTTP is accepted on loopback addresses only";
            checks.refuse(
                &Path::of("jwks").key("listen"),
                message,
                "add [server.tls]; its certificate serves here too",
            );
        }
        let region = file.region?.name;
        if !is_region_name(&region) {
            let help = "use lower-case letters, digits and hyphens, as in \"eu-west-1\"";
            checks.refuse(
                &Path::of("region").key("name"),
                format!("`{region}` is no name of a region"),
                help,
            );
        }
        Some(Self {
            server,
            region,
            keys: file.keys?,
            data: file.data,
            jwks,
            services: file.services,
            log: file.log,
        })
    }
}
