//! Everybody of the demo world × everything: the reviewed golden file is `snapshots/`.

use std::fmt::Write as _;

use doorman_policy::{Decision, RequestContext, Resource, Subject, action};

use crate::{context, demo, user};

fn cast() -> Vec<(&'static str, Subject)> {
    vec![
        ("alice", user("alice", &["developers"])),
        ("bob", user("bob", &["developers", "oncall"])),
        ("carol", user("carol", &["security"])),
        ("dave", user("dave", &["operators"])),
        ("erin", user("erin", &["admins"])),
        ("mallory", user("mallory", &[])),
        ("reports-ui", Subject::service("reports-ui")),
    ]
}

fn resources_of(action: &str) -> Vec<(&'static str, Resource<'static>)> {
    let dev = ("job 1 in dev", Resource::Job { id: "1", folder: "dev" });
    let ops = ("job 2 in ops", Resource::Job { id: "2", folder: "ops" });
    let folders = [("folder dev", Resource::Folder("dev")), ("folder ops", Resource::Folder("ops"))];
    match action {
        action::JOB_CREATE => folders.to_vec(),
        action::AUDIT_READ | action::AUDIT_EXPORT => {
            vec![("own", Resource::AuditOwn), ("all", Resource::AuditAll)]
        }
        action::SESSION_MANAGE => vec![("own", Resource::SessionsOwn), ("all", Resource::SessionsAll)],
        action::SQL_READ | action::SQL_WRITE => {
            vec![("eu/orders", Resource::Database { region: "eu", name: "orders" })]
        }
        action::TOKEN_ISSUE => vec![("tokens", Resource::Tokens)],
        action::SERVICE_ACCOUNT_MANAGE => vec![("service accounts", Resource::ServiceAccounts)],
        action::KEY_MANAGE => vec![("keys", Resource::Keys)],
        action::POLICY_READ => vec![("policies", Resource::Policies)],
        _ => vec![dev, ops, folders[0], folders[1]],
    }
}

/// One row: what, and who may by which policies. Whoever is not in it is denied.
fn row(out: &mut String, what: &str, judge: impl Fn(&Subject) -> Decision) {
    write!(out, "{what:<41}").unwrap();
    for (name, subject) in cast() {
        let decision = judge(&subject);
        assert_eq!(decision.error, None, "{what}");
        if decision.permit {
            write!(out, " {name} ({})", decision.policies.join(", ")).unwrap();
        } else {
            assert_eq!(&*decision.policies, [], "the demo forbids nothing, it just does not permit");
        }
    }
    out.push('\n');
}

fn listing(out: &mut String, what: &str, shown: impl Fn(&Subject) -> bool) {
    let names = cast().into_iter().filter(|(_, subject)| shown(subject)).map(|(name, _)| name);
    writeln!(out, "{what:<41} {}", names.collect::<Vec<_>>().join(" ")).unwrap();
}

#[test]
fn the_demo_world_has_exactly_the_rights_that_were_reviewed() {
    let set = demo();
    let out = &mut String::new();
    for (region, service) in
        [("eu", "echo"), ("us", "echo"), ("eu", "companies"), ("us", "companies"), ("eu", "other")]
    {
        for method in ["GET", "HEAD", "POST", "DELETE"] {
            let what = format!("request {method} {region}/{service}");
            let bare = context(method);
            row(out, &what, |subject| set.decide_request(subject, region, service, &bare));
            let reasoned = RequestContext { reason: Some("INC-7"), ..bare };
            row(out, "  with a reason", |subject| set.decide_request(subject, region, service, &reasoned));
        }
    }
    for action in action::ALL {
        for (label, resource) in resources_of(action) {
            row(out, &format!("{action}: {label}"), |subject| set.decide(subject, action, resource));
        }
    }
    for service in ["reports-ui", "other-ui"] {
        let delegate = |subject: &Subject| set.decide_delegate(service, [127, 0, 0, 1].into(), subject);
        let what = format!("delegate: {service} acts for");
        writeln!(out, "{what:<41} {}", permitted(&delegate)).unwrap();
    }
    for region in ["eu", "us"] {
        listing(out, &format!("sees region {region}"), |subject| set.may_list_region(subject, region));
        for service in ["echo", "companies", "other"] {
            let what = format!("sees service {region}/{service}");
            listing(out, &what, |subject| set.may_list_service(subject, region, service));
        }
    }
    for folder in ["dev", "ops"] {
        listing(out, &format!("is told of folder {folder}"), |subject| {
            set.job_folders(subject).iter().any(|name| name == folder)
        });
    }
    let matrix: String = out.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    insta::assert_snapshot!("rights", matrix);
}

/// A service account cannot be acted for, which is an error rather than a mere denial.
fn permitted(delegate: &dyn Fn(&Subject) -> Decision) -> String {
    let decisions = cast().into_iter().map(|(name, subject)| (name, delegate(&subject)));
    let permits = decisions.filter(|(_, decision)| decision.permit);
    permits
        .map(|(name, decision)| format!("{name} ({})", decision.policies.join(", ")))
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn the_demo_policies_give_no_warning() {
    assert_eq!(demo().warnings(), []);
}

#[test]
fn every_action_of_the_schema_is_judged_by_some_function() {
    let set = demo();
    let carol = user("carol", &["security"]);
    for action in action::ALL {
        let decision = set.decide(&carol, action, resources_of(action)[0].1);
        assert_eq!(decision.error, None, "{action} is in the schema, for such a resource");
    }
    let declared = doorman_policy::SCHEMA.lines().filter(|line| line.starts_with("action "));
    let declared: usize =
        declared.map(|line| line.split(" appliesTo").next().unwrap().split(',').count()).sum();
    assert_eq!(declared, action::ALL.len() + 2, "request and delegate have functions of their own");
}
