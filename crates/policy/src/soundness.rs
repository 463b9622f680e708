//! Property tests: leaving policies and context out never changes a decision.

use std::sync::Arc;

use cedar_policy::{Authorizer, Entities, Entity, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::schema::{VOCABULARY, entity_uid};
use crate::{ContextUse, Decision, PolicySet, RequestContext, Subject};

const REGIONS: [&str; 2] = ["eu", "us"];
const SERVICES: [&str; 3] = ["echo", "companies", "eu"];

/// Scopes and conditions from a small world, so that they often meet.
fn policy() -> impl Strategy<Value = String> {
    let principal = select(vec![
        "principal",
        "principal == User::\"alice\"",
        "principal in User::\"alice\"",
        "principal in Group::\"g1\"",
        "principal is User in Group::\"g2\"",
        "principal is ServiceAccount",
    ]);
    let action = select(vec![
        "action",
        "action == Action::\"request\"",
        "action in [Action::\"request\", Action::\"job:run\"]",
        "action == Action::\"audit:read\"",
    ]);
    let resource = select(vec![
        "resource",
        "resource is Service",
        "resource is Folder",
        "resource == Service::\"eu/echo\"",
        "resource in Service::\"us/companies\"",
        "resource in Region::\"eu\"",
        "resource is Service in Region::\"us\"",
        "resource in ServiceName::\"echo\"",
        "resource in ServiceName::\"eu\"",
        "resource is Service in ServiceName::\"companies\"",
    ]);
    let effect = select(vec!["permit", "permit", "forbid"]);
    let clauses = vec((select(vec!["when", "unless"]), condition()), 0..3);
    (effect, principal, action, resource, clauses).prop_map(
        |(effect, principal, action, resource, clauses)| {
            // Conditions on the context make sense only where it is a request's.
            let action = if clauses.is_empty() { action } else { "action == Action::\"request\"" };
            let resource =
                if clauses.is_empty() || resource != "resource is Folder" { resource } else { "resource" };
            let clauses: String =
                clauses.iter().map(|(kind, text)| format!(" {kind} {{ {text} }}")).collect();
            format!("{effect} ({principal}, {action}, {resource}){clauses};\n")
        },
    )
}

fn condition() -> impl Strategy<Value = String> {
    let atom = select(vec![
        "context.method == \"GET\"",
        "[\"GET\", \"POST\"].contains(context.method)",
        "context.path like \"/a*\"",
        "context.path == context.instance",
        "context.instance == \"all\"",
        "context has reason",
        "(context has reason && context.reason like \"INC*\")",
        "context.approved",
        "context.time < datetime(\"2024-01-01\")",
        "context.time.toTime() < duration(\"12h\")",
        "context.client_ip.isInRange(ip(\"10.0.0.0/8\"))",
        "context has on_behalf",
        "(context has on_behalf && context.on_behalf == \"ui\")",
        "(if context.approved then context else context).approved",
        "context == context",
        "{ a: context }.a has reason",
        "{ context: context.method }.context == \"POST\"",
        "resource in Region::\"eu\"",
        "principal in Group::\"g1\"",
        // Fails when reached with a late time.
        "context.time.offset(duration(\"9223370000000000000ms\")) > context.time",
    ]);
    atom.prop_map(str::to_owned).prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("(if {a} then {b} else {c})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn subject() -> impl Strategy<Value = Subject> {
    let groups = vec(select(vec!["g1".to_owned(), "g2".to_owned(), "g3".to_owned()]), 0..3);
    prop_oneof![
        4 => (select(vec!["alice", "bob"]), groups).prop_map(|(name, groups)| Subject::user(name, &groups)),
        1 => Just(Subject::service("alice")),
    ]
}

/// A context that owns its text.
#[derive(Clone, Debug)]
struct Owned {
    method: &'static str,
    path: &'static str,
    instance: &'static str,
    reason: Option<&'static str>,
    approved: bool,
    time: i64,
    client_ip: [u8; 4],
    on_behalf: Option<&'static str>,
}

impl Owned {
    fn borrow(&self) -> RequestContext<'_> {
        RequestContext {
            method: self.method,
            path: self.path,
            instance: self.instance,
            reason: self.reason,
            approved: self.approved,
            time: self.time,
            client_ip: self.client_ip.into(),
            on_behalf: self.on_behalf,
        }
    }
}

const METHODS: [&str; 3] = ["GET", "POST", "\"\\\n"];
const PATHS: [&str; 4] = ["/a", "/a/b", "/b", "all"];
const INSTANCES: [&str; 3] = ["any", "all", "i1"];
const REASONS: [Option<&str>; 5] = [None, Some(""), Some(" "), Some("INC-1"), Some("because")];
const TIMES: [i64; 4] = [0, 1_600_000_000, 1_700_000_000, 250_000_000_000];
const ADDRESSES: [[u8; 4]; 2] = [[10, 0, 0, 1], [192, 168, 0, 1]];
const ACTORS: [Option<&str>; 3] = [None, Some("ui"), Some("cron")];

fn context() -> impl Strategy<Value = Owned> {
    (
        select(&METHODS[..]),
        select(&PATHS[..]),
        select(&INSTANCES[..]),
        select(&REASONS[..]),
        any::<bool>(),
        select(&TIMES[..]),
        select(&ADDRESSES[..]),
        select(&ACTORS[..]),
    )
        .prop_map(|(method, path, instance, reason, approved, time, client_ip, on_behalf)| Owned {
            method,
            path,
            instance,
            reason,
            approved,
            time,
            client_ip,
            on_behalf,
        })
}

/// All contexts that differ from `base` in one attribute.
fn neighbours(base: &Owned) -> Vec<Owned> {
    let mut all = vec![Owned { approved: !base.approved, ..base.clone() }];
    all.extend(METHODS.map(|method| Owned { method, ..base.clone() }));
    all.extend(PATHS.map(|path| Owned { path, ..base.clone() }));
    all.extend(INSTANCES.map(|instance| Owned { instance, ..base.clone() }));
    all.extend(REASONS.map(|reason| Owned { reason, ..base.clone() }));
    all.extend(TIMES.map(|time| Owned { time, ..base.clone() }));
    all.extend(ADDRESSES.map(|client_ip| Owned { client_ip, ..base.clone() }));
    all.extend(ACTORS.map(|on_behalf| Owned { on_behalf, ..base.clone() }));
    all
}

/// The reference: Cedar itself over all policies, all context, all entities.
fn decide_in_full(
    set: &PolicySet,
    subject: &Subject,
    region: &str,
    service: &str,
    context: &RequestContext<'_>,
) -> (bool, Vec<Arc<str>>) {
    let mut policies = cedar_policy::PolicySet::new();
    for rule in &set.rules {
        policies.add(rule.policy.clone()).unwrap();
    }
    let uid = entity_uid(&VOCABULARY.service, &format!("{region}/{service}"));
    let parents = [entity_uid(&VOCABULARY.region, region), entity_uid(&VOCABULARY.service_name, service)];
    let world = parents.iter().map(|parent| Entity::new_no_attrs(parent.clone(), Default::default()));
    let world: Vec<_> = world.chain([Entity::new_no_attrs(uid.clone(), parents.clone().into())]).collect();
    let entities: Entities = subject.entities.clone().add_entities(world, Some(&VOCABULARY.schema)).unwrap();
    let context = context.to_cedar(ContextUse::EVERYTHING).unwrap();
    let action = entity_uid(&VOCABULARY.action, "request");
    // Also proves that what we build fits the schema.
    let request = Request::new(subject.uid.clone(), action, uid, context, Some(&VOCABULARY.schema)).unwrap();
    let response = Authorizer::new().is_authorized(&request, &policies, &entities);
    let allowed = response.decision() == cedar_policy::Decision::Allow;
    let failed = response.diagnostics().errors().next().is_some();
    let decided =
        set.rules.iter().filter(|rule| response.diagnostics().reason().any(|id| id == rule.policy.id()));
    (allowed && !failed, if failed { Vec::new() } else { decided.map(|rule| rule.name.clone()).collect() })
}

fn load(policies: &[String]) -> PolicySet {
    PolicySet::from_texts(&[("p.cedar", &policies.concat())]).unwrap()
}

fn decide(set: &PolicySet, subject: &Subject, place: (&str, &str), context: &Owned) -> Decision {
    set.decide_request(subject, place.0, place.1, &context.borrow())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn a_slice_decides_as_the_whole_set(
        policies in vec(policy(), 1..12),
        subject in subject(),
        requests in vec((select(&REGIONS[..]), select(&SERVICES[..]), context()), 1..6),
    ) {
        let set = load(&policies);
        for (region, service, context) in &requests {
            let decision = decide(&set, &subject, (region, service), context);
            let (permit, names) = decide_in_full(&set, &subject, region, service, &context.borrow());
            prop_assert_eq!(decision.permit, permit, "{:?}", decision);
            if decision.error.is_none() {
                prop_assert_eq!(&*decision.policies, &*names);
            }
        }
    }

    #[test]
    fn contexts_with_equal_keys_get_equal_decisions(
        policies in vec(policy(), 1..4),
        subject in subject(),
        region in select(&REGIONS[..]),
        service in select(&SERVICES[..]),
        base in context(),
    ) {
        let set = load(&policies);
        let uses = set.request_uses(region, service);
        let key = |context: &Owned| {
            let mut key = Vec::new();
            uses.write_key(&context.borrow(), &mut key);
            key
        };
        let in_full = |context: &Owned| decide_in_full(&set, &subject, region, service, &context.borrow());
        let decision = in_full(&base);
        for context in neighbours(&base).iter().filter(|context| key(context) == key(&base)) {
            prop_assert_eq!(in_full(context), decision.clone(), "{:?} {:?}", uses, context);
        }
    }

    #[test]
    fn whatever_is_permitted_is_listed(
        policies in vec(policy(), 1..6),
        subject in subject(),
        region in select(&REGIONS[..]),
        service in select(&SERVICES[..]),
        context in context(),
    ) {
        let set = load(&policies);
        if decide(&set, &subject, (region, service), &context).permit {
            prop_assert!(set.may_list_service(&subject, region, service));
        }
        if set.may_list_service(&subject, region, service) {
            prop_assert!(set.may_list_region(&subject, region));
        }
    }
}

#[test]
fn the_context_that_is_read_is_told_per_service() {
    let set = load(&[
        "permit (principal, action == Action::\"request\", resource == Service::\"eu/a\") when { context.method == \"GET\" && context has reason };".to_owned(),
        "permit (principal, action == Action::\"request\", resource in Region::\"us\") when { { c: context }.c.approved };".to_owned(),
    ]);
    let expected = ContextUse { method: true, reason: crate::Reads::Presence, ..ContextUse::NOTHING };
    assert_eq!(set.request_uses("eu", "a"), expected);
    assert_eq!(set.request_uses("eu", "b"), ContextUse::NOTHING);
    assert_eq!(set.request_uses("us", "a"), ContextUse::EVERYTHING, "the whole record may be read");
}

#[test]
fn a_thousand_policies_leave_a_small_slice() {
    let policy = |n| {
        format!(
            "permit (principal in Group::\"g{n}\", action == Action::\"request\", resource == Service::\"eu/s{n}\");\n"
        )
    };
    let set = load(&(0..1000).map(policy).collect::<Vec<_>>());
    let slice = set.slices.of_service(&set.rules, "eu", "s7").unwrap();
    assert_eq!(slice.rules, [7]);
    assert!(
        set.decide_request(
            &Subject::user("x", &["g7".to_owned()]),
            "eu",
            "s7",
            &RequestContext {
                method: "GET",
                path: "/",
                instance: "any",
                reason: None,
                approved: false,
                time: 0,
                client_ip: [127, 0, 0, 1].into(),
                on_behalf: None,
            }
        )
        .permit
    );
}
