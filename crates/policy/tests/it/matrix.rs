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

fn line(out: &mut String, what: &str, decision: &Decision) {
    assert_eq!(decision.error, None, "{what}");
    let verdict = if decision.permit { "permit" } else { "deny" };
    writeln!(out, "{}", format!("  {what:<46} {verdict:<6} {}", decision.policies.join(", ")).trim_end())
        .unwrap();
}

#[test]
fn the_demo_world_has_exactly_the_rights_that_were_reviewed() {
    let set = demo();
    let mut out = String::new();
    for (name, subject) in cast() {
        writeln!(out, "{name}").unwrap();
        for (region, service) in
            ["eu", "us"].iter().flat_map(|region| ["echo", "companies"].map(|s| (region, s)))
        {
            for method in ["GET", "HEAD", "POST", "DELETE"] {
                let bare = context(method);
                let decision = set.decide_request(&subject, region, service, &bare);
                let what = format!("request {method} {region}/{service}");
                line(&mut out, &what, &decision);
                let reasoned = RequestContext { reason: Some("INC-7"), ..bare };
                let reasoned = set.decide_request(&subject, region, service, &reasoned);
                if reasoned != decision {
                    line(&mut out, &format!("{what}, with a reason"), &reasoned);
                }
            }
        }
        for action in action::ALL {
            for (label, resource) in resources_of(action) {
                line(&mut out, &format!("{action} {label}"), &set.decide(&subject, action, resource));
            }
        }
        for service in ["reports-ui", "other-ui"] {
            let decision = set.decide_delegate(service, [127, 0, 0, 1].into(), &subject);
            if subject.is_user() {
                line(&mut out, &format!("delegate to {service}"), &decision);
            } else {
                assert!(!decision.permit, "nobody acts for a service account");
            }
        }
        let listed = ["eu", "us", "mars"].map(|region| (region, set.may_list_region(&subject, region)));
        let listed = listed.iter().filter(|(_, shown)| *shown).map(|(region, _)| *region);
        writeln!(out, "  sees regions: {}", listed.collect::<Vec<_>>().join(" ")).unwrap();
        let listed =
            ["eu/echo", "eu/companies", "eu/other", "us/echo", "us/companies"].into_iter().filter(|id| {
                let (region, service) = id.split_once('/').unwrap();
                set.may_list_service(&subject, region, service)
            });
        writeln!(out, "  sees services: {}\n", listed.collect::<Vec<_>>().join(" ")).unwrap();
    }
    let out = out.replace(" \n", "\n");
    insta::assert_snapshot!("rights", out);
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
