//! A service acts for a user only with both credentials, each good, and a policy that lets it.

use crate::world::{Entry, Request, World, code_of, get, in_days, post};
use serde_json::{Value, json};

/// A world with the demo's `reports-ui`, which may act for developers and operators, and `other-ui`, which may not.
struct Delegating {
    world: World,
    reports: String,
    other: String,
}

impl Delegating {
    async fn start() -> Self {
        let world = World::plan().api_toml("[auth]\ngroup_refresh = \"1s\"\n").start().await;
        let reports = world.service_account("reports-ui").await;
        let other = world.service_account("other-ui").await;
        Self { world, reports, other }
    }

    fn by_reports(&self) -> Request {
        get("/r/eu/target/public/a").basic("reports-ui", &self.reports)
    }

    async fn assert_refused(&self, what: &str, request: Request) {
        let answer = self.world.assert_rejected(request).await;
        let told = (answer.status(), code_of(&answer));
        assert_eq!(told, (403, "delegation_refused".to_owned()), "{what}: {answer:?}");
        let entry = self.world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
        assert_eq!(entry.text("decision"), "deny", "{what}: {entry:?}");
        // It names whose credential it was, and who was claimed; nobody is its subject.
        assert!(entry.text("actor").contains(':'), "{what}: {entry:?}");
        assert!(entry.record["detail"]["claimed"].is_string(), "{what}: {entry:?}");
        assert_eq!(entry.text("subject"), "", "{what}: {entry:?}");
    }
}

fn for_user(request: Request, name: &str, token: &str) -> Request {
    request.header("Doorman-On-Behalf-Of", name).header("Doorman-User-Token", token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delegated_request_has_the_users_rights_and_names_both() {
    let Delegating { world, reports, .. } = &Delegating::start().await;
    let alice = world.login("alice").await;
    let by = |target: &str| for_user(get(target).basic("reports-ui", reports), "alice", &alice);
    let answer = world.send(by("/r/eu/target/public/a")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let attempt: Entry = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!((attempt.text("actor"), attempt.text("subject")), ("service:reports-ui", "user:alice"));
    let hit = world.recorder().requests().remove(0);
    let text = String::from_utf8_lossy(&hit.bytes);
    assert!(!text.contains(&alice) && !text.to_lowercase().contains("doorman-on-behalf-of"), "{text}");
    let claims = hit.head.field("doorman-identity").unwrap().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&decode(&claims)).unwrap();
    assert_eq!(
        (claims["sub"].as_str(), claims["act"]["sub"].as_str()),
        (Some("user:alice"), Some("service:reports-ui"))
    );
    assert_eq!(claims["aud"], "eu/target");
    // The user may not: neither may the service for them.
    let answer = world.assert_rejected_more(1, by("/r/eu/target/admin")).await;
    assert_eq!(code_of(&answer), "forbidden");
    let denied = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!((denied.text("actor"), denied.text("subject")), ("service:reports-ui", "user:alice"));
    // The service on its own may nothing.
    let own = get("/r/eu/target/public/a").basic("reports-ui", reports);
    assert_eq!(code_of(&world.assert_rejected_more(1, own).await), "forbidden");
    // With the service's own token it is the same.
    world.assert_every_hit_was_written_down().await;
}

fn decode(part: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_act_for_somebody_does_not() {
    let rig = Delegating::start().await;
    let world = &rig.world;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let (erin, mallory, dave) =
        (world.login("erin").await, world.login("mallory").await, world.login("dave").await);
    let plain = || get("/r/eu/target/public/a");
    let cases = [
        ("a user for another", for_user(plain().as_user("bob"), "alice", &alice)),
        ("a user by token for another", for_user(plain().bearer(&bob), "alice", &alice)),
        ("a user for themselves", for_user(plain().bearer(&alice), "alice", &alice)),
        ("an operator for a developer", for_user(plain().bearer(&dave), "alice", &alice)),
        ("the name of another", for_user(rig.by_reports(), "alice", &bob)),
        ("the name of a service", for_user(rig.by_reports(), "other-ui", &alice)),
        ("the name in another case", for_user(rig.by_reports(), "ALICE", &bob)),
        ("a name with its kind", for_user(rig.by_reports(), "user:alice", &alice)),
        ("an admin", for_user(rig.by_reports(), "erin", &erin)),
        ("a user without groups", for_user(rig.by_reports(), "mallory", &mallory)),
        ("another service", for_user(plain().basic("other-ui", &rig.other), "alice", &alice)),
        ("no token", for_user(rig.by_reports(), "alice", "nonsense")),
        ("a password for a token", for_user(rig.by_reports(), "alice", "alice-demo")),
        ("the name alone", rig.by_reports().header("Doorman-On-Behalf-Of", "alice")),
        ("the token alone", rig.by_reports().header("Doorman-User-Token", &alice)),
        ("an empty name", for_user(rig.by_reports(), "", &alice)),
        ("an empty token", for_user(rig.by_reports(), "alice", "")),
        ("two names", for_user(rig.by_reports(), "alice", &alice).header("Doorman-On-Behalf-Of", "alice")),
        ("two tokens", for_user(rig.by_reports(), "alice", &alice).header("Doorman-User-Token", &alice)),
        ("joined names", for_user(rig.by_reports(), "alice, alice", &alice)),
        ("joined tokens", for_user(rig.by_reports(), "alice", &format!("{alice}, {bob}"))),
        (
            "a name twice in other spelling",
            for_user(rig.by_reports(), "alice", &alice).header("DOORMAN-ON-BEHALF-OF", "bob"),
        ),
    ];
    let refused = cases.len();
    for (what, request) in cases {
        rig.assert_refused(what, request).await;
    }
    // Each is counted, for whoever watches.
    let figures = world.send(get("/metrics")).await.text();
    let told = figures.lines().find_map(|line| line.strip_prefix("doorman_delegations_refused_total "));
    assert_eq!(told.and_then(|count| count.parse().ok()), Some(refused), "{figures}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_login_that_still_lives_can_be_acted_for() {
    let rig = Delegating::start().await;
    let world = &rig.world;
    let alice = world.login("alice").await;
    let body = json!({ "name": "mine", "expires_at": in_days(7) }).to_string();
    let made = world
        .send(post("/auth/v1/tokens", body).header("content-type", "application/json").bearer(&alice))
        .await;
    assert_eq!(made.status(), 201, "{made:?}");
    let personal: Value = serde_json::from_slice(&made.body).unwrap();
    rig.assert_refused(
        "a personal token",
        for_user(rig.by_reports(), "alice", personal["token"].as_str().unwrap()),
    )
    .await;
    assert_eq!(world.send(for_user(rig.by_reports(), "alice", &alice)).await.status(), 200);
    world.recorder().clear();
    assert_eq!(world.send(post("/auth/v1/logout", "").bearer(&alice)).await.status(), 204);
    rig.assert_refused("a session that ended", for_user(rig.by_reports(), "alice", &alice)).await;
    // Disabled in the directory, and known within the bound.
    let bob = world.login("bob").await;
    assert_eq!(world.send(for_user(rig.by_reports(), "bob", &bob)).await.status(), 200);
    let path = world.path().join("directory.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("name = \"bob\"", "name = \"bob\"\ndisabled = true")).unwrap();
    let deadline = tokio::time::Instant::now() + crate::world::DEADLINE;
    while world.send(for_user(rig.by_reports(), "bob", &bob)).await.status() == 200 {
        assert!(tokio::time::Instant::now() < deadline, "bob still may");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let answer = world.send(get("/r/eu/target/public/a").bearer(&bob)).await;
    assert_eq!(answer.status(), 401, "{answer:?}");
    world.recorder().clear();
    rig.assert_refused("a disabled user", for_user(rig.by_reports(), "bob", &bob)).await;
}
