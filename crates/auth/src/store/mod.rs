//! Sessions, tokens and service accounts as the database has them: what can be done to them without the directory and
//! without a key, and so by every replica, also while a separate `doorman auth` is down. Ending sessions is part of that.

mod grant;
mod listing;
mod services;

pub(crate) use grant::GRANT_MS;
pub use listing::SessionInfo;
pub use services::{ServiceAccount, ServiceChange};
pub(crate) use services::{check_name, check_network, directory_id, parse_networks, secret_is_live};

use crate::session::{Session, SessionId};
use crate::{AuthError, Clock, Revocations};
use doorman_store::Database;
use std::sync::Arc;
use std::time::Duration;

/// How many sessions are kept in memory.
pub(crate) const CAPACITY: u64 = 100_000;

/// After this long a session is read from the database again, be it used or not. Less than [`Revocations`] remember.
pub(crate) const KEEP: Duration = Duration::from_secs(10 * 60);

/// The stored half of identity. Cheap to clone; all clones share what is in memory, which is bounded.
#[derive(Clone)]
pub struct IdentityStore {
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    pub(crate) revocations: Arc<Revocations>,
    /// The sessions that this process has lately verified.
    pub(crate) sessions: moka::future::Cache<SessionId, Arc<Session>>,
}

impl IdentityStore {
    /// A store over these. `revocations` must come from [`Revocations::open`] on the same database, before.
    pub fn new(clock: Clock, database: Database, revocations: Arc<Revocations>) -> Self {
        let sessions = moka::future::Cache::builder().max_capacity(CAPACITY).time_to_live(KEEP).build();
        Self { clock, database, revocations, sessions }
    }

    /// What was revoked, for hot caches.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.revocations
    }

    /// Ends one session for good, everywhere, with all that hangs on it. Ending an ended one is no error.
    ///
    /// # Errors
    /// [`Code::AuditUnavailable`](doorman_core::code::Code::AuditUnavailable) when the database does not answer: then the
    /// session has not ended.
    pub async fn logout(&self, session: SessionId) -> Result<(), AuthError> {
        self.revoke(&[session]).await.map(drop)
    }

    /// Ends sessions and tokens for good, everywhere, with all that hangs on them. Returns the revocation epoch.
    ///
    /// # Errors
    /// As [`IdentityStore::logout`].
    pub async fn revoke(&self, sessions: &[SessionId]) -> Result<u64, AuthError> {
        let mut all = sessions.to_vec();
        for session in sessions {
            all.extend(self.database.session_children(session).await?);
        }
        self.revoke_exactly(all).await
    }

    async fn revoke_exactly(&self, mut all: Vec<SessionId>) -> Result<u64, AuthError> {
        all.sort_unstable();
        all.dedup();
        let epoch = self.database.revoke_sessions(&all, self.clock.now_ms()).await?;
        self.revocations.learn(all.iter().copied());
        // Others may have revoked as well; only the whole list may move the epoch. If it cannot be had now, the next
        // tick gets it.
        if let Err(error) = self.revocations.poll(&self.database).await {
            tracing::warn!(%error, "revocations not read");
        }
        for id in &all {
            if let Some(session) = self.sessions.remove(id).await {
                session.mark_stale();
            }
        }
        Ok(epoch)
    }

    /// Whether a session object from a cache may be used as it is.
    pub(crate) fn is_good(&self, session: &Session) -> bool {
        session.is_live(self.clock.now_ms()) && !self.revocations.contains(&session.id)
    }

    /// The session, unless it was revoked while it was being looked up.
    pub(crate) fn unless_revoked(&self, session: Arc<Session>) -> Result<Arc<Session>, AuthError> {
        if self.revocations.contains(&session.id) {
            session.mark_stale();
            let error = AuthError::new(doorman_core::code::Code::TokenRevoked, "the session was ended");
            return Err(error.claimed_by(session.principal.name()));
        }
        Ok(session)
    }
}
