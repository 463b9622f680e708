//! What went by retention, and only that: a writer's first batches lose their entries, and a signed tombstone says so.
//! Their statements stay, so that the chain is whole and everything after it can be verified as before.

use crate::keys::{KeyId, KeyUse, PublicKey, PublicKeys, SigningKey};
use crate::statement::WriterId;
use crate::wire::Reader;

const DOMAIN: &[u8] = b"doorman-retention-v1\0";
const VERSION: u8 = 1;

/// The word of who holds a statement key that a writer's first batches may lack their entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tombstone {
    /// Whose entries went.
    pub writer: WriterId,
    /// The key that signs it.
    pub kid: KeyId,
    /// Batches below this number went.
    pub below: u64,
    /// How many entries they had.
    pub entries: u64,
    /// Entries older than this were to go, in milliseconds since the Unix epoch.
    pub before_ms: u64,
    /// When that was asked for.
    pub time_ms: u64,
}

impl Tombstone {
    /// The body: what is signed and stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.extend_from_slice(&self.writer.0);
        out.extend_from_slice(&self.kid.0);
        for number in [self.below, self.entries, self.before_ms, self.time_ms] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// Reads a body; `None` when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let tombstone = Self {
            writer: WriterId(reader.array()?),
            kid: KeyId(reader.array()?),
            below: reader.u64()?,
            entries: reader.u64()?,
            before_ms: reader.u64()?,
            time_ms: reader.u64()?,
        };
        reader.end()?;
        Some(tombstone)
    }

    /// Its signature.
    pub fn sign(&self, key: &SigningKey) -> [u8; 64] {
        key.sign(&[DOMAIN, &self.to_bytes()].concat())
    }

    /// Reads a stored tombstone, if a known statement key signed it.
    pub fn verified(keys: &PublicKeys, body: &[u8], signature: &[u8]) -> Option<Self> {
        let tombstone = Self::from_bytes(body)?;
        let key: &PublicKey = keys.find(KeyUse::Statement, tombstone.kid)?;
        key.verifies(&[DOMAIN, body].concat(), signature).then_some(tombstone)
    }
}
