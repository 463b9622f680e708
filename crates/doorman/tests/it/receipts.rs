//! What proxies write down of the passes that they honour: it settles what a killed `api` left open, and convicts a
//! database that lost entries.

use crate::shell::{Ended, Shell};
use crate::world::{DEADLINE, Load, World, get, post};
use doorman_core::receipt::{Frame, Frames};
use doorman_testkit::recorder::Reply;
use serde_json::Value;
use sqlx::Connection as _;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

const SHORT_LEASE: &str = "[journal]\nlease = \"1s\"\n";

/// Audit ids of all receipts below a world's data directory, with how often each stands there.
fn receipts(data: &Path) -> HashMap<String, usize> {
    let mut found = HashMap::new();
    for proxy in std::fs::read_dir(data.join("proxies")).unwrap() {
        for file in std::fs::read_dir(proxy.unwrap().path().join("receipts")).unwrap() {
            let path = file.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "receipts") {
                let bytes = std::fs::read(path).unwrap();
                for frame in Frames::new(&bytes) {
                    if let Frame::Honoured(receipt) = frame {
                        *found.entry(receipt.audit_id.to_string()).or_default() += 1;
                    }
                }
            }
        }
    }
    found
}

fn reconcile(database: &str, world: &World, more: &[&str]) -> (i32, Value) {
    let keys = world.path().join("keys/history.json");
    let args = ["audit", "reconcile", "--json", "--database", database, "--keys", keys.to_str().unwrap()];
    let ended: Ended = Shell::new().run(&[&args, more].concat());
    (ended.code, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}")))
}

/// Waits for an outcome of this state.
async fn settled(world: &World, attempt: &str, state: &str) -> crate::world::Entry {
    // A pass must expire, its body be late and the sweeper come by, on a machine that is busy with other tests.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
    loop {
        let is_it = |entry: &crate::world::Entry| {
            entry.text("attempt") == attempt
                && entry.text("kind") == "outcome"
                && entry.text("state") == state
        };
        if let Some(entry) = world.entries(is_it).await.into_iter().next() {
            return entry;
        }
        if tokio::time::Instant::now() > deadline {
            let known = world.entries(|entry| entry.text("attempt") == attempt).await;
            panic!("{attempt} is not {state}: {known:#?}\n{}", world.api(0).log());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sends and does not wait: an answer may never come.
async fn send_only(world: &World, target: &str, token: &str) -> doorman_testkit::raw::RawClient {
    let mut client = world.connect_to(0).await.unwrap();
    client.send(&post(target, "x").bearer(token).to_bytes()).await.unwrap();
    client
}

async fn attempt_of(world: &World, path: &str) -> String {
    let deadline = tokio::time::Instant::now() + DEADLINE;
    loop {
        let found =
            world.entries(|entry| entry.text("kind") == "request" && entry.text("path") == path).await;
        if let Some(entry) = found.first() {
            return entry.text("id").to_owned();
        }
        assert!(tokio::time::Instant::now() < deadline, "no attempt of {path}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_api_left_open_is_settled_by_the_regions_receipts() {
    let world = World::plan().api_toml(SHORT_LEASE).relayed().start().await;
    let token = world.login("dave").await;
    // The service answers after `api` has died.
    let late = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate";
    world.recorder().next(Reply::raw("").pause(Duration::from_millis(1_500)).then(late));
    let _arrives = send_only(&world, "/r/eu/target/arrives", &token).await;
    let arrived = attempt_of(&world, "/arrives").await;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while world.recorder().is_untouched() {
        assert!(tokio::time::Instant::now() < deadline, "nothing was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // This one is lost on the wire.
    world.relay("eu", 0).freeze();
    let _lost = send_only(&world, "/r/eu/target/lost", &token).await;
    let lost = attempt_of(&world, "/lost").await;
    world.api(0).kill();
    world.relay("eu", 0).cut();
    world.relay("eu", 0).heal();
    world.start_api(0).await;

    settled(&world, &arrived, "unknown").await;
    settled(&world, &lost, "unknown").await;
    let done = settled(&world, &arrived, "done").await;
    assert_eq!((done.record["status"].as_u64(), done.text("instance")), (Some(200), "rec-1"), "{done:?}");
    assert_eq!(done.record["detail"]["settled_by"], "receipt", "{done:?}");
    let unsent = settled(&world, &lost, "unsent").await;
    assert_eq!(unsent.text("error"), "never_honoured", "{unsent:?}");
    assert!(!world.hits().contains_key("lost"));
    let carol = world.login("carol").await;
    let shown = world.send(get(&format!("/api/v1/audit/{arrived}")).bearer(&carol)).await;
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    assert_eq!(shown["outcome"]["state"], "done", "{shown}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_request_that_was_sent_has_one_receipt_however_its_proxy_ended() {
    let world = World::start().await;
    let load = Load::start(16, world.api(0).address(), &world.login("dave").await);
    for _ in 0..3 {
        load.answered(100).await;
        world.proxy("eu", 0).kill();
        world.proxy("eu", 0).start();
    }
    load.answered(100).await;
    load.stop().await;
    let receipts = receipts(world.path());
    let hits = world.hits();
    assert!(hits.len() >= 400, "{}", hits.len());
    for hit in hits.values() {
        let id = hit.head.field("x-request-id").unwrap();
        assert_eq!(receipts.get(id), Some(&1), "{id}");
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lost_a_batch_is_convicted_by_receipts() {
    let world = World::start().await;
    let token = world.login("dave").await;
    for number in 0..5 {
        let answer = world.send(post(&format!("/r/eu/target/{number}"), "x").bearer(&token)).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
    }
    let attempt = attempt_of(&world, "/4").await;
    world.outcome(&attempt).await;
    // Collected within a moment; `--receipts` does not wait for that.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let collected = loop {
        let (code, found) = reconcile(world.database_url(), &world, &[]);
        assert_eq!((code, &found["reconciled"]), (0, &Value::Bool(true)), "{found}");
        if found["receipts"] == 5 {
            break found;
        }
        assert!(tokio::time::Instant::now() < deadline, "{found}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(collected["proxies"].as_array().map(Vec::len), Some(1), "{collected}");
    world.api(0).stop();

    let copy = world.path().join("copy.db");
    let mut source = world.sqlite().await;
    sqlx::query(sqlx::AssertSqlSafe(format!("VACUUM INTO '{}'", copy.display())))
        .execute(&mut source)
        .await
        .unwrap();
    let copy = format!("sqlite:{}", copy.display());
    let mut tampered = sqlx::SqliteConnection::connect(&copy).await.unwrap();
    // All that the batch of the last attempt left behind: no chain of statements shows it, since it ends before.
    let cut = format!(
        "DROP TRIGGER journal_no_DELETE; DROP TRIGGER statement_no_DELETE; DROP TRIGGER statement_signature_no_DELETE;
         DELETE FROM statement_signature WHERE (writer, number) IN (SELECT writer, number FROM statement WHERE last_id >= x'{id}');
         DELETE FROM statement WHERE last_id >= x'{id}'; DELETE FROM journal WHERE id >= x'{id}';",
        id = attempt.replace('-', "")
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(cut)).execute(&mut tampered).await.unwrap();
    let (code, found) = reconcile(&copy, &world, &[]);
    assert_eq!((code, &found["missing_count"]), (1, &Value::from(1)), "{found}");
    let missing = &found["missing"][0];
    assert_eq!(
        (&missing["kind"], &missing["audit_id"]),
        (&"lost".into(), &attempt.as_str().into()),
        "{found}"
    );
    assert_eq!((&missing["method"], &missing["service"]), (&"POST".into(), &"target".into()), "{found}");

    // Nor does it help to take the receipts away too: the region has them.
    let gone = "DROP TRIGGER receipt_piece_no_DELETE; DELETE FROM receipt_piece";
    sqlx::raw_sql(gone).execute(&mut tampered).await.unwrap();
    tampered.close().await.unwrap();
    assert_eq!(reconcile(&copy, &world, &[]).0, 0);
    let of_region = world.path().join("proxies/eu-0/receipts");
    let (code, found) = reconcile(&copy, &world, &["--receipts", of_region.to_str().unwrap()]);
    assert_eq!((code, &found["missing"][0]["kind"]), (1, &"lost".into()), "{found}");
    let people = Shell::new().run(&[
        "audit",
        "reconcile",
        "--database",
        &copy,
        "--keys",
        world.path().join("keys/history.json").to_str().unwrap(),
        "--receipts",
        of_region.to_str().unwrap(),
    ]);
    assert_eq!(people.code, 1, "{people:?}");
    assert!(people.stdout.contains(&format!("entry {attempt} (POST eu/target by user:dave")), "{people:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_pass_is_an_entry_that_its_receipt_finds() {
    let world = World::start().await;
    let token = world.login("dave").await;
    assert_eq!(world.send(post("/r/eu/target/first", "x").bearer(&token)).await.status(), 200);
    // `api` does not know yet that its proxy is another process now.
    world.proxy("eu", 0).kill();
    world.proxy("eu", 0).start();
    let answer = world.send(post("/r/eu/target/second", "x").bearer(&token)).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let passes = world.entries(|entry| entry.text("kind") == "pass").await;
    assert!(!passes.is_empty(), "no second pass was made");
    let of_region = world.path().join("proxies/eu-0/receipts");
    let (code, found) = reconcile(world.database_url(), &world, &["--receipts", of_region.to_str().unwrap()]);
    assert_eq!((code, &found["receipts"]), (0, &2.into()), "{found}");
}
