//! Answers that are still open, so that those are cut whose session has ended or whose caller has lost the right.

use crate::caller::Caller;
use crate::permit::Permit;
use crate::thread::DoorThread;
use doorman_auth::AuthError;
use doorman_core::code::Code;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Waker};

/// The session store may be away for so long before what cannot be confirmed is cut (ms).
const STORE_PATIENCE_MS: u64 = 30_000;

struct Open {
    permit: Permit,
    /// As last confirmed.
    caller: RefCell<Arc<Caller>>,
    /// The policy set under which the permit last stood.
    policy_version: Cell<u64>,
    /// Since when it waits for a confirmation.
    waiting_since_ms: Cell<Option<u64>>,
    cut: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Open {
    fn cut(&self) {
        self.cut.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
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
    pub(crate) fn open(&self, permit: Permit) -> StreamTicket {
        let open = Rc::new(Open {
            caller: RefCell::new(permit.caller().clone()),
            policy_version: Cell::new(permit.policy_version()),
            waiting_since_ms: Cell::new(None),
            cut: Cell::new(false),
            waker: Cell::new(None),
            permit,
        });
        self.0.borrow_mut().push(Rc::downgrade(&open));
        StreamTicket(open)
    }

    /// Cuts what belongs to an ended session or may not be any more, asks about what is not confirmed, and forgets what has
    /// closed. Called once a second.
    pub(crate) fn sweep(&self, thread: &Rc<DoorThread>) {
        let (now_ms, policies) = (thread.now_ms(), thread.policies());
        self.0.borrow_mut().retain(|weak| {
            let Some(open) = weak.upgrade() else { return false };
            let caller = open.caller.borrow().clone();
            if caller.is_revoked(&thread.shared().revocations) {
                open.cut();
            } else if !caller.is_confirmed(now_ms) {
                if open.waiting_since_ms.get().is_none() {
                    open.waiting_since_ms.set(Some(now_ms));
                    tokio::task::spawn_local(confirm(thread.clone(), weak.clone(), caller));
                }
            } else if open.policy_version.get() != policies.version() {
                judge(thread, &open, caller);
            }
            true
        });
    }
}

/// Asks what stands behind the caller now.
async fn confirm(thread: Rc<DoorThread>, open: Weak<Open>, caller: Arc<Caller>) {
    loop {
        let (authority, asked) = (thread.shared().authenticate.clone(), caller.clone());
        let asked = thread.shared().control.spawn(async move { asked.renewed(&*authority).await });
        let answer = asked.await.unwrap_or_else(|error| {
            Err(AuthError::new(Code::AuditUnavailable, format!("not asked: {error}")))
        });
        let Some(open) = open.upgrade() else { return };
        match answer {
            Ok(renewed) => {
                open.waiting_since_ms.set(None);
                return judge(&thread, &open, Arc::new(renewed));
            }
            Err(error) if error.code == Code::AuditUnavailable => {
                let since_ms = open.waiting_since_ms.get().unwrap_or_default();
                if thread.now_ms() >= since_ms.saturating_add(STORE_PATIENCE_MS) {
                    return open.cut();
                }
            }
            Err(_) => return open.cut(),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn judge(thread: &DoorThread, open: &Open, caller: Arc<Caller>) {
    let policies = thread.policies();
    let is_same = {
        let before = open.caller.borrow();
        before.session().groups_version() == caller.session().groups_version()
            && open.policy_version.get() == policies.version()
    };
    if !is_same && !open.permit.stands(thread.judge(), &policies, &caller) {
        return open.cut();
    }
    open.policy_version.set(policies.version());
    *open.caller.borrow_mut() = caller;
}
