//! Services whose instances others keep track of: who is asked, and what becomes of the answers.

use super::process;
use crate::config::{ConsulConfig, Discovery, KubernetesConfig, ServiceConfig};
use anyhow::Context as _;
use doorman_core::target::is_instance_id;
use doorman_discovery::{
    Consul, ConsulSettings, Dns, DnsSettings, Found, Kubernetes, KubernetesSettings, Source,
};
use doorman_proxy::{InstanceSettings, Peer};
use rustls::ClientConfig;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Where a pod finds what it needs to ask its cluster.
const IN_CLUSTER: &str = "https://kubernetes.default.svc";
const POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// How instances of a service are connected to.
pub struct Link {
    tls: Option<Arc<ClientConfig>>,
    server_name: Option<String>,
}

impl Link {
    /// As `[services.tls]` says.
    ///
    /// # Errors
    /// When its files cannot be used.
    pub fn of(service: &ServiceConfig) -> anyhow::Result<Self> {
        let Some(tls) = &service.tls else { return Ok(Self { tls: None, server_name: None }) };
        let (cert, key) = (tls.client_cert_file.as_deref(), tls.client_key_file.as_deref());
        Ok(Self {
            tls: process::link_tls(Some(&tls.ca_file), cert, key)?,
            server_name: tls.server_name.clone(),
        })
    }

    /// An instance at an origin; `name` is the one in its certificate, where none is configured.
    ///
    /// # Errors
    /// When the address or the name cannot be used.
    pub fn peer(&self, address: &str, name: Option<&str>) -> anyhow::Result<Peer> {
        let peer = Peer::parse(address, self.tls.clone())?;
        Ok(match self.server_name.as_deref().or(name) {
            Some(name) => peer.with_server_name(name)?,
            None => peer,
        })
    }

    fn instance(&self, found: Found) -> Option<InstanceSettings> {
        let Found { id, ip, port, name, well, labels } = found;
        if !is_instance_id(&id) || matches!(id.as_str(), "any" | "all") {
            tracing::warn!(instance = id, "this cannot be an id of an instance; passed over");
            return None;
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let address = format!("{scheme}://{}", std::net::SocketAddr::new(ip, port));
        match self.peer(&address, name.as_deref()) {
            Ok(peer) => Some(InstanceSettings { id, peer, address, labels, well }),
            Err(error) => {
                tracing::warn!(instance = id, %error, "this instance cannot be reached; passed over");
                None
            }
        }
    }
}

/// One service to be watched.
pub struct Watch {
    service: String,
    source: Source,
    every: Duration,
    link: Link,
}

impl Watch {
    /// Hands each answer to `replace`, for ever.
    pub async fn run(self, replace: impl Fn(&str, Vec<InstanceSettings>)) {
        let (service, link) = (self.service.clone(), self.link);
        let tell = |found: Vec<Found>| {
            replace(&service, found.into_iter().filter_map(|found| link.instance(found)).collect());
        };
        self.source.watch(self.service, self.every, tell).await;
    }
}

/// The services that are not written down in the file. To be called within a runtime.
///
/// # Errors
/// When a file of theirs cannot be used.
pub fn watches(services: &[ServiceConfig]) -> anyhow::Result<Vec<Watch>> {
    let discovered = services.iter().filter(|service| service.discovery != Discovery::Static);
    let watch = |service: &ServiceConfig| {
        let source = source(service).with_context(|| format!("service {}", service.name))?;
        let link = Link::of(service).with_context(|| format!("service {}", service.name))?;
        Ok(Watch { service: service.name.clone(), source, every: service.refresh, link })
    };
    discovered.map(watch).collect()
}

fn source(service: &ServiceConfig) -> anyhow::Result<Source> {
    // A second call changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let name = service.name.as_str();
    Ok(match (&service.dns, &service.consul, &service.kubernetes) {
        (Some(dns), ..) => {
            let (name, servers) = (dns.name.clone(), dns.servers.clone());
            Source::Dns(Dns::new(DnsSettings { name, port: dns.port, servers })?)
        }
        (_, _, Some(kubernetes)) => {
            Source::Kubernetes(Kubernetes::new(kubernetes_settings(name, kubernetes.clone())?)?)
        }
        (_, consul, _) => {
            let consul = consul.clone().unwrap_or_default();
            Source::Consul(Consul::new(consul_settings(name, consul))?)
        }
    })
}

fn consul_settings(name: &str, consul: ConsulConfig) -> ConsulSettings {
    let ConsulConfig { url, service, tag, datacenter, token_file, ca_file } = consul;
    let service = service.unwrap_or_else(|| name.to_owned());
    ConsulSettings { url, service, tag, datacenter, token_file, ca_file }
}

fn kubernetes_settings(name: &str, kubernetes: KubernetesConfig) -> anyhow::Result<KubernetesSettings> {
    let KubernetesConfig { namespace, service, port, url, token_file, ca_file } = kubernetes;
    let of_pod = |file: &str| PathBuf::from(POD).join(file);
    Ok(KubernetesSettings {
        // Another API server's authority is not the pod's.
        ca_file: ca_file.or_else(|| url.is_none().then(|| of_pod("ca.crt"))),
        url: url.map_or_else(|| Url::parse(IN_CLUSTER), Ok)?,
        namespace,
        service: service.unwrap_or_else(|| name.to_owned()),
        port,
        token_file: token_file.unwrap_or_else(|| of_pod("token")),
    })
}
