//! `[services.dns]`, `[services.consul]`, `[services.kubernetes]`: who keeps track of a service's instances.

use super::checks::Checks;
use super::path::Path;
use super::services::{Discovery, ServiceConfig};
use super::units::{optional_origin, origin};
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use url::{Host, Url};

/// `[services.dns]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DnsConfig {
    /// The name of SRV records; with `port`, of a host.
    pub name: String,
    /// Asks for the host's addresses.
    pub port: Option<u16>,
    /// Whom to ask, instead of whom the system asks.
    #[serde(default)]
    pub servers: Vec<SocketAddr>,
}

/// `[services.consul]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsulConfig {
    /// Where its agent is.
    #[serde(default = "local_agent", deserialize_with = "origin::deserialize")]
    pub url: Url,
    /// The service's name there, where it is another.
    pub service: Option<String>,
    /// Only instances with this tag.
    pub tag: Option<String>,
    /// Another data center than the agent's own.
    pub datacenter: Option<String>,
    /// Holds the ACL token.
    pub token_file: Option<PathBuf>,
    /// The authority that vouches for the agent.
    pub ca_file: Option<PathBuf>,
}

/// `[services.kubernetes]`
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KubernetesConfig {
    /// The namespace.
    pub namespace: String,
    /// The service's name there, where it is another.
    pub service: Option<String>,
    /// The name of the port, where there are several.
    pub port: Option<String>,
    /// The API server, where it is not the one of the cluster that the proxy runs in.
    #[serde(default, deserialize_with = "optional_origin::deserialize")]
    pub url: Option<Url>,
    /// Holds the token, where it is not the pod's own.
    pub token_file: Option<PathBuf>,
    /// The authority that vouches for the API server, where it is not the pod's own.
    pub ca_file: Option<PathBuf>,
}

impl Default for ConsulConfig {
    fn default() -> Self {
        let (service, tag, datacenter, token_file, ca_file) = (None, None, None, None, None);
        Self { url: local_agent(), service, tag, datacenter, token_file, ca_file }
    }
}

#[expect(clippy::expect_used, reason = "a constant")]
fn local_agent() -> Url {
    Url::parse("http://127.0.0.1:8500").expect("a URL")
}

pub(super) fn validate(service: &ServiceConfig, here: &Path, checks: &mut Checks<'_>) {
    let kinds = [
        (Discovery::Dns, "dns", service.dns.is_some(), "add [services.dns] with name"),
        (Discovery::Consul, "consul", service.consul.is_some(), "add [services.consul]"),
        (
            Discovery::Kubernetes,
            "kubernetes",
            service.kubernetes.is_some(),
            "add [services.kubernetes] with namespace",
        ),
    ];
    for (kind, key, is_there, help) in kinds {
        if service.discovery == kind {
            // Consul's section has a default for everything.
            checks.require(&here.key(key), is_there || kind == Discovery::Consul, help);
        } else {
            checks.refuse_key(&here.key(key), format!("it goes with discovery = \"{key}\""));
        }
    }
    if service.discovery == Discovery::Static {
        let help = "add [[services.instances]] with id and address";
        checks.require(&here.key("instances"), !service.instances.is_empty(), help);
        checks.refuse_key(&here.key("refresh"), "the instances in this file are read once");
    } else {
        checks.refuse_key(
            &here.key("instances"),
            "they are discovered; leave them out, or leave discovery out",
        );
        if service.refresh.is_zero() {
            checks.refuse(&here.key("refresh"), "nothing is that fast", "leave it out for the default");
        }
    }
    let urls = [
        ("consul", service.consul.as_ref().map(|consul| &consul.url)),
        ("kubernetes", service.kubernetes.as_ref().and_then(|kubernetes| kubernetes.url.as_ref())),
    ];
    for (key, url) in urls {
        if url.is_some_and(|url| url.scheme() == "http" && !is_loopback(url)) {
            let message = "plain HTTP is accepted on loopback addresses only";
            checks.refuse(&here.key(key).key("url"), message, "write https://…, with ca_file");
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
        None => false,
    }
}
