//! One request: pass, body, once-only, forward. In this order, and nothing of it skipped.

use crate::answer::{AnswerBody, Sent, failed, plain, refused, unauthorized};
use crate::body::{BindError, BoundBody, OutBody};
use crate::control;
use crate::forward::forward;
use crate::link;
use crate::persist::{Orphans, Persist};
use crate::receipts::{ThreadLog, end_of};
use crate::server::Shared;
use bytes::Bytes;
use doorman_core::code::Code;
use doorman_core::header::{self, HOP_BY_HOP};
use doorman_core::pass::{self, Claims, Pass, PassError};
use doorman_core::receipt::Ended;
use doorman_core::sha256;
use doorman_core::target::Target;
use doorman_egress::{LINK_PATH, Pool};
use doorman_net::{Conn, Handler};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header as names};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The proxy on one server thread.
pub(crate) struct ProxyHandler {
    /// Which of the server's threads this is.
    pub(crate) thread: usize,
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool: Pool<OutBody>,
    pub(crate) receipts: Arc<ThreadLog>,
    pub(crate) orphans: Orphans,
}

/// A request whose pass holds.
pub(crate) struct Honoured {
    pub(crate) pass: Pass,
    pub(crate) target: Target,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BoundBody,
    pub(crate) upgrade: Option<(OnUpgrade, HeaderValue)>,
}

impl Handler for ProxyHandler {
    type Body = AnswerBody;

    async fn handle(self: Rc<Self>, request: Request<Incoming>, _conn: Arc<Conn>) -> Response<AnswerBody> {
        let _in_flight = self.shared.begin();
        if request.headers().contains_key(pass::HEADER) {
            return self.answer(request.map(Asked::Http)).await;
        }
        self.without_pass(request).await
    }
}

/// A request body as it comes: by HTTP, or whole with its head.
pub(crate) enum Asked {
    Http(Incoming),
    Whole(Bytes),
}

impl ProxyHandler {
    /// Answers a request, by whatever connection it came.
    pub(crate) async fn answer(self: &Rc<Self>, request: Request<Asked>) -> Response<AnswerBody> {
        match self.honour(request).await {
            // Whoever asked may be gone before the answer comes; how it ended is written down all the same.
            Ok(honoured) => Persist::new(self.clone().serve(honoured), &self.orphans).await,
            Err(answer) => *answer,
        }
    }

    async fn serve(self: Rc<Self>, honoured: Honoured) -> Response<AnswerBody> {
        let audit_id = honoured.pass.audit_id;
        let answer = forward(&self, honoured).await;
        let (end, what) = end_of(&answer);
        self.receipts.ended(&Ended { audit_id, at_ms: now_ms(), end, what });
        answer
    }

    /// Checks the pass, and uses it up.
    async fn honour(&self, mut request: Request<Asked>) -> Result<Honoured, Box<Response<AnswerBody>>> {
        let now_ms = now_ms();
        let Some(text) = single_pass(request.headers()) else { return Err(Box::new(unauthorized())) };
        let refuse = |error: PassError| Box::new(self.refuse_pass(error));
        let pass = Pass::decode(text).map_err(refuse)?;
        pass.check_head(self.shared.boot, now_ms).map_err(refuse)?;
        if self.shared.is_draining() {
            return Err(Box::new(refused(StatusCode::SERVICE_UNAVAILABLE, "draining")));
        }
        let uri = request.uri();
        let target = Target::parse_with(uri.path(), uri.query(), |_, service| {
            self.shared.registry.takes_slash(service)
        })
        .map_err(|_| Box::new(unauthorized()))?;
        let upgrade = upgrade_of(&mut request);
        let (parts, body) = request.into_parts();
        let (prefix, limit) = (pass.body_prefix, self.shared.max_whole_body);
        let bound = match body {
            Asked::Http(body) => BoundBody::read(body, prefix, limit).await,
            Asked::Whole(body) => BoundBody::whole(body, prefix, limit),
        };
        let body = bound.map_err(|error| match error {
            BindError::TooLong => {
                Box::new(failed(Code::TooLarge, Sent::No, "the body is longer than this proxy reads whole"))
            }
            BindError::Broken => Box::new(failed(Code::Invalid, Sent::No, "the body broke off")),
        })?;
        let claims = Claims {
            audit_id: pass.audit_id,
            expires_ms: pass.expires_ms,
            audience: self.shared.boot,
            fence: pass.fence,
            method: parts.method.as_str(),
            region: &self.shared.region,
            service: target.service(),
            selector: target.selector().as_str(),
            path: target.path(),
            query: target.query(),
            headers: header::digest(bound_headers(&parts.headers)),
            body: body.claim,
            actor: &pass.actor,
            subject: &pass.subject,
        };
        if target.region() != &*self.shared.region {
            return Err(refuse(PassError::Path));
        }
        let digest = sha256(&claims.to_bytes());
        let statement = pass.statement_over(&digest).map_err(refuse)?;
        self.shared.trust.verify(&statement, &pass.signature).map_err(refuse)?;
        if !self.shared.fences.admit(pass.fence, now_ms) {
            return Err(refuse(PassError::Fence));
        }
        if !self.shared.used.mark(statement.writer, pass.log_index(), now_ms) {
            return Err(refuse(PassError::Used));
        }
        let (method, service) = (claims.method, claims.service);
        if self.receipts.honoured(&pass, &statement, &digest, now_ms, method, service).is_err() {
            let why = "this proxy cannot write its receipts";
            return Err(Box::new(failed(Code::AuditUnavailable, Sent::No, why)));
        }
        Ok(Honoured { pass, target, method: parts.method, headers: parts.headers, body, upgrade })
    }

    async fn without_pass(self: &Rc<Self>, request: Request<Incoming>) -> Response<AnswerBody> {
        let now_ms = now_ms();
        let uri = request.uri();
        let is_get = *request.method() == Method::GET;
        if is_get && uri.path() == "/healthz" && uri.query().is_none() {
            return plain(StatusCode::OK, "text/plain", "ok\n");
        }
        if is_get && uri.path() == control::STATUS_PATH {
            return control::status(&self.shared, request.headers(), now_ms);
        }
        if is_get && uri.path() == control::RECEIPTS_PATH {
            return control::receipts(&self.shared, request.headers(), uri.query(), now_ms).await;
        }
        if is_get && uri.path() == LINK_PATH && control::is_ours(&self.shared, request.headers(), now_ms) {
            return link::open(self, request);
        }
        unauthorized()
    }

    fn refuse_pass(&self, error: PassError) -> Response<AnswerBody> {
        tracing::warn!(%error, "refused a pass");
        match error {
            // Made for this address's former process, or signed by a key that is on its way: `api` may make another.
            PassError::Audience => refused(StatusCode::UNAUTHORIZED, "boot_id"),
            PassError::UnknownKey => refused(StatusCode::UNAUTHORIZED, "unknown_key"),
            _ => unauthorized(),
        }
    }
}

/// The pass, unless there is none or more than one.
fn single_pass(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(pass::HEADER).iter();
    let first = values.next()?;
    values.next().is_none().then(|| first.as_bytes())
}

/// The headers that a pass binds: all that are forwarded, which is all but framing, hop-by-hop and the pass itself.
fn bound_headers(headers: &HeaderMap) -> impl Iterator<Item = (&str, &[u8])> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .filter(|(name, _)| !HOP_BY_HOP.contains(name) && *name != pass::HEADER)
}

fn upgrade_of(request: &mut Request<Asked>) -> Option<(OnUpgrade, HeaderValue)> {
    let protocol = request.headers().get(names::UPGRADE)?.clone();
    Some((hyper::upgrade::on(request), protocol))
}

/// Wall time. A proxy has no database to keep a high-water mark in; passes are bound to its boot id besides.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
