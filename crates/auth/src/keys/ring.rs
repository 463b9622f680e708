//! The keys a running process signs and verifies with, reloaded when the files change.

use super::file::{self, Fingerprint, KeyFile};
use super::{KeyRingError, rotate};
use crate::Clock;
use arc_swap::ArcSwap;
use doorman_core::keys::{KeyId, KeyUse, PublicKeys, SigningKey};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of keys, in memory. Cheap to clone; all clones see a reload.
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    /// For which uses a signing key must always be there.
    uses: Vec<KeyUse>,
    clock: Clock,
    keys: ArcSwap<Keys>,
    /// The files as last read, well or badly.
    seen: Mutex<Fingerprint>,
}

struct Keys {
    files: Vec<KeyFile>,
    /// Those of `files` that were not retired when this was made.
    public: Arc<PublicKeys>,
}

impl KeyRing {
    /// Opens the keys in `dir`, making the directory and a key of each of `uses` where there is none.
    ///
    /// # Errors
    /// When a file cannot be read or is no key, or when one cannot be made.
    pub fn open_or_create(dir: &Path, uses: &[KeyUse], clock: Clock) -> Result<Self, KeyRingError> {
        file::create_dir(dir)?;
        rotate::create_missing(dir, uses, clock.now_ms())?;
        let seen = file::fingerprint(dir)?;
        let keys = Keys::read(dir, uses, clock.now_ms())?;
        let (dir, uses) = (dir.to_owned(), uses.to_owned());
        Ok(Self(Arc::new(Inner {
            dir,
            uses,
            clock,
            keys: ArcSwap::from_pointee(keys),
            seen: Mutex::new(seen),
        })))
    }

    /// Takes over what changed in the directory, and drops keys whose time to retire has come. To be called every second.
    /// `true` when anything changed.
    ///
    /// # Errors
    /// When the changed files cannot be used: the ring stays as it was. Each bad state is told once.
    pub fn reload_if_changed(&self) -> Result<bool, KeyRingError> {
        let Inner { dir, uses, clock, keys, seen } = &*self.0;
        let mut seen = seen.lock();
        let (now_ms, found) = (clock.now_ms(), file::fingerprint(dir)?);
        let new = if found == *seen {
            let now = keys.load();
            let public = file::verifying(&now.files, now_ms);
            if public == *now.public {
                return Ok(false);
            }
            Keys { files: now.files.clone(), public: Arc::new(public) }
        } else {
            *seen = found;
            Keys::read(dir, uses, now_ms)?
        };
        let files = new.files.clone();
        keys.store(Arc::new(new));
        // The directory may be mounted read-only here; then whoever rotates publishes.
        if let Err(error) = file::publish(dir, &files, now_ms) {
            tracing::warn!(%error, "public keys not published");
        }
        Ok(true)
    }

    /// The newest active key of this use that `usable` accepts; a key is usable when everyone who must verify has it.
    /// When none is, the newest active one: a verifier that stays behind must not stop all the others.
    pub fn signing_key(
        &self,
        key_use: KeyUse,
        now_ms: u64,
        usable: impl Fn(KeyId) -> bool,
    ) -> Option<Arc<SigningKey>> {
        let keys = self.0.keys.load();
        let active = || keys.files.iter().rev().filter(|key| key.key_use == key_use && key.signs(now_ms));
        let best = active().find(|key| usable(key.id())).or_else(|| active().next())?;
        Some(best.key.clone())
    }

    /// All keys that verify now, those not yet active included.
    pub fn public_keys(&self) -> Arc<PublicKeys> {
        self.0.keys.load().public.clone()
    }

    /// The directory that is read.
    pub fn dir(&self) -> &Path {
        &self.0.dir
    }
}

impl Keys {
    fn read(dir: &Path, uses: &[KeyUse], now_ms: u64) -> Result<Self, KeyRingError> {
        let files = file::read_all(dir)?;
        for key_use in uses {
            if !files.iter().any(|key| key.key_use == *key_use && key.signs(now_ms)) {
                return Err(KeyRingError::NoSigner { dir: dir.to_owned(), key_use: *key_use });
            }
        }
        let public = Arc::new(file::verifying(&files, now_ms));
        Ok(Self { files, public })
    }
}
