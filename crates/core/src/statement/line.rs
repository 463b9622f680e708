//! A statement as one line of JSON: in the statements file of its writer, and in an export. See `docs/audit-log.md`.

use super::WriterId;
use crate::Digest;
use serde::{Deserialize, Serialize};

/// A statement, its signature, and what helps to find a changed entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatementLine {
    /// Who wrote the batch.
    pub writer: WriterId,
    /// The statement's number.
    pub number: u64,
    /// The statement's body.
    pub body: Vec<u8>,
    /// Its signature; `None` where the writer ended before it could sign or store it.
    pub signature: Option<[u8; 64]>,
    /// The batch's leaves in order, or none. They prove nothing by themselves: their root must be the statement's.
    pub leaves: Vec<Digest>,
}

/// The text is no statement line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("not a statement's line")]
pub struct InvalidLine;

/// The JSON of a line: binary values as lower-case hex.
#[derive(Serialize, Deserialize)]
pub(crate) struct Text {
    writer: String,
    number: u64,
    body: String,
    signature: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    leaves: String,
}

impl StatementLine {
    /// The line, without a line break.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.to_text()).unwrap_or_default()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// [`InvalidLine`].
    pub fn from_json(text: &str) -> Result<Self, InvalidLine> {
        Self::from_text(&serde_json::from_str(text).map_err(|_| InvalidLine)?).ok_or(InvalidLine)
    }

    pub(crate) fn to_text(&self) -> Text {
        Text {
            writer: self.writer.to_string(),
            number: self.number,
            body: hex::encode(&self.body),
            signature: self.signature.map(hex::encode),
            leaves: hex::encode(self.leaves.as_flattened()),
        }
    }

    pub(crate) fn from_text(text: &Text) -> Option<Self> {
        let signature = match &text.signature {
            None => None,
            Some(signature) => Some(hex::decode(signature).ok()?.try_into().ok()?),
        };
        let leaves = hex::decode(&text.leaves).ok()?;
        let (leaves, rest) = leaves.as_chunks::<32>();
        rest.is_empty().then_some(())?;
        Some(Self {
            writer: text.writer.parse().ok()?,
            number: text.number,
            body: hex::decode(&text.body).ok()?,
            signature,
            leaves: leaves.to_vec(),
        })
    }
}
