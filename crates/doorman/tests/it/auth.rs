//! `doorman auth` as a process of its own: `api` asks it, and goes on for a stated time while it is gone.

use crate::world::{DEADLINE, World, code_of, get, post};
use doorman_core::token::sign_control;
use doorman_testkit::raw::RawClient;
use serde_json::{Value, json};

const ASK: &str = "/authority/v1/ask";

async fn readiness(world: &World) -> Value {
    serde_json::from_slice(&world.send(get("/readyz")).await.body).unwrap()
}

fn login_of(user: &str) -> crate::world::Request {
    let body = json!({ "username": user, "password": format!("{user}-demo") }).to_string();
    post("/auth/v1/login", body).header("content-type", "application/json")
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_works_through_a_separate_auth_over_tls() {
    let world = World::plan().tls().apis(2).auth_apart("", "").start().await;
    let alice = world.login("alice").await;
    for number in 0..2 {
        let answer = world.send_to(number, get("/r/eu/echo/hello").bearer(&alice)).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let answer = world.send_to(number, get("/r/eu/echo/hello").as_user("bob")).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    // A service account, a personal token, delegation.
    let secret = world.service_account("reports-ui").await;
    let delegated = get("/r/eu/echo/x")
        .basic("reports-ui", &secret)
        .header("doorman-on-behalf-of", "alice")
        .header("doorman-user-token", &alice);
    let answer = world.send(delegated).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let taken = json!({ "name": "alice", "description": "", "owner": "user:erin" }).to_string();
    let erin = world.login("erin").await;
    let make = post("/auth/v1/service-accounts", taken).header("content-type", "application/json");
    let answer = world.send(make.bearer(&erin)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (409, "conflict"), "{answer:?}");
    // The keys of tokens are auth's, those of assertions api's; both are told in one place.
    let jwks: Value = serde_json::from_slice(&world.send(get("/.well-known/jwks.json")).await.body).unwrap();
    let uses: Vec<_> =
        jwks["keys"].as_array().unwrap().iter().map(|key| key["doorman_use"].clone()).collect();
    assert!(uses.contains(&json!("token")) && uses.contains(&json!("identity")), "{uses:?}");
    assert_eq!(readiness(&world).await["auth"]["available"], true);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_auth_is_gone_known_tokens_go_on_and_nothing_else_does_and_revocation_stays_exact() {
    let world = World::plan().apis(2).auth_apart("group_refresh = \"1s\"", "").start().await;
    let (alice, bob, unseen) =
        (world.login("alice").await, world.login("bob").await, world.login("dave").await);
    for token in [&alice, &bob] {
        assert_eq!(world.send(get("/r/eu/echo/a").bearer(token)).await.status(), 200);
    }
    world.auth().kill();
    // Beyond what auth confirmed, which was for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(world.send(get("/r/eu/echo/a").bearer(&alice)).await.status(), 200);
    let answer = world.send(login_of("erin")).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (503, "directory_unavailable"), "{answer:?}");
    // Nobody has shown this token here before.
    let answer = world.send(get("/r/eu/target/a").bearer(&unseen)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (503, "directory_unavailable"), "{answer:?}");
    let ready = readiness(&world).await;
    assert_eq!((&ready["status"], &ready["auth"]["available"]), (&json!("degraded"), &json!(false)));
    assert!(
        ready["auth"]["down_since"].is_string() && ready["auth"]["sessions_until"].is_string(),
        "{ready}"
    );
    // Ending a session needs no auth, and holds on every replica.
    let answer = world.send(post("/auth/v1/logout", "").bearer(&bob)).await;
    assert_eq!(answer.status(), 204, "{answer:?}");
    let answer = world.send(get("/r/eu/echo/a").bearer(&bob)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (401, "token_revoked"), "{answer:?}");
    let answer = world.send_to(1, get("/r/eu/echo/a").bearer(&bob)).await;
    assert!(answer.status() == 401 || answer.status() == 503, "{answer:?}");

    world.auth().start();
    let answer = world.send(login_of("erin")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    assert_eq!(world.send(get("/r/eu/target/a").bearer(&unseen)).await.status(), 200);
    let answer = world.send(get("/r/eu/echo/a").bearer(&bob)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (401, "token_revoked"), "{answer:?}");
    assert_eq!(readiness(&world).await["auth"]["available"], true);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_stated_time_without_auth_nobody_is_let_in() {
    let world = World::plan().auth_apart("group_refresh = \"1s\"", "outage_grace = \"2s\"").start().await;
    let alice = world.login("alice").await;
    let send = || world.send(get("/r/eu/echo/a").bearer(&alice));
    assert_eq!(send().await.status(), 200);
    world.auth().kill();
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = send().await;
        if answer.status() == 503 {
            assert_eq!(code_of(&answer), "directory_unavailable");
            break;
        }
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert!(tokio::time::Instant::now() < end, "it goes on for ever");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    world.auth().start();
    assert_eq!(send().await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_answers_nobody_but_api() {
    let world = World::plan().auth_apart("", "").start().await;
    let now_ms = doorman_auth::Clock::system().now_ms();
    let control = world.signing_key(doorman_core::keys::KeyUse::Control);
    let identity = world.signing_key(doorman_core::keys::KeyUse::Identity);
    let signed = |key, audience, at_ms| sign_control(key, "doorman-api", audience, [7; 16], at_ms);
    let question = json!({ "basic": {
        "name": "alice", "password": "alice-demo", "client_ip": "127.0.0.1",
    }})
    .to_string();
    let ask = async |token: Option<String>, body: &str| {
        let mut request = post(ASK, body).header("content-type", "application/json");
        if let Some(token) = &token {
            request = request.bearer(token);
        }
        let mut client = RawClient::connect(world.auth().address()).await.unwrap();
        client.send(&request.to_bytes()).await.unwrap();
        client.read_answer(DEADLINE).await
    };
    let alice = world.login("alice").await;
    for (what, token) in [
        ("nothing", None),
        ("a user's token", Some(alice)),
        ("a proxy's poll", Some(signed(&control, "proxy:eu", now_ms))),
        ("another key", Some(signed(&identity, "auth", now_ms))),
        ("an old token", Some(signed(&control, "auth", now_ms - 60_000))),
    ] {
        let answer = ask(token, &question).await;
        assert_eq!(
            (answer.status(), code_of(&answer).as_str()),
            (401, "unauthenticated"),
            "{what}: {answer:?}"
        );
    }
    let good = || Some(signed(&control, "auth", now_ms));
    let answer = ask(good(), &question).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let reply: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(reply["proven"]["facts"]["principal"], "user:alice");
    for bad in ["", "{}", "{\"basic\":{}}", "[]", "\u{feff}null"] {
        assert_eq!(ask(good(), bad).await.status(), 400, "{bad:?}");
    }
}
