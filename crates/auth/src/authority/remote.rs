//! Has a `doorman auth` answer, remembers what it said, and goes on with that for a stated time while it is down.

use super::{Answer, Ask, AuthState, Authority, AuthorityState, LinkState, Proven, Reply};
use crate::keyed::{Fingerprint, KeyedHash};
use crate::people::DirectoryState;
use crate::settings::ms;
use crate::store::{CAPACITY, IdentityStore, KEEP};
use crate::{AuthError, KeyRing};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use doorman_core::code::Code;
use doorman_core::keys::{KeyUse, PublicKeys};
use moka::ops::compute::Op;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// The paths of a `doorman auth`: questions, and its state.
pub const REMOTE_PATHS: (&str, &str) = ("/authority/v1/ask", "/authority/v1/state");

/// While `auth` is down, sessions go on in steps of this length.
const STEP_MS: u64 = 2_000;

/// `auth` could not be asked, or did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("the auth process does not answer: {0}")]
pub struct Unreachable(pub String);

/// Carries questions to a `doorman auth`.
#[async_trait]
pub trait Link: Send + Sync + 'static {
    /// Posts to one of [`REMOTE_PATHS`] and gives the body of an answer with status 200.
    async fn post(&self, path: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Unreachable>;
}

/// What must be known of a remote authority.
pub struct RemoteSettings {
    /// How long sessions that it confirmed go on while it is down.
    pub grace: Duration,
}

/// An [`Authority`] elsewhere. Its memory is bounded.
pub struct Remote {
    link: Box<dyn Link>,
    store: IdentityStore,
    /// This process's own keys, which sign everything but tokens.
    keys: KeyRing,
    keyed: KeyedHash,
    grace_ms: u64,
    issuer: String,
    audience: String,
    token_keys: ArcSwap<PublicKeys>,
    known: moka::future::Cache<Fingerprint, Known>,
    health: Mutex<Health>,
    polling: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    proven: Proven,
    /// When `auth` last said so.
    confirmed_ms: u64,
}

struct Health {
    directory: DirectoryState,
    down_since_ms: Option<u64>,
}

impl Remote {
    /// Asks `auth` who it is. `keys` are this process's own.
    ///
    /// # Errors
    /// [`Unreachable`].
    pub async fn open(
        link: Box<dyn Link>,
        settings: &RemoteSettings,
        store: IdentityStore,
        keys: KeyRing,
    ) -> Result<Self, Unreachable> {
        let (state, token_keys) = read_state(&*link).await?;
        Ok(Self {
            link,
            store,
            keys,
            keyed: KeyedHash::new(),
            grace_ms: ms(settings.grace),
            issuer: state.issuer,
            audience: state.audience,
            token_keys: ArcSwap::from_pointee(token_keys),
            known: moka::future::Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_idle(KEEP.max(settings.grace))
                .build(),
            health: Mutex::new(Health { directory: state.directory, down_since_ms: None }),
            polling: tokio::sync::Mutex::default(),
        })
    }

    async fn call(&self, ask: &Ask) -> Result<Result<Answer, AuthError>, Unreachable> {
        let asked_ms = self.store.clock.now_ms();
        let body = serde_json::to_vec(ask).map_err(|error| Unreachable(error.to_string()))?;
        let answered = self.link.post(REMOTE_PATHS.0, body).await;
        self.note(answered.as_ref().err());
        let reply: Reply = serde_json::from_slice(&answered?).map_err(|e| Unreachable(e.to_string()))?;
        Ok(reply.into_answer(asked_ms))
    }

    fn note(&self, failure: Option<&Unreachable>) {
        let mut health = self.health.lock();
        match (failure, health.down_since_ms) {
            (None, Some(_)) => {
                tracing::info!("the auth process answers again");
                health.down_since_ms = None;
            }
            (Some(error), None) => {
                tracing::warn!(%error, "known sessions go on for a while");
                health.down_since_ms = Some(self.store.clock.now_ms());
            }
            _ => {}
        }
    }

    /// A credential, from memory while that is confirmed. One caller at a time asks about each.
    async fn verify(&self, fingerprint: Fingerprint, ask: &Ask) -> Result<Proven, AuthError> {
        let now_ms = self.store.clock.now_ms();
        if let Some(known) = self.known.get(&fingerprint).await
            && self.store.is_good(&known.proven.session)
            && now_ms < known.proven.token_expires_ms
        {
            return Ok(known.proven);
        }
        let computed = self
            .known
            .entry(fingerprint)
            .and_try_compute_with(|entry| async {
                let known = entry.map(moka::Entry::into_value);
                if let Some(known) = known.as_ref().filter(|known| self.store.is_good(&known.proven.session))
                    && self.store.clock.now_ms() < known.proven.token_expires_ms
                {
                    return Ok(Op::Nop);
                }
                match self.call(ask).await {
                    Ok(Ok(Answer::Proven(proven))) => Ok(Op::Put(self.confirm(known, proven))),
                    Ok(Ok(Answer::Known(_))) => Err(unavailable("another question was answered")),
                    Ok(Err(error)) => Err(error),
                    Err(error) => self.go_on(known.as_ref(), &error).map(|()| Op::Nop),
                }
            })
            .await;
        match computed {
            Ok(result) => match result.into_entry() {
                Some(entry) => {
                    let proven = entry.into_value().proven;
                    self.store.unless_revoked(proven.session.clone())?;
                    Ok(proven)
                }
                None => Err(unavailable("forgotten at once")),
            },
            Err(error) => {
                // Whoever still holds the object must come here, too.
                if let Some(known) = self.known.remove(&fingerprint).await {
                    known.proven.session.mark_stale();
                }
                Err(error)
            }
        }
    }

    /// Keeps the object that others hold if nothing has changed.
    fn confirm(&self, known: Option<Known>, proven: Proven) -> Known {
        let confirmed_ms = self.store.clock.now_ms();
        let same = known.filter(|known| {
            let (old, new) = (&known.proven.session, &proven.session);
            old.recheck_ms() != 0
                && old.id == new.id
                && old.expires_ms == new.expires_ms
                && old.says_the_same_as(new)
        });
        match same {
            Some(known) => {
                known.proven.session.confirm_until(proven.session.recheck_ms());
                Known { proven: known.proven, confirmed_ms }
            }
            None => Known { proven, confirmed_ms },
        }
    }

    /// Without `auth`: what it confirmed lately goes on, until the session or its token ends or is revoked.
    fn go_on(&self, known: Option<&Known>, error: &Unreachable) -> Result<(), AuthError> {
        let now_ms = self.store.clock.now_ms();
        let Some(known) = known else { return Err(unavailable(&error.to_string())) };
        let session = &known.proven.session;
        let until_ms = known.confirmed_ms.saturating_add(self.grace_ms);
        let is_live = now_ms < known.proven.token_expires_ms && now_ms < session.expires_ms;
        if !is_live || session.recheck_ms() == 0 {
            return Err(AuthError::new(Code::TokenExpired, "the session ended while auth was down"));
        }
        if now_ms >= until_ms {
            return Err(unavailable(&format!("{error}, for longer than auth.outage_grace")));
        }
        session.confirm_until(until_ms.min(now_ms + STEP_MS));
        Ok(())
    }

    async fn poll_state(&self) {
        let polled = read_state(&*self.link).await;
        self.note(polled.as_ref().err());
        let Ok((state, keys)) = polled else { return };
        self.health.lock().directory = state.directory;
        let before = self.token_keys.swap(Arc::new(keys.clone()));
        if before.ids(KeyUse::Token).any(|id| keys.find(KeyUse::Token, id).is_none()) {
            // A key is gone: whatever it signed must be shown to `auth` again.
            self.known.iter().for_each(|(_, known)| known.proven.session.mark_stale());
            self.known.invalidate_all();
        }
        if (state.issuer != self.issuer || state.audience != self.audience)
            && self.health.lock().down_since_ms.is_none()
        {
            tracing::error!("the issuer or audience of the auth process has changed; restart this one");
        }
    }
}

async fn read_state(link: &dyn Link) -> Result<(AuthState, PublicKeys), Unreachable> {
    let body = link.post(REMOTE_PATHS.1, Vec::new()).await?;
    let state: AuthState = serde_json::from_slice(&body).map_err(|error| Unreachable(error.to_string()))?;
    let keys = PublicKeys::from_jwks(&state.keys).map_err(|error| Unreachable(error.to_string()))?;
    Ok((state, keys.only(&[KeyUse::Token])))
}

fn unavailable(why: &str) -> AuthError {
    AuthError::new(Code::DirectoryUnavailable, why)
}

#[async_trait]
impl Authority for Remote {
    fn store(&self) -> &IdentityStore {
        &self.store
    }

    fn issuer(&self) -> &str {
        &self.issuer
    }

    fn audience(&self) -> &str {
        &self.audience
    }

    fn public_keys(&self) -> Arc<PublicKeys> {
        let mut keys = (**self.token_keys.load()).clone();
        keys.extend(&self.keys.public_keys());
        Arc::new(keys)
    }

    fn state(&self) -> AuthorityState {
        let health = self.health.lock();
        let down_since_ms = health.down_since_ms;
        let sessions_until_ms = down_since_ms.map(|since| since.saturating_add(self.grace_ms));
        AuthorityState {
            directory: health.directory,
            link: Some(LinkState { down_since_ms, sessions_until_ms }),
        }
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, AuthError> {
        let fingerprint = match &ask {
            Ask::Bearer { token } => self.keyed.of(&[token.expose().as_bytes()]),
            Ask::Basic { name, password, client_ip } => {
                let address = client_ip.to_canonical().to_string();
                self.keyed.of(&[name.as_bytes(), password.expose().as_bytes(), address.as_bytes()])
            }
            Ask::Standing { session } => self.keyed.of(&[b"standing", session]),
            _ => {
                return self.call(&ask).await.map_err(|error| unavailable(&error.to_string()))?;
            }
        };
        self.verify(fingerprint, &ask).await.map(Answer::Proven)
    }

    async fn tick(&self) {
        if let Err(error) = self.keys.reload_if_changed() {
            tracing::error!(%error, "keys not reloaded, the old ones stay");
        }
        if let Err(error) = self.store.revocations.poll(&self.store.database).await {
            tracing::warn!(%error, "revocations not read");
        }
        if let Err(error) = self.store.clock.persist() {
            tracing::error!(%error, "time not persisted");
        }
        // One at a time: a link that hangs must not pile polls up.
        if let Ok(_turn) = self.polling.try_lock() {
            self.poll_state().await;
        }
    }
}
