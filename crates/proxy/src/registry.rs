//! The region's services and their instances: who is there, who is well, whose turn it is.

use crate::config::{HealthSettings, ProxySettings};
use crate::impersonate::Impersonation;
use doorman_egress::{Peer, Protocol};
use http::HeaderValue;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// One instance of a service.
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its id as answers say it.
    pub id_header: HeaderValue,
    /// Where it is.
    pub peer: Peer,
    /// Tells its pooled connections apart.
    pub key: u64,
    address: String,
    labels: BTreeMap<String, String>,
    healthy: AtomicBool,
}

impl Instance {
    /// Whether its last check, or the last connection to it, succeeded.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed)
    }

    /// Takes in what a check or a connection told.
    pub fn set_healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Relaxed);
    }
}

/// One service.
pub struct Service {
    /// What is spoken to its instances.
    pub protocol: Protocol,
    /// The head of an answer may take this long.
    pub response_timeout: Duration,
    /// Connecting may take this long.
    pub connect_timeout: Duration,
    /// How its health is known.
    pub health: HealthSettings,
    /// Paths with `%2F` are let through.
    pub takes_slash: bool,
    /// How it is told who is calling, besides `Doorman-Identity`.
    pub impersonation: Option<Impersonation>,
    /// Its instances.
    pub instances: Vec<Arc<Instance>>,
    next: AtomicUsize,
}

impl Service {
    /// The instances to try for `any`, in order: healthy ones in turn, and the others only when there is no other.
    pub fn candidates(&self) -> impl Iterator<Item = &Arc<Instance>> {
        let any_healthy = self.instances.iter().any(|instance| instance.is_healthy());
        let count = self.instances.len();
        let start = if count > 1 { self.next.fetch_add(1, Relaxed) % count } else { 0 };
        let in_turn = self.instances.iter().cycle().skip(start).take(count);
        in_turn.filter(move |instance| !any_healthy || instance.is_healthy())
    }

    /// The instance with this id.
    pub fn instance(&self, id: &str) -> Option<&Arc<Instance>> {
        self.instances.iter().find(|instance| instance.id == id)
    }
}

/// All services of the region.
pub struct Registry {
    services: BTreeMap<String, Service>,
}

/// As `api` sees a service.
#[derive(Serialize)]
pub struct ServiceStatus<'a> {
    name: &'a str,
    http2: bool,
    takes_slash: bool,
    instances: Vec<InstanceStatus<'a>>,
}

#[derive(Serialize)]
struct InstanceStatus<'a> {
    id: &'a str,
    address: &'a str,
    healthy: bool,
    labels: &'a BTreeMap<String, String>,
}

impl Registry {
    /// The configured services.
    pub fn new(settings: &mut ProxySettings) -> Self {
        let mut keys = 1..;
        let services = std::mem::take(&mut settings.services).into_iter().map(|service| {
            let instances = service.instances.into_iter().map(|instance| {
                Arc::new(Instance {
                    id_header: HeaderValue::try_from(&*instance.id)
                        .unwrap_or_else(|_| HeaderValue::from_static("?")),
                    id: instance.id,
                    peer: instance.peer,
                    key: keys.next().unwrap_or(0),
                    address: instance.address,
                    labels: instance.labels,
                    healthy: AtomicBool::new(true),
                })
            });
            let known = Service {
                protocol: service.protocol,
                response_timeout: service.response_timeout,
                connect_timeout: service.connect_timeout,
                health: service.health,
                takes_slash: service.takes_slash,
                impersonation: service.impersonation,
                instances: instances.collect(),
                next: AtomicUsize::new(0),
            };
            (service.name, known)
        });
        Self { services: services.collect() }
    }

    /// The service with this name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name)
    }

    /// Whether a service opted in to `%2F` in its paths.
    pub fn takes_slash(&self, name: &str) -> bool {
        self.service(name).is_some_and(|service| service.takes_slash)
    }

    /// Service and id of the instance at an authority (`10.1.0.11:9864`).
    pub fn at(&self, authority: &str) -> Option<(&str, &str)> {
        self.services.iter().find_map(|(name, service)| {
            let found = service.instances.iter().find(|instance| instance.peer.authority() == authority)?;
            Some((name.as_str(), found.id.as_str()))
        })
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
        self.services.values()
    }

    /// What `api` is told.
    pub fn status(&self) -> Vec<ServiceStatus<'_>> {
        self.services
            .iter()
            .map(|(name, service)| ServiceStatus {
                name,
                http2: service.protocol == Protocol::Http2,
                takes_slash: service.takes_slash,
                instances: service
                    .instances
                    .iter()
                    .map(|instance| InstanceStatus {
                        id: &instance.id,
                        address: &instance.address,
                        healthy: instance.is_healthy(),
                        labels: &instance.labels,
                    })
                    .collect(),
            })
            .collect()
    }
}
