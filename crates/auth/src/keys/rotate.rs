//! Making and retiring keys. Works on the files alone, beside processes that use them.

use super::file::{self, KeyFile};
use super::{KeyRingError, overlap_ms};
use crate::Clock;
use doorman_core::keys::{KeyId, KeyUse};
use std::path::Path;
use std::time::Duration;

/// A key that [`rotate`] made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// What it signs.
    pub key_use: KeyUse,
    /// Its id.
    pub id: KeyId,
    /// From when it signs (ms).
    pub active_from_ms: u64,
}

/// Makes a new key for each use. It is published at once and signs after `activate_in`, which should be longer than
/// verifiers take to learn it. Older keys go on verifying for as long as anything signed by them may be shown, then
/// retire by themselves; private keys that have retired are deleted.
///
/// # Errors
/// When the directory cannot be read or written. What was written until then is whole and harmless.
pub fn rotate(dir: &Path, uses: &[KeyUse], activate_in: Duration) -> Result<Vec<Rotated>, KeyRingError> {
    let now_ms = Clock::system().now_ms();
    let active_from_ms = now_ms.saturating_add(u64::try_from(activate_in.as_millis()).unwrap_or(u64::MAX));
    file::create_dir(dir)?;
    let mut keys = file::read_all(dir)?;
    let mut made = Vec::new();
    for key_use in uses {
        // The new key first: a crash in between must not leave the old ones to retire without a successor.
        let new = KeyFile::generate(*key_use, now_ms, active_from_ms)?;
        new.write(dir)?;
        for old in keys.iter_mut().filter(|key| key.key_use == *key_use && key.retire_at_ms.is_none()) {
            old.retire_at_ms = Some(active_from_ms.saturating_add(overlap_ms(*key_use)));
            old.write(dir)?;
        }
        made.push(Rotated { key_use: *key_use, id: new.id(), active_from_ms });
        keys.push(new);
    }
    finish(dir, now_ms)?;
    Ok(made)
}

/// Takes a key out of use at once, as when it has leaked: whatever it signed is refused from now on. A new key takes
/// its place if no other signs.
///
/// # Errors
/// When there is no such key, or the directory cannot be written.
pub fn retire(dir: &Path, id: KeyId) -> Result<(), KeyRingError> {
    let now_ms = Clock::system().now_ms();
    let mut keys = file::read_all(dir)?;
    let Some(key) = keys.iter_mut().find(|key| key.id() == id) else {
        return Err(KeyRingError::UnknownKey { dir: dir.to_owned(), id });
    };
    key.retire_at_ms = Some(now_ms);
    let (key, key_use) = (key.clone(), key.key_use);
    if !keys.iter().any(|key| key.key_use == key_use && key.signs(now_ms)) {
        KeyFile::generate(key_use, now_ms, now_ms)?.write(dir)?;
    }
    key.write(dir)?;
    finish(dir, now_ms)
}

/// Makes a key of each use that has none that signs.
pub(super) fn create_missing(dir: &Path, uses: &[KeyUse], now_ms: u64) -> Result<(), KeyRingError> {
    let keys = file::read_all(dir)?;
    for key_use in uses {
        if !keys.iter().any(|key| key.key_use == *key_use && key.signs(now_ms)) {
            KeyFile::generate(*key_use, now_ms, now_ms)?.write(dir)?;
        }
    }
    file::publish(dir, &file::read_all(dir)?, now_ms)
}

fn finish(dir: &Path, now_ms: u64) -> Result<(), KeyRingError> {
    let keys = file::read_all(dir)?;
    file::publish(dir, &keys, now_ms)?;
    keys.iter().filter(|key| key.is_retired(now_ms)).try_for_each(|key| key.delete(dir))
}
