//! How an attempt ended, written down once, also when everything is dropped half way.

use crate::attempt::recorded_headers;
use crate::body::Meter;
use crate::item::ItemWatch;
use crate::journal::Draft;
use crate::thread::DoorThread;
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, OutcomeState, Record};
use http::{HeaderMap, StatusCode};
use std::cell::RefCell;
use std::rc::Rc;
use std::task::Context;

use crate::streams::StreamTicket;

/// The outcome of an attempt that was committed when nobody waited for it any more.
pub(crate) fn abandoned(attempt: AuditId, now_ms: u64) -> Draft {
    let mut record = Record::new(Kind::Outcome, AuditId::default(), now_ms);
    record.attempt = Some(attempt);
    record.state = Some(OutcomeState::Abandoned);
    Draft::new(record)
}

/// The outcome that is still to come. Dropped without a word, it says `unknown`.
pub(crate) struct OutcomeGuard {
    thread: Rc<DoorThread>,
    attempt: AuditId,
    arrived_ms: u64,
    request: Option<Rc<RefCell<Meter>>>,
    /// The item of a run that the attempt is for.
    item: Option<Box<ItemWatch>>,
    written: bool,
}

impl OutcomeGuard {
    pub(crate) fn new(
        thread: Rc<DoorThread>,
        attempt: AuditId,
        arrived_ms: u64,
        request: Option<Rc<RefCell<Meter>>>,
    ) -> Self {
        Self { thread, attempt, arrived_ms, request, item: None, written: false }
    }

    /// Ends this item with the outcome.
    pub(crate) fn watching(mut self, item: Option<Box<ItemWatch>>) -> Self {
        self.item = item;
        self
    }

    pub(crate) fn attempt(&self) -> AuditId {
        self.attempt
    }

    /// Nothing was sent, or nobody knows.
    pub(crate) fn failed(mut self, state: OutcomeState, code: Code, detail: &str) {
        self.write(state, |record| {
            record.error = Some(code.as_str().into());
            record.detail.insert("error".into(), detail.to_owned().into());
        });
    }

    fn write<'a>(&mut self, state: OutcomeState, fill: impl FnOnce(&mut Record<'a>)) {
        if std::mem::replace(&mut self.written, true) {
            return;
        }
        let now_ms = self.thread.now_ms();
        let mut record = Record::new(Kind::Outcome, AuditId::default(), now_ms);
        record.attempt = Some(self.attempt);
        record.state = Some(state);
        record.duration_ms = Some(now_ms.saturating_sub(self.arrived_ms));
        if let Some(meter) = &self.request {
            let meter = meter.borrow();
            record.request_size = Some(meter.size);
            if meter.ended {
                record.request_sha256 = Some(hex::encode(meter.digest()).into());
            }
        }
        fill(&mut record);
        let item = self.item.take();
        let item = item.map(|item| item.end(self.attempt, state, record.status, record.error.as_deref()));
        self.thread.outbox().put_item_outcome(Draft::new(record), item);
    }
}

impl Drop for OutcomeGuard {
    fn drop(&mut self) {
        self.write(OutcomeState::Unknown, |record| record.error = Some("interrupted".into()));
    }
}

/// Watches a service's answer on its way to the client.
pub(crate) struct OutcomeTap {
    guard: OutcomeGuard,
    status: StatusCode,
    headers: HeaderMap,
    instance: Option<Box<str>>,
    body: Meter,
    expected: Option<u64>,
    ticket: Option<StreamTicket>,
}

impl OutcomeTap {
    pub(crate) fn new(
        guard: OutcomeGuard,
        status: StatusCode,
        headers: HeaderMap,
        instance: Option<Box<str>>,
        expected: Option<u64>,
        ticket: Option<StreamTicket>,
    ) -> Self {
        Self { guard, status, headers, instance, body: Meter::default(), expected, ticket }
    }

    pub(crate) fn add(&mut self, data: &[u8]) {
        self.body.add(data);
        if let Some(item) = &mut self.guard.item {
            item.add(data);
        }
    }

    /// Whether the session behind this stream has ended.
    pub(crate) fn is_cut(&self, cx: &mut Context<'_>) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| ticket.is_cut(cx))
    }

    /// The service's answer was handed on whole.
    pub(crate) fn complete(&mut self) {
        self.finish(OutcomeState::Done, None);
    }

    /// The service's answer broke off.
    pub(crate) fn broken(&mut self) {
        self.finish(OutcomeState::Unknown, Some("response_broken"));
    }

    pub(crate) fn cut(&mut self) {
        self.finish(OutcomeState::Done, Some("session_ended"));
    }

    fn finish(&mut self, state: OutcomeState, error: Option<&'static str>) {
        let Self { guard, status, headers, instance, body, .. } = self;
        if guard.written {
            return;
        }
        let redaction = &guard.thread.config().redaction.clone();
        guard.write(state, |record| {
            let mut masked = Vec::new();
            record.headers = recorded_headers(headers, redaction, &mut masked);
            record.redacted = masked;
            record.status = Some(status.as_u16());
            record.instance = instance.as_deref().map(Into::into);
            record.body_size = Some(body.size);
            record.body_sha256 = Some(hex::encode(body.digest()).into());
            record.error = error.map(Into::into);
        });
    }
}

impl Drop for OutcomeTap {
    /// The client went before the end, or everything it was promised was read.
    fn drop(&mut self) {
        if self.expected.is_some_and(|expected| expected == self.body.size) {
            self.complete();
        } else {
            self.finish(OutcomeState::Done, Some("client_gone"));
        }
    }
}
