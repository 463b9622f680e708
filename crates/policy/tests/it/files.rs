//! What is accepted from a policy directory, and how faults are reported.

use std::fs;

use doorman_policy::{PolicySet, RequestContext, Resource, Subject, action, check};
use tempfile::tempdir;

use crate::{context, set, user};

#[test]
fn no_policies_deny_everything() {
    let dir = tempdir().unwrap();
    let set = PolicySet::load(dir.path()).unwrap();
    assert!(set.is_empty());
    let decision = set.decide_request(&user("alice", &["developers"]), "eu", "echo", &context("GET"));
    assert!(!decision.permit && decision.policies.is_empty() && decision.error.is_none());
    assert!(!set.decide(&Subject::service("x"), action::KEY_MANAGE, Resource::Keys).permit);
    assert!(!set.may_list_region(&user("alice", &[]), "eu"));
}

#[test]
fn a_missing_directory_is_an_error_that_names_it() {
    let dir = tempdir().unwrap().path().join("nowhere");
    let problems = PolicySet::load(&dir).err().unwrap().problems;
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].file, dir.display().to_string());
}

#[test]
fn every_fault_of_every_file_is_reported_with_its_place() {
    let dir = tempdir().unwrap();
    fs::write(
        dir.path().join("a.cedar"),
        "permit (principal, action, resource);\n\npermit (principal action);\n",
    )
    .unwrap();
    fs::write(dir.path().join("b.cedar"), "\nforbid (principal, action, resource) when { 1 + };").unwrap();
    fs::write(dir.path().join("c.cedar"), b"// ok\n\xff".as_slice()).unwrap();
    let error = PolicySet::load(dir.path()).err().unwrap();
    assert_eq!(error.problems.len(), 1, "unreadable files come first: {error}");
    assert!(error.to_string().contains("c.cedar:2:1: not UTF-8"), "{error}");

    fs::remove_file(dir.path().join("c.cedar")).unwrap();
    let error = PolicySet::load(dir.path()).err().unwrap().to_string();
    assert!(error.contains("a.cedar:3:19: unexpected token `action`"), "{error}");
    assert!(error.contains("b.cedar:2:49: unexpected token `}`"), "{error}");
}

#[test]
fn a_policy_that_does_not_fit_the_schema_is_refused_where_it_does_not() {
    let text = r#"// first line
@id("typo")
permit (principal in Group::"developers", action == Action::"request", resource)
when { context.pth == "/" };

@id("unguarded")
permit (principal, action == Action::"request", resource)
when { context.reason == "x" };

@id("no such thing")
permit (principal, action == Action::"audit:read", resource == Audit::"everything");

permit (principal == ?principal, action, resource);
"#;
    let error = PolicySet::from_texts(&[("rules.cedar", text)]).err().unwrap().to_string();
    for expected in
        ["rules.cedar:4:8: ", "`pth`", "rules.cedar:8:8: ", "rules.cedar:11:", "rules.cedar:13:1: a template"]
    {
        assert!(error.contains(expected), "{expected} in\n{error}");
    }
}

#[test]
fn hidden_files_other_files_and_directories_are_left_alone() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join(".draft.cedar"), "nonsense").unwrap();
    fs::write(dir.path().join("notes.md"), "nonsense").unwrap();
    fs::create_dir(dir.path().join("old")).unwrap();
    fs::write(dir.path().join("ok.cedar"), "permit (principal, action, resource);").unwrap();
    assert_eq!(PolicySet::load(dir.path()).unwrap().len(), 1);
}

#[test]
fn check_warns_of_what_is_legal_but_not_meant() {
    let dir = tempdir().unwrap();
    fs::write(
        dir.path().join("w.cedar"),
        r#"@id("a") permit (principal, action == Action::"request", resource == Service::"echo");
@id("a") forbid (principal, action == Action::"request", resource) when { context.path like "/admin*" };
@id("never") permit (principal, action == Action::"delegate", resource is Service);
"#,
    )
    .unwrap();
    let report = check(dir.path());
    assert_eq!((report.files, report.policies, report.errors.len()), (1, 3, 0), "{:?}", report.errors);
    let warnings = report.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for expected in [
        "w.cedar:1:1: Service::\"echo\" names nothing",
        "w.cedar:2:1: the id `a` is taken by w.cedar:1",
        "w.cedar:2:1: `a` forbids by path (permit narrowly instead",
        "w.cedar:3:",
    ] {
        assert!(warnings.contains(expected), "{expected} in\n{warnings}");
    }
}

#[test]
fn policies_without_an_id_are_named_by_file_and_line() {
    let set =
        set("\n\npermit (principal, action, resource);\n@id(\"\") permit (principal, action, resource);");
    let decision = set.decide_request(&user("x", &[]), "eu", "echo", &context("GET"));
    assert_eq!(
        decision.policies.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["test.cedar:3", "test.cedar:4"]
    );
}

#[test]
fn a_policy_that_fails_denies_and_says_so() {
    let set = set(r#"
@id("all") permit (principal, action == Action::"request", resource);
@id("far") forbid (principal, action == Action::"request", resource)
when { context.time.offset(duration("9223372036854775807ms")) < context.time };
"#);
    let decision = set.decide_request(&user("alice", &[]), "eu", "echo", &context("GET"));
    assert!(!decision.permit);
    assert_eq!(&*decision.policies, ["far".into()]);
    assert!(decision.error.unwrap().contains("`far`"));
}

#[test]
fn a_time_that_no_calendar_holds_denies() {
    let set = set(
        r#"permit (principal, action == Action::"request", resource) when { context.time > datetime("2020-01-01") };"#,
    );
    let alice = user("alice", &[]);
    assert!(set.decide_request(&alice, "eu", "echo", &context("GET")).permit);
    for time in [i64::MIN, i64::MAX, -99_999_999_999] {
        let decision = set.decide_request(&alice, "eu", "echo", &RequestContext { time, ..context("GET") });
        assert!(!decision.permit, "{time}");
    }
}

#[test]
fn odd_characters_are_data() {
    let set = set(r#"
@id("literal") permit (principal == User::"a\"b\\", action == Action::"request", resource == Service::"eu/e\"c*ho")
when { context.path == "/\"} || true || {\"*\n" };
"#);
    let odd = user("a\"b\\", &["g\"", "*", ""]);
    let request = |subject: &Subject, service: &str, path: &'static str| {
        set.decide_request(subject, "eu", service, &RequestContext { path, ..context("GET") }).permit
    };
    assert!(request(&odd, "e\"c*ho", "/\"} || true || {\"*\n"));
    assert!(!request(&odd, "e\"c*ho", "/\"} || true || {\"*\n "));
    assert!(!request(&odd, "e\"c-ho", "/\"} || true || {\"*\n"));
    assert!(!request(&user("a\"b", &[]), "e\"c*ho", "/\"} || true || {\"*\n"));
}

#[test]
fn two_pairs_of_names_never_make_the_same_service() {
    let set = set(r#"permit (principal, action == Action::"request", resource);"#);
    let alice = user("alice", &[]);
    for (region, service) in [("eu/a", "b"), ("eu", "a/b")] {
        let decision = set.decide_request(&alice, region, service, &context("GET"));
        assert!(!decision.permit && decision.error.is_some());
        assert!(!set.may_list_service(&alice, region, service));
    }
}

#[test]
fn a_mapped_address_is_in_ipv4_ranges() {
    let set = set(
        r#"permit (principal, action == Action::"request", resource) when { context.client_ip.isInRange(ip("10.0.0.0/8")) };"#,
    );
    let from = |ip: &str| {
        let client_ip = ip.parse().unwrap();
        set.decide_request(&user("a", &[]), "eu", "echo", &RequestContext { client_ip, ..context("GET") })
            .permit
    };
    assert!(from("10.1.2.3") && from("::ffff:10.1.2.3"));
    assert!(!from("11.1.2.3") && !from("::10.1.2.3"));
}

#[test]
fn users_groups_and_service_accounts_of_one_name_are_different_principals() {
    let set = set(r#"
permit (principal == User::"x", action == Action::"request", resource);
permit (principal in Group::"y", action == Action::"request", resource);
"#);
    let may = |subject: &Subject| set.decide_request(subject, "eu", "echo", &context("GET")).permit;
    assert!(may(&user("x", &[])) && may(&user("z", &["y"])));
    assert!(!may(&Subject::service("x")) && !may(&Subject::service("y")) && !may(&user("y", &["x"])));
}

#[test]
fn actions_and_resources_that_do_not_go_together_are_denied() {
    let set = set("permit (principal, action, resource);");
    let alice = user("alice", &[]);
    for (action, resource) in [
        (action::KEY_MANAGE, Resource::AuditAll),
        (action::JOB_CREATE, Resource::Job { id: "1", folder: "dev" }),
        ("job:explode", Resource::Folder("dev")),
        ("request", Resource::Folder("dev")),
        ("delegate", Resource::Folder("dev")),
    ] {
        let decision = set.decide(&alice, action, resource);
        assert!(!decision.permit && decision.error.is_some(), "{action} {resource:?}");
    }
    assert!(set.decide(&alice, action::JOB_CREATE, Resource::Folder("dev")).permit);
}

#[test]
fn the_examples_of_the_guide_are_good_policies_without_warnings() {
    let guide = include_str!("../../../../docs/policy.md");
    let examples: String =
        guide.split("```cedar\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let set = set(&examples);
    assert!(set.len() >= 4);
    assert_eq!(set.warnings(), []);
}
