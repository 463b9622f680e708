//! Says why: what each policy made of a request, and what the caller could add to get it through.

use std::sync::Arc;

use cedar_policy::{Effect, PolicySet as CedarSet};

use crate::compile::Rule;
use crate::context::{Reads, RequestContext};
use crate::question::Question;
use crate::resource::Resource;
use crate::set::{Decision, PolicySet};
use crate::subject::Subject;

/// What a denied caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenialKind {
    /// Neither a reason nor an approval would help.
    Forbidden,
    /// With a reason (and perhaps then an approval) it would be permitted.
    ReasonRequired,
    /// With an approval it would be permitted.
    ApprovalRequired,
}

/// A decision with all that led to it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Explanation {
    pub decision: Decision,
    /// All policies that could have a say about this service or action, in the order of their files.
    pub candidates: Vec<Candidate>,
    /// On a denial: what would turn it into a permit.
    pub would_permit_with: Option<Remedy>,
}

/// What the caller can add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    Reason,
    Approval,
}

/// A policy and what it made of the request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Candidate {
    pub name: Arc<str>,
    /// The file's name within the policy directory.
    pub file: Arc<str>,
    pub line: usize,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Scope and conditions hold: its effect counts.
    Applies,
    /// It speaks about others.
    OtherPrincipal,
    /// It speaks about this principal, but not of this: its conditions, or the resource in its scope, do not fit.
    NotMet,
    /// It could not be evaluated, so the request is denied.
    Failed(String),
}

/// Stands for whatever a caller might write.
const SOME_REASON: &str = "some reason";

impl PolicySet {
    /// Decides as [`PolicySet::decide_request`] and says how that came about. Costs many times as much.
    pub fn explain_request(
        &self,
        subject: &Subject,
        region: &str,
        service: &str,
        context: &RequestContext<'_>,
    ) -> Explanation {
        let decision = self.decide_request(subject, region, service, context);
        let would_permit_with = match self.judge_denied(subject, region, service, context) {
            _ if decision.permit => None,
            DenialKind::Forbidden => None,
            DenialKind::ReasonRequired => Some(Remedy::Reason),
            DenialKind::ApprovalRequired => Some(Remedy::Approval),
        };
        let candidates = self.slices.of_service(&self.rules, region, service).map(|slice| {
            let rules = slice.rules.iter().filter_map(|index| self.rules.get(*index));
            self.examine(rules, subject, Question::of_request(&slice, subject, context))
        });
        Explanation { decision, candidates: candidates.unwrap_or_default(), would_permit_with }
    }

    /// The same for [`PolicySet::decide`].
    pub fn explain(&self, subject: &Subject, action: &str, resource: Resource<'_>) -> Explanation {
        let decision = self.decide(subject, action, resource);
        let candidates = self.slices.of_action(action).map(|slice| {
            let rules = self.rules.iter().filter(|rule| rule.concerns(&slice.action));
            self.examine(rules, subject, Question::of_action(&slice.action, subject, resource))
        });
        Explanation { decision, candidates: candidates.unwrap_or_default(), would_permit_with: None }
    }

    /// For a request that was denied: decides again with a reason, then with an approval, then with both. A policy that
    /// wants certain words in the reason is not guessed at.
    pub fn judge_denied(
        &self,
        subject: &Subject,
        region: &str,
        service: &str,
        context: &RequestContext<'_>,
    ) -> DenialKind {
        let Some(slice) = self.slices.of_service(&self.rules, region, service) else {
            return DenialKind::Forbidden;
        };
        let lacks_reason = context.stated_reason().is_none() && slice.uses.reason != Reads::Nothing;
        let lacks_approval = !context.approved && slice.uses.approved;
        let reasoned = RequestContext { reason: Some(SOME_REASON), ..*context };
        let permits = |context: &RequestContext<'_>| self.decide_in(&slice, subject, context).permit;
        if lacks_reason && permits(&reasoned) {
            DenialKind::ReasonRequired
        } else if lacks_approval && permits(&RequestContext { approved: true, ..*context }) {
            DenialKind::ApprovalRequired
        } else if lacks_reason && lacks_approval && permits(&RequestContext { approved: true, ..reasoned }) {
            DenialKind::ReasonRequired
        } else {
            DenialKind::Forbidden
        }
    }

    /// Asks each policy alone.
    fn examine<'a>(
        &self,
        rules: impl Iterator<Item = &'a Rule>,
        subject: &Subject,
        question: Result<Question, String>,
    ) -> Vec<Candidate> {
        let candidate = |rule: &Rule| Candidate {
            name: rule.name.clone(),
            file: rule.file.clone(),
            line: rule.line,
            effect: match rule.effect {
                Effect::Permit => "permit",
                Effect::Forbid => "forbid",
            },
            verdict: match &question {
                Ok(question) => self.verdict_of(rule, subject, question),
                Err(error) => Verdict::Failed(error.clone()),
            },
        };
        rules.map(candidate).collect()
    }

    fn verdict_of(&self, rule: &Rule, subject: &Subject, question: &Question) -> Verdict {
        let alone = match CedarSet::from_policies([rule.policy.clone()]) {
            Ok(alone) => alone,
            Err(error) => return Verdict::Failed(error.to_string()),
        };
        let response = self.ask(&alone, question);
        let diagnostics = response.diagnostics();
        match diagnostics.errors().next() {
            Some(error) => Verdict::Failed(error.to_string()),
            None if diagnostics.reason().next().is_some() => Verdict::Applies,
            None if subject.is_meant_by(&rule.principal) => Verdict::NotMet,
            None => Verdict::OtherPrincipal,
        }
    }
}
