//! Holds the policy set in force and replaces it when the files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::problem::PolicyError;
use crate::set::PolicySet;
use crate::source::{self, Digest, Source};

/// Files that changed are read again after this long, until two readings agree: half of a set may be a valid set, one without
/// its `forbid`s.
const SETTLE: Duration = Duration::from_millis(20);
const SETTLE_READINGS: usize = 10;

/// The policy set in force. Callers poll [`PolicyStore::reload_if_changed`].
pub struct PolicyStore {
    dir: PathBuf,
    current: ArcSwap<PolicySet>,
    version: AtomicU64,
    /// Also makes reloads take turns.
    refused: Mutex<Option<Refusal>>,
}

/// What the last look at the files led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// Nothing new. Files that were refused before and still are as they were are nothing new.
    Unchanged,
    /// A new set is in force.
    Reloaded { version: u64 },
    /// The files changed and are not good; the set before stays in force.
    Refused(PolicyError),
}

struct Refusal {
    /// None if the files could not be read.
    digest: Option<Digest>,
    error: PolicyError,
}

impl PolicyStore {
    /// Loads `dir`, as version 1.
    ///
    /// # Errors
    /// As [`PolicySet::load`]: there is no store without a good set.
    pub fn open(dir: &Path) -> Result<PolicyStore, PolicyError> {
        let set = PolicySet::from_sources(&source::read_directory(dir)?, 1)?;
        Ok(PolicyStore {
            dir: dir.to_owned(),
            current: ArcSwap::from_pointee(set),
            version: AtomicU64::new(1),
            refused: Mutex::new(None),
        })
    }

    /// The set in force. A decision that must hold later is valid as long as [`Self::version`] is the set's own.
    pub fn current(&self) -> Arc<PolicySet> {
        self.current.load_full()
    }

    /// The version of the set in force; it only grows.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Why the files as they are now are not in force, if so.
    pub fn last_refusal(&self) -> Option<PolicyError> {
        self.refused.lock().as_ref().map(|refusal| refusal.error.clone())
    }

    /// Looks at the files and puts them in force if their content changed and is good. Reads files, and on a change waits some
    /// tens of milliseconds until they stand still: call it from a thread that may block.
    pub fn reload_if_changed(&self) -> ReloadOutcome {
        let mut refused = self.refused.lock();
        let in_force = self.current.load_full();
        let sources = match self.read_settled(in_force.raw_digest()) {
            Ok(Some(sources)) => sources,
            Ok(None) => return ReloadOutcome::Unchanged,
            Err(error) => return refuse(&mut refused, None, error),
        };
        let digest = source::digest(&sources);
        if digest == *in_force.raw_digest() {
            *refused = None;
            return ReloadOutcome::Unchanged;
        }
        if refused.as_ref().is_some_and(|refusal| refusal.digest == Some(digest)) {
            return ReloadOutcome::Unchanged;
        }
        let version = in_force.version() + 1;
        match PolicySet::from_sources(&sources, version) {
            Ok(set) => {
                *refused = None;
                self.current.store(Arc::new(set));
                self.version.store(version, Ordering::Release);
                ReloadOutcome::Reloaded { version }
            }
            Err(error) => refuse(&mut refused, Some(digest), error),
        }
    }

    /// None if the files never stood still; the next call looks again.
    fn read_settled(&self, in_force: &Digest) -> Result<Option<Vec<Source>>, PolicyError> {
        let mut last = source::read_directory(&self.dir)?;
        if source::digest(&last) == *in_force {
            return Ok(Some(last));
        }
        for _ in 0..SETTLE_READINGS {
            thread::sleep(SETTLE);
            let again = source::read_directory(&self.dir)?;
            if again == last {
                return Ok(Some(again));
            }
            last = again;
        }
        Ok(None)
    }
}

/// A refusal is news once.
fn refuse(refused: &mut Option<Refusal>, digest: Option<Digest>, error: PolicyError) -> ReloadOutcome {
    if refused.as_ref().is_some_and(|known| known.digest == digest && known.error == error) {
        return ReloadOutcome::Unchanged;
    }
    *refused = Some(Refusal { digest, error: error.clone() });
    ReloadOutcome::Refused(error)
}
