//! Doorman's pure core: what a target, a principal, an audit record, a Merkle batch and a pass are.
//!
//! No clock, socket, file or environment is touched here: time and randomness are handed in, so that every
//! rule can be tested by itself and means the same in `api`, in a `proxy` and in an offline verifier.

pub mod canonical;
pub mod code;
pub mod duration;
pub mod export;
pub mod header;
pub mod id;
pub mod jws;
pub mod keys;
pub mod merkle;
pub mod pass;
pub mod peers;
pub mod principal;
pub mod proof;
pub mod receipt;
pub mod record;
pub mod retention;
pub mod rollout;
pub mod secret;
pub mod statement;
pub mod target;
pub mod time;
pub mod token;
pub mod verify;

mod wire;

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// SHA-256 (FIPS 180-4) of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}
