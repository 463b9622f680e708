//! Jobs and their runs, from outside: what is sent, what is accounted for, who may, and what a crash does.

use crate::world::{World, job, rows};
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_sends_each_row_once_as_whoever_started_it() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{\"ok\":true}"));
    let id = world.run_of("dave", &job("migrate", rows(600))).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!(run["counts"]["done"], 600, "{run:#}");
    assert!(run["ended_at"].is_string(), "{run:#}");
    let hits = world.recorder().requests();
    assert_eq!(hits.len(), 600);
    let keys: BTreeSet<_> =
        hits.iter().map(|hit| hit.head.field("idempotency-key").unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 600);
    assert!(keys.contains(&format!("{id}-599")), "{keys:?}");
    world.assert_accounted(&id, 600).await;
    let attempt = &world.entries(|entry| entry.text("run") == id && entry.text("kind") == "request").await[0];
    assert_eq!((attempt.text("actor"), attempt.text("subject")), ("user:dave", "user:dave"));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_counted_and_a_person_sends_them_again() {
    let world = World::start().await;
    world.recorder().always(Reply::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
    let id = world.run_of("dave", &job("failing", rows(20))).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!((&run["counts"]["failed"], &run["counts"]["done"]), (&json!(20), &json!(0)), "{run:#}");
    assert_eq!(run["errors"], json!([{"error": "status 500", "count": 20}]));
    let failed = world.items(&id, "&state=failed").await;
    assert_eq!(failed.len(), 20);
    assert_eq!(
        (&failed[3]["status"], &failed[3]["input"]),
        (&json!(500), &json!({"id": "3"})),
        "{}",
        failed[3]
    );
    world.recorder().always(Reply::ok("{}"));
    let (status, _) = world.control("dave", &id, "retry-failed").await;
    assert_eq!(status, 200);
    let run =
        world.run_until(&id, "all done", |run| run["state"] == "done" && run["counts"]["done"] == 20).await;
    assert_eq!(run["counts"]["failed"], 0);
    assert!(world.hits_by_path().values().all(|hits| *hits == 2));
    world.assert_accounted(&id, 20).await;
    let (status, refused) = world.control("dave", &id, "retry-failed").await;
    assert_eq!((status, &refused["code"]), (409, &json!("conflict")), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_stops_itself_and_goes_on_when_a_person_says_so() {
    let world = World::start().await;
    world.recorder().always(Reply::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
    let mut job = job("stopping", rows(500));
    job["plan"] = json!({"concurrency": 2, "stop_when": {"failures": 5}});
    let id = world.run_of("dave", &job).await;
    let run = world.run_until_state(&id, "stopped").await;
    assert!(run["why"].as_str().unwrap().contains("stop_when.failures"), "{run:#}");
    tokio::time::sleep(Duration::from_millis(600)).await;
    let sent = world.recorder().requests().len();
    assert!((5..=8).contains(&sent), "{sent} were sent");
    world.recorder().always(Reply::ok("{}"));
    assert_eq!(world.control("dave", &id, "resume").await.0, 200);
    let run = world.run_until_state(&id, "done").await;
    assert_eq!(run["counts"]["done"].as_u64().unwrap() + run["counts"]["failed"].as_u64().unwrap(), 500);
    assert_eq!(world.recorder().requests().len(), 500, "none was sent twice");
    world.assert_accounted(&id, 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waves_wait_at_their_gates_for_whom_they_are_for() {
    let more = "@id(\"carol-approves\")\npermit (principal == User::\"carol\", action in \
         [Action::\"job:read\", Action::\"job:approve\"], resource in Folder::\"ops\");";
    let world = World::plan().policy("approve.cedar", more).start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("waves", rows(20));
    job["plan"] = json!({"waves": [{"count": 2}, {"percent": 50, "gate": "approval"}, {"percent": 100}]});
    let id = world.run_of("dave", &job).await;
    world.run_until_state(&id, "waiting").await;
    assert_eq!(world.recorder().requests().len(), 10);
    let (status, refused) = world.control("dave", &id, "advance").await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused}");
    assert_eq!(world.control("mallory", &id, "advance").await.0, 404);
    assert_eq!(world.control("carol", &id, "pause").await.0, 403);
    let (status, advanced) = world.control("carol", &id, "advance").await;
    assert_eq!(status, 200, "{advanced}");
    world.run_until_state(&id, "done").await;
    assert_eq!(world.recorder().requests().len(), 20);
    world.assert_accounted(&id, 20).await;
    let told = world.entries(|entry| entry.text("kind") == "run").await;
    let said = |what: &str| told.iter().any(|entry| entry.record["detail"]["change"] == what);
    assert!(said("start") && said("approve") && said("end"), "{told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_run_sends_nothing_and_a_cancelled_one_skips_the_rest() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("paused", rows(300));
    job["plan"] = json!({"concurrency": 4, "rate_per_second": 50});
    let id = world.run_of("dave", &job).await;
    world.run_until(&id, "begun", |run| run["counts"]["done"].as_u64().unwrap() > 5).await;
    assert_eq!(world.control("dave", &id, "pause").await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let sent = world.recorder().requests().len();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(world.recorder().requests().len(), sent, "a paused run sends nothing");
    assert_eq!(world.control("dave", &id, "resume").await.0, 200);
    world.run_until(&id, "going on", |run| run["counts"]["done"].as_u64().unwrap() > sent as u64 + 5).await;
    assert_eq!(world.control("dave", &id, "cancel").await.0, 200);
    let run = world.run_until(&id, "ended", |run| run["ended_at"].is_string()).await;
    let (done, skipped) =
        (run["counts"]["done"].as_u64().unwrap(), run["counts"]["skipped"].as_u64().unwrap());
    assert_eq!(done + skipped, 300, "{run:#}");
    assert_eq!(world.recorder().requests().len() as u64, done);
    world.assert_accounted(&id, 300).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_judges_every_item_and_sends_nothing() {
    let world = World::start().await;
    let mut job = job("dry", rows(40));
    // Developers may GET below /public/ only.
    job["folder"] = "dev".into();
    job["request"] = json!({"region": "eu", "service": "target", "method": "GET", "path": "/{{place}}/x"});
    job["input"] = json!({"rows": [{"place": "public"}, {"place": "secret"}, {"place": "pub lic"}]});
    let made = world.made("alice", "/api/v1/jobs", &job).await;
    let path = format!("/api/v1/jobs/{}/runs", made["id"].as_str().unwrap());
    let run = world.made("alice", &path, &json!({"dry_run": true})).await;
    let id = run["id"].as_str().unwrap();
    let is_done = async || world.call("alice", "GET", &format!("/api/v1/runs/{id}"), &Value::Null).await.1;
    let mut run = is_done().await;
    while run["state"] != "done" {
        tokio::time::sleep(Duration::from_millis(100)).await;
        run = is_done().await;
    }
    assert_eq!((&run["counts"]["done"], &run["counts"]["failed"]), (&json!(1), &json!(2)), "{run:#}");
    let (_, failed) =
        world.call("alice", "GET", &format!("/api/v1/runs/{id}/items?state=failed"), &Value::Null).await;
    assert!(failed["items"][0]["error"].as_str().unwrap().starts_with("forbidden"), "{failed:#}");
    assert!(world.recorder().is_untouched());
    assert_eq!(world.call("dave", "GET", &format!("/api/v1/runs/{id}"), &Value::Null).await.0, 404);
}

/// A killed replica's items: sent once, or `unknown`; none is forgotten, none is sent twice.
async fn kill_and_go_on(world: &World, total: usize, plan: Value) -> Value {
    world.recorder().always(Reply::ok("{}").pause(Duration::from_millis(10)));
    let mut job = job("killed", rows(total));
    job["plan"] = plan;
    let id = world.run_of("dave", &job).await;
    for part in [5, 2] {
        let floor = (total / part) as u64;
        world.run_until(&id, "under way", |run| ended(run) >= floor).await;
        world.api(0).kill();
        world.start_api(0).await;
    }
    let run = world.run_until_state(&id, "done").await;
    let count = |state: &str| run["counts"][state].as_u64().unwrap();
    assert_eq!(ended(&run) + count("unknown"), total as u64, "{run:#}");
    assert_eq!(count("pending") + count("sending"), 0, "{run:#}");
    world.assert_accounted(&id, total).await;
    run
}

fn ended(run: &Value) -> u64 {
    run["counts"]["done"].as_u64().unwrap() + run["counts"]["failed"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_twice_among_failures_forgets_no_item_and_sends_none_twice() {
    let world = World::plan().api_toml("[jobs]\nlease = \"20s\"\n").start().await;
    // One in five fails.
    for number in 0..2_000 {
        let no = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";
        world.recorder().next(if number % 5 == 0 { Reply::raw(no) } else { Reply::ok("{}") });
    }
    let run = kill_and_go_on(&world, 3_000, json!({"concurrency": 16})).await;
    let id = run["id"].as_str().unwrap();
    let hits = world.hits_by_path();
    let twice: Vec<_> = hits.iter().filter(|(_, hits)| **hits > 1).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    assert!(run["counts"]["unknown"].as_u64().unwrap() <= 2 * 16, "{run:#}");
    assert!((360..=400).contains(&run["counts"]["failed"].as_u64().unwrap()), "{run:#}");
    for item in world.items(id, "&state=unknown").await {
        assert!(item["audit_id"].is_string(), "{item}");
    }
    // Failed ones are sent again, once, and those that nobody knows about are not.
    assert_eq!(world.control("dave", id, "retry-failed").await.0, 200);
    let run =
        world.run_until(id, "whole", |run| run["state"] == "done" && run["counts"]["failed"] == 0).await;
    assert_eq!(ended(&run) + run["counts"]["unknown"].as_u64().unwrap(), 3_000, "{run:#}");
    assert!(world.hits_by_path().values().all(|hits| *hits <= 2));
    world.assert_accounted(id, 3_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_run_ends_whole_whoever_is_killed() {
    let world = World::plan().api_toml("[jobs]\nlease = \"20s\"\n").start().await;
    let run = kill_and_go_on(&world, 1_500, json!({"concurrency": 16, "idempotent": true})).await;
    assert_eq!(run["counts"]["done"], 1_500, "{run:#}");
    let twice = world.hits_by_path().into_values().filter(|hits| *hits > 1).count();
    assert!(twice <= 2 * 16, "{twice} were sent twice");
    let keys = world.recorder().requests();
    let by_path: BTreeMap<_, BTreeSet<_>> = keys.iter().fold(BTreeMap::new(), |mut all, hit| {
        let key = hit.head.field("idempotency-key").unwrap_or_default().to_owned();
        all.entry(hit.target().to_owned()).or_insert_with(BTreeSet::new).insert(key);
        all
    });
    assert!(by_path.values().all(|keys| keys.len() == 1), "a repeated item has its first key");
}
