//! The keys of this installation: a directory of private keys, the ring a process makes of it, and rotation beside it.
//!
//! Each private key is one file. A key verifies from the moment it is seen, signs from `active_from`, and does neither
//! from `retire_at` on. Because a new key is published long before an old one retires, rotation fails no request.

mod file;
mod ring;
mod rotate;

pub use file::{KEY_HISTORY_FILE, KEY_SET_FILE};
pub use ring::KeyRing;
pub use rotate::{Rotated, retire, rotate};

use doorman_core::keys::{KeyError, KeyId, KeyUse};
use std::path::PathBuf;

/// A directory of keys that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyRingError {
    /// A file cannot be read or written.
    #[error("{path}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds no private key of ours.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No key of this use could sign now.
    #[error("{dir} holds no {} key that signs now", .key_use.as_str())]
    NoSigner {
        /// The directory.
        dir: PathBuf,
        /// The use without a key.
        key_use: KeyUse,
    },
    /// There is no such key.
    #[error("{dir} holds no key {id}")]
    UnknownKey {
        /// The directory.
        dir: PathBuf,
        /// The id that was asked for.
        id: KeyId,
    },
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// How long (ms) a key goes on verifying after a newer one has become active.
///
/// Tokens: as long as the longest token may live. Statements and polls: as long as a proxy may stay unreachable and
/// still come back without having learnt the new key first. Identity: as long as live services may cache the JWKS.
pub(crate) fn overlap_ms(key_use: KeyUse) -> u64 {
    const DAY: u64 = 86_400_000;
    match key_use {
        KeyUse::Token => doorman_core::token::LONGEST_TOKEN_MS + DAY,
        KeyUse::Statement | KeyUse::Control => 7 * DAY,
        KeyUse::Identity => DAY,
    }
}
