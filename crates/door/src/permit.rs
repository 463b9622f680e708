//! Judging: what policy says of a request, remembered for each thread.

use crate::caller::Caller;
use crate::problem::Problem;
use ahash::AHashMap;
use doorman_core::code::Code;
use doorman_core::target::Target;
use doorman_policy::{Decision, DenialKind, PolicySet, RequestContext};
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

/// Decisions remembered by one thread.
const MAX_DECISIONS: usize = 20_000;

/// Proof that policy allowed this caller this action on this target. It is consumed by the commit.
pub struct Permit {
    caller: Arc<Caller>,
    target: Target,
    method: http::Method,
    decision: Decision,
    policy_version: u64,
    facts: Facts,
}

/// What policy looks at besides caller, target and method.
#[derive(Clone)]
pub struct Facts {
    /// The caller's reason.
    pub reason: Option<Box<str>>,
    /// The client's address.
    pub client_ip: IpAddr,
    /// When the request arrived.
    pub now_ms: u64,
    /// Whether another person has approved this very request.
    pub approved: bool,
}

impl Permit {
    pub(crate) fn caller(&self) -> &Arc<Caller> {
        &self.caller
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    pub(crate) fn into_target(self) -> Target {
        self.target
    }

    pub(crate) fn method(&self) -> &http::Method {
        &self.method
    }

    pub(crate) fn policies(&self) -> &Arc<[Arc<str>]> {
        &self.decision.policies
    }

    pub(crate) fn policy_version(&self) -> u64 {
        self.policy_version
    }

    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether it would still be given, to the caller as they are now.
    pub(crate) fn stands(&self, judge: &Judge, policies: &PolicySet, caller: &Arc<Caller>) -> bool {
        let (target, method, facts) = (self.target.clone(), self.method.clone(), self.facts.clone());
        caller.may_delegate(policies, facts.client_ip)
            && judge.authorize(policies, caller.clone(), target, method, facts).is_ok()
    }

    /// The same question to the policy set that is now in force.
    pub(crate) fn judge_again(self, judge: &Judge, policies: &PolicySet) -> Result<Self, Denial> {
        judge.authorize(policies, self.caller, self.target, self.method, self.facts)
    }
}

/// A denial, for the caller and for the log.
pub struct Denial {
    /// What the caller is told.
    pub problem: Problem,
    /// The policies that denied; none when nothing permits.
    pub policies: Arc<[Arc<str>]>,
    /// Given back, so that the denied request can be written down.
    pub target: Target,
}

/// Decides, and remembers what it decided.
pub(crate) struct Judge {
    decisions: RefCell<Remembered>,
}

#[derive(Default)]
struct Remembered {
    policy_version: u64,
    by_question: AHashMap<Vec<u8>, Decision>,
    key: Vec<u8>,
}

impl Judge {
    pub(crate) fn new() -> Self {
        Self { decisions: RefCell::default() }
    }

    /// Asks policy.
    pub(crate) fn authorize(
        &self,
        policies: &PolicySet,
        caller: Arc<Caller>,
        target: Target,
        method: http::Method,
        facts: Facts,
    ) -> Result<Permit, Denial> {
        let scoped = caller
            .session()
            .scopes
            .as_ref()
            .is_none_or(|scopes| scopes.contain(target.region(), target.service(), method.as_str()));
        if !scoped {
            let problem = Problem::new(Code::Forbidden, "The token's scopes do not cover this request.")
                .hint("Use a token with wider scopes, or log in.");
            return Err(Denial { problem, policies: Arc::from([]), target });
        }
        let context = RequestContext {
            method: method.as_str(),
            path: target.policy_path(),
            instance: target.selector().as_str(),
            reason: facts.reason.as_deref(),
            approved: facts.approved,
            time: i64::try_from(facts.now_ms / 1_000).unwrap_or(i64::MAX),
            client_ip: facts.client_ip,
            on_behalf: caller.on_behalf(),
        };
        let decision = self.decide(policies, &caller, &target, &context);
        if decision.permit {
            let policy_version = policies.version();
            return Ok(Permit { caller, target, method, decision, policy_version, facts });
        }
        let problem = denial(policies, &caller, &target, &context, &decision);
        Err(Denial { problem, policies: decision.policies, target })
    }

    fn decide(
        &self,
        policies: &PolicySet,
        caller: &Caller,
        target: &Target,
        context: &RequestContext<'_>,
    ) -> Decision {
        let mut remembered = self.decisions.borrow_mut();
        let remembered = &mut *remembered;
        if remembered.policy_version != policies.version() || remembered.by_question.len() >= MAX_DECISIONS {
            remembered.by_question.clear();
            remembered.policy_version = policies.version();
        }
        let uses = policies.request_uses(target.region(), target.service());
        let key = &mut remembered.key;
        key.clear();
        // The subject's session stands for the user; its groups can change under it.
        key.extend_from_slice(&caller.session().id);
        key.extend_from_slice(&caller.session().groups_version().to_be_bytes());
        key.extend_from_slice(target.region().as_bytes());
        key.push(b'/');
        key.extend_from_slice(target.service().as_bytes());
        key.push(b'/');
        uses.write_key(context, key);
        if let Some(decision) = remembered.by_question.get(key.as_slice()) {
            return decision.clone();
        }
        let decision =
            policies.decide_request(caller.policy_subject(), target.region(), target.service(), context);
        remembered.by_question.insert(key.clone(), decision.clone());
        decision
    }
}

fn denial(
    policies: &PolicySet,
    caller: &Caller,
    target: &Target,
    context: &RequestContext<'_>,
    decision: &Decision,
) -> Problem {
    let kind = policies.judge_denied(caller.policy_subject(), target.region(), target.service(), context);
    let names: Vec<String> = decision.policies.iter().map(|name| name.to_string()).collect();
    let mut problem = match kind {
        DenialKind::ReasonRequired => {
            Problem::new(Code::ReasonRequired, "Policy permits this only with a reason.")
                .hint("Say why: send the header `Doorman-Reason: <text>` (CLI: --reason).")
        }
        DenialKind::ApprovalRequired => {
            Problem::new(Code::ApprovalRequired, "Policy permits this only with an approval.")
                .hint("Run it as a job whose gate another person approves.")
        }
        DenialKind::Forbidden => {
            let detail = match (&decision.error, names.is_empty()) {
                (Some(error), _) => format!("A policy could not be evaluated, so this is denied: {error}."),
                (None, true) => format!(
                    "No policy permits {} to {} {} on {}/{}.",
                    caller.subject_text(),
                    context.method,
                    target.policy_path(),
                    target.region(),
                    target.service()
                ),
                (None, false) => format!("Denied by policy {}.", names.join(", ")),
            };
            Problem::new(Code::Forbidden, detail)
                .hint("`GET /auth/v1/me` tells what you may do; ask whoever keeps the policies for more.")
        }
    };
    problem.policies = names;
    problem
}
