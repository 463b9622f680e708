//! By whose right a run goes on: it stops, and says why, when its starter may not act any more.

use crate::world::{World, get, job, request, rows};
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::time::Duration;

/// A world that asks the directory anew each second, and a slow run of dave's in it.
async fn slow_run(start: impl AsyncFnOnce(&World, &Value) -> String) -> (World, String) {
    let plan = World::plan().api_toml("[auth]\ngroup_refresh = \"1s\"\n");
    let world = plan.policy("watchers.cedar", WATCHERS).start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("slow", rows(3_000));
    job["plan"] = json!({"concurrency": 4, "rate_per_second": 40});
    let id = start(&world, &job).await;
    world.run_until(&id, "begun", |run| run["counts"]["done"].as_u64() > Some(5)).await;
    (world, id)
}

fn edit_directory(world: &World, from: &str, to: &str) {
    let path = world.path().join("directory.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

impl World {
    /// Asks about the run as somebody who may still, until it is paused; nothing is sent afterwards, and nothing failed.
    async fn assert_paused_because(&self, id: &str, why: &str) {
        let watcher = self.login("alice").await;
        let path = format!("/api/v1/runs/{id}");
        let deadline = tokio::time::Instant::now() + crate::world::DEADLINE;
        let run = loop {
            let (status, run) = self.ask(get(&path).bearer(&watcher), &Value::Null).await;
            assert_eq!(status, 200, "{run}");
            if run["state"] == "paused" {
                break run;
            }
            assert_eq!(run["state"], "running", "{run:#}");
            assert!(tokio::time::Instant::now() < deadline, "never paused: {run:#}\n{}", self.api(0).log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert!(run["why"].as_str().unwrap().contains(why), "{why}: {run:#}");
        assert_eq!((&run["counts"]["failed"], &run["counts"]["unknown"]), (&json!(0), &json!(0)), "{run:#}");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let sent = self.recorder().requests().len();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(self.recorder().requests().len(), sent, "a paused run sends nothing");
        let told = self
            .entries(|entry| entry.text("kind") == "run" && entry.record["detail"]["change"] == "pause")
            .await;
        assert!(told.iter().any(|entry| entry.text("decision") == "deny"), "{told:#?}");
        self.assert_every_hit_was_written_down().await;
    }
}

/// So that somebody may look at dave's runs when he may not.
const WATCHERS: &str = "@id(\"watchers\") permit (principal == User::\"alice\", action == Action::\"job:read\", resource in Folder::\"ops\");";

async fn started_by_login(world: &World, job: &Value) -> String {
    world.run_of("dave", job).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_outlives_its_starters_logout_and_pauses_when_their_sessions_are_ended() {
    let start = async |world: &World, job: &Value| {
        let dave = world.login("dave").await;
        let made = world.ask(request("POST", "/api/v1/jobs").bearer(&dave), job).await.1;
        let path = format!("/api/v1/jobs/{}/runs", made["id"].as_str().unwrap());
        let run = world.ask(request("POST", &path).bearer(&dave), &json!({})).await.1;
        assert_eq!(world.ask(request("POST", "/auth/v1/logout").bearer(&dave), &Value::Null).await.0, 204);
        run["id"].as_str().unwrap().to_owned()
    };
    let (world, id) = slow_run(start).await;
    let done = world.run(&id).await["counts"]["done"].as_u64();
    world.run_until(&id, "going on", |run| run["counts"]["done"].as_u64() > done.map(|done| done + 40)).await;
    let erin = world.login("erin").await;
    let end = request("DELETE", "/auth/v1/sessions?principal=user:dave").bearer(&erin);
    assert_eq!(world.send(end).await.status(), 204);
    world.assert_paused_because(&id, "user:dave may not go on").await;
    // Not even a person gets it going again: it has nobody to act as.
    assert_eq!(world.control("dave", &id, "resume").await.0, 200);
    world.assert_paused_because(&id, "user:dave may not go on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_pauses_when_its_starter_is_disabled() {
    let (world, id) = slow_run(started_by_login).await;
    edit_directory(&world, "name = \"dave\"", "name = \"dave\"\ndisabled = true");
    world.assert_paused_because(&id, "user:dave may not go on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_pauses_when_its_starter_leaves_the_group_that_may_run_it() {
    let (world, id) = slow_run(started_by_login).await;
    edit_directory(&world, "groups = [\"operators\"]", "groups = []");
    world.assert_paused_because(&id, "policy does not permit user:dave to run jobs in ops any more").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_started_for_somebody_acts_as_them_until_the_service_may_not() {
    let start = async |world: &World, job: &Value| {
        let (secret, dave) = (world.service_account("reports-ui").await, world.login("dave").await);
        let by = |path: &str| {
            let request = request("POST", path).basic("reports-ui", &secret);
            request.header("doorman-on-behalf-of", "dave").header("doorman-user-token", &dave)
        };
        let made = world.ask(by("/api/v1/jobs"), job).await.1;
        let path = format!("/api/v1/jobs/{}/runs", made["id"].as_str().unwrap());
        let (status, run) = world.ask(by(&path), &json!({})).await;
        assert_eq!((status, &run["started_by"]), (201, &json!("user:dave")), "{run:#}");
        run["id"].as_str().unwrap().to_owned()
    };
    let (world, id) = slow_run(start).await;
    let attempt = &world.entries(|entry| entry.text("run") == id && entry.text("kind") == "request").await[0];
    assert_eq!((attempt.text("actor"), attempt.text("subject")), ("service:reports-ui", "user:dave"));
    let text = world.path().join("policies/delegation.cedar");
    std::fs::write(text, "// nobody acts for anybody any more\n").unwrap();
    world.assert_paused_because(&id, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_items_request_is_judged_when_it_is_sent() {
    // Operators may still run jobs, and send nothing any more.
    let (world, id) = slow_run(started_by_login).await;
    std::fs::write(world.path().join("policies/target.cedar"), "// nobody\n").unwrap();
    let run = world.run_until(&id, "forbidden", |run| run["counts"]["failed"].as_u64() > Some(3)).await;
    assert_eq!(run["errors"][0]["error"], "forbidden", "{run:#}");
    assert_eq!(world.control("dave", &id, "cancel").await.0, 200);
    let run = world.run_until(&id, "ended", |run| run["ended_at"].is_string()).await;
    assert_eq!(world.recorder().requests().len() as u64, run["counts"]["done"].as_u64().unwrap());
    world.assert_accounted(&id, 3_000).await;
}
