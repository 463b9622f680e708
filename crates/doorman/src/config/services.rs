//! `[[services]]`: what a region's proxy reaches, and how.

use super::checks::Checks;
use super::discovery::{self, ConsulConfig, DnsConfig, KubernetesConfig};
use super::path::Path;
use super::units::{duration, origin};
use doorman_core::target::{is_instance_id, is_service_name};
use doorman_proxy::Impersonation;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// One service.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Its name in `/r/{region}/{service}/…`.
    pub name: String,
    /// What it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// For instances at `https`.
    pub tls: Option<ServiceTls>,
    /// How to see whether an instance works; without it, all are taken to.
    pub health: Option<HealthConfig>,
    /// Let `%2F` through in paths: this service reads it in one way only.
    #[serde(default)]
    pub allow_encoded_slash: bool,
    /// `hadoop`, `trino`, `kubernetes` or `header:<Name>`: how the service is told who is calling, besides `Doorman-Identity`.
    pub impersonate: Option<String>,
    /// With `hadoop`: `user.name`, whom the cluster lets act for others (`hadoop.proxyuser.<name>.*`).
    #[serde(default = "doorman")]
    pub impersonate_by: String,
    /// Where its instances are found.
    #[serde(default)]
    pub discovery: Discovery,
    /// With `dns` discovery.
    pub dns: Option<DnsConfig>,
    /// With `consul` discovery.
    pub consul: Option<ConsulConfig>,
    /// With `kubernetes` discovery.
    pub kubernetes: Option<KubernetesConfig>,
    /// How often whoever keeps track of the instances is asked.
    #[serde(default = "five_seconds", deserialize_with = "duration::deserialize")]
    pub refresh: Duration,
    /// With `static` discovery: the instances.
    #[serde(default)]
    pub instances: Vec<InstanceConfig>,
    /// How long to wait for what.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// What a service speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1, with WebSocket upgrades.
    #[default]
    Http1,
    /// HTTP/2, as gRPC needs it; without TLS by prior knowledge.
    H2,
}

/// Where instances are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discovery {
    /// In this file.
    #[default]
    Static,
    /// By SRV and address records.
    Dns,
    /// In Consul's catalog.
    Consul,
    /// In Kubernetes' EndpointSlices.
    Kubernetes,
}

/// Certificates towards a service.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceTls {
    /// The authority that vouches for the instances.
    pub ca_file: PathBuf,
    /// The name in their certificates, where it is not the host of the address.
    pub server_name: Option<String>,
    /// Our own certificate, for mutual TLS.
    pub client_cert_file: Option<PathBuf>,
    /// Its private key.
    pub client_key_file: Option<PathBuf>,
}

/// A health check: GET, and a status below 400 is healthy.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthConfig {
    /// What to ask for.
    pub path: String,
    /// How often.
    #[serde(default = "five_seconds", deserialize_with = "duration::deserialize")]
    pub interval: Duration,
    /// How long an answer may take.
    #[serde(default = "two_seconds", deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
}

/// One container.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Its name in `/r/{region}/{service}@{id}/…`.
    pub id: String,
    /// Its origin.
    #[serde(deserialize_with = "origin::deserialize")]
    pub address: Url,
    /// What else to show of it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// How long to wait.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// For a connection.
    #[serde(deserialize_with = "duration::deserialize")]
    pub connect: Duration,
    /// For the head of the answer, once the request is sent.
    #[serde(deserialize_with = "duration::deserialize")]
    pub response: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect: two_seconds(), response: Duration::from_secs(60) }
    }
}

fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

fn doorman() -> String {
    "doorman".to_owned()
}

fn two_seconds() -> Duration {
    Duration::from_secs(2)
}

pub(super) fn validate(services: &[ServiceConfig], checks: &mut Checks<'_>) {
    let here = Path::of("services");
    let help = "add [[services]] with a name, and [[services.instances]] with id and address";
    checks.require(&here, !services.is_empty(), help);
    let mut names = HashSet::new();
    for (index, service) in services.iter().enumerate() {
        let here = here.index(index);
        if !is_service_name(&service.name) {
            let help = "use lower-case letters, digits, '-', '_' and '.'";
            checks.refuse(&here.key("name"), format!("`{}` is no name of a service", service.name), help);
        } else if !names.insert(&service.name) {
            let help = "list all its instances under one [[services]]";
            checks.refuse(&here.key("name"), format!("there are two services `{}`", service.name), help);
        }
        service.validate(&here, checks);
    }
}

impl ServiceConfig {
    fn validate(&self, here: &Path, checks: &mut Checks<'_>) {
        discovery::validate(self, here, checks);
        if let Some(system) = &self.impersonate
            && let Err(error) = Impersonation::parse(system, &self.impersonate_by)
        {
            checks.refuse(&here.key("impersonate"), format!("`{system}` is not known"), error.to_string());
        }
        if self.impersonate.as_deref() != Some("hadoop") {
            checks.refuse_key(&here.key("impersonate_by"), "it goes with impersonate = \"hadoop\"");
        } else if self.impersonate_by.is_empty() {
            let help = "leave it out for `doorman`";
            checks.refuse(&here.key("impersonate_by"), "this is no name", help);
        }
        if let Some(health) = &self.health {
            health.validate(&here.key("health"), checks);
        }
        let timeouts = &self.timeouts;
        for (key, value) in [("connect", timeouts.connect), ("response", timeouts.response)] {
            if value.is_zero() {
                checks.refuse(
                    &here.key("timeouts").key(key),
                    "nothing is that fast",
                    "leave it out for the default",
                );
            }
        }
        self.validate_tls(here, checks);
        self.validate_instances(&here.key("instances"), checks);
    }

    fn validate_tls(&self, here: &Path, checks: &mut Checks<'_>) {
        let is_https = self.instances.iter().any(|instance| instance.address.scheme() == "https");
        match &self.tls {
            None if is_https => {
                let help = "add [services.tls] with ca_file";
                checks.refuse(here, "instances at https need the authority that vouches for them", help);
            }
            Some(_) if !is_https && !self.instances.is_empty() => {
                checks.refuse_key(&here.key("tls"), "no instance of this service is at https");
            }
            Some(tls) if tls.client_cert_file.is_some() != tls.client_key_file.is_some() => {
                let help = "give client_cert_file and client_key_file, or neither";
                checks.refuse(&here.key("tls"), "a certificate goes with its key", help);
            }
            _ => {}
        }
    }

    fn validate_instances(&self, here: &Path, checks: &mut Checks<'_>) {
        let (mut ids, mut addresses) = (HashSet::new(), HashSet::new());
        for (index, instance) in self.instances.iter().enumerate() {
            let here = here.index(index);
            if !is_instance_id(&instance.id) || matches!(instance.id.as_str(), "any" | "all") {
                let help = "use letters, digits, '-', '_', '.' and ':', but not `any` or `all`";
                checks.refuse(&here.key("id"), format!("`{}` is no id of an instance", instance.id), help);
            } else if !ids.insert(&instance.id) {
                let help = "ids are unique within a service";
                checks.refuse(&here.key("id"), format!("there are two instances `{}`", instance.id), help);
            }
            if !addresses.insert(&instance.address) {
                checks.refuse(
                    &here.key("address"),
                    "two instances have this address",
                    "take one of them out",
                );
            }
        }
    }
}

impl HealthConfig {
    fn validate(&self, here: &Path, checks: &mut Checks<'_>) {
        let is_path = self.path.starts_with('/') && self.path.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_path || self.path.contains('#') {
            checks.refuse(&here.key("path"), "this is no path", "write it as \"/health\"");
        }
        if self.interval.is_zero() || self.timeout.is_zero() {
            checks.refuse(
                here,
                "interval and timeout must be longer than nothing",
                "leave them out for the default",
            );
        }
    }
}
