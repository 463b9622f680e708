//! Requests that this process sends for somebody by itself: a retry, an item of a run. They go through the door as a
//! client's do, on a server thread, and are judged there and then.

use crate::arrival::{self, Arrival, Payload};
use crate::attempt::Origin;
use crate::caller::Caller;
use crate::door::{Door, DoorShared};
use crate::headers::INSTANCE;
use crate::item::{Handling, ItemJudge};
use crate::problem::{AUDIT_ID, ERROR, Problem};
use bytes::{Bytes, BytesMut};
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use doorman_core::record::OutcomeState;
use doorman_core::target::{Target, TargetError};
use doorman_core::{Digest, target};
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use sha2::Digest as _;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// One request to be sent as somebody.
pub struct Order {
    /// As whom. Their sessions are checked again when the attempt is committed.
    pub caller: Arc<Caller>,
    /// Where to: see [`parse`].
    pub target: Target,
    /// How.
    pub method: Method,
    /// As a client would send them; what a client may not set is dropped.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// Why.
    pub reason: Option<Box<str>>,
    /// Whether another person has approved this very request.
    pub approved: bool,
    /// The address of whoever asked for it.
    pub client_ip: IpAddr,
    /// Channel, and what it is part of.
    pub origin: Origin,
    /// How long the answer may take, head and body each; the door's own time for the head when absent.
    pub patience: Option<Duration>,
    /// Bytes of the answer's body that are kept.
    pub keep: usize,
    /// Who judges the item of a run that this is.
    pub judge: Option<Arc<dyn ItemJudge>>,
}

/// How an order ended.
#[derive(Debug)]
pub struct Delivery {
    /// `Done`: the service answered. `Denied`, `Unsent`: no byte left. `Unknown`: nobody knows.
    pub state: OutcomeState,
    /// The attempt, or the denial's entry; none when nothing could be written down.
    pub audit_id: Option<AuditId>,
    /// The instance that answered.
    pub instance: Option<String>,
    /// The code of an answer that Doorman itself made.
    pub error: Option<Code>,
    /// Status of the answer.
    pub status: StatusCode,
    /// Headers of the answer, as a client would get them.
    pub headers: HeaderMap,
    /// The first bytes of the answer's body.
    pub body: Bytes,
    /// Size of the answer's body as far as it came.
    pub body_size: u64,
    /// SHA-256 of all of the body; absent when it broke off.
    pub body_sha256: Option<Digest>,
}

/// No server thread takes orders: the process is stopping.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the door is closing; nothing more is sent")]
pub struct Closing;

struct Parcel {
    order: Order,
    reply: oneshot::Sender<Delivery>,
}

/// Hands orders to the server threads.
#[derive(Default)]
pub struct Courier {
    threads: Mutex<Vec<mpsc::UnboundedSender<Parcel>>>,
    next: AtomicUsize,
}

impl Courier {
    /// Sends one request and gives its answer. Dropped half way, it ends as when a client goes away.
    ///
    /// # Errors
    /// [`Closing`]: the attempt, if there was one, says how it ended.
    pub async fn send(&self, order: Order) -> Result<Delivery, Closing> {
        let (reply, answer) = oneshot::channel();
        let mut parcel = Parcel { order, reply };
        loop {
            let Some((at, thread)) = self.pick() else { return Err(Closing) };
            match thread.send(parcel) {
                Ok(()) => return answer.await.map_err(|_| Closing),
                Err(mpsc::error::SendError(returned)) => {
                    parcel = returned;
                    self.threads().retain(|known| !known.is_closed());
                    tracing::debug!(thread = at, "a server thread has ended");
                }
            }
        }
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::UnboundedSender<Parcel>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pick(&self) -> Option<(usize, mpsc::UnboundedSender<Parcel>)> {
        let threads = self.threads();
        let at = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(threads.len())?;
        threads.get(at).map(|thread| (at, thread.clone()))
    }
}

/// Parses a target as the door does: `path` as in `/r/{region}/{service}[@{instance}]/…`, query apart.
///
/// # Errors
/// What a client would be told of such a target.
pub fn parse(shared: &DoorShared, path: &str, query: Option<&str>) -> Result<Target, Problem> {
    let refused = |error: TargetError| arrival::target_refused(error).problem;
    if path.contains('#') || query.is_some_and(|query| query.contains('#')) {
        return Err(refused(TargetError::Path(target::Ambiguity::Fragment)));
    }
    Target::parse_with(path, query, |region, service| shared.catalog.takes_slash(region, service))
        .map_err(refused)
}

/// Takes orders on the present thread for as long as its door is there.
pub(crate) fn serve(door: &Rc<Door>) {
    let (sender, mut parcels) = mpsc::unbounded_channel::<Parcel>();
    door.thread().shared().courier.threads().push(sender);
    let door = Rc::downgrade(door);
    tokio::task::spawn_local(async move {
        while let Some(Parcel { order, mut reply }) = parcels.recv().await {
            let Some(door) = door.upgrade() else { return };
            tokio::task::spawn_local(async move {
                tokio::select! {
                    delivery = deliver(&door, order) => drop(reply.send(delivery)),
                    () = reply.closed() => {}
                }
            });
        }
    });
}

async fn deliver(door: &Door, order: Order) -> Delivery {
    let now_ms = door.thread().now_ms();
    let Order { caller, target, method, mut headers, body, reason, .. } = order;
    // Whoever asked has said who they are; nothing in the order's own headers says it again.
    headers.remove(arrival::REASON);
    let arrival = Arrival {
        method,
        headers,
        client_ip: order.client_ip,
        is_tls: true,
        arrived_ms: now_ms,
        reason,
        approved: order.approved,
        origin: order.origin,
        handling: Handling { patience: order.patience, judge: order.judge },
    };
    let response = if let Some(problem) = arrival::not_forwardable(&arrival.method, &arrival.headers) {
        door.deny_request(&arrival, &caller, &target, problem, &[]).await
    } else if !caller.is_live(now_ms) {
        let problem = Problem::new(Code::TokenExpired, "The login behind this request has ended.")
            .hint("Log in again.");
        door.deny_request(&arrival, &caller, &target, problem, &[]).await
    } else {
        door.send(arrival, caller, false, target, Payload::Ready(body), None).await
    };
    let patience = order.patience.unwrap_or(Duration::from_secs(24 * 3600));
    collect(response, order.keep, patience).await
}

async fn collect(response: Response<crate::body::AnswerBody>, keep: usize, patience: Duration) -> Delivery {
    let (parts, mut body) = response.into_parts();
    let text = |name: HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let error = text(ERROR).and_then(|code| Code::ALL.iter().copied().find(|known| known.as_str() == code));
    let state = match (parts.extensions.get::<OutcomeState>(), error) {
        (Some(state), _) => *state,
        (None, Some(_)) => OutcomeState::Unsent,
        (None, None) => OutcomeState::Done,
    };
    let mut kept = BytesMut::new();
    let mut size = 0;
    let mut hasher = sha2::Sha256::new();
    let reading = async {
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            if let Some(data) = frame.data_ref() {
                size += data.len() as u64;
                hasher.update(data);
                let room = keep.saturating_sub(kept.len()).min(data.len());
                kept.extend_from_slice(data.get(..room).unwrap_or_default());
            }
        }
        true
    };
    let is_whole = tokio::time::timeout(patience, reading).await.unwrap_or(false);
    Delivery {
        state,
        audit_id: text(AUDIT_ID).and_then(|id| id.parse().ok()),
        instance: text(INSTANCE).map(str::to_owned),
        error,
        status: parts.status,
        body: kept.freeze(),
        body_size: size,
        body_sha256: is_whole.then(|| hasher.finalize().into()),
        headers: parts.headers,
    }
}
