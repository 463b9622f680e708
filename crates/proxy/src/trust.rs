//! Which keys this proxy trusts, and which statements it has verified.

use ahash::AHashMap;
use arc_swap::ArcSwap;
use doorman_core::keys::{KeyError, KeyUse, PublicKeys};
use doorman_core::pass::PassError;
use doorman_core::statement::{self, Statement};
use parking_lot::{Mutex, RwLock};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Verified statements that are remembered.
const MAX_STATEMENTS: usize = 8_192;
/// The key file is read again at most this often because of an unknown key.
const REREAD: Duration = Duration::from_millis(200);

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// It cannot be read.
    #[error("cannot read the public keys in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not a set of public keys.
    #[error("the public keys in {} cannot be used: {source}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

/// The trusted keys and the statements verified under them.
pub(crate) struct Trust {
    path: PathBuf,
    keys: ArcSwap<PublicKeys>,
    /// Bodies by signature, admitted only after the signature verified.
    verified: RwLock<AHashMap<[u8; 64], Box<[u8]>>>,
    last_read: Mutex<Instant>,
}

fn read(path: &Path) -> Result<PublicKeys, TrustError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| TrustError::Read { path: path.to_owned(), source })?;
    PublicKeys::from_jwks(&text).map_err(|source| TrustError::Parse { path: path.to_owned(), source })
}

impl Trust {
    pub(crate) fn open(path: &Path) -> Result<Self, TrustError> {
        Ok(Self {
            path: path.to_owned(),
            keys: ArcSwap::from_pointee(read(path)?),
            verified: RwLock::default(),
            last_read: Mutex::new(Instant::now()),
        })
    }

    pub(crate) fn keys(&self) -> Arc<PublicKeys> {
        self.keys.load_full()
    }

    /// Takes in a changed key file; a bad one is refused and the old keys stay.
    pub(crate) fn reload(&self) {
        match read(&self.path) {
            Ok(keys) if keys != **self.keys.load() => {
                tracing::info!(keys = keys.ids(KeyUse::Statement).count(), "public keys changed");
                self.keys.store(Arc::new(keys));
                // What a retired key signed is not taken any more.
                self.verified.write().clear();
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "the changed key file is refused; the old keys stay in force")
            }
        }
    }

    /// Whether a trusted key signed this statement. Verified once for each statement.
    pub(crate) fn verify(&self, statement: &Statement, signature: &[u8; 64]) -> Result<(), PassError> {
        let body = statement.to_bytes();
        if self.verified.read().get(signature).is_some_and(|known| **known == *body) {
            return Ok(());
        }
        let mut keys = self.keys.load_full();
        if keys.find(KeyUse::Statement, statement.kid).is_none() {
            self.reread();
            keys = self.keys.load_full();
        }
        let key = keys.find(KeyUse::Statement, statement.kid).ok_or(PassError::UnknownKey)?;
        if !statement::verify(key, &body, signature) {
            return Err(PassError::Signature);
        }
        let mut verified = self.verified.write();
        if verified.len() >= MAX_STATEMENTS {
            verified.clear();
        }
        verified.insert(*signature, body.into());
        Ok(())
    }

    /// A key that is not known yet may have been written a moment ago.
    fn reread(&self) {
        let mut last = self.last_read.lock();
        if last.elapsed() >= REREAD {
            *last = Instant::now();
            drop(last);
            self.reload();
        }
    }
}
