//! From a credential to a [`Session`], in the process that has the directory and the keys.
//!
//! What others ask of it is the trait [`Authority`](crate::Authority); its methods are in the files here.

mod basic;
mod bearer;
mod grant;
mod issue;
mod service;
mod upkeep;

pub use bearer::Verified;
pub use grant::Granted;

use crate::directory::Directory;
use crate::keyed::{Fingerprint, KeyedHash};
use crate::passwords::Passwords;
use crate::people::{DirectoryState, People};
use crate::session::{Session, SessionId};
use crate::settings::AuthSettings;
use crate::store::{CAPACITY, IdentityStore, KEEP};
use crate::{AuthError, KeyRing};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Proves who is asking. Cheap to clone; all clones share their caches, which are bounded.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    settings: AuthSettings,
    keys: KeyRing,
    store: IdentityStore,
    directory: Arc<dyn Directory>,
    keyed: Arc<KeyedHash>,
    people: People,
    passwords: Arc<Passwords>,
    /// Tokens whose signature and claims were verified, by SHA-256.
    tokens: moka::sync::Cache<[u8; 32], Arc<bearer::VerifiedToken>>,
    user_passwords: moka::future::Cache<Fingerprint, Arc<Session>>,
    service_secrets: moka::future::Cache<Fingerprint, Arc<service::ProvenSecret>>,
    /// Secrets that are no service account's, until when (ms): spares the hashing.
    wrong_secrets: moka::sync::Cache<Fingerprint, u64>,
    /// How many those were, by account and address.
    wrong_by_origin: moka::sync::Cache<Fingerprint, Arc<AtomicU32>>,
    upkeep: upkeep::Upkeep,
}

impl Authenticator {
    /// An authenticator over these. Call [`Authenticator::tick`] every second from then on.
    pub fn new(
        settings: AuthSettings,
        keys: KeyRing,
        directory: Arc<dyn Directory>,
        store: IdentityStore,
    ) -> Self {
        let (clock, database) = (&store.clock, &store.database);
        let keyed = Arc::new(KeyedHash::new());
        let people = People::new(directory.clone(), &settings, clock.clone());
        let passwords =
            Passwords::new(directory.clone(), database.clone(), &settings, clock.clone(), keyed.clone());
        Self(Arc::new(Inner {
            people,
            passwords: Arc::new(passwords),
            keyed,
            tokens: moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(KEEP).build(),
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
            store,
            settings,
            keys,
            directory,
        }))
    }

    /// Sessions and service accounts as they are stored.
    pub fn store(&self) -> &IdentityStore {
        &self.0.store
    }

    /// The directory's own id of whoever has the name there.
    ///
    /// # Errors
    /// [`Code::DirectoryUnavailable`](doorman_core::code::Code::DirectoryUnavailable).
    pub(crate) async fn knows(&self, name: &str) -> Result<Option<String>, AuthError> {
        Ok(self.0.directory.lookup(name).await?.map(|user| user.id))
    }

    /// The live session of that id.
    ///
    /// # Errors
    /// As [`Authenticator::verify_bearer`].
    pub(crate) async fn session(&self, id: SessionId) -> Result<Arc<Session>, AuthError> {
        self.0.session(id).await
    }

    /// What stands behind a session now, be its own time over or not.
    ///
    /// # Errors
    /// As [`Authenticator::verify_bearer`].
    pub(crate) async fn standing(&self, id: SessionId) -> Result<Arc<Session>, AuthError> {
        self.0.standing(&id).await
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
}
