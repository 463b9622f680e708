//! From a credential to a [`Session`], and everything that is done to sessions afterwards.

mod basic;
mod bearer;
mod grant;
mod issue;
mod listing;
mod service;
mod upkeep;

pub use bearer::Verified;
pub use grant::Granted;
pub use listing::SessionInfo;
pub use service::{ServiceAccount, ServiceChange};

use crate::directory::Directory;
use crate::keyed::{Fingerprint, KeyedHash};
use crate::passwords::Passwords;
use crate::people::{DirectoryState, People};
use crate::session::{Session, SessionId};
use crate::settings::AuthSettings;
use crate::{AuthError, Clock, KeyRing, Revocations};
use doorman_core::code::Code;
use doorman_store::Database;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// How many sessions and how many verified tokens and passwords are kept in memory, each.
const CAPACITY: u64 = 100_000;

/// After this long a session is read from the database again, be it used or not. Less than [`Revocations`] remember.
const KEEP: Duration = Duration::from_secs(10 * 60);

/// Proves who is asking. Cheap to clone; all clones share their caches, which are bounded.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    settings: AuthSettings,
    keys: KeyRing,
    clock: Clock,
    database: Database,
    directory: Arc<dyn Directory>,
    revocations: Arc<Revocations>,
    keyed: Arc<KeyedHash>,
    people: People,
    passwords: Arc<Passwords>,
    /// Tokens whose signature and claims were verified, by SHA-256.
    tokens: moka::sync::Cache<[u8; 32], Arc<bearer::VerifiedToken>>,
    sessions: moka::future::Cache<SessionId, Arc<Session>>,
    user_passwords: moka::future::Cache<Fingerprint, Arc<Session>>,
    service_secrets: moka::future::Cache<Fingerprint, Arc<service::ProvenSecret>>,
    /// Secrets that are no service account's, until when (ms): spares the hashing.
    wrong_secrets: moka::sync::Cache<Fingerprint, u64>,
    /// How many those were, by account and address.
    wrong_by_origin: moka::sync::Cache<Fingerprint, Arc<AtomicU32>>,
    upkeep: upkeep::Upkeep,
}

impl Authenticator {
    /// An authenticator over these. `revocations` must come from [`Revocations::open`] on the same database, before.
    /// Call [`Authenticator::tick`] every second from then on.
    pub fn new(
        settings: AuthSettings,
        keys: KeyRing,
        clock: Clock,
        directory: Arc<dyn Directory>,
        database: Database,
        revocations: Arc<Revocations>,
    ) -> Self {
        let keyed = Arc::new(KeyedHash::new());
        let people = People::new(directory.clone(), &settings, clock.clone());
        let passwords =
            Passwords::new(directory.clone(), database.clone(), &settings, clock.clone(), keyed.clone());
        Self(Arc::new(Inner {
            people,
            passwords: Arc::new(passwords),
            keyed,
            tokens: moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(KEEP).build(),
            sessions: moka::future::Cache::builder().max_capacity(CAPACITY).time_to_live(KEEP).build(),
            user_passwords: moka::future::Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(settings.basic_ttl)
                .build(),
            service_secrets: moka::future::Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(settings.service_ttl)
                .build(),
            wrong_secrets: moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(KEEP).build(),
            wrong_by_origin: moka::sync::Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(Duration::from_millis(service::WRONG_MS))
                .build(),
            upkeep: upkeep::Upkeep::default(),
            settings,
            keys,
            clock,
            database,
            directory,
            revocations,
        }))
    }

    /// What was revoked, for hot caches.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.0.revocations
    }

    /// The clock that decides about expiry.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The keys that sign and verify tokens.
    pub fn keys(&self) -> &KeyRing {
        &self.0.keys
    }

    /// The settings in force.
    pub fn settings(&self) -> &AuthSettings {
        &self.0.settings
    }

    /// Whether the directory answers, as far as it was asked lately.
    pub fn directory_state(&self) -> DirectoryState {
        self.0.people.state()
    }

    /// Ends one session for good, everywhere, with all that hangs on it. Ending an ended one is no error.
    ///
    /// # Errors
    /// [`Code::AuditUnavailable`] when the database does not answer: then the session has not ended.
    pub async fn logout(&self, session: SessionId) -> Result<(), AuthError> {
        self.revoke(&[session]).await.map(drop)
    }

    /// Ends one's own session for good: with all that hangs on it but the grants of runs, which go on.
    ///
    /// # Errors
    /// As [`Authenticator::logout`].
    pub async fn log_out_oneself(&self, session: SessionId) -> Result<(), AuthError> {
        let children = self.0.database.session_children_but_grants(&session).await?;
        self.revoke_exactly([vec![session], children].concat()).await.map(drop)
    }

    /// Ends sessions and tokens for good, everywhere, with all that hangs on them. Returns the revocation epoch.
    ///
    /// # Errors
    /// As [`Authenticator::logout`].
    pub async fn revoke(&self, sessions: &[SessionId]) -> Result<u64, AuthError> {
        let inner = &*self.0;
        let mut all = sessions.to_vec();
        for session in sessions {
            all.extend(inner.database.session_children(session).await?);
        }
        self.revoke_exactly(all).await
    }

    async fn revoke_exactly(&self, mut all: Vec<SessionId>) -> Result<u64, AuthError> {
        let inner = &*self.0;
        all.sort_unstable();
        all.dedup();
        let epoch = inner.database.revoke_sessions(&all, inner.clock.now_ms()).await?;
        inner.revocations.learn(all.iter().copied());
        // Others may have revoked as well; only the whole list may move the epoch. If it cannot be had now, the next
        // tick gets it.
        if let Err(error) = inner.revocations.poll(&inner.database).await {
            tracing::warn!(%error, "revocations not read");
        }
        for id in &all {
            inner.drop_session(id).await;
        }
        Ok(epoch)
    }
}

impl Inner {
    /// Whether a session object from a cache may be used as it is.
    fn is_good(&self, session: &Session) -> bool {
        session.is_live(self.clock.now_ms()) && !self.revocations.contains(&session.id)
    }

    /// The session, unless it was revoked while it was being looked up.
    fn unless_revoked(&self, session: Arc<Session>) -> Result<Arc<Session>, AuthError> {
        if self.revocations.contains(&session.id) {
            session.mark_stale();
            return Err(AuthError::new(Code::TokenRevoked, "the session was ended")
                .claimed_by(session.principal.name()));
        }
        Ok(session)
    }

    async fn drop_session(&self, id: &SessionId) {
        if let Some(session) = self.sessions.remove(id).await {
            session.mark_stale();
        }
    }
}
