//! One item: its order to the door, and what its end means.

use super::spec::Layout;
use crate::template::{Destination, Rendered};
use doorman_core::code::Code;
use doorman_core::record::OutcomeState;
use doorman_core::rollout::{AttemptEnd, ItemState, Row};
use doorman_door::{Caller, Courier, Delivery, ItemAnswer, ItemJudge, ItemRef, ItemVerdict, Order, Origin};
use doorman_policy::{PolicySet, RequestContext};
use http::{HeaderName, HeaderValue};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The service may tell repeated items apart by it (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// How much of an answer is looked at.
const KEEP: usize = 256 * 1024;
/// Longest text that is kept of an error.
const MAX_ERROR: usize = 200;
/// While nothing can be written down, an item waits this long.
const UNAVAILABLE_WAIT_MS: u64 = 1_000;

/// An item that this replica is to send.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// The chunk, by its first item.
    pub chunk: u64,
    pub fence: u64,
    pub item: u64,
    /// Attempts made before.
    pub attempts: u32,
    /// Its columns as a JSON object.
    pub row: Arc<str>,
}

/// What became of an item that was in flight.
pub(crate) struct Landed {
    pub ready: Ready,
    pub end: Landing,
}

/// How it came down.
pub(crate) enum Landing {
    /// Its end is committed with its outcome.
    Judged(ItemVerdict),
    /// Nothing was committed or sent: this is to be stored.
    Settle(ItemVerdict, Option<doorman_core::id::AuditId>),
    /// Nothing can be written down now.
    Unavailable,
    /// The item is not this replica's to send, or was sent already.
    Fenced,
    /// Whoever the run acts for may not act any more, or has to be looked up anew.
    Ended,
    /// The process is stopping; nobody knows.
    Closing,
}

/// Judges an item's attempt as its plan says.
struct Watch {
    layout: Arc<Layout>,
    wave: u32,
    attempts: u32,
    random: f64,
    now_ms: u64,
    started: std::time::Instant,
    verdict: OnceLock<ItemVerdict>,
}

impl Watch {
    fn verdict_of(&self, end: AttemptEnd, error: Option<String>) -> ItemVerdict {
        let plan = self.layout.rollout.plan_of(self.wave);
        let is_idempotent = self.layout.rollout.plan().is_idempotent;
        let wait = plan.retries.wait(is_idempotent, self.attempts + 1, end, self.random);
        let now_ms = self.now_ms + millis(self.started.elapsed());
        let (state, due_ms) = match (end, wait) {
            (AttemptEnd::Succeeded, _) => (ItemState::Done, None),
            (_, Some(wait)) => (ItemState::Pending, Some(now_ms + millis(wait))),
            (AttemptEnd::Unknown, None) => (ItemState::Unknown, None),
            _ => (ItemState::Failed, None),
        };
        ItemVerdict { state, error: error.as_deref().map(clip), due_ms }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn clip(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_ERROR)).unwrap_or_default().to_owned()
}

impl ItemJudge for Watch {
    fn keep(&self) -> usize {
        if self.layout.rollout.plan_of(self.wave).success.needs_body() { KEEP } else { 0 }
    }

    fn judge(&self, answer: &ItemAnswer<'_>) -> ItemVerdict {
        let verdict = match answer.state {
            OutcomeState::Done => {
                let status = answer.status.unwrap_or_default();
                match self.layout.rollout.plan_of(self.wave).success.judge(status, answer.body) {
                    Ok(()) => self.verdict_of(AttemptEnd::Succeeded, None),
                    Err(why) => self.verdict_of(AttemptEnd::Answered { status }, Some(why)),
                }
            }
            OutcomeState::Unknown => self.verdict_of(AttemptEnd::Unknown, answer.error.map(str::to_owned)),
            OutcomeState::Unsent | OutcomeState::Abandoned | OutcomeState::Denied => {
                self.verdict_of(AttemptEnd::NotSent, answer.error.map(str::to_owned))
            }
        };
        self.verdict.get_or_init(|| verdict).clone()
    }
}

/// What all items of a run share.
#[derive(Clone)]
pub(crate) struct Errand {
    pub layout: Arc<Layout>,
    pub job: [u8; 16],
    pub run: [u8; 16],
    pub wave: u32,
    pub caller: Arc<Caller>,
    pub is_approved: bool,
    pub now_ms: u64,
}

impl Errand {
    /// The request of an item; or why there is none.
    pub fn render(
        &self,
        ready: &Ready,
        catalog: &doorman_door::catalog::Catalog,
    ) -> Result<Rendered, String> {
        let place = self.layout.rollout.place(ready.item).ok_or("the run has no such item")?;
        let row: Row = serde_json::from_str(&ready.row).map_err(|error| error.to_string())?;
        let to = Destination { region: place.region, instance: self.layout.instance(&place) };
        let takes_slash = |region: &str, service: &str| catalog.takes_slash(region, service);
        let mut rendered =
            self.layout.template.render_with(&row, to, takes_slash).map_err(|error| error.to_string())?;
        let key = format!("{}-{}", super::show_id(&self.run), ready.item);
        if let Ok(value) = HeaderValue::try_from(key) {
            rendered.headers.insert(IDEMPOTENCY_KEY, value);
        }
        Ok(rendered)
    }

    /// Sends an item through the door, and says what became of it.
    pub async fn send(
        self,
        courier: &Courier,
        catalog: &doorman_door::catalog::Catalog,
        ready: Ready,
    ) -> Landed {
        let end = match self.render(&ready, catalog) {
            Ok(rendered) => self.send_rendered(courier, &ready, rendered).await,
            Err(why) => {
                let verdict = ItemVerdict { state: ItemState::Failed, error: Some(clip(&why)), due_ms: None };
                Landing::Settle(verdict, None)
            }
        };
        Landed { ready, end }
    }

    async fn send_rendered(&self, courier: &Courier, ready: &Ready, rendered: Rendered) -> Landing {
        let plan = self.layout.rollout.plan_of(self.wave);
        let watch = Arc::new(Watch {
            layout: self.layout.clone(),
            wave: self.wave,
            attempts: ready.attempts,
            random: spread(ready.item, ready.attempts),
            now_ms: self.now_ms,
            started: std::time::Instant::now(),
            verdict: OnceLock::new(),
        });
        let order = Order {
            caller: self.caller.clone(),
            target: rendered.target,
            method: rendered.method,
            headers: rendered.headers,
            body: rendered.body,
            reason: self.layout.spec.reason.as_deref().map(Into::into),
            approved: self.is_approved,
            client_ip: self.layout.spec.client_ip,
            origin: Origin {
                channel: "bulk",
                retry_of: None,
                fence: ready.fence,
                item: Some(ItemRef { job: self.job, run: self.run, index: ready.item }),
            },
            patience: Some(plan.timeout),
            keep: 0,
            judge: Some(watch.clone()),
        };
        let delivered = courier.send(order).await;
        match (watch.verdict.get(), delivered) {
            (Some(verdict), _) => Landing::Judged(verdict.clone()),
            (None, Err(_)) => Landing::Closing,
            (None, Ok(delivery)) => uncommitted(&watch, &delivery),
        }
    }

    /// What a dry run says of an item.
    pub fn rehearse(
        &self,
        ready: &Ready,
        catalog: &doorman_door::catalog::Catalog,
        policies: &PolicySet,
    ) -> ItemVerdict {
        match self.judge_dry(ready, catalog, policies) {
            Ok(()) => ItemVerdict { state: ItemState::Done, error: None, due_ms: None },
            Err(why) => ItemVerdict { state: ItemState::Failed, error: Some(clip(&why)), due_ms: None },
        }
    }

    fn judge_dry(
        &self,
        ready: &Ready,
        catalog: &doorman_door::catalog::Catalog,
        policies: &PolicySet,
    ) -> Result<(), String> {
        let rendered = self.render(ready, catalog)?;
        let target = &rendered.target;
        let (region, service) = (target.region(), target.service());
        let scopes = self.caller.session().scopes.as_deref();
        if scopes.is_some_and(|scopes| !scopes.contain(region, service, rendered.method.as_str())) {
            return Err("forbidden: the token's scopes do not cover this request".to_owned());
        }
        let context = RequestContext {
            method: rendered.method.as_str(),
            path: target.policy_path(),
            instance: target.selector().as_str(),
            reason: self.layout.spec.reason.as_deref(),
            approved: self.is_approved,
            time: i64::try_from(self.now_ms / 1_000).unwrap_or(i64::MAX),
            client_ip: self.layout.spec.client_ip,
            on_behalf: self.caller.on_behalf(),
        };
        let decision = policies.decide_request(self.caller.policy_subject(), region, service, &context);
        if !decision.permit {
            let names = decision.policies.join(", ");
            return Err(match names.as_str() {
                "" => format!("{}: no policy permits it", Code::Forbidden),
                names => format!("{}: denied by {names}", Code::Forbidden),
            });
        }
        let snapshot = catalog.load();
        match snapshot.regions.get(region) {
            None => Err(Code::UnknownRegion.to_string()),
            Some(known) if !known.services.is_empty() && !known.services.contains_key(service) => {
                Err(Code::UnknownService.to_string())
            }
            Some(_) => Ok(()),
        }
    }
}

/// Nothing was committed: nothing was sent.
fn uncommitted(watch: &Watch, delivery: &Delivery) -> Landing {
    let code = delivery.error.unwrap_or(Code::AuditUnavailable);
    let error = Some(code.to_string());
    match code {
        Code::AuditUnavailable | Code::DirectoryUnavailable | Code::Throttled => Landing::Unavailable,
        Code::Conflict => Landing::Fenced,
        Code::TokenRevoked | Code::TokenExpired | Code::Unauthenticated | Code::DelegationRefused => {
            Landing::Ended
        }
        Code::RegionUnavailable | Code::ServiceUnreachable | Code::Timeout => {
            Landing::Settle(watch.verdict_of(AttemptEnd::NotSent, error), delivery.audit_id)
        }
        _ => Landing::Settle(watch.verdict_of(AttemptEnd::Denied, error), delivery.audit_id),
    }
}

/// When an item that could not be written down is tried again.
pub(crate) fn unavailable_until(now_ms: u64) -> u64 {
    now_ms + UNAVAILABLE_WAIT_MS
}

/// Anything between 0 and 1, another for each item: it needs to spread, not to be random.
fn spread(item: u64, attempts: u32) -> f64 {
    let mixed = (item ^ u64::from(attempts) << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}
