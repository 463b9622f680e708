//! The region's services and their instances: who is there, who is well, whose turn it is.

use crate::config::{HealthSettings, InstanceSettings, ProxySettings};
use crate::impersonate::Impersonation;
use arc_swap::ArcSwap;
use doorman_egress::{Peer, Protocol};
use http::HeaderValue;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
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
    /// What those say who keep track of it.
    reported: AtomicBool,
}

impl Instance {
    fn new(settings: InstanceSettings, keys: &AtomicU64) -> Arc<Self> {
        Arc::new(Self {
            id_header: HeaderValue::try_from(&*settings.id).unwrap_or_else(|_| HeaderValue::from_static("?")),
            id: settings.id,
            peer: settings.peer,
            key: keys.fetch_add(1, Relaxed),
            address: settings.address,
            labels: settings.labels,
            healthy: AtomicBool::new(true),
            reported: AtomicBool::new(settings.well),
        })
    }

    /// Whether its last check, or the last connection to it, succeeded, and whoever keeps track of it says nothing else.
    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Relaxed) && self.reported.load(Relaxed)
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
    /// Its instances. Replaced whole where they are discovered.
    pub instances: ArcSwap<Vec<Arc<Instance>>>,
    next: AtomicUsize,
}

impl Service {
    /// The instances to try for `any`, in order: healthy ones in turn, and the others only when there is no other.
    pub fn candidates(&self) -> Vec<Arc<Instance>> {
        let instances = self.instances.load();
        let any_healthy = instances.iter().any(|instance| instance.is_healthy());
        let count = instances.len();
        let start = if count > 1 { self.next.fetch_add(1, Relaxed) % count } else { 0 };
        let in_turn = instances.iter().cycle().skip(start).take(count);
        in_turn.filter(|instance| !any_healthy || instance.is_healthy()).cloned().collect()
    }

    /// The instance with this id.
    pub fn instance(&self, id: &str) -> Option<Arc<Instance>> {
        self.instances.load().iter().find(|instance| instance.id == id).cloned()
    }
}

/// All services of the region.
pub struct Registry {
    services: BTreeMap<String, Service>,
    /// Numbers that were given to instances.
    keys: AtomicU64,
}

/// As `api` sees a service.
#[derive(Serialize)]
pub struct ServiceStatus<'a> {
    name: &'a str,
    http2: bool,
    takes_slash: bool,
    instances: Vec<InstanceStatus>,
}

#[derive(Serialize)]
struct InstanceStatus {
    id: String,
    address: String,
    healthy: bool,
    labels: BTreeMap<String, String>,
}

impl Registry {
    /// The configured services.
    pub fn new(settings: &mut ProxySettings) -> Self {
        let keys = AtomicU64::new(1);
        let services = std::mem::take(&mut settings.services).into_iter().map(|service| {
            let instances = service.instances.into_iter().map(|instance| Instance::new(instance, &keys));
            let known = Service {
                protocol: service.protocol,
                response_timeout: service.response_timeout,
                connect_timeout: service.connect_timeout,
                health: service.health,
                takes_slash: service.takes_slash,
                impersonation: service.impersonation,
                instances: ArcSwap::from_pointee(instances.collect()),
                next: AtomicUsize::new(0),
            };
            (service.name, known)
        });
        Self { services: services.collect(), keys }
    }

    /// Takes in which instances a service has now. One that is as before keeps its connections and its health.
    pub fn replace_instances(&self, service: &str, instances: Vec<InstanceSettings>) {
        let Some(service) = self.services.get(service) else { return };
        let old = service.instances.load();
        let kept = |settings: &InstanceSettings| {
            old.iter().find(|known| known.id == settings.id && known.address == settings.address)
        };
        let new: Vec<_> = instances
            .into_iter()
            .map(|settings| match kept(&settings) {
                Some(known) if known.labels == settings.labels => {
                    known.reported.store(settings.well, Relaxed);
                    known.clone()
                }
                _ => Instance::new(settings, &self.keys),
            })
            .collect();
        let is_same =
            old.len() == new.len() && old.iter().zip(&new).all(|(one, other)| Arc::ptr_eq(one, other));
        if !is_same {
            service.instances.store(Arc::new(new));
        }
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
    pub fn at(&self, authority: &str) -> Option<(&str, String)> {
        self.services.iter().find_map(|(name, service)| {
            let instances = service.instances.load();
            let found = instances.iter().find(|instance| instance.peer.authority() == authority)?;
            Some((name.as_str(), found.id.clone()))
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
                    .load()
                    .iter()
                    .map(|instance| InstanceStatus {
                        id: instance.id.clone(),
                        address: instance.address.clone(),
                        healthy: instance.is_healthy(),
                        labels: instance.labels.clone(),
                    })
                    .collect(),
            })
            .collect()
    }
}
