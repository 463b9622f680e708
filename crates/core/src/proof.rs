//! A proof that one entry is in the log: the entry, its way up the Merkle tree of its batch, and the writer's signed
//! statement about that batch. Anyone can check it with the public keys alone. Specified in `docs/audit-log.md`.

use crate::canonical::canonicalize;
use crate::id::AuditId;
use crate::keys::{KeyId, KeyUse, PublicKeys};
use crate::merkle::{Tree, root_from_path};
use crate::record::Kind;
use crate::statement::line::Text;
use crate::statement::{self, Statement, StatementLine, WriterId};
use crate::verify::StoredEntry;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const VERSION: u32 = 1;

/// The proof of an entry and, where there is one, of its outcome: what is handed on as a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    version: u32,
    entry: Inclusion,
    outcome: Option<Inclusion>,
}

/// One entry with its way to a signed root.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    statement: Text,
    /// The entry's place within the batch, from 0.
    index: u32,
    /// The siblings on the way to the root, from below: hex.
    path: Vec<String>,
    /// base64
    claims: String,
    record: Box<RawValue>,
}

/// What a proof proves.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Proven {
    /// The entry.
    pub id: AuditId,
    /// Who wrote it.
    #[serde(serialize_with = "as_text")]
    pub writer: WriterId,
    /// The number of the writer's statement that covers it.
    pub statement: u64,
    /// How many entries the writer had written before it.
    pub index: u64,
    /// When the batch was made: Unix time in milliseconds.
    pub time_ms: u64,
    /// The key that signed.
    #[serde(serialize_with = "as_text")]
    pub kid: KeyId,
    /// Whether the proof holds the entry's outcome too.
    pub with_outcome: bool,
}

fn as_text<S: serde::Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

/// Why a text proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
    /// It has not the shape of one.
    #[error("this is no proof of version {VERSION}")]
    NotAProof,
    /// The statement cannot be read, or is not what is told of it.
    #[error("the statement is none")]
    Statement,
    /// Nobody whose key is known signed the statement.
    #[error("the statement is not signed by any of the keys given")]
    Signature,
    /// The entry is not the one that was signed.
    #[error("the entry does not lead to the signed root: it was changed, or belongs elsewhere")]
    Root,
    /// The entry says other than its pass, or is no record.
    #[error("the entry contradicts itself: record and pass do not say the same")]
    Contradicted,
    /// The outcome is another entry's.
    #[error("the outcome belongs to another entry")]
    Outcome,
}

impl Proof {
    /// Of an entry and its outcome.
    pub fn new(entry: Inclusion, outcome: Option<Inclusion>) -> Self {
        Self { version: VERSION, entry, outcome }
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`ProofError::NotAProof`].
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        let proof: Self = serde_json::from_str(text).map_err(|_| ProofError::NotAProof)?;
        if proof.version == VERSION { Ok(proof) } else { Err(ProofError::NotAProof) }
    }

    /// As text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The entry's record, as it stands in the proof.
    pub fn record(&self) -> &str {
        self.entry.record.get()
    }

    /// Checks it against public keys of all time.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn check(&self, keys: &PublicKeys) -> Result<Proven, ProofError> {
        let (proven, _) = self.entry.check(keys)?;
        if let Some(outcome) = &self.outcome {
            let (_, head) = outcome.check(keys)?;
            if head.kind != Kind::Outcome || head.attempt != Some(proven.id) {
                return Err(ProofError::Outcome);
            }
        }
        Ok(Proven { with_outcome: self.outcome.is_some(), ..proven })
    }
}

#[derive(Deserialize)]
struct Head {
    id: AuditId,
    kind: Kind,
    attempt: Option<AuditId>,
}

impl Inclusion {
    /// Of the entry at `index` of a batch; `None` when there is none, or its record is no JSON.
    pub fn new(statement: &StatementLine, entries: &[StoredEntry<'_>], index: usize) -> Option<Self> {
        let entry = entries.get(index)?;
        let tree = Tree::new(entries.iter().map(StoredEntry::leaf).collect());
        let record = String::from_utf8(entry.record.to_vec()).ok()?;
        Some(Self {
            statement: StatementLine { leaves: Vec::new(), ..statement.clone() }.to_text(),
            index: u32::try_from(index).ok()?,
            path: tree.inclusion_path(index).map(hex::encode).collect(),
            claims: STANDARD.encode(entry.claims),
            record: RawValue::from_string(record).ok()?,
        })
    }

    fn check(&self, keys: &PublicKeys) -> Result<(Proven, Head), ProofError> {
        let line = StatementLine::from_text(&self.statement).ok_or(ProofError::Statement)?;
        let statement = Statement::from_bytes(&line.body).ok_or(ProofError::Statement)?;
        if statement.writer != line.writer || statement.number != line.number {
            return Err(ProofError::Statement);
        }
        let signature = line.signature.ok_or(ProofError::Signature)?;
        let key = keys.find(KeyUse::Statement, statement.kid).ok_or(ProofError::Signature)?;
        if !statement::verify(key, &line.body, &signature) {
            return Err(ProofError::Signature);
        }
        let claims = STANDARD.decode(&self.claims).map_err(|_| ProofError::NotAProof)?;
        let record = canonicalize(self.record.get()).map_err(|_| ProofError::NotAProof)?;
        let head: Head = serde_json::from_slice(&record).map_err(|_| ProofError::Contradicted)?;
        let mut path = Vec::with_capacity(self.path.len());
        for node in &self.path {
            let mut digest = [0; 32];
            hex::decode_to_slice(node, &mut digest).map_err(|_| ProofError::NotAProof)?;
            path.push(digest);
        }
        let entry = StoredEntry { id: head.id, claims: &claims, record: &record };
        if root_from_path(entry.leaf(), self.index, statement.count, &path) != Some(statement.root) {
            return Err(ProofError::Root);
        }
        if !entry.is_sound() {
            return Err(ProofError::Contradicted);
        }
        let proven = Proven {
            id: head.id,
            writer: statement.writer,
            statement: statement.number,
            index: statement.first_index + u64::from(self.index),
            time_ms: statement.time_ms,
            kid: statement.kid,
            with_outcome: false,
        };
        Ok((proven, head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SigningKey;
    use crate::record::Record;
    use crate::sha256;
    use crate::statement::sign;
    use proptest::prelude::*;

    fn key() -> SigningKey {
        SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
    }

    fn keys(key: &SigningKey) -> PublicKeys {
        let mut keys = PublicKeys::default();
        keys.push(KeyUse::Statement, key.public());
        keys
    }

    fn id(n: u8) -> AuditId {
        AuditId([n; 16])
    }

    /// A batch of `size` entries, each after the first the outcome of the one before.
    fn batch(key: &SigningKey, size: u8) -> (StatementLine, Vec<(AuditId, Vec<u8>)>) {
        let entries: Vec<_> = (0..size)
            .map(|n| {
                let kind = if n == 0 { Kind::Login } else { Kind::Outcome };
                let mut record = Record::new(kind, id(n), 5);
                record.attempt = n.checked_sub(1).map(id);
                (id(n), record.to_bytes())
            })
            .collect();
        let tree = Tree::new(stored(&entries).iter().map(StoredEntry::leaf).collect());
        let statement = Statement {
            writer: WriterId([7; 16]),
            kid: key.id(),
            number: 4,
            previous: sha256(b""),
            root: tree.root(),
            first_index: 100,
            count: size.into(),
            time_ms: 9,
            peers: None,
        };
        let body = statement.to_bytes();
        let signature = Some(sign(key, &body));
        (StatementLine { writer: statement.writer, number: 4, body, signature, leaves: Vec::new() }, entries)
    }

    fn stored(entries: &[(AuditId, Vec<u8>)]) -> Vec<StoredEntry<'_>> {
        entries.iter().map(|(id, record)| StoredEntry { id: *id, claims: b"", record }).collect()
    }

    #[test]
    fn a_proof_holds_for_its_entry_and_outcome_and_its_keys() {
        let key = key();
        let (line, entries) = batch(&key, 5);
        let stored = stored(&entries);
        let of = |index| Inclusion::new(&line, &stored, index).unwrap();
        for index in 0..4 {
            let proof = Proof::from_json(&Proof::new(of(index), Some(of(index + 1))).to_json()).unwrap();
            let proven = proof.check(&keys(&key)).unwrap();
            assert_eq!((proven.id, proven.index, proven.time_ms), (id(index as u8), 100 + index as u64, 9));
            assert_eq!(proof.check(&keys(&self::key())), Err(ProofError::Signature));
        }
        assert_eq!(Proof::new(of(0), Some(of(2))).check(&keys(&key)), Err(ProofError::Outcome));
        assert!(Inclusion::new(&line, &stored, 5).is_none());
        let unsigned = StatementLine { signature: None, ..line.clone() };
        let unsigned = Inclusion::new(&unsigned, &stored, 0).unwrap();
        assert_eq!(Proof::new(unsigned, None).check(&keys(&key)), Err(ProofError::Signature));
    }

    proptest! {
        #[test]
        fn no_changed_character_goes_unnoticed(size in 1u8..9, at: prop::sample::Index, to in "[0-9a-f]") {
            let key = key();
            let (line, entries) = batch(&key, size);
            let proof = Proof::new(Inclusion::new(&line, &stored(&entries), 0).unwrap(), None).to_json();
            let at = at.index(proof.len());
            let mut changed = proof.clone();
            changed.replace_range(at..=at, &to);
            prop_assume!(changed != proof);
            let held = Proof::from_json(&changed).and_then(|proof| proof.check(&keys(&key)));
            prop_assert!(held.is_err(), "{changed}");
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = Proof::from_json(&text).and_then(|proof| proof.check(&PublicKeys::default()));
        }
    }
}
