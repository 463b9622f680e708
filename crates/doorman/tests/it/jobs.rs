//! Jobs and their runs, from outside: what is sent, what is accounted for, who may, and what a crash does.

use crate::world::{DEADLINE, World, request};
use doorman_testkit::raw::Answer;
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

/// Rows `{"id": "0"}` and so on.
fn rows(count: usize) -> Value {
    (0..count).map(|id| json!({"id": id.to_string()})).collect()
}

/// A POST to each row's path of `target`, in dave's folder.
fn job(name: &str, rows: Value) -> Value {
    json!({
        "name": name, "folder": "ops",
        "request": {"region": "eu", "service": "target", "method": "POST", "path": "/items/{{id}}", "body": {"to": "v2", "id": "{{id}}"}},
        "input": {"rows": rows},
        "plan": {"concurrency": 8}
    })
}

impl World {
    async fn call(&self, user: &str, method: &str, path: &str, value: &Value) -> (u16, Value) {
        let request = request(method, path).as_user(user);
        let request = match value {
            Value::Null => request,
            value => request.header("content-type", "application/json").body(value.to_string()),
        };
        let answer = self.send(request).await;
        (answer.status(), body(&answer))
    }

    async fn made(&self, user: &str, path: &str, value: &Value) -> Value {
        let (status, made) = self.call(user, "POST", path, value).await;
        assert!(status == 200 || status == 201, "{status}: {made:#}");
        made
    }

    /// Saves the job and starts a run of it.
    async fn run_of(&self, user: &str, job: &Value) -> String {
        let made = self.made(user, "/api/v1/jobs", job).await;
        let path = format!("/api/v1/jobs/{}/runs", made["id"].as_str().unwrap());
        self.made(user, &path, &json!({})).await["id"].as_str().unwrap().to_owned()
    }

    async fn run(&self, id: &str) -> Value {
        let (status, run) = self.call("dave", "GET", &format!("/api/v1/runs/{id}"), &Value::Null).await;
        assert_eq!(status, 200, "{run}");
        run
    }

    /// Waits until the run is as wanted.
    async fn run_until(&self, id: &str, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + 3 * DEADLINE;
        loop {
            let run = self.run(id).await;
            if is_so(&run) {
                return run;
            }
            assert!(tokio::time::Instant::now() < deadline, "never {what}: {run:#}\n{}", self.api(0).log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn run_until_state(&self, id: &str, state: &str) -> Value {
        self.run_until(id, state, |run| run["state"] == state).await
    }

    async fn control(&self, user: &str, id: &str, what: &str) -> (u16, Value) {
        self.call(user, "POST", &format!("/api/v1/runs/{id}/{what}"), &json!({})).await
    }

    /// All items of a run.
    async fn items(&self, id: &str, filter: &str) -> Vec<Value> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v1/runs/{id}/items?limit=500{filter}{cursor}");
            let (status, page) = self.call("dave", "GET", &path, &Value::Null).await;
            assert_eq!(status, 200, "{page}");
            items.extend(page["items"].as_array().unwrap().clone());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// How often each path came to the recorder.
    fn hits_by_path(&self) -> BTreeMap<String, usize> {
        let mut hits = BTreeMap::new();
        for hit in self.recorder().requests().into_iter().filter(|hit| hit.complete) {
            *hits.entry(hit.target().to_owned()).or_default() += 1;
        }
        hits
    }

    /// Each item of the run stands in the journal as it stands in the list, and what came came with its attempt.
    async fn assert_accounted(&self, id: &str, count: usize) {
        let items = self.items(id, "").await;
        assert_eq!(items.len(), count);
        let indexes: BTreeSet<_> = items.iter().map(|item| item["index"].as_u64().unwrap()).collect();
        assert_eq!(indexes.len(), count, "an item is there twice");
        let attempts = self
            .entries(|entry| {
                entry.text("run") == id
                    && entry.text("kind") == "request"
                    && entry.text("decision") == "permit"
            })
            .await;
        let by_id: BTreeMap<_, _> =
            attempts.iter().map(|entry| (entry.text("id").to_owned(), entry)).collect();
        for item in &items {
            let Some(audit) = item["audit_id"].as_str() else { continue };
            let Some(attempt) = by_id.get(audit) else { continue };
            assert_eq!(attempt.record["item"], item["index"], "{item}");
            assert_eq!(attempt.text("channel"), "bulk");
        }
        let run = self.run(id).await;
        for state in ["pending", "sending", "done", "failed", "unknown", "skipped"] {
            let listed = items.iter().filter(|item| item["state"] == state).count();
            assert_eq!(run["counts"][state], listed, "{state} of {run}");
        }
        self.assert_every_hit_was_written_down().await;
    }
}

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
async fn kill_and_go_on(world: &World, is_idempotent: bool) {
    world.recorder().always(Reply::ok("{}").pause(Duration::from_millis(20)));
    let mut job = job("killed", rows(1_500));
    job["plan"] = json!({"concurrency": 16, "idempotent": is_idempotent});
    let id = world.run_of("dave", &job).await;
    for floor in [150, 500] {
        world.run_until(&id, "under way", |run| run["counts"]["done"].as_u64().unwrap() >= floor).await;
        world.api(0).kill();
        world.start_api(0).await;
    }
    let run = world.run_until_state(&id, "done").await;
    let count = |state: &str| run["counts"][state].as_u64().unwrap();
    assert_eq!(count("done") + count("unknown"), 1_500, "{run:#}");
    assert_eq!(count("failed") + count("pending") + count("sending"), 0, "{run:#}");
    let hits = world.hits_by_path();
    let twice: Vec<_> = hits.iter().filter(|(_, hits)| **hits > 1).collect();
    if is_idempotent {
        assert_eq!(count("done"), 1_500, "{run:#}");
        assert!(twice.len() <= 2 * 16, "{twice:?}");
    } else {
        assert!(twice.is_empty(), "sent twice: {twice:?}");
        assert!(count("unknown") <= 2 * 16, "{run:#}");
        for item in world.items(&id, "&state=unknown").await {
            assert!(item["audit_id"].is_string(), "{item}");
        }
    }
    world.assert_accounted(&id, 1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_killed_twice_forgets_no_item_and_sends_none_twice() {
    let world = World::plan().api_toml("[jobs]\nlease = \"20s\"\n").start().await;
    kill_and_go_on(&world, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotent_run_ends_whole_whoever_is_killed() {
    let world = World::plan().api_toml("[jobs]\nlease = \"20s\"\n").start().await;
    kill_and_go_on(&world, true).await;
    let keys = world.recorder().requests();
    let by_path: BTreeMap<_, BTreeSet<_>> = keys.iter().fold(BTreeMap::new(), |mut all, hit| {
        let key = hit.head.field("idempotency-key").unwrap_or_default().to_owned();
        all.entry(hit.target().to_owned()).or_insert_with(BTreeSet::new).insert(key);
        all
    });
    assert!(by_path.values().all(|keys| keys.len() == 1), "a repeated item has its first key");
}
