//! The door itself: one for each server thread, over what the process shares.

use crate::arrival::{
    Arrival, Payload, canonical, channel_of, invalid, is_host, not_forwardable, target_refused, upgrade_of,
    with_reason,
};
use crate::attempt::{Origin, clipped, put_caller, put_item, put_target};
use crate::body::{AnswerBody, InBody, ReadError};
use crate::caller::{Caller, Credentials, Refusal, verify};
use crate::catalog::Catalog;
use crate::config::DoorConfig;
use crate::courier::{self, Courier};
use crate::fanout;
use crate::forward::{Upgrade, forward};
use crate::headers::{self, Client, Timing};
use crate::item::Handling;
use crate::journal::{Draft, JournalHandle};
use crate::permit::{Denial, Facts, Permit};
use crate::poll::ControlToken;
use crate::problem::Problem;
use crate::rate::RateGate;
use crate::receipt::{Intent, NotCommitted, Receipt, commit};
use crate::refusals::{self, RefusalGate};
use crate::thread::DoorThread;
use doorman_auth::{Authority, IdentityTokens, Revocations};
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use doorman_core::keys::SigningKey;
use doorman_core::record::{Kind, OutcomeState, Record};
use doorman_core::target::{self, Selector, Target, TargetError};
use doorman_net::Conn;
use doorman_policy::PolicyStore;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What all threads of a process share.
pub struct DoorShared {
    /// Settings.
    pub config: DoorConfig,
    /// Wall time in milliseconds, never earlier than before.
    pub now_ms: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Checks credentials that no thread remembers.
    pub authenticate: Arc<dyn Authority>,
    /// What has been revoked.
    pub revocations: Arc<Revocations>,
    /// The policy sets.
    pub policies: Arc<PolicyStore>,
    /// The regions.
    pub catalog: Arc<Catalog>,
    /// The control token for a region whose proxies are asked for links; none for the others.
    pub link_token: ControlToken,
    /// The way to the journal's writer.
    pub journal: JournalHandle,
    /// Signs what live services verify.
    pub identities: Arc<IdentityTokens>,
    /// The key that they are signed with at a time.
    pub identity_key: Box<dyn Fn(u64) -> Option<Arc<SigningKey>> + Send + Sync>,
    /// Counts the requests of each principal.
    pub rate: RateGate,
    /// Counts refusals of the unverified.
    pub refusals: RefusalGate,
    /// The process was asked to stop: `/readyz` says so, so that balancers send requests elsewhere.
    pub draining: AtomicBool,
    /// Where what may block or wait long is run.
    pub control: Handle,
    /// Takes orders of this process's own for the server threads.
    pub courier: Courier,
}

/// The door of one server thread.
pub struct Door {
    thread: Rc<DoorThread>,
}

impl Door {
    /// The door of the present thread; call it inside the thread's local set.
    pub fn open(shared: Arc<DoorShared>) -> Rc<Self> {
        let thread = Rc::new(DoorThread::new(shared));
        let sweeper = Rc::downgrade(&thread);
        tokio::task::spawn_local(async move {
            let mut seconds = tokio::time::interval(Duration::from_secs(1));
            loop {
                seconds.tick().await;
                let Some(thread) = sweeper.upgrade() else { return };
                thread.streams().sweep(&thread);
            }
        });
        let door = Rc::new(Self { thread });
        courier::serve(&door);
        door
    }

    /// Judges: the first step of sending. What is denied is the caller's to write down.
    ///
    /// # Errors
    /// [`Denial`].
    pub fn authorize(
        &self,
        caller: Arc<Caller>,
        target: Target,
        method: Method,
        facts: Facts,
    ) -> Result<Permit, Denial> {
        self.thread.judge().authorize(&self.thread.policies(), caller, target, method, facts)
    }

    /// Writes the attempt down: the second step. Ends when it is durable.
    ///
    /// # Errors
    /// [`NotCommitted`].
    pub async fn commit(&self, intent: Intent) -> Result<Receipt, NotCommitted> {
        commit(&self.thread, intent).await
    }

    /// Sends: the last step, which nothing but a receipt opens.
    pub async fn forward(&self, receipt: Receipt) -> Response<AnswerBody> {
        forward(&self.thread, receipt, None).await
    }

    /// Whether a request is the door's.
    pub fn owns(path: &str) -> bool {
        path.starts_with(target::PREFIX)
    }

    /// Answers one request under `/r/`.
    pub async fn handle(&self, mut request: Request<Incoming>, conn: &Conn) -> Response<AnswerBody> {
        let upgrade = upgrade_of(&mut request);
        let (mut parts, body) = request.into_parts();
        if let Some(authority) = parts.uri.authority().filter(|_| parts.version == Version::HTTP_2)
            && let Ok(host) = HeaderValue::try_from(authority.as_str())
        {
            parts.headers.insert(header::HOST, host);
        }
        let arrival = Arrival {
            method: parts.method,
            reason: None,
            client_ip: canonical(conn.peer().ip()),
            is_tls: conn.is_tls(),
            arrived_ms: self.thread.now_ms(),
            approved: false,
            origin: Origin { channel: channel_of(&parts.headers), ..Origin::default() },
            handling: Handling::default(),
            headers: parts.headers,
        };
        let target = match self.parse(&arrival, &parts.uri, parts.version, conn) {
            Ok(target) => target,
            Err(refusal) => return self.refuse(&arrival, parts.uri.path(), refusal).await,
        };
        let (caller, consumes_authorization) = match self.authenticate(&arrival).await {
            Ok(authenticated) => authenticated,
            Err(refusal) => return self.refuse(&arrival, parts.uri.path(), refusal).await,
        };
        if let Err(wait) = self.thread.shared().rate.admit(caller.identity().subject()) {
            let mut problem = Problem::new(Code::Throttled, "Too many requests at once.").hint("Slow down.");
            problem.retry_after = Some(wait);
            let refusal = Refusal::new(problem, format!("beyond the rate of {}", caller.subject_text()));
            return self.refuse(&arrival, parts.uri.path(), refusal).await;
        }
        let arrival = match with_reason(arrival) {
            Ok(arrival) => arrival,
            Err((arrival, problem)) => {
                return self.deny_request(&arrival, &caller, &target, problem, &[]).await;
            }
        };
        self.send(arrival, caller, consumes_authorization, target, Payload::Client(body), upgrade).await
    }

    /// Judge, commit, sign, send: the one way through, for clients' requests and for [`Order`](crate::courier::Order)s.
    pub(crate) async fn send(
        &self,
        arrival: Arrival,
        caller: Arc<Caller>,
        consumes_authorization: bool,
        target: Target,
        payload: Payload,
        upgrade: Option<Upgrade>,
    ) -> Response<AnswerBody> {
        let thread = &self.thread;
        let policies = thread.policies();
        let facts = Facts {
            reason: arrival.reason.clone(),
            client_ip: arrival.client_ip,
            now_ms: arrival.arrived_ms,
            approved: arrival.approved,
        };
        let permit = match thread.judge().authorize(
            &policies,
            caller.clone(),
            target,
            arrival.method.clone(),
            facts,
        ) {
            Ok(permit) => permit,
            Err(denial) => return self.deny(&arrival, &caller, denial).await,
        };
        if let Some(problem) = self.missing(permit.target()) {
            let target = permit.target().clone();
            return self.deny_request(&arrival, &caller, &target, problem, &[]).await;
        }
        let body = match payload {
            Payload::Ready(bytes) => InBody::Whole(bytes, None),
            Payload::Client(body) => match self.read_body(body, upgrade.is_some()).await {
                Ok(body) => body,
                Err(problem) => {
                    let target = permit.target().clone();
                    return self.deny_request(&arrival, &caller, &target, problem, &[]).await;
                }
            },
        };
        let client =
            Client { ip: arrival.client_ip, is_tls: arrival.is_tls, host: arrival.headers.get(header::HOST) };
        let target = permit.target();
        let headers =
            headers::outbound(thread, &arrival.headers, consumes_authorization, &caller, target, &client);
        let (origin, handling) = (arrival.origin, arrival.handling.clone());
        if *permit.target().selector() == Selector::All {
            return match fanout::send_to_all(thread, permit, headers, body, origin, handling).await {
                Ok(answer) => answer,
                Err(denied) => {
                    self.deny_request(&arrival, &caller, &denied.target, denied.problem, &[]).await
                }
            };
        }
        let passed = || thread.now_ms().saturating_sub(arrival.arrived_ms);
        let timing = Timing::asked(&arrival.headers, passed);
        match commit(thread, Intent { permit, headers, body, origin, handling }).await {
            Ok(receipt) => {
                let timing = timing.map(|timing| (timing, Instant::now()));
                let mut answer = forward(thread, receipt, upgrade).await;
                if let Some((timing, committed)) = timing {
                    timing.put(answer.headers_mut(), committed);
                }
                answer
            }
            Err(NotCommitted::Failed(problem, _)) if problem.code == Code::AuditUnavailable => {
                problem.into_response()
            }
            Err(NotCommitted::Failed(problem, target)) => {
                self.deny_request(&arrival, &caller, &target, problem, &[]).await
            }
            Err(NotCommitted::Denied(denial)) => self.deny(&arrival, &caller, denial).await,
        }
    }

    fn parse(
        &self,
        arrival: &Arrival,
        uri: &http::Uri,
        version: Version,
        conn: &Conn,
    ) -> Result<Target, Refusal> {
        let invalid = |detail: &str| Refusal::new(invalid(detail), detail);
        if let Some(problem) = not_forwardable(&arrival.method, &arrival.headers) {
            let why = problem.detail.clone();
            return Err(Refusal::new(problem, why));
        }
        if version < Version::HTTP_2 && uri.authority().is_some() {
            return Err(invalid("The request target is in absolute form."));
        }
        // In HTTP/2 this is `:authority`.
        let mut hosts = arrival.headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        if hosts.next().is_some() || !host.is_some_and(is_host) {
            return Err(invalid("The request has no Host, more than one, or one that is no host."));
        }
        if version == Version::HTTP_10 && arrival.headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(invalid("HTTP/1.0 has no Transfer-Encoding."));
        }
        let line = uri.path_and_query().map_or("/", |line| line.as_str());
        if conn.sent_fragment(&format!("{} {line}", arrival.method)) {
            return Err(target_refused(TargetError::Path(target::Ambiguity::Fragment)));
        }
        let catalog = self.thread.catalog();
        Target::parse_with(uri.path(), uri.query(), |region, service| catalog.takes_slash(region, service))
            .map_err(target_refused)
    }

    async fn authenticate(&self, arrival: &Arrival) -> Result<(Arc<Caller>, bool), Refusal> {
        let thread = &self.thread;
        let shared = thread.shared();
        let subprotocol = headers::subprotocol_token(&arrival.headers);
        let (credentials, consumes) =
            Credentials::from_headers(&arrival.headers, subprotocol, arrival.client_ip)?;
        let policies = thread.policies();
        let found =
            thread.callers().find(&credentials, &shared.revocations, policies.version(), arrival.arrived_ms);
        if let Some(caller) = found {
            return Ok((caller, consumes));
        }
        let epoch = shared.revocations.epoch();
        let (authenticate, client_ip) = (shared.authenticate.clone(), arrival.client_ip);
        let (asked, set) = (credentials.clone(), policies.clone());
        let verified = shared
            .control
            .spawn(async move { verify(&*authenticate, &set, &asked, client_ip).await })
            .await
            .map_err(|error| {
                Refusal::new(
                    Problem::new(Code::Unauthenticated, "The credential could not be checked."),
                    error.to_string(),
                )
            })??;
        let caller = Arc::new(verified);
        thread.callers().remember(credentials, caller.clone(), epoch, policies.version());
        Ok((caller, consumes))
    }

    async fn read_body(&self, body: Incoming, is_upgrade: bool) -> Result<InBody, Problem> {
        if is_upgrade {
            return Ok(InBody::Whole(bytes::Bytes::new(), None));
        }
        InBody::read(body, self.thread.config().body_limit).await.map_err(|error| match error {
            ReadError::TooSlow => {
                Problem::new(Code::Timeout, "The body did not arrive in time. Nothing was sent.")
                    .status(StatusCode::REQUEST_TIMEOUT)
                    .hint("Send the body without pauses.")
            }
            ReadError::Broken => Problem::new(Code::Invalid, "The body broke off. Nothing was sent."),
        })
    }

    pub(crate) fn thread(&self) -> &Rc<DoorThread> {
        &self.thread
    }

    /// What the catalog knows not to exist. A region whose proxies have not answered yet is not judged here.
    fn missing(&self, target: &Target) -> Option<Problem> {
        let snapshot = self.thread.shared().catalog.load();
        let Some(region) = snapshot.regions.get(target.region()) else {
            return Some(
                Problem::new(Code::UnknownRegion, format!("There is no region {}.", target.region()))
                    .hint("`doorman regions` lists them."),
            );
        };
        if region.services.is_empty() {
            return None;
        }
        let Some(service) = region.services.get(target.service()) else {
            let detail = format!("Region {} has no service {}.", target.region(), target.service());
            return Some(
                Problem::new(Code::UnknownService, detail).hint("`doorman services <region>` lists them."),
            );
        };
        let Selector::Instance(id) = target.selector() else { return None };
        if service.instances.iter().any(|instance| *instance.id == **id) {
            return None;
        }
        let detail = format!("{}/{} has no instance {id}.", target.region(), target.service());
        Some(
            Problem::new(Code::UnknownInstance, detail)
                .hint("`doorman instances <region> <service>` lists them."),
        )
    }

    async fn deny(&self, arrival: &Arrival, caller: &Caller, denial: Denial) -> Response<AnswerBody> {
        self.deny_request(arrival, caller, &denial.target, denial.problem, &denial.policies).await
    }

    /// Writes down what a verified caller was refused, and tells them.
    pub(crate) async fn deny_request(
        &self,
        arrival: &Arrival,
        caller: &Caller,
        target: &Target,
        mut problem: Problem,
        policies: &[Arc<str>],
    ) -> Response<AnswerBody> {
        let mut record = self.refusal_record(arrival, &problem);
        put_caller(&mut record, caller);
        put_target(&mut record, target, &self.thread.config().redaction);
        record.reason = arrival.reason.as_deref().map(|reason| clipped(reason).into());
        record.policies = policies.iter().map(|name| (**name).into()).collect();
        let draft = Draft::new(record);
        match self.thread.outbox().commit_refusal(draft).await {
            Ok(id) => {
                problem.audit_id = Some(id);
                let mut response = problem.into_response();
                response.extensions_mut().insert(OutcomeState::Denied);
                response
            }
            Err(failure) => Problem::from(failure).into_response(),
        }
    }

    fn refusal_record<'a>(&self, arrival: &'a Arrival, problem: &Problem) -> Record<'a> {
        let mut record = Record::new(Kind::Request, AuditId::default(), arrival.arrived_ms);
        record.decision = Some("deny".into());
        record.method = Some(arrival.method.as_str().into());
        record.client_ip = Some(arrival.client_ip.to_string().into());
        record.channel = Some(arrival.origin.channel.into());
        put_item(&mut record, arrival.origin.item);
        record.retry_of = arrival.origin.retry_of;
        record.user_agent = arrival
            .headers
            .get(header::USER_AGENT)
            .and_then(|agent| agent.to_str().ok())
            .map(|agent| clipped(agent).into());
        record.error = Some(problem.code.as_str().into());
        record.status = Some(problem.status.as_u16());
        record
    }

    /// Refuses somebody who is not verified: one entry each up to a measure, a count beyond.
    async fn refuse(&self, arrival: &Arrival, path: &str, refusal: Refusal) -> Response<AnswerBody> {
        let Refusal { mut problem, audit_reason, claimed, actor } = refusal;
        let shared = self.thread.shared();
        let (admitted, surplus) = shared.refusals.admit(arrival.client_ip, arrival.arrived_ms);
        for surplus in surplus {
            shared.journal.write_later(refusals::record(&surplus, arrival.arrived_ms));
        }
        if !admitted {
            return problem.into_response();
        }
        let mut record = self.refusal_record(arrival, &problem);
        record.path = Some(clipped(path).to_owned().into());
        record.detail.insert("why".into(), clipped(&audit_reason).to_owned().into());
        record.actor = actor.as_deref().map(Into::into);
        if let Some(claimed) = claimed {
            record.detail.insert("claimed".into(), claimed.into());
        }
        match self.thread.outbox().commit_refusal(Draft::new(record)).await {
            Ok(id) => {
                problem.audit_id = Some(id);
                problem.into_response()
            }
            Err(failure) => Problem::from(failure).into_response(),
        }
    }
}
