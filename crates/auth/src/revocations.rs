//! The ended sessions that have not expired yet, as known to this process.

use crate::session::SessionId;
use ahash::AHashMap;
use parking_lot::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Revoked sessions, by epoch: a number that grows with every revocation anywhere.
///
/// A caller that saw epoch *n* and found its session not revoked need not look again while [`Revocations::epoch`] is *n*.
#[derive(Default)]
pub struct Revocations {
    epoch: AtomicU64,
    /// Session to the time (ms) after which it would have expired anyway.
    revoked: RwLock<AHashMap<SessionId, u64>>,
}

impl Revocations {
    /// Up to which revocation this process knows all.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether the session was revoked.
    pub fn contains(&self, session: &SessionId) -> bool {
        self.revoked.read().contains_key(session)
    }

    /// Learns all revocations up to `epoch`: each session with the time (ms) at which it expires by itself.
    pub fn apply(&self, epoch: u64, revoked: impl IntoIterator<Item = (SessionId, u64)>) {
        {
            let mut known = self.revoked.write();
            for (session, expires_ms) in revoked {
                let until = known.entry(session).or_insert(expires_ms);
                *until = (*until).max(expires_ms);
            }
        }
        // Only now: whoever sees the new epoch must also see the new sessions.
        self.epoch.fetch_max(epoch, Ordering::AcqRel);
    }

    /// Forgets sessions that have expired by themselves.
    pub fn prune(&self, now_ms: u64) {
        self.revoked.write().retain(|_, expires_ms| *expires_ms > now_ms);
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.revoked.read().len()
    }

    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revocations_stay_until_the_session_would_have_expired_and_the_epoch_never_falls() {
        let revocations = Revocations::default();
        revocations.apply(7, [([1; 16], 100), ([2; 16], 200)]);
        revocations.apply(5, [([3; 16], 300)]);
        assert_eq!(revocations.epoch(), 7);
        assert!([[1; 16], [2; 16], [3; 16]].iter().all(|id| revocations.contains(id)));
        revocations.prune(150);
        assert!(!revocations.contains(&[1; 16]) && revocations.contains(&[2; 16]));
        assert_eq!(revocations.len(), 2);
    }
}
