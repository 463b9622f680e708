//! What the directory says about users now: asked at most every so often, once for all sessions of a user, and for a
//! stated time remembered while the directory does not answer.

use crate::directory::{Directory, DirectoryError, DirectoryUser};
use crate::settings::AuthSettings;
use crate::{AuthError, Clock};
use doorman_core::code::Code;
use parking_lot::Mutex;
use std::sync::Arc;

/// An answer is shared by everyone who asks within this time.
const SHARE_MS: u64 = 3_000;

/// While the directory is down, sessions go on in steps of this length.
const OUTAGE_STEP_MS: u64 = 15_000;

/// After so many failures in a row the directory counts as down, and nobody is asked about for a while. More than one,
/// since an entry that cannot be read fails by itself and must not keep news of the others away.
const FAILURES_IN_A_ROW: u32 = 3;
const PAUSE_MS: u64 = 5_000;

/// How many users are remembered.
const CAPACITY: u64 = 100_000;

/// A user as of a moment.
#[derive(Clone)]
pub(crate) struct Person {
    pub user: Arc<DirectoryUser>,
    /// When the directory said so.
    pub checked_ms: u64,
    /// Until when that may be relied on without asking again.
    pub recheck_ms: u64,
}

/// Whether the directory answers, for `/readyz`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DirectoryState {
    /// Since when it does not.
    pub down_since_ms: Option<u64>,
    /// Until when a session that was confirmed just before goes on without it.
    pub sessions_until_ms: Option<u64>,
}

#[derive(Clone)]
struct Answer {
    asked_ms: u64,
    /// `Ok(None)`: gone, disabled or expired. `Err`: what kept the directory from answering.
    said: Result<Option<Arc<DirectoryUser>>, Arc<str>>,
}

pub(crate) struct People {
    directory: Arc<dyn Directory>,
    clock: Clock,
    max_age_ms: u64,
    grace_ms: u64,
    /// The last good answers.
    known: moka::sync::Cache<Arc<str>, Person>,
    /// The last answers of any kind, and those being waited for.
    asked: moka::future::Cache<Arc<str>, Answer>,
    outage: Mutex<Outage>,
}

/// What the last answers of the directory tell about it.
#[derive(Default)]
struct Outage {
    since_ms: Option<u64>,
    failures: u32,
    last: Option<(u64, Arc<str>)>,
}

impl Outage {
    /// Why the directory is not to be asked now.
    fn pause(&mut self, now_ms: u64) -> Option<Arc<str>> {
        let (last_ms, detail) = self.last.as_ref()?;
        if self.failures < FAILURES_IN_A_ROW {
            return None;
        }
        if now_ms < last_ms + PAUSE_MS {
            return Some(detail.clone());
        }
        // As many are let through again.
        self.failures = 0;
        None
    }
}

impl People {
    pub fn new(directory: Arc<dyn Directory>, settings: &AuthSettings, clock: Clock) -> Self {
        Self {
            directory,
            clock,
            max_age_ms: crate::settings::ms(settings.groups_max_age),
            grace_ms: crate::settings::ms(settings.outage_grace),
            known: moka::sync::Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(settings.outage_grace + settings.groups_max_age)
                .build(),
            asked: moka::future::Cache::builder()
                .max_capacity(CAPACITY)
                .time_to_live(settings.groups_max_age)
                .build(),
            outage: Mutex::default(),
        }
    }

    /// Takes over what a login has just learnt.
    pub fn learn(&self, user: DirectoryUser) -> Person {
        let checked_ms = self.clock.now_ms();
        let person = self.as_of(Arc::new(user), checked_ms);
        self.known.insert(person.user.name.as_str().into(), person.clone());
        *self.outage.lock() = Outage::default();
        person
    }

    /// The user as known, or asked for if that is older than allowed. `seed`: what a session's row remembers, for when
    /// this process knows nothing and the directory does not answer.
    pub async fn current(
        &self,
        name: &str,
        seed: impl FnOnce() -> (DirectoryUser, u64),
    ) -> Result<Person, AuthError> {
        match self.known.get(name) {
            Some(person) if self.clock.now_ms() < person.checked_ms + self.max_age_ms => Ok(person),
            _ => self.ask(name, seed).await,
        }
    }

    /// The user as the directory answers now.
    pub async fn ask(
        &self,
        name: &str,
        seed: impl FnOnce() -> (DirectoryUser, u64),
    ) -> Result<Person, AuthError> {
        let now_ms = self.clock.now_ms();
        let name: Arc<str> = name.into();
        let lookup = async { Answer { asked_ms: now_ms, said: self.look_up(&name, now_ms).await } };
        let entry = self.asked.entry(name.clone());
        let answer =
            entry.or_insert_with_if(lookup, |old| old.asked_ms + SHARE_MS <= now_ms).await.into_value();
        match answer.said {
            Ok(Some(user)) => {
                let person = self.as_of(user, answer.asked_ms);
                self.known.insert(name, person.clone());
                Ok(person)
            }
            Ok(None) => {
                self.known.invalidate(&*name);
                Err(AuthError::new(Code::TokenRevoked, "user gone, disabled or expired in the directory"))
            }
            Err(detail) => {
                let last = self.known.get(&*name).unwrap_or_else(|| {
                    let (user, checked_ms) = seed();
                    self.as_of(Arc::new(user), checked_ms)
                });
                let until_ms = last.checked_ms.saturating_add(self.grace_ms);
                if until_ms <= now_ms {
                    return Err(AuthError::new(Code::DirectoryUnavailable, &*detail));
                }
                Ok(Person { recheck_ms: until_ms.min(now_ms + OUTAGE_STEP_MS), ..last })
            }
        }
    }

    async fn look_up(&self, name: &str, now_ms: u64) -> Result<Option<Arc<DirectoryUser>>, Arc<str>> {
        if let Some(detail) = self.outage.lock().pause(now_ms) {
            return Err(detail);
        }
        let said = match self.directory.lookup(name).await {
            Ok(found) => Ok(found.map(Arc::new)),
            Err(DirectoryError::BadCredentials { .. }) => Ok(None),
            Err(DirectoryError::Unavailable { detail }) => Err(Arc::<str>::from(detail)),
        };
        self.note(now_ms, said.as_ref().err());
        said
    }

    /// Asks whether the directory answers, so that `/readyz` knows before somebody's login fails.
    pub async fn probe(&self) {
        let now_ms = self.clock.now_ms();
        if self.outage.lock().pause(now_ms).is_some() {
            return;
        }
        let failure = self.directory.ping().await.err().map(|error| Arc::<str>::from(error.to_string()));
        self.note(now_ms, failure.as_ref());
    }

    fn note(&self, asked_ms: u64, failure: Option<&Arc<str>>) {
        let mut outage = self.outage.lock();
        match failure {
            None => *outage = Outage::default(),
            Some(detail) => {
                outage.since_ms.get_or_insert(asked_ms);
                outage.failures += 1;
                outage.last = Some((self.clock.now_ms(), detail.clone()));
            }
        }
    }

    /// Whether what is known is old enough to be read anew before anybody has to wait for it.
    pub fn is_ageing(&self, name: &str) -> bool {
        let half = self.max_age_ms / 2;
        self.known.get(name).is_none_or(|person| person.checked_ms + half <= self.clock.now_ms())
    }

    pub fn state(&self) -> DirectoryState {
        let down_since_ms = self.outage.lock().since_ms;
        DirectoryState { down_since_ms, sessions_until_ms: down_since_ms.map(|since| since + self.grace_ms) }
    }

    fn as_of(&self, user: Arc<DirectoryUser>, checked_ms: u64) -> Person {
        Person { user, checked_ms, recheck_ms: checked_ms.saturating_add(self.max_age_ms) }
    }
}
