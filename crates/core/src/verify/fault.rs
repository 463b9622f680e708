//! What can be wrong with a log, and where.

use crate::id::AuditId;
use crate::statement::WriterId;
use serde::{Serialize, Serializer};

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// An entry is not what was written.
    Edited,
    /// An entry is gone.
    Dropped,
    /// An entry stands here that nobody signed.
    Inserted,
    /// An entry stands in another's place.
    Reordered,
    /// An entry says something else than the pass that was made for it.
    Contradicted,
    /// The writer signed more than is here.
    Truncated,
    /// Nothing of a writer is here.
    WriterMissing,
    /// A statement in the middle is gone.
    StatementMissing,
    /// A statement is not the one that the writer made.
    StatementReplaced,
    /// A statement's signature is wrong or gone.
    BadSignature,
    /// A statement is signed by a key that is not in the key set.
    UnknownKey,
    /// The list of writers that a writer found at its start is not the one it signed.
    PeersChanged,
    /// A statements file holds a line that its writer did not sign.
    FileChanged,
}

impl FaultKind {
    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Edited => "was changed after it was written",
            Self::Dropped => "is missing",
            Self::Inserted => "was never written by a Doorman: no statement covers it",
            Self::Reordered => "stands in another entry's place",
            Self::Contradicted => "says something else than the pass that was made for it",
            Self::Truncated => "is missing, and everything after it: the writer signed more than is here",
            Self::WriterMissing => "and all other entries of its writer are missing",
            Self::StatementMissing => "begins a batch whose statement is missing",
            Self::StatementReplaced => "begins a batch whose statement is not the one that the writer made",
            Self::BadSignature => "begins a batch whose statement has a wrong signature, or none",
            Self::UnknownKey => {
                "begins a batch whose statement is signed by a key that is not in the key set"
            }
            Self::PeersChanged => {
                "is its writer's first, and the list of the writers before it is not the one that it signed"
            }
            Self::FileChanged => "begins a batch whose line in the statements file was changed",
        }
    }
}

/// The first thing that is wrong with one writer's entries.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Whose entries these are.
    #[serde(serialize_with = "as_text")]
    pub writer: WriterId,
    /// The number of the batch's statement.
    pub statement: u64,
    /// The entry's place among all of its writer's, from 0.
    pub index: u64,
    /// The bad entry is one of this many from `index` on: 1 where it is known exactly.
    pub among: u64,
    /// The entry's id, where it is known.
    pub entry: Option<AuditId>,
}

pub(super) fn as_text<S: Serializer>(writer: &WriterId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(writer)
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.entry {
            Some(id) => write!(f, "entry {id}")?,
            None => f.write_str("an entry")?,
        }
        write!(f, " (number {}", self.index)?;
        if self.among > 1 {
            write!(f, ", or one of the {} after it,", self.among - 1)?;
        }
        let Self { writer, statement, kind, .. } = self;
        write!(f, " of writer {writer}, in statement {statement}) {}", kind.describe())
    }
}
