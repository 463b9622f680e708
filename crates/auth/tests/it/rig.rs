//! One or several replicas over one SQLite database, with a directory that counts, fails and hangs as it is told.

use async_trait::async_trait;
use doorman_auth::directory::{Directory, DirectoryError, DirectoryUser, RefusedReason};
use doorman_auth::{
    AuthError, AuthSettings, Authenticator, Authority, Clock, IdentityStore, KeyRing, Revocations, Session,
};
use doorman_core::keys::KeyUse;
use doorman_core::secret::Secret;
use doorman_store::{Database, DatabaseConfig};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

pub const HOME: &str = "192.0.2.1";

#[derive(Default)]
struct State {
    /// By canonical name: password and user.
    users: HashMap<String, (String, DirectoryUser)>,
    is_down: bool,
    failed_binds: HashMap<String, usize>,
    binds: usize,
    lookups: usize,
    refused: usize,
}

/// A directory that takes names in any case, with spaces around them, or as a mail address.
#[derive(Default)]
pub struct FakeDirectory(Mutex<State>);

impl FakeDirectory {
    pub fn set(&self, name: &str, groups: &[&str]) {
        let user = DirectoryUser {
            id: format!("id-of-{name}"),
            name: name.to_owned(),
            display_name: name.to_uppercase(),
            email: Some(format!("{name}@example.test")),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        };
        self.0.lock().unwrap().users.insert(name.to_owned(), (format!("{name}-demo"), user));
    }

    pub fn replace_by_namesake(&self, name: &str) {
        let mut state = self.0.lock().unwrap();
        state.users.get_mut(name).unwrap().1.id = "id-of-somebody-else".into();
    }

    pub fn remove(&self, name: &str) {
        self.0.lock().unwrap().users.remove(name);
    }

    pub fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap().is_down = is_down;
    }

    pub fn failed_binds(&self, account: &str) -> usize {
        self.0.lock().unwrap().failed_binds.get(account).copied().unwrap_or_default()
    }

    pub fn binds(&self) -> usize {
        self.0.lock().unwrap().binds
    }

    pub fn lookups(&self) -> usize {
        self.0.lock().unwrap().lookups
    }

    /// How often it was asked while it was down.
    pub fn refused(&self) -> usize {
        self.0.lock().unwrap().refused
    }

    fn up(&self) -> Result<std::sync::MutexGuard<'_, State>, DirectoryError> {
        let mut state = self.0.lock().unwrap();
        if state.is_down {
            state.refused += 1;
            return Err(DirectoryError::Unavailable { detail: "down for the test".into() });
        }
        Ok(state)
    }
}

fn canonical(name: &str) -> String {
    name.trim().to_lowercase().trim_end_matches("@example.test").to_owned()
}

#[async_trait]
impl Directory for FakeDirectory {
    async fn authenticate(&self, name: &str, password: &Secret) -> Result<DirectoryUser, DirectoryError> {
        tokio::task::yield_now().await;
        let mut state = self.up()?;
        state.binds += 1;
        let name = canonical(name);
        let reason = match state.users.get(&name) {
            Some((good, user)) if good == password.expose() => return Ok(user.clone()),
            Some(_) => RefusedReason::WrongPassword,
            None => RefusedReason::UnknownUser,
        };
        *state.failed_binds.entry(name).or_default() += 1;
        Err(DirectoryError::BadCredentials { reason })
    }

    async fn lookup(&self, name: &str) -> Result<Option<DirectoryUser>, DirectoryError> {
        tokio::task::yield_now().await;
        let mut state = self.up()?;
        state.lookups += 1;
        Ok(state.users.get(name).map(|(_, user)| user.clone()))
    }

    async fn account_key(&self, name: &str) -> Result<String, DirectoryError> {
        tokio::task::yield_now().await;
        let state = self.up()?;
        Ok(state.users.get(&canonical(name)).map_or_else(|| format!("?{name}"), |(_, user)| user.id.clone()))
    }

    async fn ping(&self) -> Result<(), DirectoryError> {
        self.up().map(drop)
    }
}

pub struct Rig {
    pub dir: tempfile::TempDir,
    pub clock: Clock,
    pub directory: Arc<FakeDirectory>,
    pub database: Database,
    pub auth: Authenticator,
}

impl Rig {
    /// As the rest of Doorman sees it.
    pub fn authority(&self) -> &dyn Authority {
        &self.auth
    }

    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let database = open_database(dir.path()).await;
        let directory = Arc::new(FakeDirectory::default());
        for (name, groups) in [("alice", ["developers"].as_slice()), ("bob", &["developers", "oncall"])] {
            directory.set(name, groups);
        }
        let clock = Clock::manual(wall_ms());
        let auth = replica(dir.path(), &clock, directory.clone(), &database).await;
        Self { dir, clock, directory, database, auth }
    }

    /// Another process over the same database and keys.
    pub async fn replica(&self) -> Authenticator {
        replica(self.dir.path(), &self.clock, self.directory.clone(), &open_database(self.dir.path()).await)
            .await
    }

    pub async fn login(&self, name: &str) -> (Secret, Arc<Session>) {
        self.try_login(name, &format!("{name}-demo"), HOME).await.unwrap()
    }

    pub async fn try_login(
        &self,
        name: &str,
        password: &str,
        from: &str,
    ) -> Result<(Secret, Arc<Session>), AuthError> {
        self.auth.login(name, &secret(password), ip(from), "test", None).await
    }

    pub async fn basic(&self, name: &str, password: &str) -> Result<Arc<Session>, AuthError> {
        self.auth.verify_basic(name, &secret(password), ip(HOME)).await
    }
}

pub async fn open_database(dir: &std::path::Path) -> Database {
    let url = format!("sqlite:{}", dir.join("doorman.db").display());
    let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
    database.migrate().await.unwrap();
    database
}

pub async fn replica(
    dir: &std::path::Path,
    clock: &Clock,
    directory: Arc<dyn Directory>,
    database: &Database,
) -> Authenticator {
    let keys = KeyRing::open_or_create(&dir.join("keys"), &KeyUse::ALL, clock.clone()).unwrap();
    let revocations = Arc::new(Revocations::open(database).await.unwrap());
    let settings = AuthSettings::default();
    let store = IdentityStore::new(clock.clone(), database.clone(), revocations);
    Authenticator::new(settings, keys, directory, store)
}

pub fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `unwrap_err` for results whose good side is secret.
pub trait Refused {
    fn refusal(self) -> AuthError;
}

impl<T> Refused for Result<T, AuthError> {
    fn refusal(self) -> AuthError {
        match self {
            Ok(_) => panic!("not refused"),
            Err(error) => error,
        }
    }
}
