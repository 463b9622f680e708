//! A batch on its way: numbered, hashed and stated before it is written, signed and told of once it is durable.

use super::{State, Taken};
use crate::journal::queue::{Ack, Wakes};
use crate::journal::{Committed, CommittedBatch};
use doorman_core::id::AuditId;
use doorman_core::keys::SigningKey;
use doorman_core::merkle::{self, Tree};
use doorman_core::pass::Claims;
use doorman_core::statement::{self, Statement};
use doorman_core::{Digest, sha256};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A batch with its ids, hashes and statement, still to be written.
pub(super) struct Sealed {
    pub(super) ids: Vec<AuditId>,
    pub(super) records: Vec<Digest>,
    pub(super) tree: Tree,
    pub(super) statement: Option<Statement>,
    pub(super) body: Vec<u8>,
}

/// A batch that is durable and signed.
pub(super) struct Published {
    pub(super) batch: Arc<CommittedBatch>,
    pub(super) ids: Vec<AuditId>,
}

impl State {
    /// Gives ids in order, hashes, and states the batch.
    pub(super) fn seal(&mut self, taken: &mut Taken, key: &SigningKey) -> Sealed {
        let now_ms = (self.around.now_ms)();
        let count = taken.attempts.len() + taken.plain.len();
        let mut sealed = Sealed {
            ids: Vec::with_capacity(count),
            records: Vec::with_capacity(count),
            tree: Tree::new(Vec::new()),
            statement: None,
            body: Vec::new(),
        };
        let mut leaves = Vec::with_capacity(count);
        let mut add = |claims: &[u8], record: &[u8], id: AuditId| {
            let record = sha256(record);
            leaves.push(merkle::leaf_hash(&sha256(claims), &record));
            sealed.records.push(record);
            sealed.ids.push(id);
        };
        for attempt in &mut taken.attempts {
            let id = self.ids.next_id(now_ms);
            let draft = &mut attempt.draft;
            draft.record.set_id(id);
            if !draft.keeps_id
                && let Some(place) = draft.claims.get_mut(Claims::AUDIT_ID_AT)
            {
                place.copy_from_slice(&id.0);
            }
            add(&draft.claims, draft.record.bytes(), id);
        }
        for plain in &mut taken.plain {
            let id = self.ids.next_id(now_ms);
            plain.record.set_id(id);
            add(&[], plain.record.bytes(), id);
        }
        sealed.tree = Tree::new(leaves);
        let statement = Statement {
            writer: self.chain.writer,
            kid: key.id(),
            number: self.chain.number,
            previous: self.chain.previous,
            root: sealed.tree.root(),
            first_index: self.chain.first_index,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            time_ms: now_ms,
            peers: if self.chain.number == 0 { self.chain.peers } else { None },
        };
        sealed.body = statement.to_bytes();
        sealed.statement = Some(statement);
        sealed
    }

    /// The batch is durable: sign it and tell everybody.
    pub(super) fn publish(&mut self, taken: Taken, sealed: Sealed, key: &SigningKey, wakes: &mut Wakes) {
        let Some(batch) = self.advance(sealed, key) else { return };
        self.queue.unavailable.store(false, Ordering::Relaxed);
        let acks = taken.attempts.into_iter().map(|a| a.ack).chain(taken.plain.into_iter().map(|p| p.ack));
        for ((index, ack), id) in (0u32..).zip(acks).zip(&batch.ids) {
            match ack {
                Ack::None => {}
                Ack::Thread(inbox, slot) => {
                    wakes.push(
                        inbox,
                        slot,
                        Ok(Committed { audit_id: *id, batch: batch.batch.clone(), index }),
                    );
                }
                Ack::Channel(sender) => {
                    let _ = sender.send(Ok(*id));
                }
            }
        }
    }

    /// Signs the statement and moves the chain on.
    pub(super) fn advance(&mut self, sealed: Sealed, key: &SigningKey) -> Option<Published> {
        let statement = sealed.statement?;
        let signature = statement::sign(key, &sealed.body);
        // What is late now comes under a number that is taken.
        self.late.clear();
        // The signatures that went with this batch are stored now.
        self.unsaved.clear();
        self.unsaved.push((self.chain.number, signature));
        let leaves = sealed.tree.leaves();
        if let Err(error) = self.file.append(self.chain.number, &sealed.body, &signature, leaves) {
            tracing::error!(%error, "the statements file cannot be written");
        }
        self.chain.previous = sha256(&sealed.body);
        self.chain.number += 1;
        self.chain.first_index += u64::from(statement.count);
        let batch = CommittedBatch { statement, signature, tree: sealed.tree, records: sealed.records };
        Some(Published { batch: Arc::new(batch), ids: sealed.ids })
    }
}
