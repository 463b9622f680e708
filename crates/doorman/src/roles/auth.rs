//! `doorman auth`: wires the role's parts together and runs it.
//!
//! It answers `api` and nobody else: whoever asks shows a control token, signed with the key that `api` polls proxies with.
//! It writes no audit entries: each question comes from an `api` that writes down what it was about.

use super::front::Routed;
use super::{process, upkeep};
use crate::config::{AuthConfig, AuthRoleConfig};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use doorman_auth::directory::LdapDirectory;
use doorman_auth::{
    AuthState, Authenticator, Authority, Clock, IdentityStore, KeyRing, REMOTE_PATHS, Revocations, answer,
};
use doorman_core::keys::{KeyUse, PublicKeys};
use doorman_core::token::verify_control;
use doorman_net::{Listener, Server};
use doorman_store::Database;
use http::{StatusCode, header};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The audience of control tokens for this role.
pub const AUDIENCE: &str = "auth";
/// Names, passwords and tokens are short.
const MAX_BODY: usize = 64 * 1024;

/// Runs until a signal asks it to stop.
///
/// # Errors
/// When it cannot start.
pub fn run(config: AuthRoleConfig) -> anyhow::Result<()> {
    process::start_log(&config.log);
    let runtime = process::control_runtime()?;
    let drain = config.server.drain;
    let server = runtime.block_on(start(config))?;
    tracing::info!(address = %server.address(), "auth listens");
    runtime.block_on(process::stop_asked())?;
    server.announce_end();
    server.close(drain);
    Ok(())
}

/// An authenticator over a directory and a database.
///
/// # Errors
/// When either cannot be used.
pub async fn authenticator(
    config: AuthConfig,
    keys: &KeyRing,
    clock: &Clock,
    database: &Database,
) -> anyhow::Result<Authenticator> {
    let directory = Arc::new(LdapDirectory::new(config.directory)?);
    let revocations = Arc::new(Revocations::open(database).await?);
    let store = IdentityStore::new(clock.clone(), database.clone(), revocations);
    Ok(Authenticator::new(config.settings, keys.clone(), directory, store))
}

struct Shared {
    authority: Arc<dyn Authority>,
    clients: Clients,
    clock: Clock,
    database: Database,
}

async fn start(config: AuthRoleConfig) -> anyhow::Result<Server> {
    let database = process::open_database(&config.database).await?;
    std::fs::create_dir_all(&config.keys.dir)
        .with_context(|| format!("cannot make {}", config.keys.dir.display()))?;
    let clock = Clock::open(&config.keys.dir.join("clock"))?;
    let keys = KeyRing::open_or_create(&config.keys.dir, &[KeyUse::Token], clock.clone())?;
    let authority: Arc<dyn Authority> = Arc::new(authenticator(config.auth, &keys, &clock, &database).await?);
    let clients = Clients::open(config.clients.public_file)?;
    tokio::spawn(upkeep::tend_sessions(authority.clone()));
    let shared = Arc::new(Shared { authority, clients, clock, database });
    tokio::spawn(watch_clients(shared.clone()));
    let listener = Listener::bind(
        config.server.listen,
        process::listener_tls(config.server.tls.as_ref())?,
        config.server.limits,
    )?;
    let (router, control) = (router(shared), Handle::current());
    let threads = config.server.threads.map_or(1, Into::into);
    Ok(Server::start(listener, threads, "auth", move |_| {
        Rc::new(Routed { router: router.clone(), control: control.clone() })
    })?)
}

fn router(shared: Arc<Shared>) -> Router {
    let metrics = process::metrics();
    Router::new()
        .route(REMOTE_PATHS.0, post(take_question))
        .route(REMOTE_PATHS.1, post(tell_state))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(shared.clone(), admit))
        .route("/.well-known/jwks.json", get(show_keys))
        .route("/healthz", get(async || axum::Json(json!({ "status": "ok" }))))
        .route("/readyz", get(show_readiness))
        .route("/metrics", get(async move || metrics.render()))
        .with_state(shared)
}

/// Lets in whoever shows a control token of `api` for this role.
async fn admit(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let token = request.headers().get(header::AUTHORIZATION);
    let token = token.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if token.is_some_and(|token| shared.clients.know(token, shared.clock.now_ms())) {
        return next.run(request).await;
    }
    metrics::counter!("doorman_auth_strangers_total").increment(1);
    tracing::warn!("somebody who is not `api` asked");
    let problem = json!({
        "type": "about:blank", "title": "No valid credential was given", "status": 401, "code": "unauthenticated",
        "detail": "Only `doorman api` is answered here.",
        "hint": "Put the public.json of api's keys into [clients] public_file.",
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::UNAUTHORIZED, kind, problem.to_string()).into_response()
}

async fn take_question(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    match answer(&*shared.authority, &body).await {
        Some(reply) => axum::Json(reply).into_response(),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn tell_state(State(shared): State<Arc<Shared>>) -> axum::Json<AuthState> {
    let authority = &*shared.authority;
    axum::Json(AuthState {
        issuer: authority.issuer().to_owned(),
        audience: authority.audience().to_owned(),
        directory: authority.state().directory,
        keys: authority.public_keys().only(&[KeyUse::Token]).to_jwks(),
    })
}

async fn show_keys(State(shared): State<Arc<Shared>>) -> Response {
    let keys = shared.authority.public_keys().only(&[KeyUse::Token]);
    ([(header::CONTENT_TYPE, "application/jwk-set+json")], keys.to_jwks()).into_response()
}

async fn show_readiness(State(shared): State<Arc<Shared>>) -> Response {
    let patience = Duration::from_secs(2);
    let database =
        tokio::time::timeout(patience, shared.database.ping()).await.is_ok_and(|ping| ping.is_ok());
    let directory = shared.authority.state().directory.down_since_ms.is_none();
    let (status, text) = match (database, directory) {
        (true, true) => (StatusCode::OK, "ready"),
        (true, false) => (StatusCode::OK, "degraded"),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    (status, axum::Json(json!({ "status": text, "database": database, "directory": directory })))
        .into_response()
}

/// The public keys of those who may ask.
struct Clients {
    path: PathBuf,
    keys: ArcSwap<PublicKeys>,
}

impl Clients {
    fn open(path: PathBuf) -> anyhow::Result<Self> {
        let keys = ArcSwap::from_pointee(read_keys(&path)?);
        Ok(Self { path, keys })
    }

    fn know(&self, token: &str, now_ms: u64) -> bool {
        let issuer = doorman_proxy::control::CONTROL_ISSUER;
        verify_control(&self.keys.load(), issuer, AUDIENCE, token, now_ms).is_ok()
    }
}

fn read_keys(path: &Path) -> anyhow::Result<PublicKeys> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    PublicKeys::from_jwks(&text).with_context(|| path.display().to_string())
}

/// Takes in a changed key file; a bad one is refused and the old keys stay.
async fn watch_clients(shared: Arc<Shared>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut was_good = true;
    loop {
        seconds.tick().await;
        let read = read_keys(&shared.clients.path);
        match &read {
            Ok(keys) if *keys != **shared.clients.keys.load() => {
                shared.clients.keys.store(Arc::new(keys.clone()));
                tracing::info!("the keys of api have changed");
            }
            Err(error) if was_good => tracing::error!(%error, "the keys of api are not reloaded"),
            _ => {}
        }
        was_good = read.is_ok();
    }
}
