//! Runs that several replicas share, and replicas that are killed or stand still: each item once, none forgotten.

use crate::world::{DEADLINE, World, get, job, rows};
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::time::Duration;

const LEASES: &str = "[jobs]\nlease = \"20s\"\n";

impl World {
    /// How many replicas have sent items of a run.
    async fn senders(&self, run: &str) -> i64 {
        let sql = "SELECT COUNT(DISTINCT writer) FROM journal WHERE record LIKE '%\"kind\":\"request\"%' AND record LIKE ?";
        let run = format!("%\"run\":\"{run}\"%");
        sqlx::query_scalar(sql).bind(run).fetch_one(&mut self.sqlite().await).await.unwrap()
    }

    /// Stops a replica where it stands, but not within a transaction, which would stop the others too.
    async fn freeze_api(&self, number: usize) {
        let mut database = self.sqlite().await;
        loop {
            self.api(number).pause();
            let begun = sqlx::query("BEGIN IMMEDIATE").execute(&mut database);
            let begun = tokio::time::timeout(Duration::from_secs(1), begun).await;
            if matches!(begun, Ok(Ok(_))) {
                sqlx::query("ROLLBACK").execute(&mut database).await.unwrap();
                return;
            }
            self.api(number).resume();
            database = self.sqlite().await;
            tokio::time::sleep(Duration::from_millis(7)).await;
        }
    }

    fn assert_none_came_twice(&self) {
        let hits = self.hits_by_path();
        let twice: Vec<_> = hits.iter().filter(|(_, hits)| **hits > 1).collect();
        assert!(twice.is_empty(), "sent twice: {twice:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_a_run_and_send_each_item_once() {
    let world = World::plan().apis(2).start().await;
    world.recorder().always(Reply::ok("{}").pause(Duration::from_millis(10)));
    let mut job = job("shared", rows(2_000));
    job["plan"] = json!({"concurrency": 16, "rate_per_second": 400});
    let id = world.run_of("dave", &job).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!(run["counts"]["done"], 2_000, "{run:#}");
    assert_eq!(world.recorder().requests().len(), 2_000);
    world.assert_none_came_twice();
    assert_eq!(world.senders(&id).await, 2, "one replica did it all");
    world.assert_accounted(&id, 2_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_stood_still_longer_than_its_lease_sends_nothing_more_of_it() {
    let world = World::plan().apis(2).api_toml(LEASES).start().await;
    world.recorder().always(Reply::ok("{}").pause(Duration::from_millis(20)));
    let mut job = job("frozen", rows(2_000));
    job["plan"] = json!({"concurrency": 16, "rate_per_second": 250});
    let id = world.run_of("dave", &job).await;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while world.senders(&id).await < 2 {
        assert!(tokio::time::Instant::now() < deadline, "one replica does it all");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.freeze_api(1).await;
    // The other one does the rest, also what the frozen one has claimed.
    let run = world.run_until_state(&id, "done").await;
    // What it had written down and not sent has failed once its region's receipts show that.
    let told = |run: &Value| {
        let ended = ["done", "failed", "unknown"].map(|state| run["counts"][state].as_u64().unwrap());
        ended.iter().sum::<u64>() == 2_000
    };
    assert!(told(&run), "{run:#}");
    world.api(1).resume();
    // It finds out what it has lost, and what came back to it meanwhile.
    world.settle(1).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    world.run_until(&id, "whole", told).await;
    world.assert_none_came_twice();
    world.assert_accounted(&id, 2_000).await;
    let failed = world.items(&id, "&state=failed").await.len();
    assert!(world.recorder().requests().len() + failed <= 2_000, "one of {failed} that failed was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_item_is_settled_by_its_regions_receipt() {
    let world =
        World::plan().api_toml(&format!("[journal]\nlease = \"1s\"\n\n{LEASES}")).relayed().start().await;
    // One arrives and is answered when nobody waits for the answer any more; then the wire is dead, and so is `api`.
    let slow = |status: &str| {
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\n{{}}");
        Reply::raw("").pause(Duration::from_millis(2_500)).then(answer)
    };
    world.recorder().next(slow("200 OK"));
    world.recorder().next(slow("500 No"));
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("unknown", rows(6));
    job["plan"] = json!({"concurrency": 2});
    let id = world.run_of("dave", &job).await;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while world.recorder().requests().iter().filter(|hit| hit.complete).count() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "nothing was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.api(0).kill();
    world.start_api(0).await;
    let run = world
        .run_until(&id, "at its end", |run| run["state"] == "done" && run["counts"]["pending"] == 0)
        .await;
    let ended = run["counts"]["done"].as_u64().unwrap() + run["counts"]["failed"].as_u64().unwrap();
    assert_eq!(ended + run["counts"]["unknown"].as_u64().unwrap(), 6, "{run:#}");
    for item in world.items(&id, "&state=unknown").await {
        assert!(item["audit_id"].is_string(), "{item}");
    }
    // A pass must expire and its receipt be collected first.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(180);
    let run = loop {
        let run = world.run(&id).await;
        if run["counts"]["unknown"] == 0 {
            break run;
        }
        assert!(tokio::time::Instant::now() < deadline, "never settled: {run:#}\n{}", world.api(0).log());
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    assert_eq!((&run["counts"]["done"], &run["counts"]["failed"]), (&json!(5), &json!(1)), "{run:#}");
    let failed = world.items(&id, "&state=failed").await;
    assert_eq!(
        (&failed[0]["status"], &failed[0]["error"]),
        (&json!(500), &json!("status 500")),
        "{failed:#?}"
    );
    let results = world.send(get(&format!("/api/v1/runs/{id}/results")).as_user("dave")).await;
    let results = String::from_utf8(results.body).unwrap();
    assert_eq!(results.matches(",done,").count(), 5, "{results}");
    let attempt = failed[0]["audit_id"].as_str().unwrap().to_owned();
    let settled = world
        .entries(|entry| {
            entry.text("attempt") == attempt && entry.record["detail"]["settled_by"] == "receipt"
        })
        .await;
    assert_eq!(settled.len(), 1, "{settled:#?}");
    world.assert_none_came_twice();
    world.assert_accounted(&id, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_after_its_replica_was_killed_comes_to_its_end() {
    let world = World::plan().api_toml(LEASES).start().await;
    world.recorder().always(Reply::raw("").hang());
    let mut job = job("cancelled", rows(40));
    job["plan"] = json!({"concurrency": 3});
    let id = world.run_of("dave", &job).await;
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while world.recorder().requests().iter().filter(|hit| hit.complete).count() < 3 {
        assert!(tokio::time::Instant::now() < deadline, "nothing was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.api(0).kill();
    world.start_api(0).await;
    assert_eq!(world.control("dave", &id, "cancel").await.0, 200);
    let run = world.run_until(&id, "ended", |run| run["ended_at"].is_string()).await;
    let counts = (&run["counts"]["unknown"], &run["counts"]["skipped"], &run["counts"]["sending"]);
    assert_eq!(counts, (&json!(3), &json!(37), &json!(0)), "{run:#}");
    assert_eq!(world.recorder().requests().len(), 3);
    world.assert_accounted(&id, 40).await;
}
