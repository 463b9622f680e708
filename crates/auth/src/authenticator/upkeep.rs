//! What must be done again and again: learn revocations and keys, read groups anew, note use, forget.

use super::Authenticator;
use super::bearer::facts_of;
use crate::session::Session;
use doorman_core::keys::KeyUse;
use doorman_core::principal::Principal;
use doorman_core::token::LONGEST_TOKEN_MS;
use doorman_store::SessionKind;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PERSIST_EVERY_S: u64 = 5;
const REFRESH_EVERY_S: u64 = 10;
const TIDY_EVERY_S: u64 = 60;

/// How many users are looked up at once.
const LOOKUPS_AT_ONCE: usize = 4;

/// Sessions that expired this long ago are deleted.
const KEEP_EXPIRED_MS: u64 = 86_400_000;

/// What is done later, in bulk.
#[derive(Default)]
pub(super) struct Upkeep {
    ticks: AtomicU64,
    /// Held while the directory or the database is asked at length.
    slow: Arc<tokio::sync::Mutex<()>>,
    services_used: Mutex<BTreeMap<String, u64>>,
    sessions_used: Mutex<BTreeMap<[u8; 16], u64>>,
}

impl Upkeep {
    pub fn note_service(&self, name: &str, now_ms: u64) {
        self.services_used.lock().insert(name.to_owned(), now_ms);
    }
}

impl Authenticator {
    /// To be called every second. Failures are logged: the next call tries again, and what cannot be confirmed in time
    /// is refused by itself.
    pub async fn tick(&self) {
        let inner = &*self.0;
        let second = inner.upkeep.ticks.fetch_add(1, Relaxed);
        self.reload_keys().await;
        if let Err(error) = inner.store.revocations.poll(&inner.store.database).await {
            tracing::warn!(%error, "revocations not read");
        }
        if second.is_multiple_of(PERSIST_EVERY_S)
            && let Err(error) = inner.store.clock.persist()
        {
            tracing::error!(%error, "time not persisted");
        }
        // Aside, since a slow directory must not keep revocations waiting; once at a time.
        if second.is_multiple_of(REFRESH_EVERY_S)
            && let Ok(turn) = inner.upkeep.slow.clone().try_lock_owned()
        {
            let this = self.clone();
            tokio::spawn(async move {
                this.0.people.probe().await;
                this.refresh_groups().await;
                if second.is_multiple_of(TIDY_EVERY_S) {
                    this.tidy().await;
                }
                drop(turn);
            });
        }
    }

    /// Notes when sessions and accounts were last used, and deletes what has expired. Part of [`Authenticator::tick`].
    pub async fn tidy(&self) {
        self.note_use().await;
        self.prune().await;
    }

    /// Reads the groups of users whose sessions were used lately anew, before their age makes a request wait for it.
    /// Sessions whose facts changed become stale; the others are confirmed. Part of [`Authenticator::tick`].
    pub async fn refresh_groups(&self) {
        let inner = &*self.0;
        let mut users: BTreeMap<Arc<str>, Vec<Arc<Session>>> = BTreeMap::new();
        for (_, session) in &inner.store.sessions {
            let renewable =
                matches!(session.kind, SessionKind::Login | SessionKind::Personal | SessionKind::Grant);
            if let Principal::User(name) = &session.principal
                && renewable
                && session.expires_ms > inner.store.clock.now_ms()
            {
                users.entry(name.clone()).or_default().push(session);
            }
        }
        users.retain(|name, sessions| {
            // All of them are asked, so that each begins anew.
            inner.people.is_ageing(name) && sessions.iter().filter(|session| session.take_used()).count() > 0
        });
        let mut lookups = tokio::task::JoinSet::new();
        for (name, sessions) in users {
            if lookups.len() >= LOOKUPS_AT_ONCE {
                lookups.join_next().await;
            }
            let this = self.clone();
            lookups.spawn(async move { this.refresh_user(&name, &sessions).await });
        }
        while lookups.join_next().await.is_some() {}
    }

    async fn refresh_user(&self, name: &str, sessions: &[Arc<Session>]) {
        let inner = &*self.0;
        let Some(first) = sessions.first() else { return };
        let person = inner.people.ask(name, || super::bearer::seed_of(first)).await;
        for session in sessions {
            let confirmed = person.as_ref().ok().is_some_and(|person| {
                let is_same = facts_of(session, person).is_ok_and(|now| session.says_the_same_as(&now));
                if is_same {
                    session.confirm_until(person.recheck_ms);
                }
                is_same
            });
            if confirmed {
                let mut used = inner.upkeep.sessions_used.lock();
                if inner.people.state().down_since_ms.is_none() {
                    used.insert(session.id, inner.store.clock.now_ms());
                }
            } else {
                session.mark_stale();
                inner.store.sessions.invalidate(&session.id).await;
            }
        }
    }

    /// Takes over changed keys. When a token key is gone, everything must be verified again.
    async fn reload_keys(&self) {
        let inner = &*self.0;
        let before = inner.keys.public_keys();
        match inner.keys.reload_if_changed() {
            Ok(false) => {}
            Ok(true) => {
                let now = inner.keys.public_keys();
                if before.ids(KeyUse::Token).any(|id| now.find(KeyUse::Token, id).is_none()) {
                    for (id, session) in &inner.store.sessions {
                        session.mark_stale();
                        inner.store.sessions.invalidate(&*id).await;
                    }
                }
                tracing::info!(dir = %inner.keys.dir().display(), "keys reloaded");
            }
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "keys not reloaded, the old ones stay"
                );
            }
        }
    }

    async fn note_use(&self) {
        let inner = &*self.0;
        let sessions: Vec<_> = std::mem::take(&mut *inner.upkeep.sessions_used.lock()).into_iter().collect();
        let services = std::mem::take(&mut *inner.upkeep.services_used.lock());
        if !sessions.is_empty()
            && let Err(error) = inner.store.database.touch_sessions(&sessions).await
        {
            tracing::warn!(%error, "use of sessions not noted");
        }
        for (name, at_ms) in services {
            if let Err(error) = inner.store.database.touch_service_account(&name, at_ms).await {
                tracing::warn!(%error, "use of a service account not noted");
            }
        }
    }

    async fn prune(&self) {
        let (inner, now_ms) = (&*self.0, self.0.store.clock.now_ms());
        let pruned = async {
            inner.passwords.prune(now_ms).await?;
            inner.store.database.delete_expired_sessions(now_ms.saturating_sub(KEEP_EXPIRED_MS)).await?;
            inner.store.database.prune_revocations(now_ms.saturating_sub(LONGEST_TOKEN_MS)).await?;
            Ok::<_, crate::AuthError>(())
        };
        if let Err(error) = pruned.await {
            tracing::warn!(%error, "expired sessions not deleted");
        }
    }
}
