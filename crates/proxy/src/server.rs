//! A running proxy: its listeners, its key file watched, its end without losing a request.

use crate::config::{InstanceSettings, ProxySettings};
use crate::fences::Fences;
use crate::handler::ProxyHandler;
use crate::health;
use crate::identity::IdentityKeys;
use crate::link::LinkCounts;
use crate::persist::Orphans;
use crate::receipts::{ReceiptError, Shelf, ThreadLog};
use crate::registry::Registry;
use crate::trust::{Trust, TrustError};
use crate::used::UsedPasses;
use doorman_core::pass::BootId;
use doorman_egress::Pool;
use doorman_net::{Limits, Listener, Server, ServerError};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The key file is looked at this often.
const WATCH: Duration = Duration::from_secs(1);
/// Receipts that were gathered are written at least this often.
const WRITE_RECEIPTS: Duration = Duration::from_millis(200);
/// Old receipts are looked for this often.
const TIDY: Duration = Duration::from_secs(60);
/// Whether requests are still open is looked at this often.
const POLL: Duration = Duration::from_millis(5);
/// How long new requests are refused before connections close: `api` polls within this time and goes elsewhere.
const ANNOUNCE: Duration = Duration::from_millis(2_500);

/// Bytes that `api` may add to a request's head: the pass, the identity assertion, forwarding headers.
const HEAD_ROOM: usize = 32 * 1024;

/// A proxy that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The public keys cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Receipts cannot be kept.
    #[error(transparent)]
    Receipts(#[from] ReceiptError),
    /// A listener or thread cannot be made.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// There is no randomness for a boot id.
    #[error("the system gave no randomness")]
    Random,
    /// Without TLS only this machine may be listened to.
    #[error("{0} is not loopback: a listener without TLS must be on 127.0.0.1 or [::1]; set [server] tls")]
    PlainListener(SocketAddr),
}

/// What all threads of a proxy share.
pub(crate) struct Shared {
    pub(crate) region: Box<str>,
    pub(crate) boot: BootId,
    pub(crate) trust: Trust,
    pub(crate) used: UsedPasses,
    pub(crate) fences: Fences,
    pub(crate) registry: Registry,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) max_whole_body: usize,
    draining: AtomicBool,
    in_flight: AtomicUsize,
    pub(crate) links: LinkCounts,
}

impl Shared {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Counts a request until its answer has gone out.
    pub(crate) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight(self.clone())
    }
}

/// A request that is being answered.
pub(crate) struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    server: Server,
    identity: Option<Server>,
    drain: Duration,
    background: tokio::sync::oneshot::Sender<()>,
}

impl Proxy {
    /// Starts listening.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn start(mut settings: ProxySettings) -> Result<Self, ProxyError> {
        if settings.tls.is_none() && !settings.listen.ip().is_loopback() {
            return Err(ProxyError::PlainListener(settings.listen));
        }
        let threads = match settings.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let mut boot = [0; 16];
        getrandom(&mut boot)?;
        let boot = BootId(boot);
        let shelf = Arc::new(Shelf::open(settings.receipts.clone(), boot, &settings.region)?);
        let shared = Arc::new(Shared {
            trust: Trust::open(&settings.public_keys)?,
            registry: Registry::new(&mut settings),
            region: settings.region.into(),
            boot,
            shelf,
            used: UsedPasses::default(),
            fences: Fences::default(),
            max_whole_body: settings.max_whole_body,
            draining: AtomicBool::new(false),
            in_flight: AtomicUsize::new(0),
            links: LinkCounts::new(threads),
        });
        let mut limits = settings.limits;
        // A head that just fitted `api` comes with the pass and what else `api` adds.
        limits.max_head_bytes = limits.max_head_bytes.saturating_add(HEAD_ROOM);
        let listener = Listener::bind(settings.listen, settings.tls, limits)?;
        let of_thread = shared.clone();
        let connect_timeout = shared.registry.services().map(|service| service.connect_timeout).max();
        let connect_timeout = connect_timeout.unwrap_or(Duration::from_secs(3));
        let server = Server::start(listener, threads, "proxy", move |thread| {
            let receipts = Arc::new(ThreadLog::new(of_thread.shelf.clone()));
            tokio::task::spawn_local(write_receipts(Arc::downgrade(&receipts)));
            let gate = receipts.clone();
            let pool = Pool::new(connect_timeout).behind(Arc::new(move || gate.flush_due()));
            Rc::new(ProxyHandler {
                thread,
                shared: of_thread.clone(),
                pool,
                receipts,
                orphans: Orphans::start(),
            })
        })?;
        let identity = match settings.identity_listen {
            None => None,
            Some(address) => {
                let listener = Listener::bind(
                    address,
                    settings.identity_tls,
                    Limits { max_connections: 256, ..Limits::default() },
                )?;
                let keys = shared.clone();
                Some(Server::start(listener, 1, "identity", move |_| Rc::new(IdentityKeys(keys.clone())))?)
            }
        };
        let background = background(shared.clone())?;
        Ok(Self { shared, server, identity, drain: settings.drain, background })
    }

    /// Where it listens for `api`.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where services fetch identity keys.
    pub fn identity_address(&self) -> Option<SocketAddr> {
        self.identity.as_ref().map(Server::address)
    }

    /// What takes in the instances of services whose instances are discovered.
    pub fn replacer(&self) -> impl Fn(&str, Vec<InstanceSettings>) + Clone + Send + Sync + 'static {
        let shared = self.shared.clone();
        move |service, instances| shared.registry.replace_instances(service, instances)
    }

    /// Refuses new requests, so that `api` goes elsewhere, lets those in flight end, and closes. Blocks.
    pub fn close(self) {
        self.shared.draining.store(true, Relaxed);
        std::thread::sleep(ANNOUNCE.min(self.drain));
        // Links stay open while they carry answers.
        let deadline = Instant::now() + self.drain;
        while self.shared.in_flight.load(Relaxed) > 0 && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        self.server.close(deadline.saturating_duration_since(Instant::now()));
        if let Some(identity) = self.identity {
            identity.close(Duration::ZERO);
        }
        drop(self.background);
        let left = self.shared.in_flight.load(Relaxed);
        if left > 0 {
            tracing::warn!(left, "requests were still open at the end of the drain");
        }
    }
}

/// Writes what no later request came to carry.
async fn write_receipts(log: Weak<ThreadLog>) {
    let mut due = tokio::time::interval(WRITE_RECEIPTS);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let Some(log) = log.upgrade() else { return };
        // It says itself when it fails.
        let _ = log.flush();
    }
}

fn getrandom(bytes: &mut [u8]) -> Result<(), ProxyError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| ProxyError::Random)
}

/// The thread of health checks and of the key file's watch; it ends when the sender is dropped.
fn background(shared: Arc<Shared>) -> Result<tokio::sync::oneshot::Sender<()>, ServerError> {
    let (keep, end) = tokio::sync::oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("proxy-health".into()).spawn(move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let watched = shared.clone();
            tokio::task::spawn_local(async move {
                let mut due = tokio::time::interval(WATCH);
                loop {
                    due.tick().await;
                    watched.trust.reload();
                }
            });
            let shelf = shared.shelf.clone();
            tokio::task::spawn_local(async move {
                let mut due = tokio::time::interval(TIDY);
                loop {
                    due.tick().await;
                    let shelf = shelf.clone();
                    let tidied = tokio::task::spawn_blocking(move || shelf.tidy()).await;
                    if let Err(error) = tidied.map_err(std::io::Error::other).flatten() {
                        tracing::error!(%error, "old receipts cannot be deleted");
                    }
                }
            });
            tokio::task::spawn_local(health::run(shared));
            let _ = end.await;
        });
    })?;
    Ok(keep)
}
