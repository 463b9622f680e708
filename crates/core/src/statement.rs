//! The writer's signed word about one batch. The format is specified in `docs/pass.md`.

pub(crate) mod line;

pub use line::{InvalidLine, StatementLine};

use crate::Digest;
use crate::keys::{KeyId, PublicKey, SigningKey};
use crate::wire::Reader;

/// What keeps a statement's signature from being taken for anything else.
const DOMAIN: &[u8] = b"doorman-statement-v1\0";
const VERSION: u8 = 1;

/// One process start of one `api`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct WriterId(pub [u8; 16]);

impl std::str::FromStr for WriterId {
    type Err = crate::id::InvalidId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|crate::id::AuditId(bytes)| Self(bytes))
    }
}

impl std::fmt::Display for WriterId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

/// The statement over one batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Who wrote the batch.
    pub writer: WriterId,
    /// The key that signs it.
    pub kid: KeyId,
    /// The batch's number, from 0, without gaps.
    pub number: u64,
    /// Hash of this writer's previous statement; zeros in the first.
    pub previous: Digest,
    /// Root of the Merkle tree over the batch's leaves.
    pub root: Digest,
    /// How many entries this writer had committed before this batch.
    pub first_index: u64,
    /// How many entries the batch has.
    pub count: u32,
    /// Milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// In a writer's first statement: [`peers_digest`] over every known writer's last statement.
    pub peers: Option<Digest>,
}

impl Statement {
    /// The body: what is hashed, signed and stored.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(160);
        out.push(VERSION);
        out.extend_from_slice(&self.writer.0);
        out.extend_from_slice(&self.kid.0);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.previous);
        out.extend_from_slice(&self.root);
        out.extend_from_slice(&self.first_index.to_be_bytes());
        out.extend_from_slice(&self.count.to_be_bytes());
        out.extend_from_slice(&self.time_ms.to_be_bytes());
        out.push(u8::from(self.peers.is_some()));
        if let Some(peers) = &self.peers {
            out.extend_from_slice(peers);
        }
        out
    }

    /// Reads a body; `None` when it is none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.u8()? != VERSION {
            return None;
        }
        let statement = Self {
            writer: WriterId(reader.array()?),
            kid: KeyId(reader.array()?),
            number: reader.u64()?,
            previous: reader.digest()?,
            root: reader.digest()?,
            first_index: reader.u64()?,
            count: reader.u32()?,
            time_ms: reader.u64()?,
            peers: match reader.u8()? {
                0 => None,
                1 => Some(reader.digest()?),
                _ => return None,
            },
        };
        reader.end()?;
        Some(statement)
    }

    /// The hash that the next statement names: SHA-256 of the body, without the signature.
    pub fn hash(&self) -> Digest {
        crate::sha256(&self.to_bytes())
    }
}

/// SHA-256 over `writer ‖ number ‖ hash` of each known writer's last statement, sorted by writer.
pub fn peers_digest(peers: &[(WriterId, u64, Digest)]) -> Digest {
    let mut sorted: Vec<_> = peers.iter().collect();
    sorted.sort_by_key(|(writer, ..)| *writer);
    let mut bytes = Vec::with_capacity(sorted.len() * 56);
    for (writer, number, hash) in sorted {
        bytes.extend_from_slice(&writer.0);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.extend_from_slice(hash);
    }
    crate::sha256(&bytes)
}

/// Signs a statement's body. Deterministic: signing again after a crash gives the same bytes.
pub fn sign(key: &SigningKey, body: &[u8]) -> [u8; 64] {
    key.sign(&[DOMAIN, body].concat())
}

/// Whether `signature` is `key`'s over `body`.
pub fn verify(key: &PublicKey, body: &[u8], signature: &[u8; 64]) -> bool {
    key.verifies(&[DOMAIN, body].concat(), signature)
}
