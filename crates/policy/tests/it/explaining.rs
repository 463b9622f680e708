//! What a denied caller and an operator are told.

use doorman_policy::{DenialKind, Remedy, RequestContext, Resource, Verdict, action};

use crate::{context, demo, set, user};

#[test]
fn a_denial_that_a_reason_would_turn_says_so() {
    let set = demo();
    let bob = user("bob", &["developers", "oncall"]);
    assert_eq!(set.judge_denied(&bob, "us", "companies", &context("POST")), DenialKind::ReasonRequired);
    let blank = RequestContext { reason: Some(" \t"), ..context("POST") };
    assert!(!set.decide_request(&bob, "us", "companies", &blank).permit, "a blank reason is none");
    assert_eq!(set.judge_denied(&bob, "us", "companies", &blank), DenialKind::ReasonRequired);
    let alice = user("alice", &["developers"]);
    assert_eq!(set.judge_denied(&alice, "us", "companies", &context("POST")), DenialKind::Forbidden);
}

#[test]
fn a_denial_that_an_approval_would_turn_says_so() {
    let set = set(r#"
permit (principal, action == Action::"request", resource);
@id("four-eyes") forbid (principal, action == Action::"request", resource in Region::"eu")
unless { context.approved };
@id("say-why") forbid (principal, action == Action::"request", resource == Service::"eu/bank")
unless { context has reason };
"#);
    let alice = user("alice", &[]);
    assert_eq!(set.judge_denied(&alice, "eu", "echo", &context("GET")), DenialKind::ApprovalRequired);
    assert_eq!(set.judge_denied(&alice, "eu", "bank", &context("GET")), DenialKind::ReasonRequired, "first");
    let reasoned = RequestContext { reason: Some("INC-1"), ..context("GET") };
    assert_eq!(set.judge_denied(&alice, "eu", "bank", &reasoned), DenialKind::ApprovalRequired, "then");
    let approved = RequestContext { approved: true, ..reasoned };
    assert!(set.decide_request(&alice, "eu", "bank", &approved).permit);
}

#[test]
fn an_explanation_shows_what_each_policy_made_of_the_request() {
    let set = demo();
    let bob = user("bob", &["developers", "oncall"]);
    let explanation = set.explain_request(&bob, "eu", "companies", &context("DELETE"));
    assert!(!explanation.decision.permit);
    assert_eq!(explanation.would_permit_with, Some(Remedy::Reason));
    let candidates = explanation.candidates.iter();
    let verdicts: Vec<_> = candidates.map(|c| (&*c.name, c.effect, c.verdict.clone())).collect();
    assert_eq!(
        verdicts,
        [
            ("developers-companies-read", "permit", Verdict::NotMet),
            ("developers-companies-eu-post", "permit", Verdict::NotMet),
            ("oncall-companies", "permit", Verdict::NotMet),
            ("operators-companies", "permit", Verdict::OtherPrincipal),
        ]
    );
    let get = set.explain_request(&bob, "eu", "companies", &context("GET"));
    assert_eq!(get.candidates[0].verdict, Verdict::Applies);
    assert_eq!((&*get.candidates[0].file, get.would_permit_with), ("developers.cedar", None));
}

#[test]
fn forbid_wins_and_is_named() {
    let set = set(r#"
@id("yes") permit (principal, action == Action::"request", resource);
@id("no") forbid (principal in Group::"interns", action == Action::"request", resource);
"#);
    let decision = set.decide_request(&user("i", &["interns"]), "eu", "echo", &context("GET"));
    assert!(!decision.permit);
    assert_eq!(&*decision.policies, ["no".into()]);
}

#[test]
fn decisions_about_other_actions_are_explained_too() {
    let set = demo();
    let explanation = set.explain(&user("erin", &["admins"]), action::SESSION_MANAGE, Resource::SessionsAll);
    assert!(explanation.decision.permit);
    let verdicts: Vec<_> = explanation.candidates.iter().map(|c| (&*c.name, c.verdict.clone())).collect();
    assert_eq!(verdicts, [("admins-sessions", Verdict::Applies), ("everyone-own-sessions", Verdict::NotMet)]);
}
