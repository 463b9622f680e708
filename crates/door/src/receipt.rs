//! Committing: a permit becomes a receipt once the attempt is durable.

use crate::attempt::{self, Errand, Origin};
use crate::body::InBody;
use crate::catalog::Route;
use crate::item::Handling;
use crate::journal::{CommitFailure, Committed, Draft};
use crate::permit::{Denial, Permit};
use crate::problem::Problem;
use crate::thread::DoorThread;
use bytes::Bytes;
use doorman_core::code::Code;
use doorman_core::id::AuditId;
use doorman_core::pass::{BodyClaim, Pass};
use doorman_core::record::{Kind, Record};
use doorman_core::target::Target;
use http::HeaderMap;

/// How often a request is judged again because policy changed under it.
const MAX_JUDGEMENTS: usize = 3;

/// Proof that an attempt is durable. Forwarding consumes it; there is no copy.
pub struct Receipt {
    permit: Permit,
    headers: HeaderMap,
    body: InBody,
    claim: BodyClaim,
    route: Route,
    origin: Origin,
    audit_id: AuditId,
    pass: Pass,
    handling: Handling,
}

/// What is to be sent, permitted but not yet written down.
pub struct Intent {
    pub(crate) permit: Permit,
    pub(crate) headers: HeaderMap,
    pub(crate) body: InBody,
    pub(crate) origin: Origin,
    pub(crate) handling: Handling,
}

impl Intent {
    /// A request with a body that is all there. `headers` are taken as they are: they must be end-to-end ones.
    pub fn new(permit: Permit, headers: HeaderMap, body: Bytes, origin: Origin) -> Self {
        Self { permit, headers, body: InBody::Whole(body, None), origin, handling: Handling::default() }
    }
}

/// Why there is no receipt. Nothing was sent, and no attempt stands in the log.
pub enum NotCommitted {
    /// It could not be written, or there is nowhere to send it.
    Failed(Problem, Box<Target>),
    /// A policy set that came into force meanwhile denies it.
    Denied(Denial),
}

impl Receipt {
    /// The attempt that this proves to be durable.
    pub fn audit_id(&self) -> AuditId {
        self.audit_id
    }

    /// Takes apart what is to be sent. Only `forward` calls this.
    pub(crate) fn into_parts(self) -> ReceiptParts {
        ReceiptParts {
            permit: self.permit,
            headers: self.headers,
            body: self.body,
            claim: self.claim,
            route: self.route,
            origin: self.origin,
            audit_id: self.audit_id,
            pass: self.pass,
            handling: self.handling,
        }
    }
}

pub(crate) struct ReceiptParts {
    pub(crate) permit: Permit,
    pub(crate) headers: HeaderMap,
    pub(crate) body: InBody,
    pub(crate) claim: BodyClaim,
    pub(crate) route: Route,
    pub(crate) origin: Origin,
    pub(crate) audit_id: AuditId,
    pub(crate) pass: Pass,
    pub(crate) handling: Handling,
}

/// Writes the attempt down and waits until it is durable.
pub(crate) async fn commit(thread: &DoorThread, mut intent: Intent) -> Result<Receipt, NotCommitted> {
    let region = intent.permit.target().region().to_owned();
    let grace = thread.config().restart_grace;
    let claim = intent.body.claim();
    for _ in 0..MAX_JUDGEMENTS {
        let route = match thread.catalog().route(&region) {
            Some(route) => route,
            None => match thread.catalog().route_soon(&region, grace).await {
                Some(route) => route,
                None => return Err(failed(region_unavailable(&region), intent.permit)),
            },
        };
        let redaction = &thread.config().redaction;
        let record =
            attempt::record(&intent.permit, &intent.headers, &intent.body, &claim, intent.origin, redaction);
        let errand = Errand {
            permit: &intent.permit,
            headers: &intent.headers,
            claim,
            route: &route,
            origin: intent.origin,
        };
        let (draft, parts) = attempt::draft(thread, errand, record, None);
        match thread.outbox().commit(draft).await {
            Ok(committed) => {
                let audit_id = committed.audit_id;
                let pass = committed.pass(audit_id, parts);
                let Intent { permit, headers, body, origin, handling } = intent;
                return Ok(Receipt { permit, headers, body, claim, route, origin, audit_id, pass, handling });
            }
            Err(CommitFailure::PolicyChanged) => {
                let Intent { permit, headers, body, origin, handling } = intent;
                match permit.judge_again(thread.judge(), &thread.policies()) {
                    Ok(permit) => intent = Intent { permit, headers, body, origin, handling },
                    Err(denial) => return Err(NotCommitted::Denied(denial)),
                }
            }
            Err(failure) => return Err(failed(failure.into(), intent.permit)),
        }
    }
    Err(failed(CommitFailure::PolicyChanged.into(), intent.permit))
}

fn failed(problem: Problem, permit: Permit) -> NotCommitted {
    NotCommitted::Failed(problem, Box::new(permit.into_target()))
}

/// A second pass for the same attempt: only after the proxy's own refusal, or when no byte was written.
pub(crate) async fn commit_second_pass(
    thread: &DoorThread,
    errand: Errand<'_>,
    audit_id: AuditId,
) -> Result<Pass, CommitFailure> {
    let (permit, route) = (errand.permit, errand.route);
    let mut record = Record::new(Kind::Pass, AuditId::default(), thread.now_ms());
    record.attempt = Some(audit_id);
    attempt::put_caller(&mut record, permit.caller());
    record.region = Some(permit.target().region().into());
    record.service = Some(permit.target().service().into());
    record.detail.insert("boot_id".into(), route.boot_id.to_string().into());
    let (mut draft, parts) = attempt::draft(thread, errand, Draft::new(record), Some(audit_id));
    // The attempt was judged when it was committed; this only says again where it goes.
    draft.policy_version = thread.policies().version();
    let committed: Committed = thread.outbox().commit(draft).await?;
    Ok(committed.pass(audit_id, parts))
}

pub(crate) fn region_unavailable(region: &str) -> Problem {
    Problem::new(Code::RegionUnavailable, format!("No proxy of region {region} answers. Nothing was sent."))
        .hint("Try again shortly; `doorman regions` shows which regions answer.")
}
