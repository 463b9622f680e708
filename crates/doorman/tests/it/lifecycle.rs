//! What operators do on an ordinary day: rotate keys, change policies, restart, drain, revoke. Nobody notices.

use crate::world::{DEADLINE, Load, World, code_of, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorman_testkit::daemon::output;
use serde_json::Value;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::block_in_place;

/// Looks again and again until it is so.
async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !is_so().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came that {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn doorman(args: &[&str]) -> String {
    block_in_place(|| output(Command::new(env!("CARGO_BIN_EXE_doorman")).args(args))).unwrap()
}

fn kid_of(token: &str) -> String {
    let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let head: Value = serde_json::from_slice(&head).unwrap();
    head["kid"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_all_keys_are_rotated() {
    let world = World::plan().proxies(2).start().await;
    let token = world.login("dave").await;
    let load = Load::start(8, world.api(0).address(), &token);
    load.answered(20).await;
    let config = world.path().join("config/api-0.toml").display().to_string();
    for _ in 0..2 {
        let said = doorman(&["keys", "rotate", "--config", &config, "--activate-in", "3s", "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        let made = said["items"].as_array().unwrap().iter();
        let kid = |key_use: &str| {
            let made = made.clone().find(|key| key["use"] == key_use).unwrap();
            made["kid"].as_str().unwrap().to_owned()
        };
        eventually("tokens are signed with the new key", async || {
            kid_of(&world.login("dave").await) == kid("token")
        })
        .await;
        eventually("services are told with the new key", async || {
            let hits = world.recorder().requests();
            let told = hits.iter().rev().find_map(|hit| hit.head.field("doorman-identity"));
            told.is_some_and(|token| kid_of(token) == kid("identity"))
        })
        .await;
        load.answered(100).await;
    }
    load.stop_unharmed().await;
    world.assert_every_hit_was_written_down().await;
    world.assert_every_attempt_ends().await;
    world.api(0).stop();
    let keys = world.path().join("keys/public.json").display().to_string();
    doorman(&["audit", "verify", "--database", world.database_url(), "--keys", &keys]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_policies_change_and_a_bad_file_changes_nothing() {
    let world = World::start().await;
    let alice = world.login("alice").await;
    let load = Load::start(8, world.api(0).address(), &world.login("dave").await);
    let more = world.path().join("policies/more.cedar");
    let post_as_alice =
        async || world.send(post("/r/eu/target/public/changed", "x").bearer(&alice)).await.status();
    for permitted in [true, false, true] {
        let text = r#"@id("more") permit (principal in Group::"developers", action == Action::"request", resource in ServiceName::"target");"#;
        std::fs::write(&more, if permitted { text } else { "// nothing" }).unwrap();
        let wanted = if permitted { 200 } else { 403 };
        eventually("the file is in force", async || post_as_alice().await == wanted).await;
    }
    std::fs::write(&more, "permit (principal, action, resource) when { nonsense };").unwrap();
    eventually("the bad file is refused", async || {
        let ready: Value = serde_json::from_slice(&world.send(get("/readyz")).await.body).unwrap();
        ready["policy"]["refused"] == true
    })
    .await;
    assert_eq!(post_as_alice().await, 200);
    let denied = world.entries(|entry| entry.text("kind") == "policy" && entry.text("decision") == "deny");
    assert_eq!(denied.await.len(), 1);
    load.stop_unharmed().await;
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_the_only_proxy_restarts() {
    proxies_restart(&World::start().await, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_one_of_two_proxies_restarts() {
    proxies_restart(&World::plan().proxies(2).start().await, 2).await;
}

async fn proxies_restart(world: &World, count: usize) {
    let load = Load::start(8, world.api(0).address(), &world.login("dave").await);
    for number in 0..count {
        load.answered(50).await;
        world.proxy("eu", number).stop();
        world.proxy("eu", number).start();
        load.answered(50).await;
    }
    world.settle(0).await;
    load.stop_unharmed().await;
    world.assert_every_hit_was_written_down().await;
    world.assert_every_attempt_ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_one_of_two_replicas_drains() {
    let world = World::plan().apis(2).start().await;
    let token = world.login("dave").await;
    let replicas = [world.api(0).address(), world.api(1).address()];
    // What a balancer does: new connections go to replicas whose `/readyz` is 200.
    let ready = Arc::new(AtomicUsize::new(0b11));
    let balancer = tokio::spawn(watch_readiness(replicas, ready.clone()));
    let turn = AtomicUsize::new(0);
    let load = Load::following(
        8,
        move || {
            let turn = turn.fetch_add(1, Ordering::Relaxed) % 2;
            replicas[if ready.load(Ordering::Relaxed) & (1 << turn) == 0 { 1 - turn } else { turn }]
        },
        &token,
    );
    for number in [0, 1] {
        load.answered(50).await;
        world.api(number).stop();
        load.answered(50).await;
        world.start_api(number).await;
    }
    load.answered(50).await;
    balancer.abort();
    load.stop_unharmed().await;
    world.assert_every_hit_was_written_down().await;
    world.assert_every_attempt_ends().await;
}

async fn watch_readiness(replicas: [SocketAddr; 2], ready: Arc<AtomicUsize>) {
    let request = get("/readyz").to_bytes();
    loop {
        for (number, address) in replicas.into_iter().enumerate() {
            let answer = doorman_testkit::raw::RawClient::exchange(address, &request, DEADLINE).await;
            match answer.map(|answer| answer.status()) {
                Ok(200) => ready.fetch_or(1 << number, Ordering::Relaxed),
                _ => ready.fetch_and(!(1 << number), Ordering::Relaxed),
            };
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_load_loses_no_outcome() {
    let world = World::start().await;
    let token = world.login("dave").await;
    for _ in 0..2 {
        let load = Load::start(16, world.api(0).address(), &token);
        load.answered(100).await;
        world.api(0).stop();
        let all = load.stop().await;
        let ends = world.ends().await;
        for (attempt, states) in &ends {
            assert_eq!(states.len(), 1, "{attempt}: {states:?}\n{}", world.api(0).log());
        }
        for sent in all.iter().filter(|sent| sent.status == 200) {
            assert!(ends[&sent.audit_id].contains("done"), "{sent:?}");
        }
        world.assert_clients_were_told_the_truth(&all);
        world.assert_every_hit_was_written_down().await;
        world.start_api(0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_after_a_logout_on_another_replica() {
    let world = World::plan().apis(2).start().await;
    for turn in 0..3 {
        let token = world.login("dave").await;
        let loads = [0, 1].map(|api| Load::start(8, world.api(api).address(), &token));
        for load in &loads {
            load.answered(20).await;
        }
        let answer = world.send_to(turn % 2, post("/auth/v1/logout", "").bearer(&token)).await;
        assert_eq!(answer.status(), 204, "{answer:?}");
        // What came to a service by now may still be on its way there; what is asked from now on is not.
        for api in [0, 1] {
            let target = format!("/after/{turn}/{api}");
            let request = post(&format!("/r/eu/target{target}"), "x").bearer(&token);
            let answer = world.send_to(api, request).await;
            assert_eq!((answer.status(), code_of(&answer).as_str()), (401, "token_revoked"), "{answer:?}");
            assert!(!world.hits().contains_key(&target));
        }
        for load in loads {
            for sent in load.stop().await {
                assert!(matches!(sent.status, 200 | 401), "{sent:?}");
            }
        }
    }
    world.assert_every_hit_was_written_down().await;
}
