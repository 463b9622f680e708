//! A whole Doorman from outside: `api` and `proxy` processes of the real binary, started from files, with a directory,
//! upstreams that record, and the journal open to be read.
//!
//! ```text
//! let world = World::start().await;                          // one api, one proxy, region eu
//! let world = World::plan().regions(&["eu", "us"]).apis(2).proxies(2).start().await;
//! let answer = world.send(get("/r/eu/target/public/a").as_user("dave")).await;
//! world.assert_every_hit_was_written_down().await;           // I1; call it at the end of every test
//! world.api(0).kill();  world.start_api(0);                  // SIGKILL, and again on the same port
//! ```
//!
//! In every region stand the services `target` (instance `rec-1`, a [`Recorder`]) and `echo` (`echo-1`, `echo-2`). Users
//! and service account are the demo's; on `target` developers (alice, bob) may GET below `/public/`, operators (dave) may
//! do everything. Processes end when the world is dropped and when the test process is gone.

mod files;
mod journal;
mod load;
mod process;
mod relay;
mod request;
mod runs;
mod verdict;

pub use journal::Entry;
pub use load::Load;
pub use process::Process;
pub use relay::Relay;
pub use request::{Request, get, in_days, post, request};
pub use runs::{job, rows};
pub use verdict::code_of;

use doorman_auth::{Clock, KeyRing};
use doorman_core::keys::{KeyUse, SigningKey};
use doorman_testkit::echo::Echo;
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, demo_directory_toml};
use doorman_testkit::raw::{Answer, RawClient};
use doorman_testkit::recorder::Recorder;
use doorman_testkit::serve::Service;
use doorman_testkit::tls::Ca;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

/// Any free port of loopback.
pub const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Long enough on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// What differs from the usual world.
pub struct Plan {
    regions: Vec<String>,
    apis: usize,
    proxies: usize,
    recorders: usize,
    database: Option<String>,
    policies: Vec<(String, String)>,
    upstreams: Vec<Upstream>,
    api_toml: String,
    proxy_toml: String,
    tls: bool,
    relayed: bool,
    linked: bool,
    auth: Option<(String, String)>,
}

/// A service beside the usual ones, in every region.
struct Upstream {
    name: String,
    /// Its own settings, as in `protocol = "h2"`.
    toml: String,
    instances: Vec<(String, String)>,
}

impl Plan {
    /// The regions' names.
    pub fn regions(mut self, names: &[&str]) -> Self {
        self.regions = names.iter().map(ToString::to_string).collect();
        self
    }

    /// How many replicas of `api`; they share database, keys and policies.
    pub fn apis(mut self, count: usize) -> Self {
        self.apis = count;
        self
    }

    /// How many proxies in each region.
    pub fn proxies(mut self, count: usize) -> Self {
        self.proxies = count;
        self
    }

    /// How many instances `target` has in each region: `rec-1` and so on.
    pub fn recorders(mut self, count: usize) -> Self {
        self.recorders = count;
        self
    }

    /// Another database than SQLite: a URL of a testkit server's database.
    pub fn database(mut self, url: &str) -> Self {
        self.database = Some(url.to_owned());
        self
    }

    /// A policy file beside the usual ones, or in place of one of the same name.
    pub fn policy(mut self, name: &str, text: &str) -> Self {
        self.policies.push((name.to_owned(), text.to_owned()));
        self
    }

    /// A service at these addresses (`http://127.0.0.1:1`), each an instance; `toml` are its further settings.
    pub fn service(mut self, name: &str, toml: &str, instances: &[(&str, String)]) -> Self {
        let instances = instances.iter().map(|(id, url)| (id.to_string(), url.clone())).collect();
        self.upstreams.push(Upstream { name: name.to_owned(), toml: toml.to_owned(), instances });
        self
    }

    /// More for the file of each `api`, as in `[journal]\nbody_limit = "1KiB"`; not for `[server]`, `[database]`, `[keys]`,
    /// `[policy]`, `[directory]`.
    pub fn api_toml(mut self, text: &str) -> Self {
        self.api_toml.push_str(text);
        self
    }

    /// More for the file of each proxy; not for `[server]`, `[region]`, `[keys]`, `[data]`.
    pub fn proxy_toml(mut self, text: &str) -> Self {
        self.proxy_toml.push_str(text);
        self
    }

    /// TLS for clients, mutual TLS between `api` and proxies, from [`World::ca`].
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Every request to a proxy by a connection of its own, in HTTP/1.1 that a [`Relay`] can read.
    pub fn unlinked(mut self) -> Self {
        self.linked = false;
        self
    }

    /// With a [`Relay`] between `api` and each proxy.
    pub fn relayed(mut self) -> Self {
        self.relayed = true;
        self
    }

    /// With a `doorman auth` of its own; `of_auth` and `of_api` are further lines of their `[auth]`.
    pub fn auth_apart(mut self, of_auth: &str, of_api: &str) -> Self {
        self.auth = Some((of_auth.to_owned(), of_api.to_owned()));
        self
    }

    /// Starts everything and waits until it serves.
    pub async fn start(self) -> World {
        World::from(self).await
    }
}

/// A running world.
pub struct World {
    dir: TempDir,
    ca: Option<Ca>,
    database_url: String,
    apis: Vec<Process>,
    auth: Option<Process>,
    proxies: BTreeMap<String, Vec<Process>>,
    relays: BTreeMap<String, Vec<Relay>>,
    recorders: BTreeMap<(String, String), Recorder>,
    /// The directory that `api` asks.
    pub ldap: EmbeddedLdap,
    _services: Vec<Service>,
}

impl World {
    /// One `api`, one proxy, the region `eu`, SQLite.
    pub async fn start() -> Self {
        Self::plan().start().await
    }

    /// To be changed before it is started.
    pub fn plan() -> Plan {
        Plan {
            regions: vec!["eu".to_owned()],
            apis: 1,
            proxies: 1,
            recorders: 1,
            database: None,
            policies: Vec::new(),
            upstreams: Vec::new(),
            api_toml: String::new(),
            proxy_toml: String::new(),
            tls: false,
            relayed: false,
            linked: true,
            auth: None,
        }
    }

    async fn from(plan: Plan) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        files::write_policies(data, &plan.policies);
        // Proxies need the public keys before `api` is there to write them.
        std::fs::create_dir_all(data.join("keys")).unwrap();
        let clock = Clock::open(&data.join("keys/clock")).unwrap();
        KeyRing::open_or_create(&data.join("keys"), &KeyUse::ALL, clock).unwrap();
        let ldap = EmbeddedLdap::start(ANY, directory_of(data)).await.unwrap();
        let ca = plan.tls.then(|| Ca::new().unwrap());

        let (mut services, mut recorders, mut proxies) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for region in &plan.regions {
            let mut upstreams = Vec::new();
            let mut target = Vec::new();
            for number in 1..=plan.recorders {
                let recorder = Recorder::start(ANY).await.unwrap();
                let id = format!("rec-{number}");
                target.push((id.clone(), format!("http://{}", recorder.addr())));
                recorders.insert((region.clone(), id), recorder);
            }
            upstreams.push(Upstream { name: "target".into(), toml: String::new(), instances: target });
            let mut echo = Vec::new();
            for id in ["echo-1", "echo-2"] {
                let service = Echo::new(id).start(ANY).await.unwrap();
                echo.push((id.to_owned(), format!("http://{}", service.addr())));
                services.push(service);
            }
            upstreams.push(Upstream { name: "echo".into(), toml: String::new(), instances: echo });
            let started = (0..plan.proxies).map(|number| {
                let all = upstreams.iter().chain(&plan.upstreams);
                let files = files::Proxy { data, region, number, ca: ca.as_ref(), more: &plan.proxy_toml };
                Process::proxy(files.write(all))
            });
            proxies.insert(region.clone(), started.collect::<Vec<_>>());
        }

        let database_url = plan.database.clone();
        let database_url =
            database_url.unwrap_or_else(|| format!("sqlite:{}", data.join("doorman.db").display()));
        let mut links = BTreeMap::new();
        let mut relays: BTreeMap<String, Vec<Relay>> = BTreeMap::new();
        for (region, all) in &proxies {
            for proxy in all {
                let mut address = proxy.address();
                if plan.relayed {
                    let relay = Relay::start(address).await;
                    address = relay.address();
                    relays.entry(region.clone()).or_default().push(relay);
                }
                links.entry(region.clone()).or_insert_with(Vec::new).push(address);
            }
        }
        let auth = plan.auth.as_ref().map(|(of_auth, _)| {
            Process::auth(files::write_auth(data, ca.as_ref(), &database_url, ldap.addr(), of_auth))
        });
        let of_apis = auth.as_ref().zip(plan.auth.as_ref());
        let of_apis = of_apis.map(|(auth, (_, of_api))| (auth.address(), of_api.as_str()));
        let apis = (0..plan.apis).map(|number| {
            let database = &database_url;
            let files = files::Api {
                data,
                number,
                ca: ca.as_ref(),
                database,
                ldap: ldap.addr(),
                auth: of_apis,
                linked: plan.linked,
                more: &plan.api_toml,
            };
            Process::api(files.write(&links))
        });
        let apis = apis.collect();
        let world =
            Self { dir, ca, database_url, apis, auth, proxies, relays, recorders, ldap, _services: services };
        world.proxies.values().flatten().for_each(Process::start);
        // It makes the tables.
        world.auth.iter().for_each(Process::start);
        for api in &world.apis {
            // One after the other: the first makes the tables.
            api.start();
        }
        for number in 0..world.apis.len() {
            world.settle(number).await;
        }
        world
    }

    /// Where everything is: `policies/`, `keys/`, `statements-0/`, `doorman.db`, `directory.toml`.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The database's URL.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// The authority behind all certificates of a world with TLS.
    pub fn ca(&self) -> &Ca {
        self.ca.as_ref().expect("the world was not planned with tls()")
    }

    /// The separate `auth`, in a world that was planned with `auth_apart()`.
    pub fn auth(&self) -> &Process {
        self.auth.as_ref().expect("the world was not planned with auth_apart()")
    }

    /// A replica of `api`, from 0.
    pub fn api(&self, number: usize) -> &Process {
        &self.apis[number]
    }

    /// Starts a replica that was stopped or killed, and waits until it reaches every running proxy.
    pub async fn start_api(&self, number: usize) {
        self.apis[number].start();
        self.settle(number).await;
    }

    /// A proxy of a region, from 0.
    pub fn proxy(&self, region: &str, number: usize) -> &Process {
        &self.proxies[region][number]
    }

    /// The wire from `api` to a proxy of a region, in a world that was planned with `relayed()`.
    pub fn relay(&self, region: &str, number: usize) -> &Relay {
        &self.relays[region][number]
    }

    /// The key that signs now: for forgeries that only its owner could make.
    pub fn signing_key(&self, key_use: KeyUse) -> Arc<SigningKey> {
        let clock = Clock::open(&self.path().join("clock-of-the-test")).unwrap();
        let now_ms = clock.now_ms();
        let ring = KeyRing::open_or_create(&self.path().join("keys"), &KeyUse::ALL, clock).unwrap();
        ring.signing_key(key_use, now_ms, |_| true).unwrap()
    }

    /// The recorder behind `target@rec-1` of the first region.
    pub fn recorder(&self) -> &Recorder {
        self.recorders.values().next().unwrap()
    }

    /// The recorder behind one instance of `target`.
    pub fn recorder_of(&self, region: &str, instance: &str) -> &Recorder {
        &self.recorders[&(region.to_owned(), instance.to_owned())]
    }

    /// Waits until a replica reaches every proxy that runs.
    pub async fn settle(&self, number: usize) {
        let running: usize = self.proxies.values().flatten().filter(|proxy| proxy.is_running()).count();
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            let answer = self.try_send_to(number, get("/readyz")).await;
            let ready: Value =
                answer.map_or(Value::Null, |a| serde_json::from_slice(&a.body).unwrap_or_default());
            let live: u64 = ready["regions"]
                .as_object()
                .map_or(0, |all| all.values().filter_map(|region| region["live"].as_u64()).sum());
            if live as usize >= running && ready["database"] == true && ready["journal"] == true {
                return;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "api {number} is not ready: {ready}\n{}",
                self.apis[number].log()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Opens a connection to a replica of `api`, over TLS where the world has it.
    pub async fn connect_to(&self, number: usize) -> std::io::Result<RawClient> {
        let address = self.apis[number].address();
        match &self.ca {
            None => RawClient::connect(address).await,
            Some(ca) => RawClient::connect_tls(address, "localhost", ca.client_config(None).unwrap()).await,
        }
    }

    /// Sends a request to the first `api` on a connection of its own.
    pub async fn send(&self, request: Request) -> Answer {
        self.send_to(0, request).await
    }

    /// Sends a request to a replica of `api` on a connection of its own.
    pub async fn send_to(&self, number: usize, request: Request) -> Answer {
        let log = || self.apis[number].log();
        let Ok(answer) = self.try_send_to(number, request).await else {
            panic!("api {number} is gone: {}", log())
        };
        answer
    }

    /// As [`World::send_to`], for a replica that may be gone.
    pub async fn try_send_to(&self, number: usize, request: Request) -> std::io::Result<Answer> {
        let mut client = self.connect_to(number).await?;
        // A refusal may close the connection before everything is sent.
        let _ = client.send(&request.to_bytes()).await;
        Ok(if request.is_head() {
            client.read_answer_to_head(DEADLINE).await
        } else {
            client.read_answer(DEADLINE).await
        })
    }

    /// Sends exactly these bytes and reads one answer.
    pub async fn send_raw(&self, bytes: &[u8]) -> Answer {
        let mut client = self.connect_to(0).await.unwrap();
        // A refusal may close the connection before everything is sent.
        let _ = client.send(bytes).await;
        client.read_answer(DEADLINE).await
    }

    /// The token of a fresh login of a demo user.
    pub async fn login(&self, user: &str) -> String {
        let body = json!({ "username": user, "password": format!("{user}-demo") }).to_string();
        let request = post("/auth/v1/login", body).header("content-type", "application/json");
        let answer = self.send(request).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let token: Value = serde_json::from_slice(&answer.body).unwrap();
        token["token"].as_str().unwrap().to_owned()
    }

    /// Makes a service account and returns its secret.
    pub async fn service_account(&self, name: &str) -> String {
        let body = json!({ "name": name, "description": "made by a test", "owner": "user:erin" }).to_string();
        let token = self.login("erin").await;
        let request = post("/auth/v1/service-accounts", body).header("content-type", "application/json");
        let answer = self.send(request.bearer(&token)).await;
        assert_eq!(answer.status(), 201, "{answer:?}");
        let made: Value = serde_json::from_slice(&answer.body).unwrap();
        made["secret"].as_str().unwrap().to_owned()
    }
}

/// The demo's directory; its hashes are made once.
fn directory_of(data: &Path) -> DirectoryFile {
    static TEXT: OnceLock<String> = OnceLock::new();
    let path: PathBuf = data.join("directory.toml");
    std::fs::write(&path, TEXT.get_or_init(|| demo_directory_toml().unwrap())).unwrap();
    DirectoryFile::open(path).unwrap()
}
