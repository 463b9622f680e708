//! Answers that are still open, so that those of an ended session can be cut.

use crate::caller::Caller;
use doorman_auth::Revocations;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::task::{Context, Waker};

struct Open {
    sessions: [Option<[u8; 16]>; 2],
    cut: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

/// Held by an open answer.
pub(crate) struct StreamTicket(Rc<Open>);

impl StreamTicket {
    /// Whether the answer must end; remembers whom to wake when that changes.
    pub(crate) fn is_cut(&self, cx: &mut Context<'_>) -> bool {
        self.0.waker.set(Some(cx.waker().clone()));
        self.0.cut.get()
    }

    /// Waits until the answer must end.
    pub(crate) async fn cut(&self) {
        std::future::poll_fn(|cx| {
            if self.is_cut(cx) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

/// The open answers of one thread.
#[derive(Default)]
pub(crate) struct Streams(RefCell<Vec<Weak<Open>>>);

impl Streams {
    pub(crate) fn open(&self, caller: &Caller) -> StreamTicket {
        let open =
            Rc::new(Open { sessions: caller.session_ids(), cut: Cell::new(false), waker: Cell::new(None) });
        self.0.borrow_mut().push(Rc::downgrade(&open));
        StreamTicket(open)
    }

    /// Cuts what belongs to an ended session, and forgets what has closed. Called once a second.
    pub(crate) fn sweep(&self, revocations: &Revocations) {
        self.0.borrow_mut().retain(|open| {
            let Some(open) = open.upgrade() else { return false };
            if open.sessions.iter().flatten().any(|session| revocations.contains(session)) {
                open.cut.set(true);
                if let Some(waker) = open.waker.take() {
                    waker.wake();
                }
            }
            true
        });
    }
}
