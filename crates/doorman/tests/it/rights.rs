//! Rights that are lost while something of theirs is still open: it is cut within the bound, on every replica.

use crate::shell::Shell;
use crate::world::{DEADLINE, Entry, Plan, Request, World, code_of, get, post, request};
use doorman_testkit::ldap::Fault;
use doorman_testkit::message::Head;
use doorman_testkit::raw::RawClient;
use serde_json::{Value, json};

/// Events without end.
const EVENTS: &str = "/r/eu/echo/events?interval_ms=50";

/// A stream that a client reads.
struct Stream {
    client: RawClient,
    attempt: String,
}

impl Stream {
    async fn open(world: &World, api: usize, request: Request) -> Self {
        let mut client = world.connect_to(api).await.unwrap();
        client.send(&request.to_bytes()).await.unwrap();
        let mut first = Vec::new();
        let head = loop {
            let some = client.read_some(DEADLINE).await;
            assert!(!some.is_empty(), "{}", String::from_utf8_lossy(&first));
            first.extend(some);
            if let Some((head, _)) = Head::parse(&first) {
                break head;
            }
        };
        assert!(head.line.contains("200"), "{}", String::from_utf8_lossy(&first));
        Self { client, attempt: head.field("doorman-audit-id").unwrap().to_owned() }
    }

    /// It ends, and the log says that Doorman ended it.
    async fn assert_cut(mut self, world: &World) {
        assert!(self.client.read_rest(DEADLINE).await.1, "the stream goes on");
        let outcome: Entry = world.outcome(&self.attempt).await;
        assert_eq!(outcome.text("error"), "session_ended", "{outcome:?}");
    }

    /// It goes on for longer than anything is remembered.
    async fn assert_goes_on(&mut self) {
        let end = tokio::time::Instant::now() + std::time::Duration::from_secs(4);
        while tokio::time::Instant::now() < end {
            assert!(!self.client.read_some(DEADLINE).await.is_empty(), "the stream was cut");
        }
    }
}

/// Everything is asked anew after a second.
async fn world(change: impl FnOnce(Plan) -> Plan) -> World {
    change(World::plan().api_toml("[auth]\ngroup_refresh = \"1s\"\n")).start().await
}

fn edit_directory(world: &World, from: &str, to: &str) {
    let path = world.path().join("directory.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

fn disable(world: &World, user: &str) {
    edit_directory(world, &format!("name = \"{user}\""), &format!("name = \"{user}\"\ndisabled = true"));
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_with_their_session_also_when_another_replica_ended_it() {
    let world = world(|plan| plan.apis(2)).await;
    let (alice, erin) = (world.login("alice").await, world.login("erin").await);
    let own = Stream::open(&world, 0, get(EVENTS).bearer(&alice)).await;
    let secret = world.service_account("reports-ui").await;
    let delegated = get(EVENTS)
        .basic("reports-ui", &secret)
        .header("doorman-on-behalf-of", "alice")
        .header("doorman-user-token", &alice);
    let delegated = Stream::open(&world, 0, delegated).await;
    let bob = world.login("bob").await;
    let mut others = Stream::open(&world, 0, get(EVENTS).bearer(&bob)).await;
    // An administrator ends them, at the other replica.
    let end = request("DELETE", "/auth/v1/sessions?principal=user:alice").bearer(&erin);
    assert_eq!(world.send_to(1, end).await.status(), 204);
    own.assert_cut(&world).await;
    delegated.assert_cut(&world).await;
    others.assert_goes_on().await;
    // A service account that is disabled takes its streams along.
    let by_service = get(EVENTS)
        .basic("reports-ui", &secret)
        .header("doorman-on-behalf-of", "bob")
        .header("doorman-user-token", &bob);
    let by_service = Stream::open(&world, 0, by_service).await;
    let patch = request("PATCH", "/auth/v1/service-accounts/reports-ui").body(r#"{"disabled":true}"#);
    let patch = patch.header("content-type", "application/json").bearer(&erin);
    assert_eq!(world.send_to(1, patch).await.status(), 200);
    by_service.assert_cut(&world).await;
    others.assert_goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_disabled_or_leaves_the_group_loses_what_is_open() {
    let world = world(|plan| plan).await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let mut alices = Stream::open(&world, 0, get(EVENTS).bearer(&alice)).await;
    let bobs = Stream::open(&world, 0, get(EVENTS).bearer(&bob)).await;
    // By a password sent along, which is remembered for a minute only.
    let by_password = Stream::open(&world, 0, get(EVENTS).as_user("bob")).await;
    alices.assert_goes_on().await;
    disable(&world, "bob");
    bobs.assert_cut(&world).await;
    by_password.assert_cut(&world).await;
    alices.assert_goes_on().await;
    edit_directory(&world, "groups = [\"developers\"]", "groups = []");
    alices.assert_cut(&world).await;
    let answer = world.send(get("/r/eu/echo/x").bearer(&alice)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (403, "forbidden"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_policy_ends_what_it_does_not_permit() {
    let extra = "permit (principal in Group::\"operators\", action == Action::\"request\", resource in ServiceName::\"echo\");";
    let world = world(|plan| plan.policy("extra.cedar", extra)).await;
    let (alice, dave) = (world.login("alice").await, world.login("dave").await);
    let mut stays = Stream::open(&world, 0, get(EVENTS).bearer(&alice)).await;
    let goes = Stream::open(&world, 0, get(EVENTS).bearer(&dave)).await;
    std::fs::write(world.path().join("policies/extra.cedar"), "// nobody any more\n").unwrap();
    goes.assert_cut(&world).await;
    stays.assert_goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_separate_auth_streams_go_on_while_it_is_down_and_end_with_its_word() {
    let world = World::plan().auth_apart("group_refresh = \"1s\"", "outage_grace = \"5s\"").start().await;
    let (alice, bob) = (world.login("alice").await, world.login("bob").await);
    let mut alices = Stream::open(&world, 0, get(EVENTS).bearer(&alice)).await;
    let bobs = Stream::open(&world, 0, get(EVENTS).bearer(&bob)).await;
    alices.assert_goes_on().await;
    disable(&world, "bob");
    bobs.assert_cut(&world).await;
    assert_eq!(world.send(get("/r/eu/echo/x").bearer(&alice)).await.status(), 200);
    world.auth().kill();
    let answer = world.send(get("/r/eu/echo/x").bearer(&alice)).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    // For the stated time, and no longer.
    alices.assert_cut(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_directory_down_known_sessions_go_on_for_the_stated_time_and_readyz_says_so() {
    let plan = World::plan().api_toml("[auth]\ngroup_refresh = \"1s\"\ndirectory_grace = \"6s\"\n");
    let world = plan.start().await;
    let alice = world.login("alice").await;
    let stream = Stream::open(&world, 0, get(EVENTS).bearer(&alice)).await;
    world.ldap.faults().on_binds(Some(Fault::Close));
    world.ldap.faults().on_searches(Some(Fault::Close));
    let body = json!({ "username": "bob", "password": "bob-demo" }).to_string();
    let login = || post("/auth/v1/login", body.clone()).header("content-type", "application/json");
    let answer = world.send(login()).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (503, "directory_unavailable"), "{answer:?}");
    // It is noticed with the first question about somebody, or by itself within seconds.
    let end = tokio::time::Instant::now() + DEADLINE;
    let ready = loop {
        assert_eq!(world.send(get("/r/eu/echo/x").bearer(&alice)).await.status(), 200);
        let ready: Value = serde_json::from_slice(&world.send(get("/readyz")).await.body).unwrap();
        if ready["directory"]["available"] == false {
            break ready;
        }
        assert!(tokio::time::Instant::now() < end, "{ready}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    assert_eq!(ready["status"], "degraded");
    let [since, until] = ["down_since", "sessions_until"]
        .map(|field| doorman_core::time::parse_rfc3339(ready["directory"][field].as_str().unwrap()).unwrap());
    assert_eq!(until - since, 6_000, "{ready}");
    assert_eq!(world.send(get("/r/eu/echo/x").bearer(&alice)).await.status(), 200);
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = world.send(get("/r/eu/echo/x").bearer(&alice)).await;
        if answer.status() == 503 {
            assert_eq!(code_of(&answer), "directory_unavailable");
            break;
        }
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert!(tokio::time::Instant::now() < end, "it goes on for ever");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    stream.assert_cut(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_tells_what_changed_policies_would_decide_otherwise() {
    let world = World::start().await;
    let dave = world.login("dave").await;
    let alice = world.login("alice").await;
    for _ in 0..3 {
        assert_eq!(world.send(post("/r/eu/target/public/a", "x").bearer(&dave)).await.status(), 200);
    }
    assert_eq!(world.send(post("/r/eu/target/public/a", "x").bearer(&alice)).await.status(), 403);
    assert_eq!(world.send(get("/r/eu/target/public/a").bearer(&alice)).await.status(), 200);

    let shell = Shell::new();
    let changed = shell.path().join("changed");
    std::fs::create_dir(&changed).unwrap();
    for file in std::fs::read_dir(world.path().join("policies")).unwrap() {
        let file = file.unwrap().path();
        std::fs::copy(&file, changed.join(file.file_name().unwrap())).unwrap();
    }
    let replay = ["policy", "replay", "--policies", "changed", "--database", world.database_url()];
    let same = shell.run(&replay).ok();
    assert!(same.contains("5 requests were judged anew"), "{same}");

    let text = r#"@id("frozen") forbid (principal, action == Action::"request", resource in ServiceName::"target")
        when { context.method == "POST" && principal == User::"dave" };
        @id("open") permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"target");"#;
    std::fs::write(changed.join("more.cedar"), text).unwrap();
    let ended = shell.run(&[&replay[..], &["--json"]].concat());
    assert_eq!(ended.code, 1, "{ended:?}");
    let told: Value = serde_json::from_str(&ended.stdout).unwrap();
    let differences = told["differences"].as_array().unwrap();
    let found: Vec<_> = differences
        .iter()
        .map(|one| {
            let text = |name: &str| one[name].as_str().unwrap().to_owned();
            (
                text("subject"),
                text("was"),
                text("would_be"),
                one["policies"][0].as_str(),
                one["count"].as_u64(),
            )
        })
        .collect();
    let was = |subject: &str, was: &str, would_be: &str, policy, count| {
        (subject.to_owned(), was.to_owned(), would_be.to_owned(), Some(policy), Some(count))
    };
    assert_eq!(
        found,
        [was("user:alice", "deny", "permit", "open", 1), was("user:dave", "permit", "deny", "frozen", 3)]
    );
    // A database that is not there is no log without differences.
    let database = format!("{}-none", world.database_url());
    shell.run(&["policy", "replay", "--policies", "changed", "--database", &database]).failed(2);
}
