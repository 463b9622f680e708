//! The journal: what is written down before anything leaves, by one writer that commits in batches.
//!
//! Server threads put drafts into their [`Outbox`]; the writer takes all that gathered while the last batch was
//! being flushed, gives ids in order, commits, signs one statement and wakes each thread once.

mod draft;
mod outbox;
mod pace;
mod queue;
mod statements;
mod writer;

pub use draft::Draft;
pub use outbox::Outbox;
pub use queue::{AttemptDraft, JournalHandle};
pub use writer::{JournalConfig, StartError, Surroundings, Writer};

use doorman_core::Digest;
use doorman_core::id::AuditId;
use doorman_core::merkle::Tree;
use doorman_core::pass::Pass;
use doorman_core::statement::Statement;
use std::sync::Arc;

/// Why something was not written down. Nothing may be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommitFailure {
    /// The database did not take it, or not in time.
    #[error("the audit log cannot be written")]
    Unavailable,
    /// A session that the attempt rests on was revoked before the commit.
    #[error("the credential was revoked")]
    Revoked,
    /// The policy set was replaced between judging and writing; judge again.
    #[error("the policy set changed")]
    PolicyChanged,
    /// The item of a run has another holder, or was sent already.
    #[error("the item of the run is not this holder's to send")]
    Fenced,
    /// Too many entries of this kind wait.
    #[error("too many entries wait to be written")]
    Overloaded,
}

/// One durable batch.
pub(crate) struct CommittedBatch {
    statement: Statement,
    signature: [u8; 64],
    tree: Tree,
    records: Vec<Digest>,
}

/// Proof that one entry is durable: its id and its place in a batch.
pub(crate) struct Committed {
    pub(crate) audit_id: AuditId,
    batch: Arc<CommittedBatch>,
    index: u32,
}

/// What of a pass is known before the commit.
pub(crate) struct PassParts {
    pub(crate) expires_ms: u64,
    pub(crate) audience_hint: [u8; 4],
    pub(crate) fence: u64,
    pub(crate) actor: Box<str>,
    pub(crate) subject: Box<str>,
    pub(crate) body_prefix: Option<u64>,
}

impl Committed {
    /// The pass over this entry. `audit_id` is the attempt's: in a second pass it differs from the entry's own id.
    pub(crate) fn pass(&self, audit_id: AuditId, parts: PassParts) -> Pass {
        let index = self.index as usize;
        Pass {
            audit_id,
            expires_ms: parts.expires_ms,
            audience_hint: parts.audience_hint,
            fence: parts.fence,
            actor: parts.actor,
            subject: parts.subject,
            body_prefix: parts.body_prefix,
            record: self.batch.records.get(index).copied().unwrap_or_default(),
            index: self.index,
            path: self.batch.tree.inclusion_path(index).copied().collect(),
            statement: self.batch.statement.clone(),
            signature: self.batch.signature,
        }
    }
}
