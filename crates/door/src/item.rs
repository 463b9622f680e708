//! Items of runs: what becomes of one when its attempt has ended is decided before the outcome is written, so that both
//! are in one commit.

use doorman_core::id::AuditId;
use doorman_core::record::OutcomeState;
use doorman_core::rollout::ItemState;
use doorman_store::ItemEnd;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::ItemRef;

/// How an attempt ended, as the one who judges the item sees it.
#[derive(Clone, Copy)]
pub struct ItemAnswer<'a> {
    /// The attempt.
    pub attempt: AuditId,
    /// `Done`: the service answered.
    pub state: OutcomeState,
    /// Its status.
    pub status: Option<u16>,
    /// The code of what kept it from answering.
    pub error: Option<&'a str>,
    /// The answer's body; none when it is longer than [`ItemJudge::keep`].
    pub body: Option<&'a [u8]>,
}

/// What becomes of the item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItemVerdict {
    /// Its state; pending when it is to be tried again.
    pub state: ItemState,
    /// What went wrong, in short.
    pub error: Option<String>,
    /// Not to be tried again before this time.
    pub due_ms: Option<u64>,
}

/// Judges the end of one item's attempt, on a server thread: it must not block.
pub trait ItemJudge: Send + Sync {
    /// How much of the answer's body must be kept to judge.
    fn keep(&self) -> usize;

    /// What becomes of the item. Called once for each attempt that was committed.
    fn judge(&self, answer: &ItemAnswer<'_>) -> ItemVerdict;
}

/// How an order differs from a client's request on its way.
#[derive(Clone, Default)]
pub(crate) struct Handling {
    /// How long the answer's head is waited for; the door's own time when absent.
    pub(crate) patience: Option<Duration>,
    /// Who judges the item of a run that this is.
    pub(crate) judge: Option<Arc<dyn ItemJudge>>,
}

/// An item whose attempt is under way.
pub(crate) struct ItemWatch {
    item: ItemRef,
    judge: Arc<dyn ItemJudge>,
    body: Vec<u8>,
    is_cut: bool,
}

impl ItemWatch {
    pub(crate) fn new(item: Option<ItemRef>, judge: Option<Arc<dyn ItemJudge>>) -> Option<Box<Self>> {
        Some(Box::new(Self { item: item?, judge: judge?, body: Vec::new(), is_cut: false }))
    }

    /// Keeps what the judge wants to see of the body.
    pub(crate) fn add(&mut self, data: &[u8]) {
        if self.body.len() + data.len() > self.judge.keep() {
            self.is_cut = true;
        } else {
            self.body.extend_from_slice(data);
        }
    }

    /// The item's end, to be committed with the outcome.
    pub(crate) fn end(
        self,
        attempt: AuditId,
        state: OutcomeState,
        status: Option<u16>,
        error: Option<&str>,
    ) -> Box<ItemEnd> {
        let body = (!self.is_cut).then_some(self.body.as_slice());
        let verdict = self.judge.judge(&ItemAnswer { attempt, state, status, error, body });
        Box::new(ItemEnd {
            run: self.item.run,
            item: self.item.index,
            audit: attempt,
            state: verdict.state,
            status,
            error: verdict.error,
            due_ms: verdict.due_ms,
        })
    }
}
