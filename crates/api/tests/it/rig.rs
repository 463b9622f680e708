//! The demo's people and rights behind the router, called without a socket.

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_api::{ApiConfig, ApiState, ChainWatch, ClientAddr, router};
use doorman_auth::directory::{LdapDirectory, demo_ldap_config};
use doorman_auth::keys::KEY_HISTORY_FILE;
use doorman_auth::{
    AuthSettings, Authenticator, Authority, Clock, IdentityStore, IdentityTokens, KeyRing, Revocations,
    ServiceChange,
};
use doorman_core::keys::{KeyUse, PublicKeys};
use doorman_core::secret::Secret;
use doorman_door::catalog::{Catalog, InstanceStatus, ProxyStatus, ServiceStatus};
use doorman_door::journal::{JournalConfig, Surroundings, Writer};
use doorman_door::rate::RateGate;
use doorman_door::refusals::RefusalGate;
use doorman_door::{DoorConfig, DoorShared, Peer};
use doorman_jobs::run::{Jobs, JobsConfig};
use doorman_policy::{PolicyStore, demo_policies};
use doorman_store::{Database, DatabaseConfig};
use doorman_testkit::ldap::{DirectoryFile, EmbeddedLdap, demo_directory_toml};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::Value;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, LazyLock};
use tokio::runtime::Handle;
use tower::ServiceExt as _;

pub const URL: &str = "http://127.0.0.1:8440";
pub const HOME: &str = "192.0.2.7";

/// Hashing seven passwords takes a while; once is enough.
static DIRECTORY: LazyLock<String> = LazyLock::new(|| demo_directory_toml().unwrap());

pub struct Rig {
    pub router: Router,
    pub state: Arc<ApiState>,
    ldap: Option<EmbeddedLdap>,
    writer: Option<Writer>,
    dir: tempfile::TempDir,
}

impl Rig {
    pub async fn new() -> Self {
        Self::at(URL).await
    }

    /// An installation at this public URL.
    pub async fn at(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = DirectoryFile::parse(&DIRECTORY).unwrap();
        let ldap = EmbeddedLdap::start("127.0.0.1:0".parse().unwrap(), file).await.unwrap();
        let path = dir.path().join("doorman.db");
        let settings = DatabaseConfig::new(format!("sqlite:{}", path.display()));
        let database = Database::connect(&settings).await.unwrap();
        database.migrate().await.unwrap();
        let clock = Clock::system();
        let keys = KeyRing::open_or_create(&dir.path().join("keys"), &KeyUse::ALL, clock.clone()).unwrap();
        let directory = Arc::new(LdapDirectory::new(demo_ldap_config(ldap.addr())).unwrap());
        let revocations = Arc::new(Revocations::open(&database).await.unwrap());
        let store = IdentityStore::new(clock.clone(), database.clone(), revocations.clone());
        let authenticator = Authenticator::new(AuthSettings::default(), keys.clone(), directory, store);
        let authenticator: Arc<dyn Authority> = Arc::new(authenticator);
        let change = ServiceChange { owner: Some("user:erin".into()), ..ServiceChange::default() };
        let secret = Secret::new("reports-ui-demo".into());
        authenticator.create_service("reports-ui", change, Some(secret)).await.unwrap();
        let policies = Arc::new(PolicyStore::open(&write_policies(dir.path())).unwrap());
        let writer = start_writer(dir.path(), &database, &keys, &clock, &revocations, &policies).await;
        let door = Arc::new(DoorShared {
            config: DoorConfig::default(),
            now_ms: Box::new(move || clock.now_ms()),
            authenticate: authenticator.clone(),
            revocations,
            policies,
            link_token: Arc::new(|_| None),
            catalog: Arc::new(catalog()),
            journal: writer.handle(),
            identities: Arc::new(IdentityTokens::new(url)),
            identity_key: Box::new(move |now_ms| keys.signing_key(KeyUse::Identity, now_ms, |_| true)),
            refusals: RefusalGate::default(),
            rate: RateGate::new(None),
            draining: AtomicBool::new(false),
            control: Handle::current(),
            courier: doorman_door::Courier::default(),
        });
        let chain = ChainWatch::new(dir.path().join("keys").join(KEY_HISTORY_FILE));
        let config = ApiConfig::new(url.parse().unwrap());
        let jobs = Jobs::new(database.clone(), door.clone(), authenticator.clone(), JobsConfig::default());
        let state = Arc::new(ApiState {
            authenticator,
            database,
            jobs,
            door,
            metrics: None,
            chain,
            sinks: Arc::new(Default::default),
            config,
        });
        Self { router: router(state.clone()), state, ldap: Some(ldap), writer: Some(writer), dir }
    }

    /// The public keys of all time.
    pub fn public_keys(&self) -> PublicKeys {
        let path = self.dir.path().join("keys/history.json");
        PublicKeys::from_jwks(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    /// Puts a policy file in force, in place of one of the same name.
    pub fn set_policy(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join("policies").join(name), text).unwrap();
        self.state.door.policies.reload_if_changed();
        assert!(self.state.door.policies.last_refusal().is_none());
    }

    /// From now on nothing can be written down.
    pub async fn break_journal(&mut self) {
        let writer = self.writer.take().unwrap();
        tokio::task::spawn_blocking(move || writer.close()).await.unwrap();
    }

    /// Does what Doorman never does: changes an entry.
    pub fn change_entry(&self, id: &str, from: &str, to: &str) {
        let database = rusqlite::Connection::open(self.dir.path().join("doorman.db")).unwrap();
        let triggers: Vec<String> = database
            .prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'journal'")
            .and_then(|mut found| found.query_map([], |row| row.get(0))?.collect())
            .unwrap();
        for trigger in triggers {
            database.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
        }
        let sql = "UPDATE journal SET record = CAST(replace(CAST(record AS TEXT), ?, ?) AS BLOB) WHERE lower(hex(id)) = ?";
        let changed = database.execute(sql, (from, to, id.replace('-', ""))).unwrap();
        assert_eq!(changed, 1, "no entry {id}");
    }

    /// From now on nobody can be looked up.
    pub async fn break_directory(&mut self) {
        self.ldap.take().unwrap().shutdown().await;
    }

    pub fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub fn delete(&self, path: &str) -> Call {
        self.call(Method::DELETE, path)
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().unwrap();
        request.headers_mut().insert(header::HOST, "127.0.0.1:8440".parse().unwrap());
        Call { router: self.router.clone(), request, from: HOME.parse().unwrap() }
    }

    pub async fn try_login(&self, name: &str, password: &str) -> Answer {
        let login = serde_json::json!({"username": name, "password": password});
        self.post("/auth/v1/login").json(&login).send().await
    }

    /// A token of a demo user's own login.
    pub async fn login(&self, name: &str) -> String {
        let answer = self.try_login(name, &format!("{name}-demo")).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json["token"].as_str().unwrap().to_owned()
    }

    /// A personal token, issued by the user's own login.
    pub async fn personal_token(&self, login: &str) -> String {
        let new = serde_json::json!({"name": "script", "expires_at": in_a_month()});
        let answer = self.post("/auth/v1/tokens").bearer(login).json(&new).send().await;
        assert_eq!(answer.status, 201, "{}", answer.json);
        answer.json["token"].as_str().unwrap().to_owned()
    }

    /// The newest entries that carol sees, by these filters.
    pub async fn log(&self, filters: &str) -> Vec<Value> {
        let carol = self.login("carol").await;
        let answer = self.get(&format!("/api/v1/audit?limit=200&{filters}")).bearer(&carol).send().await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json["items"].as_array().unwrap().clone()
    }
}

/// RFC 3339.
pub fn in_a_month() -> String {
    let now_ms = Clock::system().now_ms();
    doorman_core::time::format_rfc3339(now_ms + 30 * 86_400_000)
}

fn write_policies(dir: &Path) -> PathBuf {
    let dir = dir.join("policies");
    std::fs::create_dir(&dir).unwrap();
    for (name, text) in demo_policies() {
        std::fs::write(dir.join(name), text).unwrap();
    }
    dir
}

async fn start_writer(
    dir: &Path,
    database: &Database,
    keys: &KeyRing,
    clock: &Clock,
    revocations: &Arc<Revocations>,
    policies: &Arc<PolicyStore>,
) -> Writer {
    let statements = dir.join("statements");
    std::fs::create_dir(&statements).unwrap();
    let config = JournalConfig { statements, ..JournalConfig::default() };
    let (now, signer_clock, keys, policies) = (clock.clone(), clock.clone(), keys.clone(), policies.clone());
    let around = Surroundings {
        now_ms: Box::new(move || now.now_ms()),
        signing_key: Box::new(move || keys.signing_key(KeyUse::Statement, signer_clock.now_ms(), |_| true)),
        revocations: revocations.clone(),
        policy_version: Box::new(move || policies.version()),
    };
    Writer::start(database.clone(), config, around).await.unwrap()
}

/// Region `eu` answers, `us` never did.
fn catalog() -> Catalog {
    let peer = || Arc::new(Peer::parse("http://127.0.0.1:1", None).unwrap());
    let catalog = Catalog::new([("eu".to_owned(), vec![peer()]), ("us".to_owned(), vec![peer()])].into());
    let instance = |id: String, healthy| InstanceStatus {
        id,
        address: "127.0.0.1:9".into(),
        healthy,
        labels: [("zone".to_owned(), "a".to_owned())].into(),
    };
    let service = |name: &str| ServiceStatus {
        name: name.into(),
        http2: false,
        takes_slash: false,
        instances: vec![instance(format!("{name}-1"), true), instance(format!("{name}-2"), false)],
    };
    let status = ProxyStatus {
        boot_id: "ab".repeat(16),
        region: "eu".into(),
        draining: false,
        statement_keys: Vec::new(),
        services: vec![service("echo"), service("companies"), service("vault")],
    };
    catalog.update("eu", 0, Some(status));
    catalog
}

pub struct Call {
    router: Router,
    request: Request<Body>,
    from: IpAddr,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
    /// The body, or null where it is no JSON.
    pub json: Value,
}

impl Call {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().unwrap());
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.request.headers_mut().remove(name);
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn basic(self, name: &str, password: &str) -> Self {
        self.header("authorization", &format!("Basic {}", STANDARD.encode(format!("{name}:{password}"))))
    }

    pub fn cookie(self, token: &str) -> Self {
        self.header("cookie", &format!("theme=dark; doorman={token}"))
    }

    pub fn own_origin(self) -> Self {
        self.header("origin", URL)
    }

    pub fn on_behalf_of(self, user: &str, token: &str) -> Self {
        self.header("doorman-on-behalf-of", user).header("doorman-user-token", token)
    }

    pub fn json(self, value: &Value) -> Self {
        self.header("content-type", "application/json").body(value.to_string())
    }

    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(text)
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    pub fn from(mut self, address: &str) -> Self {
        self.from = address.parse().unwrap();
        self
    }

    /// The answer with its body still to come.
    pub async fn open(mut self) -> Response<Body> {
        self.request.extensions_mut().insert(ClientAddr(self.from, false));
        self.router.oneshot(self.request).await.unwrap()
    }

    pub async fn send(self) -> Answer {
        let response = self.open().await;
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        let json = serde_json::from_str(&body).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, body, json }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The stable code, of an answer that is a complete problem.
    pub fn code(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.body);
        for field in ["type", "title", "detail", "code"] {
            assert!(self.json[field].is_string(), "{field}: {}", self.body);
        }
        assert_eq!(self.json["status"], self.status.as_u16());
        let code = self.json["code"].as_str().unwrap();
        assert_eq!(self.header("doorman-error"), code);
        code
    }

    /// Status and code.
    pub fn problem(&self) -> (u16, &str) {
        (self.status.as_u16(), self.code())
    }

    pub fn set_cookie(&self) -> &str {
        self.headers.get(header::SET_COOKIE).map_or("", |value| value.to_str().unwrap())
    }

    pub fn fields(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["field"].as_str().unwrap()).collect()
    }
}
