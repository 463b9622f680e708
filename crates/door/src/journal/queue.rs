//! What waits for the writer, and how it answers.

use super::draft::Draft;
use super::outbox::Inbox;
use super::{CommitFailure, Committed};
use doorman_core::id::AuditId;
use doorman_store::{ItemEnd, ItemMark};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Refusals and other entries that nobody's request waits on, at most.
const MAX_REFUSALS: usize = 4_096;

/// An attempt, judged and complete but for its id.
pub struct AttemptDraft {
    pub(crate) record: Draft,
    /// Claims of the pass, the audit id still to be filled in; it is left alone when `keeps_id`.
    pub(crate) claims: Vec<u8>,
    /// A second pass: the claims name the first attempt.
    pub(crate) keeps_id: bool,
    /// The sessions the attempt rests on: the actor's, and the subject's when delegated.
    pub(crate) sessions: [Option<[u8; 16]>; 2],
    /// The policy set it was judged under.
    pub(crate) policy_version: u64,
    /// The item of a run that it is the attempt of: refused unless the item is pending under the mark's fence.
    pub(crate) item: Option<ItemMark>,
}

pub(super) enum Ack {
    None,
    Thread(Arc<Inbox>, u64),
    Channel(oneshot::Sender<Result<AuditId, CommitFailure>>),
}

impl Ack {
    pub(super) fn refuse(self, failure: CommitFailure, wakes: &mut Wakes) {
        match self {
            Self::None => {}
            Self::Thread(inbox, slot) => wakes.push(inbox, slot, Err(failure)),
            Self::Channel(sender) => {
                let _ = sender.send(Err(failure));
            }
        }
    }
}

/// Answers to threads, gathered so that each thread is woken once.
#[derive(Default)]
pub(super) struct Wakes(Vec<(Arc<Inbox>, Vec<SlotAnswer>)>);

/// An answer for one slot of a thread.
pub(super) type SlotAnswer = (u64, Result<Committed, CommitFailure>);

impl Wakes {
    pub(super) fn push(&mut self, inbox: Arc<Inbox>, slot: u64, result: Result<Committed, CommitFailure>) {
        match self.0.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &inbox)) {
            Some((_, results)) => results.push((slot, result)),
            None => self.0.push((inbox, vec![(slot, result)])),
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        for (inbox, results) in self.0.drain(..) {
            inbox.deliver(results);
        }
    }
}

pub(super) struct Attempt {
    pub(super) draft: AttemptDraft,
    pub(super) ack: Ack,
    /// After this the caller has been told that nothing was sent: it must not be committed any more.
    pub(super) deadline: Instant,
}

pub(super) struct Plain {
    pub(super) record: Draft,
    pub(super) ack: Ack,
    /// In an outcome: the end of the item of a run.
    pub(super) item: Option<Box<ItemEnd>>,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) attempts: Vec<Attempt>,
    /// Outcomes and second-hand news of attempts: never dropped.
    pub(super) outcomes: Vec<Plain>,
    /// Denials, logins, readings: bounded.
    pub(super) refusals: VecDeque<Plain>,
    pub(super) closing: bool,
    /// The writer sleeps and wants to be woken by the next attempt or refusal.
    pub(super) sleeping: bool,
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.attempts.is_empty() && self.outcomes.is_empty() && self.refusals.is_empty()
    }
}

#[derive(Default)]
pub(super) struct Queue {
    pub(super) waiting: Mutex<Waiting>,
    pub(super) wake: Condvar,
    pub(super) unavailable: AtomicBool,
}

/// Hands entries to the writer, from any thread.
#[derive(Clone)]
pub struct JournalHandle {
    pub(super) queue: Arc<Queue>,
    pub(super) commit_timeout: Duration,
}

impl JournalHandle {
    /// Writes an entry down and waits until it is durable: logins, readings, changes.
    ///
    /// # Errors
    /// [`CommitFailure`]; what the entry is about must then not take effect.
    pub async fn write(&self, record: Draft) -> Result<AuditId, CommitFailure> {
        let (sender, receiver) = oneshot::channel();
        if !self.push_refusal(Plain { record, ack: Ack::Channel(sender), item: None }) {
            return Err(CommitFailure::Overloaded);
        }
        match tokio::time::timeout(self.commit_timeout, receiver).await {
            Ok(Ok(result)) => result,
            _ => Err(CommitFailure::Unavailable),
        }
    }

    /// Writes an entry down some time soon; it is kept until the database takes it.
    pub fn write_later(&self, record: Draft) {
        self.queue.waiting.lock().outcomes.push(Plain { record, ack: Ack::None, item: None });
    }

    /// Whether the last commit succeeded.
    pub fn is_available(&self) -> bool {
        !self.queue.unavailable.load(Ordering::Relaxed)
    }

    /// How many attempts, outcomes and other entries wait.
    pub fn depths(&self) -> (usize, usize, usize) {
        let waiting = self.queue.waiting.lock();
        (waiting.attempts.len(), waiting.outcomes.len(), waiting.refusals.len())
    }

    pub(super) fn push_refusal(&self, plain: Plain) -> bool {
        let mut waiting = self.queue.waiting.lock();
        if waiting.refusals.len() >= MAX_REFUSALS || waiting.closing {
            return false;
        }
        waiting.refusals.push_back(plain);
        if waiting.sleeping {
            self.queue.wake.notify_one();
        }
        true
    }

    pub(super) fn push_all(&self, attempts: &mut Vec<Attempt>, outcomes: &mut Vec<Plain>) {
        let mut waiting = self.queue.waiting.lock();
        waiting.outcomes.append(outcomes);
        if !attempts.is_empty() {
            waiting.attempts.append(attempts);
            if waiting.sleeping {
                self.queue.wake.notify_one();
            }
        }
    }
}
