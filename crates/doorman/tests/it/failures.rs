//! What breaks suddenly: killed processes, databases killed, frozen or slow, the directory gone.

use crate::world::{DEADLINE, Load, World, code_of, get, post};
use doorman_testkit::daemon::Daemon;
use doorman_testkit::ldap::Fault;
use doorman_testkit::{mariadb, postgres};
use serde_json::json;
use std::time::Duration;
use tokio::task::block_in_place;

const CLIENTS: usize = 16;
/// The sweeper takes a writer for dead soon.
const SHORT_LEASE: &str = "[journal]\nlease = \"2s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_no_attempt_and_send_nothing_twice() {
    let world = World::plan().api_toml(SHORT_LEASE).start().await;
    let load = Load::start(CLIENTS, world.api(0).address(), &world.login("dave").await);
    for _ in 0..2 {
        load.answered(100).await;
        world.api(0).kill();
        world.start_api(0).await;
        load.answered(100).await;
        world.proxy("eu", 0).kill();
        world.proxy("eu", 0).start();
    }
    load.answered(100).await;
    let all = load.stop().await;
    world.assert_clients_were_told_the_truth(&all);
    world.assert_every_hit_was_written_down().await;
    let ends = world.assert_every_attempt_ends().await;
    for sent in all.iter().filter(|sent| sent.status == 200) {
        // The outcome of what was answered may have died with the process; the attempt may not.
        assert!(ends.contains_key(&sent.audit_id), "{sent:?}");
    }
}

/// Nothing is sent while the journal's database is away, and afterwards all goes on by itself.
async fn nothing_is_sent_without_a_journal(world: &World, server: &Daemon, restart: impl Fn()) {
    let token = world.login("dave").await;
    let load = Load::start(CLIENTS, world.api(0).address(), &token);
    for away in ["killed", "frozen", "frozen again"] {
        load.answered(50).await;
        block_in_place(|| if away == "killed" { server.kill() } else { server.pause() });
        for number in 0..3 {
            let target = format!("/r/eu/target/{}/{number}", away.replace(' ', "-"));
            let answer = world.send(post(&target, "x").bearer(&token)).await;
            assert_eq!(
                (answer.status(), code_of(&answer).as_str()),
                (503, "audit_unavailable"),
                "{answer:?}"
            );
            assert!(!world.hits().keys().any(|hit| target.ends_with(hit)), "{target} was sent");
        }
        block_in_place(|| if away == "killed" { restart() } else { server.resume() });
    }
    load.answered(50).await;
    let all = load.stop().await;
    for sent in &all {
        let known = [(200, ""), (503, "audit_unavailable")];
        assert!(known.contains(&(sent.status, sent.code.as_str())), "{sent:?}");
    }
    world.assert_clients_were_told_the_truth(&all);
    world.assert_every_hit_was_written_down().await;
    assert_only_hits_are_done(world).await;
}

/// Attempts that were committed and not sent say so.
async fn assert_only_hits_are_done(world: &World) {
    let ends = world.assert_every_attempt_ends().await;
    let hits: Vec<_> = world.hits().into_values().collect();
    let hits: std::collections::HashSet<_> =
        hits.iter().filter_map(|hit| hit.head.field("x-request-id")).collect();
    for (attempt, states) in ends {
        let is_done = states.contains("done");
        assert_eq!(is_done, hits.contains(attempt.as_str()), "{attempt}: {states:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_mariadb_is_killed_or_frozen() {
    let server = mariadb::Server::start().unwrap();
    let url = server.database().unwrap();
    let world = World::plan().database(&url).api_toml(SHORT_LEASE).start().await;
    nothing_is_sent_without_a_journal(&world, server.daemon(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_while_postgres_is_killed_or_frozen() {
    let server = postgres::Server::start().unwrap();
    let url = server.database().unwrap();
    let world = World::plan().database(&url).api_toml(SHORT_LEASE).start().await;
    nothing_is_sent_without_a_journal(&world, server.daemon(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_comes_too_late_is_abandoned_and_never_sent() {
    let server = postgres::shared().unwrap();
    let url = server.database().unwrap();
    let world = World::plan().database(&url).start().await;
    let token = world.login("dave").await;
    let mut holder = <sqlx::PgConnection as sqlx::Connection>::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE statement IN EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
    let load = Load::start(4, world.api(0).address(), &token);
    let answer = world.send(post("/r/eu/target/late", "x").bearer(&token)).await;
    assert_eq!((answer.status(), code_of(&answer).as_str()), (503, "audit_unavailable"), "{answer:?}");
    assert!(world.recorder().is_untouched());
    sqlx::raw_sql("COMMIT").execute(&mut holder).await.unwrap();
    load.answered(20).await;
    world.assert_clients_were_told_the_truth(&load.stop().await);
    let ends = world.assert_every_attempt_ends().await;
    assert!(ends.values().any(|states| states.contains("abandoned")), "{ends:?}");
    assert_only_hits_are_done(&world).await;
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_tokens_go_on_while_the_directory_is_down() {
    let world = World::start().await;
    let token = world.login("dave").await;
    let login = || {
        let body = json!({ "username": "alice", "password": "alice-demo" }).to_string();
        world.send(post("/auth/v1/login", body).header("content-type", "application/json"))
    };
    world.ldap.faults().on_binds(Some(Fault::Close));
    world.ldap.faults().on_searches(Some(Fault::Close));
    let load = Load::start(4, world.api(0).address(), &token);
    for _ in 0..2 {
        let answer = login().await;
        assert_eq!(code_of(&answer), "directory_unavailable", "{answer:?}");
        assert_eq!(answer.status(), 503, "{answer:?}");
    }
    let basic = world.send(get("/r/eu/target/public/a").as_user("bob")).await;
    assert_eq!((basic.status(), code_of(&basic).as_str()), (503, "directory_unavailable"), "{basic:?}");
    load.answered(50).await;
    world.ldap.faults().on_binds(None);
    world.ldap.faults().on_searches(None);
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let answer = login().await;
        if answer.status() == 200 {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the directory is not asked again: {answer:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    load.stop_unharmed().await;
    world.assert_every_hit_was_written_down().await;
}
