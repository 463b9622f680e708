//! What the regions are made of: their proxies, services and instances, as polled from each proxy.
//!
//! A snapshot is immutable and swapped whole; the send path reads it without a lock.

use arc_swap::ArcSwap;
use doorman_core::keys::KeyId;
use doorman_core::pass::BootId;
use doorman_egress::Peer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::Notify;

/// What a proxy answers to a poll.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProxyStatus {
    /// This start of the process.
    pub boot_id: String,
    /// The region it stands in.
    pub region: String,
    /// It takes no new requests.
    pub draining: bool,
    /// Ids of the statement keys it trusts.
    pub statement_keys: Vec<String>,
    /// The services it reaches.
    pub services: Vec<ServiceStatus>,
}

/// One service of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// Whether it speaks HTTP/2.
    #[serde(default)]
    pub http2: bool,
    /// Paths with `%2F` are let through.
    #[serde(default)]
    pub takes_slash: bool,
    /// Its instances.
    pub instances: Vec<InstanceStatus>,
}

/// One instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceStatus {
    /// Its id.
    pub id: String,
    /// Where the proxy reaches it.
    pub address: String,
    /// Whether its last health check succeeded.
    pub healthy: bool,
    /// What the operator says of it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// One proxy process, as `api` addresses it.
#[derive(Clone)]
pub struct Proxy {
    /// Tells its pooled connections from those to its former selves.
    pub key: u64,
    /// Where it is.
    pub peer: Arc<Peer>,
    /// Present while it answers polls.
    pub live: Option<LiveProxy>,
    /// When it last answered.
    pub seen: Option<Instant>,
}

/// What is known of a proxy that answers.
#[derive(Clone)]
pub struct LiveProxy {
    /// Whom passes are for.
    pub boot_id: BootId,
    /// It takes no new requests.
    pub draining: bool,
    /// Statement keys it trusts.
    pub statement_keys: Arc<[KeyId]>,
}

/// One region.
#[derive(Clone, Default)]
pub struct Region {
    /// Its proxies, in the order of the configuration.
    pub proxies: Vec<Proxy>,
    /// Its services, by name.
    pub services: Arc<BTreeMap<String, ServiceStatus>>,
}

/// All regions at one moment.
#[derive(Clone, Default)]
pub struct Snapshot {
    /// By name.
    pub regions: BTreeMap<String, Region>,
}

/// The catalog of this process.
pub struct Catalog {
    current: ArcSwap<Snapshot>,
    /// Told whenever the snapshot changes.
    changed: Notify,
    /// Asks the poller to look again now.
    pub poke: Notify,
    next: AtomicUsize,
    keys: AtomicU64,
}

/// Which proxy a request goes to.
#[derive(Clone)]
pub struct Route {
    /// Tells its pooled connections apart.
    pub key: u64,
    /// Where it is.
    pub peer: Arc<Peer>,
    /// Whom the pass is for.
    pub boot_id: BootId,
}

impl Catalog {
    /// The configured regions, none of which has answered yet.
    pub fn new(regions: BTreeMap<String, Vec<Arc<Peer>>>) -> Self {
        let catalog = Self {
            current: ArcSwap::default(),
            changed: Notify::new(),
            poke: Notify::new(),
            next: AtomicUsize::new(0),
            keys: AtomicU64::new(1),
        };
        let regions = regions.into_iter().map(|(name, peers)| {
            let proxies = peers
                .into_iter()
                .map(|peer| Proxy { key: catalog.new_key(), peer, live: None, seen: None })
                .collect();
            (name, Region { proxies, services: Arc::default() })
        });
        catalog.current.store(Arc::new(Snapshot { regions: regions.collect() }));
        catalog
    }

    /// The present snapshot.
    pub fn load(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    fn new_key(&self) -> u64 {
        self.keys.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes in what one proxy answered, or that it did not answer.
    pub fn update(&self, region: &str, index: usize, status: Option<ProxyStatus>) {
        self.current.rcu(|old| {
            let mut new = Snapshot::clone(old);
            if let Some(region) = new.regions.get_mut(region) {
                self.update_region(region, index, status.as_ref());
            }
            new
        });
        self.changed.notify_waiters();
    }

    fn update_region(&self, region: &mut Region, index: usize, status: Option<&ProxyStatus>) {
        let Some(proxy) = region.proxies.get_mut(index) else { return };
        let Some(status) = status else {
            proxy.live = None;
            return;
        };
        let Ok(boot_id) = status.boot_id.parse::<BootId>() else { return };
        if proxy.live.as_ref().is_some_and(|live| live.boot_id != boot_id) {
            proxy.key = self.new_key();
        }
        proxy.seen = Some(Instant::now());
        proxy.live = Some(LiveProxy {
            boot_id,
            draining: status.draining,
            statement_keys: status.statement_keys.iter().filter_map(|id| id.parse().ok()).collect(),
        });
        let services: BTreeMap<_, _> =
            status.services.iter().map(|service| (service.name.clone(), service.clone())).collect();
        if *region.services != services {
            region.services = Arc::new(services);
        }
    }

    /// A proxy of the region that takes requests now, in turn.
    pub fn route(&self, region: &str) -> Option<Route> {
        let snapshot = self.current.load();
        let region = snapshot.regions.get(region)?;
        let ready = || {
            region.proxies.iter().filter_map(|proxy| {
                let live = proxy.live.as_ref().filter(|live| !live.draining)?;
                Some((proxy, live))
            })
        };
        let count = ready().count();
        if count == 0 {
            return None;
        }
        let turn = if count == 1 { 0 } else { self.next.fetch_add(1, Ordering::Relaxed) % count };
        let (proxy, live) = ready().nth(turn)?;
        Some(Route { key: proxy.key, peer: proxy.peer.clone(), boot_id: live.boot_id })
    }

    /// The region of the proxy that has this number now.
    pub fn region_of(&self, key: u64) -> Option<String> {
        let snapshot = self.current.load();
        let has = |region: &Region| region.proxies.iter().any(|proxy| proxy.key == key);
        snapshot.regions.iter().find(|(_, region)| has(region)).map(|(name, _)| name.clone())
    }

    /// Marks a proxy as gone until it answers again: it refused, or could not be connected to.
    pub fn suspect(&self, region: &str, boot_id: BootId) {
        self.current.rcu(|old| {
            let mut new = Snapshot::clone(old);
            let proxies = new.regions.get_mut(region).into_iter().flat_map(|region| &mut region.proxies);
            for proxy in proxies {
                if proxy.live.as_ref().is_some_and(|live| live.boot_id == boot_id) {
                    proxy.live = None;
                }
            }
            new
        });
        self.poke.notify_waiters();
    }

    /// As [`Catalog::route`], waiting while a proxy that was there a moment ago may be restarting.
    pub async fn route_soon(&self, region: &str, grace: std::time::Duration) -> Option<Route> {
        loop {
            let changed = self.changed.notified();
            if let Some(route) = self.route(region) {
                return Some(route);
            }
            let snapshot = self.current.load();
            let last = snapshot.regions.get(region)?.proxies.iter().filter_map(|proxy| proxy.seen).max()?;
            let left = grace.checked_sub(last.elapsed())?;
            drop(snapshot);
            self.poke.notify_waiters();
            // Woken by the next poll, whatever it found; or by the end of the grace.
            let _ = tokio::time::timeout(left, changed).await;
        }
    }

    /// Whether a service opted in to `%2F` in its paths.
    pub fn takes_slash(&self, region: &str, service: &str) -> bool {
        let snapshot = self.current.load();
        let service = snapshot.regions.get(region).and_then(|region| region.services.get(service));
        service.is_some_and(|service| service.takes_slash)
    }

    /// Whether every proxy that answers trusts this statement key.
    pub fn all_trust(&self, key: KeyId) -> bool {
        let snapshot = self.current.load();
        let mut live = snapshot
            .regions
            .values()
            .flat_map(|region| &region.proxies)
            .filter_map(|proxy| proxy.live.as_ref());
        live.all(|live| live.statement_keys.contains(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(boot: &str, draining: bool) -> ProxyStatus {
        ProxyStatus {
            boot_id: boot.repeat(32),
            region: "eu".into(),
            draining,
            statement_keys: vec!["0011223344556677".into()],
            services: vec![ServiceStatus {
                name: "echo".into(),
                http2: false,
                takes_slash: false,
                instances: Vec::new(),
            }],
        }
    }

    #[test]
    fn a_restarted_proxy_gets_new_connections_and_a_draining_one_no_requests() {
        let peer = Arc::new(Peer::parse("http://127.0.0.1:1", None).unwrap());
        let catalog = Catalog::new([("eu".to_owned(), vec![peer])].into());
        assert!(catalog.route("eu").is_none());
        catalog.update("eu", 0, Some(status("a", false)));
        let first = catalog.route("eu").unwrap();
        catalog.update("eu", 0, Some(status("b", false)));
        let second = catalog.route("eu").unwrap();
        assert!(first.key != second.key && first.boot_id != second.boot_id);
        assert!(catalog.all_trust("0011223344556677".parse().unwrap()));
        assert!(!catalog.all_trust("1011223344556677".parse().unwrap()));
        catalog.suspect("eu", first.boot_id);
        assert!(catalog.route("eu").is_some(), "an old suspicion says nothing of the new process");
        catalog.suspect("eu", second.boot_id);
        assert!(catalog.route("eu").is_none());
        catalog.update("eu", 0, Some(status("b", true)));
        assert!(catalog.route("eu").is_none());
        assert!(catalog.route("us").is_none());
    }
}
