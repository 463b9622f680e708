//! What the door holds on each server thread: callers, decisions, connections and assertions that it takes no lock for.

use crate::body::OutBody;
use crate::caller::{Caller, Callers};
use crate::catalog::Catalog;
use crate::config::DoorConfig;
use crate::door::DoorShared;
use crate::journal::{Draft, Outbox};
use crate::outcome;
use crate::permit::Judge;
use crate::streams::Streams;
use ahash::AHashMap;
use doorman_core::id::AuditId;
use doorman_core::target::Target;
use doorman_egress::{LinkToken, Pool, Protocol};
use doorman_policy::PolicySet;
use http::HeaderValue;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// The state of the door on one server thread.
pub(crate) struct DoorThread {
    shared: Arc<DoorShared>,
    callers: Callers,
    judge: Judge,
    outbox: Rc<Outbox>,
    pool: Pool<OutBody>,
    streams: Streams,
    policies: RefCell<Arc<PolicySet>>,
    identities: RefCell<MadeIdentities>,
    random: Cell<u64>,
}

/// Assertions that this thread made lately: a hit takes no lock.
#[derive(Default)]
struct MadeIdentities {
    by_key: AHashMap<Vec<u8>, (HeaderValue, u64)>,
    key: Vec<u8>,
}

const MAX_IDENTITIES: usize = 10_000;
/// Shorter than what the shared cache leaves of an assertion's life.
const IDENTITY_REUSE_MS: u64 = 10_000;

impl DoorThread {
    /// The state of the present thread; call it inside the thread's local set.
    pub(crate) fn new(shared: Arc<DoorShared>) -> Self {
        let outbox = Outbox::start(shared.journal.clone(), abandon_now);
        let mut seed = [0; 8];
        // Trace ids need no secrecy; a fixed seed would only repeat them.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        let policies = RefCell::new(shared.policies.current());
        Self {
            callers: Callers::new(),
            judge: Judge::new(),
            outbox,
            pool: Pool::new(shared.config.connect_timeout).linked(link_token(&shared)),
            streams: Streams::default(),
            policies,
            identities: RefCell::default(),
            random: Cell::new(u64::from_ne_bytes(seed)),
            shared,
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        (self.shared.now_ms)()
    }

    pub(crate) fn shared(&self) -> &DoorShared {
        &self.shared
    }

    pub(crate) fn config(&self) -> &DoorConfig {
        &self.shared.config
    }

    pub(crate) fn catalog(&self) -> &Catalog {
        &self.shared.catalog
    }

    pub(crate) fn callers(&self) -> &Callers {
        &self.callers
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(crate) fn pool(&self) -> &Pool<OutBody> {
        &self.pool
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.streams
    }

    pub(crate) fn judge(&self) -> &Judge {
        &self.judge
    }

    pub(crate) fn pass_lifetime_ms(&self) -> u64 {
        u64::try_from(self.shared.config.pass_lifetime.as_millis())
            .unwrap_or(doorman_core::pass::MAX_LIFETIME_MS)
    }

    /// The policy set in force.
    pub(crate) fn policies(&self) -> Arc<PolicySet> {
        let version = self.shared.policies.version();
        let mut held = self.policies.borrow_mut();
        if held.version() != version {
            *held = self.shared.policies.current();
        }
        held.clone()
    }

    pub(crate) fn protocol_of(&self, target: &Target) -> Protocol {
        let snapshot = self.shared.catalog.load();
        let service =
            snapshot.regions.get(target.region()).and_then(|region| region.services.get(target.service()));
        if service.is_some_and(|service| service.http2) { Protocol::Http2 } else { Protocol::Http1 }
    }

    /// A `traceparent` (W3C Trace Context) that goes on with the client's trace, or begins one.
    pub(crate) fn traceparent(&self, sent: Option<&HeaderValue>) -> HeaderValue {
        let trace = sent.and_then(|value| value.to_str().ok()).filter(|text| is_traceparent(text));
        let span = self.next_random();
        let text = match trace.and_then(|text| text.get(3..35)) {
            Some(trace) => format!("00-{trace}-{span:016x}-01"),
            None => format!("00-{:016x}{:016x}-{span:016x}-01", self.next_random(), self.next_random()),
        };
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    /// splitmix64: trace ids need to differ, not to be secret.
    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// What the service learns of the caller, signed.
    pub(crate) fn identity(&self, caller: &Caller, target: &Target) -> Option<HeaderValue> {
        let now_ms = self.now_ms();
        let mut made = self.identities.borrow_mut();
        let made = &mut *made;
        made.key.clear();
        let session = caller.session();
        made.key.extend_from_slice(&session.id);
        made.key.extend_from_slice(&session.groups_version().to_be_bytes());
        made.key.extend_from_slice(&caller.actor_session().id);
        made.key.extend_from_slice(target.region().as_bytes());
        made.key.push(b'/');
        made.key.extend_from_slice(target.service().as_bytes());
        if let Some((value, until)) = made.by_key.get(made.key.as_slice())
            && now_ms < *until
        {
            return Some(value.clone());
        }
        let key = (self.shared.identity_key)(now_ms)?;
        let actor = caller.is_delegated().then(|| caller.identity().actor());
        let token =
            self.shared.identities.token(&key, session, actor, target.region(), target.service(), now_ms);
        let value = HeaderValue::try_from(&*token).ok()?;
        if made.by_key.len() >= MAX_IDENTITIES {
            made.by_key.clear();
        }
        made.by_key.insert(made.key.clone(), (value.clone(), now_ms + IDENTITY_REUSE_MS));
        Some(value)
    }
}

/// The credential with which the proxy of this number is asked for a link.
fn link_token(shared: &Arc<DoorShared>) -> LinkToken {
    let shared = Arc::downgrade(shared);
    Rc::new(move |key| {
        let shared = shared.upgrade()?;
        let region = shared.catalog.region_of(key)?;
        (shared.link_token)(&region)
    })
}

fn is_traceparent(text: &str) -> bool {
    let is_hex = |part: Option<&str>| {
        part.is_some_and(|part| {
            part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
                && part.bytes().any(|b| b != b'0')
        })
    };
    text.len() == 55 && text.starts_with("00-") && is_hex(text.get(3..35)) && is_hex(text.get(36..52))
}

fn abandon_now(attempt: AuditId) -> Draft {
    outcome::abandoned(attempt, attempt.unix_ms())
}
