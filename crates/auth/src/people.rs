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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    down_since_ms: Mutex<Option<u64>>,
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
            down_since_ms: Mutex::new(None),
        }
    }

    /// Takes over what a login has just learnt.
    pub fn learn(&self, user: DirectoryUser) -> Person {
        let checked_ms = self.clock.now_ms();
        let person = self.as_of(Arc::new(user), checked_ms);
        self.known.insert(person.user.name.as_str().into(), person.clone());
        *self.down_since_ms.lock() = None;
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
        let lookup = async {
            let said = match self.directory.lookup(&name).await {
                Ok(found) => Ok(found.map(Arc::new)),
                Err(DirectoryError::BadCredentials { .. }) => Ok(None),
                Err(DirectoryError::Unavailable { detail }) => Err(detail.into()),
            };
            Answer { asked_ms: now_ms, said }
        };
        let entry = self.asked.entry(name.clone());
        let answer =
            entry.or_insert_with_if(lookup, |old| old.asked_ms + SHARE_MS <= now_ms).await.into_value();
        match answer.said {
            Ok(Some(user)) => {
                *self.down_since_ms.lock() = None;
                let person = self.as_of(user, answer.asked_ms);
                self.known.insert(name, person.clone());
                Ok(person)
            }
            Ok(None) => {
                *self.down_since_ms.lock() = None;
                self.known.invalidate(&*name);
                Err(AuthError::new(Code::TokenRevoked, "user gone, disabled or expired in the directory"))
            }
            Err(detail) => {
                self.down_since_ms.lock().get_or_insert(now_ms);
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

    /// Whether what is known is old enough to be read anew before anybody has to wait for it.
    pub fn is_ageing(&self, name: &str) -> bool {
        let half = self.max_age_ms / 2;
        self.known.get(name).is_none_or(|person| person.checked_ms + half <= self.clock.now_ms())
    }

    pub fn state(&self) -> DirectoryState {
        let down_since_ms = *self.down_since_ms.lock();
        DirectoryState { down_since_ms, sessions_until_ms: down_since_ms.map(|since| since + self.grace_ms) }
    }

    fn as_of(&self, user: Arc<DirectoryUser>, checked_ms: u64) -> Person {
        Person { user, checked_ms, recheck_ms: checked_ms.saturating_add(self.max_age_ms) }
    }
}
