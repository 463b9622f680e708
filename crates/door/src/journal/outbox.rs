//! One server thread's way to the writer and back: rows are handed over once a loop turn, answers come with one wake
//! a batch.

use super::draft::Draft;
use super::queue::{Ack, Attempt, AttemptDraft, JournalHandle, Plain};
use super::{CommitFailure, Committed};
use doorman_core::id::AuditId;
use doorman_store::ItemEnd;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

type Answer = Result<Committed, CommitFailure>;

/// Where the writer leaves answers for a thread.
#[derive(Default)]
pub(crate) struct Inbox {
    answers: Mutex<Vec<(u64, Answer)>>,
    waker: AtomicWaker,
}

impl Inbox {
    pub(super) fn deliver(&self, answers: Vec<(u64, Answer)>) {
        let mut waiting = self.answers.lock();
        if waiting.is_empty() {
            *waiting = answers;
        } else {
            waiting.extend(answers);
        }
        drop(waiting);
        self.waker.wake();
    }
}

enum Slot {
    Free,
    /// Somebody waits; their attempt may still be committed.
    Waiting(Option<Waker>, Instant),
    Answered(Answer),
    /// Nobody waits any more: a late commit is marked `abandoned`.
    Left,
}

struct Slots {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

/// What becomes of an attempt whose caller has gone: a record that says so.
pub(crate) type Abandon = fn(AuditId) -> Draft;

/// The outbox of one server thread.
pub struct Outbox {
    journal: JournalHandle,
    inbox: Arc<Inbox>,
    slots: RefCell<Slots>,
    attempts: RefCell<Vec<Attempt>>,
    outcomes: RefCell<Vec<Plain>>,
    flush: Cell<Option<Waker>>,
    pending: Cell<bool>,
    abandon: Abandon,
}

impl Outbox {
    /// Starts the outbox's tasks on the present thread's local set.
    pub(crate) fn start(journal: JournalHandle, abandon: Abandon) -> Rc<Self> {
        let outbox = Rc::new(Self {
            journal,
            inbox: Arc::default(),
            slots: RefCell::new(Slots { slots: Vec::new(), free: Vec::new() }),
            attempts: RefCell::default(),
            outcomes: RefCell::default(),
            flush: Cell::new(None),
            pending: Cell::new(false),
            abandon,
        });
        tokio::task::spawn_local(outbox.clone().hand_over());
        tokio::task::spawn_local(outbox.clone().take_answers());
        tokio::task::spawn_local(outbox.clone().expire());
        outbox
    }

    /// Commits one attempt.
    pub(crate) async fn commit(&self, draft: AttemptDraft) -> Answer {
        let deadline = Instant::now() + self.journal.commit_timeout;
        let slot = self.open_slot(deadline);
        let guard = SlotGuard { outbox: self, slot };
        let ack = Ack::Thread(self.inbox.clone(), slot as u64);
        self.attempts.borrow_mut().push(Attempt { draft, ack, deadline });
        self.wake_flush();
        guard.answer().await
    }

    /// Writes a refusal and waits for its id.
    pub(crate) async fn commit_refusal(&self, record: Draft) -> Result<AuditId, CommitFailure> {
        let slot = self.open_slot(Instant::now() + self.journal.commit_timeout);
        let guard = SlotGuard { outbox: self, slot };
        if !self.journal.push_refusal(Plain {
            record,
            ack: Ack::Thread(self.inbox.clone(), slot as u64),
            item: None,
        }) {
            return Err(CommitFailure::Overloaded);
        }
        guard.answer().await.map(|committed| committed.audit_id)
    }

    /// Queues an outcome; it rides along with the next batch.
    pub(crate) fn put_outcome(&self, record: Draft) {
        self.put_item_outcome(record, None);
    }

    /// As [`Outbox::put_outcome`], with the end of the item of a run that the attempt was made for.
    pub(crate) fn put_item_outcome(&self, record: Draft, item: Option<Box<ItemEnd>>) {
        self.outcomes.borrow_mut().push(Plain { record, ack: Ack::None, item });
        self.wake_flush();
    }

    /// The journal behind it.
    pub fn journal(&self) -> &JournalHandle {
        &self.journal
    }

    fn wake_flush(&self) {
        self.pending.set(true);
        if let Some(waker) = self.flush.take() {
            waker.wake();
        }
    }

    /// Runs behind the tasks that are ready in this turn of the loop, so that their rows go together.
    async fn hand_over(self: Rc<Self>) {
        loop {
            poll_fn(|cx| {
                if self.pending.replace(false) {
                    return Poll::Ready(());
                }
                self.flush.set(Some(cx.waker().clone()));
                Poll::Pending
            })
            .await;
            self.journal.push_all(&mut self.attempts.borrow_mut(), &mut self.outcomes.borrow_mut());
        }
    }

    async fn take_answers(self: Rc<Self>) {
        loop {
            let answers = poll_fn(|cx| {
                self.inbox.waker.register(cx.waker());
                let answers = std::mem::take(&mut *self.inbox.answers.lock());
                if answers.is_empty() { Poll::Pending } else { Poll::Ready(answers) }
            })
            .await;
            for (slot, answer) in answers {
                self.settle(slot as usize, answer);
            }
        }
    }

    fn settle(&self, index: usize, answer: Answer) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.slots.get_mut(index) else { return };
        match std::mem::replace(slot, Slot::Free) {
            Slot::Waiting(waker, _) => {
                *slot = Slot::Answered(answer);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Slot::Left => {
                slots.free.push(index);
                drop(slots);
                if let Ok(committed) = answer {
                    self.put_outcome((self.abandon)(committed.audit_id));
                }
            }
            other => *slot = other,
        }
    }

    /// Ends waits that last too long. One timer serves all requests of the thread.
    async fn expire(self: Rc<Self>) {
        let mut ticks = tokio::time::interval(std::time::Duration::from_millis(250));
        loop {
            ticks.tick().await;
            let now = Instant::now();
            for slot in &mut self.slots.borrow_mut().slots {
                if let Slot::Waiting(waker, deadline) = slot
                    && *deadline < now
                    && let Some(waker) = waker.take()
                {
                    waker.wake();
                }
            }
        }
    }

    fn open_slot(&self, deadline: Instant) -> usize {
        let mut slots = self.slots.borrow_mut();
        let waiting = Slot::Waiting(None, deadline);
        match slots.free.pop() {
            Some(index) => {
                if let Some(slot) = slots.slots.get_mut(index) {
                    *slot = waiting;
                }
                index
            }
            None => {
                slots.slots.push(waiting);
                slots.slots.len() - 1
            }
        }
    }
}

impl Drop for Outbox {
    /// The thread ends: what its last connections left goes to the writer.
    fn drop(&mut self) {
        self.journal.push_all(self.attempts.get_mut(), self.outcomes.get_mut());
    }
}

struct SlotGuard<'a> {
    outbox: &'a Outbox,
    slot: usize,
}

impl SlotGuard<'_> {
    async fn answer(self) -> Answer {
        poll_fn(|cx| {
            let mut slots = self.outbox.slots.borrow_mut();
            let Some(slot) = slots.slots.get_mut(self.slot) else {
                return Poll::Ready(Err(CommitFailure::Unavailable));
            };
            match slot {
                Slot::Answered(_) => match std::mem::replace(slot, Slot::Free) {
                    Slot::Answered(answer) => {
                        slots.free.push(self.slot);
                        Poll::Ready(answer)
                    }
                    _ => Poll::Ready(Err(CommitFailure::Unavailable)),
                },
                Slot::Waiting(waker, deadline) => {
                    if *deadline < Instant::now() {
                        return Poll::Ready(Err(CommitFailure::Unavailable));
                    }
                    *waker = Some(cx.waker().clone());
                    Poll::Pending
                }
                Slot::Free | Slot::Left => Poll::Ready(Err(CommitFailure::Unavailable)),
            }
        })
        .await
    }
}

impl Drop for SlotGuard<'_> {
    /// The caller goes, by deadline or because its client did.
    fn drop(&mut self) {
        let mut slots = self.outbox.slots.borrow_mut();
        let Some(slot) = slots.slots.get_mut(self.slot) else { return };
        match slot {
            Slot::Waiting(..) => *slot = Slot::Left,
            Slot::Answered(_) => {
                let answered = std::mem::replace(slot, Slot::Free);
                slots.free.push(self.slot);
                drop(slots);
                if let Slot::Answered(Ok(committed)) = answered {
                    self.outbox.put_outcome((self.outbox.abandon)(committed.audit_id));
                }
            }
            Slot::Free | Slot::Left => {}
        }
    }
}
