//! `doorman api`: wires the role's parts together and runs it.

use super::auth::authenticator;
use super::auth_link::HttpLink;
use super::front::{Front, Routed};
use super::{process, sinks, upkeep};
use crate::config::{ApiConfig, AuthSource, RegionConfig};
use anyhow::{Context as _, bail};
use doorman_api::ApiState;
use doorman_auth::keys::KEY_HISTORY_FILE;
use doorman_auth::{
    Authority, Clock, IdentityStore, IdentityTokens, KeyRing, Remote, RemoteSettings, Revocations,
};
use doorman_core::keys::KeyUse;
use doorman_core::token;
use doorman_door::catalog::Catalog;
use doorman_door::collect::{self, Collecting};
use doorman_door::journal::{JournalConfig, Surroundings, Writer};
use doorman_door::poll;
use doorman_door::rate::RateGate;
use doorman_door::redact::Redaction;
use doorman_door::refusals::RefusalGate;
use doorman_door::{Door, DoorConfig, DoorShared, Peer, Rate};
use doorman_jobs::input::Limits;
use doorman_jobs::run::{Jobs, JobsConfig, Runner};
use doorman_net::{Listener, Server};
use doorman_policy::PolicyStore;
use doorman_sinks::{Feed, SinkStates};
use doorman_store::Database;
use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// After a stop was asked for, `/readyz` says so for this long before connections are closed.
const ANNOUNCE: Duration = Duration::from_secs(2);
/// A separate `auth` must answer by then; without it nobody could be let in.
const AUTH_PATIENCE: Duration = Duration::from_secs(30);
/// The issuer of control tokens, as proxies expect it.
const CONTROL_ISSUER: &str = doorman_proxy::control::CONTROL_ISSUER;

/// Runs until a signal asks it to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(config: ApiConfig) -> anyhow::Result<()> {
    process::start_log(&config.log);
    let runtime = process::control_runtime()?;
    let drain = config.server.drain;
    let api = runtime.block_on(start(config))?;
    tracing::info!(address = %api.address(), "api listens");
    runtime.block_on(process::stop_asked())?;
    api.close(drain);
    // A sink that is stuck keeps nobody from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// A running `api`.
pub struct Api {
    server: Server,
    writer: Writer,
    runner: Runner,
    control: Handle,
    shared: Arc<DoorShared>,
    feed: Feed,
    /// The names of the sinks that it feeds.
    sinks: Vec<String>,
    /// For `demo`, which adds what belongs to its world.
    pub authenticator: Arc<dyn Authority>,
}

impl Api {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Lets requests in flight end, writes the last outcomes and stops. Blocks.
    pub fn close(self, drain: Duration) {
        self.shared.draining.store(true, Ordering::Relaxed);
        // Before the server threads, which send its items.
        self.control.block_on(self.runner.stop(drain));
        self.server.announce_end();
        std::thread::sleep(ANNOUNCE.min(drain));
        self.server.close(drain);
        self.writer.close();
        self.control.block_on(doorman_sinks::release(&self.feed, &self.sinks));
    }
}

/// Starts `api` on the present runtime.
///
/// # Errors
/// When any of its parts cannot be had.
pub async fn start(config: ApiConfig) -> anyhow::Result<Api> {
    if cfg!(bench_unaudited) && std::env::var_os("DOORMAN_BENCH_UNAUDITED").is_none() {
        bail!("this binary writes nothing down; it is for one measurement of the bench and serves nobody");
    }
    let database = process::open_database(&config.database).await?;
    std::fs::create_dir_all(&config.keys.dir)
        .with_context(|| format!("cannot make {}", config.keys.dir.display()))?;
    let clock = Clock::open(&config.keys.dir.join("clock"))?;
    let (authenticator, keys) = authority(config.auth, &config.keys.dir, &clock, &database).await?;
    let issuer = authenticator.issuer().to_owned();
    let policies = Arc::new(PolicyStore::open(&config.policy.dir)?);
    let catalog = Arc::new(Catalog::new(regions(&config.regions)?));
    let control_token = control_token(&keys, &clock);
    poll::start(catalog.clone(), control_token.clone())?;
    start_collecting(&catalog, control_token.clone(), &database, &clock)?;
    let writer =
        start_journal(&config.journal, &database, &keys, &clock, &*authenticator, &policies, &catalog)
            .await?;
    let (now, signer) = (clock.clone(), keys.clone());
    let shared =
        Arc::new(DoorShared {
            config: DoorConfig {
                body_limit: config.journal.body_limit,
                redaction: Redaction::with(
                    &config.redact.headers,
                    &config.redact.query_keys,
                    &config.redact.json_fields,
                ),
                ..DoorConfig::default()
            },
            rate: RateGate::new(config.rate.as_ref().map(|rate| Rate {
                per_second: rate.per_second,
                burst: rate.burst.unwrap_or(rate.per_second),
            })),
            now_ms: Box::new(move || now.now_ms()),
            authenticate: authenticator.clone(),
            revocations: authenticator.store().revocations().clone(),
            policies,
            catalog,
            link_token: link_token(&config.regions, control_token),
            journal: writer.handle(),
            identities: Arc::new(IdentityTokens::new(issuer)),
            identity_key: Box::new(move |now_ms| signer.signing_key(KeyUse::Identity, now_ms, |_| true)),
            refusals: RefusalGate::default(),
            draining: AtomicBool::new(false),
            control: Handle::current(),
            courier: doorman_door::Courier::default(),
        });
    let metrics = process::metrics();
    tokio::spawn(upkeep::tend_sessions(authenticator.clone()));
    tokio::spawn(upkeep::watch_policies(shared.clone()));
    tokio::spawn(upkeep::tell_refusals(shared.clone()));
    tokio::spawn(upkeep::index(database.clone(), shared.clone()));
    let jobs_config = JobsConfig {
        lease: config.jobs.lease,
        limits: Limits { rows: config.jobs.max_rows, ..Limits::default() },
        ..JobsConfig::default()
    };
    let jobs = Jobs::new(database.clone(), shared.clone(), authenticator.clone(), jobs_config);
    tokio::spawn(upkeep::sweep(jobs.clone()));
    let runner = Runner::start(jobs.clone(), &writer.id().to_string());
    let states = SinkStates::default();
    let sink_clock = clock.clone();
    let feed = Feed {
        database: database.clone(),
        now_ms: Arc::new(move || sink_clock.now_ms()),
        holder: upkeep::holder(),
        states: states.clone(),
    };
    sinks::start(&config.sinks, &feed)?;
    let state = Arc::new(ApiState {
        sinks: Arc::new(move || {
            states.all().into_iter().map(|(name, state)| (name, state.error.is_none())).collect()
        }),
        authenticator: authenticator.clone(),
        database: database.clone(),
        jobs,
        door: shared.clone(),
        metrics: Some(metrics),
        chain: doorman_api::ChainWatch::new(keys.dir().join(KEY_HISTORY_FILE)),
        config: doorman_api::ApiConfig::new(config.server.public_url.parse()?),
    });
    let router = doorman_api::router(state);
    let listener = Listener::bind(
        config.server.listen,
        process::listener_tls(config.server.tls.as_ref())?,
        config.server.limits,
    )?;
    let threads = config.server.threads.map_or_else(cores, Into::into);
    let of_threads = shared.clone();
    let control = Handle::current();
    let server = Server::start(listener, threads, "api", move |_| {
        Rc::new(Front {
            door: Door::open(of_threads.clone()),
            routed: Routed { router: router.clone(), control: control.clone() },
        })
    })?;
    let sinks = config.sinks.into_iter().map(|sink| sink.name).collect();
    Ok(Api { server, writer, runner, control: Handle::current(), shared, feed, sinks, authenticator })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Who answers for identities, and the keys that this process needs for it.
async fn authority(
    source: AuthSource,
    keys_dir: &Path,
    clock: &Clock,
    database: &Database,
) -> anyhow::Result<(Arc<dyn Authority>, KeyRing)> {
    match source {
        AuthSource::Embedded(auth) => {
            let keys = KeyRing::open_or_create(keys_dir, &KeyUse::ALL, clock.clone())?;
            let authenticator = authenticator(*auth, &keys, clock, database).await?;
            Ok((Arc::new(authenticator), keys))
        }
        AuthSource::Remote { url, ca_file, outage_grace } => {
            let uses = [KeyUse::Statement, KeyUse::Control, KeyUse::Identity];
            let keys = KeyRing::open_or_create(keys_dir, &uses, clock.clone())?;
            let link = || HttpLink::new(url.clone(), ca_file.as_deref(), keys.clone(), clock.clone());
            let revocations = Arc::new(Revocations::open(database).await?);
            let store = IdentityStore::new(clock.clone(), database.clone(), revocations);
            let settings = RemoteSettings { grace: outage_grace };
            let deadline = tokio::time::Instant::now() + AUTH_PATIENCE;
            loop {
                match Remote::open(Box::new(link()?), &settings, store.clone(), keys.clone()).await {
                    Ok(remote) => return Ok((Arc::new(remote), keys)),
                    Err(error) if tokio::time::Instant::now() >= deadline => {
                        return Err(error).with_context(|| format!("[auth] url {url}"));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "waiting for the auth process");
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                }
            }
        }
    }
}

fn regions(configured: &[RegionConfig]) -> anyhow::Result<BTreeMap<String, Vec<Arc<Peer>>>> {
    let mut regions = BTreeMap::new();
    for region in configured {
        let mut peers = Vec::new();
        for link in &region.proxies {
            let path = |file: &Option<std::path::PathBuf>| file.as_deref().map(Path::to_owned);
            let (ca, cert, key) =
                (path(&link.ca_file), path(&link.client_cert_file), path(&link.client_key_file));
            let tls = process::link_tls(ca.as_deref(), cert.as_deref(), key.as_deref())?;
            let url = link.url.origin().ascii_serialization();
            peers.push(Arc::new(
                Peer::parse(&url, tls).with_context(|| format!("proxy {url} of {}", region.name))?,
            ));
        }
        regions.insert(region.name.clone(), peers);
    }
    Ok(regions)
}

fn control_token(keys: &KeyRing, clock: &Clock) -> poll::ControlToken {
    let (keys, clock) = (keys.clone(), clock.clone());
    Arc::new(move |region: &str| {
        let now_ms = clock.now_ms();
        let key = keys.signing_key(KeyUse::Control, now_ms, |_| true)?;
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).ok()?;
        let audience = doorman_proxy::control::audience(region);
        Some(token::sign_control(&key, CONTROL_ISSUER, &audience, jti, now_ms))
    })
}

/// Control tokens for the regions whose proxies are asked for links.
fn link_token(regions: &[RegionConfig], token: poll::ControlToken) -> poll::ControlToken {
    let linked: HashSet<_> =
        regions.iter().filter(|region| region.link).map(|region| region.name.clone()).collect();
    Arc::new(move |region| if linked.contains(region) { token(region) } else { None })
}

fn start_collecting(
    catalog: &Arc<Catalog>,
    token: poll::ControlToken,
    database: &Database,
    clock: &Clock,
) -> anyhow::Result<()> {
    let clock = clock.clone();
    Ok(collect::start(Collecting {
        catalog: catalog.clone(),
        token,
        database: database.clone(),
        now_ms: Arc::new(move || clock.now_ms()),
        holder: upkeep::holder(),
    })?)
}

async fn start_journal(
    config: &crate::config::JournalConfig,
    database: &Database,
    keys: &KeyRing,
    clock: &Clock,
    authenticator: &dyn Authority,
    policies: &Arc<PolicyStore>,
    catalog: &Arc<Catalog>,
) -> anyhow::Result<Writer> {
    let journal = JournalConfig {
        statements: config.statements.clone(),
        gather: config.gather,
        max_batch: config.max_batch.get(),
        lease: config.lease,
        ..JournalConfig::default()
    };
    let (now, signer_clock, signer) = (clock.clone(), clock.clone(), keys.clone());
    let (known, policies) = (catalog.clone(), policies.clone());
    let around = Surroundings {
        now_ms: Box::new(move || now.now_ms()),
        // A key is used once every proxy that answers has it.
        signing_key: Box::new(move || {
            signer.signing_key(KeyUse::Statement, signer_clock.now_ms(), |id| known.all_trust(id))
        }),
        revocations: authenticator.store().revocations().clone(),
        policy_version: Box::new(move || policies.version()),
    };
    Ok(Writer::start(database.clone(), journal, around).await?)
}
