//! The sessions that were ended lately, as known to this process.

use crate::session::SessionId;
use ahash::AHashMap;
use doorman_store::{Database, StoreError};
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Nothing that was verified longer ago is still held by any cache, and whoever verifies afresh reads the session's row.
/// So an older revocation need not be kept here.
const KEEP: Duration = Duration::from_secs(30 * 60);

/// Revoked sessions, by epoch: a number that grows with every revocation anywhere.
///
/// A caller that saw epoch *n* and found its session not revoked need not look again while [`Revocations::epoch`] is *n*.
#[derive(Default)]
pub struct Revocations {
    epoch: AtomicU64,
    /// Session to when it was learnt that it is revoked.
    revoked: RwLock<AHashMap<SessionId, Instant>>,
}

impl Revocations {
    /// Begins at the database's epoch. What was revoked before stands in the rows of the sessions.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        let (epoch, _) = database.revocations_since(i64::MAX.cast_unsigned()).await?;
        Ok(Self { epoch: AtomicU64::new(epoch), revoked: RwLock::default() })
    }

    /// Learns what other replicas revoked, and forgets what no cache can hold any more. To be called every second.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn poll(&self, database: &Database) -> Result<(), StoreError> {
        let (epoch, revoked) = database.revocations_since(self.epoch()).await?;
        self.apply(epoch, revoked);
        self.revoked.write().retain(|_, learnt| learnt.elapsed() < KEEP);
        Ok(())
    }

    /// Up to which revocation this process knows all.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the session was revoked.
    pub fn contains(&self, session: &SessionId) -> bool {
        self.revoked.read().contains_key(session)
    }

    /// Learns everything that was revoked between an epoch that this process knew and `epoch`.
    pub fn apply(&self, epoch: u64, revoked: impl IntoIterator<Item = SessionId>) {
        self.learn(revoked);
        // Only now: whoever sees the new epoch must also see its sessions.
        self.epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Learns of some revocations. The epoch stays: there may be others before them.
    pub(crate) fn learn(&self, revoked: impl IntoIterator<Item = SessionId>) {
        let now = Instant::now();
        self.revoked.write().extend(revoked.into_iter().map(|session| (session, now)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_never_falls_and_what_was_learnt_stays() {
        let revocations = Revocations::default();
        revocations.apply(7, [[1; 16], [2; 16]]);
        revocations.apply(5, [[3; 16]]);
        revocations.learn([[4; 16]]);
        assert_eq!(revocations.epoch(), 7);
        assert!([[1; 16], [2; 16], [3; 16], [4; 16]].iter().all(|id| revocations.contains(id)));
        assert!(!revocations.contains(&[5; 16]));
    }
}
