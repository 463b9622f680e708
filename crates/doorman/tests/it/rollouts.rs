//! How a run goes as its plan says: what is a success, what is tried again, when it waits, and when it stops itself.

use crate::world::{Entry, World, get, in_days, job, request, rows};
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

fn status(line: &str) -> Reply {
    Reply::raw(format!("HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n"))
}

fn count(run: &Value, state: &str) -> u64 {
    run["counts"][state].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_is_what_the_plan_says_of_status_and_body() {
    let world = World::start().await;
    let answers = [
        Reply::ok(r#"{"state":{"phase":"ready","version":3}}"#),
        Reply::ok(r#"{"state":{"phase":"ready","version":1}}"#),
        Reply::ok(r#"{"state":{"phase":"failed","version":3}}"#),
        Reply::ok(r#"{"state":null}"#),
        Reply::ok("<html>ready</html>"),
        Reply::ok(""),
        Reply::raw(
            "HTTP/1.1 409 Conflict\r\nContent-Length: 39\r\n\r\n{\"state\":{\"phase\":\"ready\",\"version\":9}}",
        ),
        Reply::raw(
            "HTTP/1.1 201 Created\r\nContent-Length: 39\r\n\r\n{\"state\":{\"phase\":\"ready\",\"version\":9}}",
        ),
        Reply::chunked(r#"{"state":{"phase":"ready","version":2.5}}"#, &[("x-trailer", "1")]),
        Reply::ok(&format!(
            "{{\"state\":{{\"phase\":\"ready\",\"version\":3}},\"pad\":\"{}\"}}",
            "x".repeat(400_000)
        )),
    ];
    let total = answers.len();
    answers.into_iter().for_each(|answer| world.recorder().next(answer));
    let mut job = job("success", rows(total));
    job["plan"] = json!({"concurrency": 1, "success": {
        "status": ["200", "400-409"], "body": {"/state/phase": "ready", "/state/version": {"gte": 2}}
    }});
    let id = world.run_of("dave", &job).await;
    world.run_until_state(&id, "done").await;
    let items = world.items(&id, "").await;
    let told: Vec<_> =
        items.iter().map(|item| (item["state"].as_str().unwrap(), item["error"].as_str())).collect();
    assert_eq!(
        told,
        [
            ("done", None),
            ("failed", Some("\"/state/version\" in the answer is 1")),
            ("failed", Some("\"/state/phase\" in the answer is \"failed\"")),
            ("failed", Some("\"/state/phase\" in the answer is not there")),
            ("failed", Some("the answer is no JSON")),
            ("failed", Some("the answer is no JSON")),
            ("done", None),
            ("failed", Some("status 201")),
            ("done", None),
            ("failed", Some("the answer is too long to be looked at")),
        ]
    );
    world.assert_accounted(&id, total).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_does_no_harm_is_tried_again_and_later() {
    let policy = "@id(\"down\") permit (principal in Group::\"operators\", action == Action::\"request\", resource in ServiceName::\"down\");";
    let plan = World::plan().policy("down.cedar", policy);
    let world = plan.service("down", "", &[("down-1", "http://127.0.0.1:9".to_owned())]).start().await;
    let failing = |world: &World| {
        for _ in 0..2 {
            world.recorder().next(status("503 Later"));
        }
        world.recorder().always(Reply::ok("{}"));
    };
    // An item that may have done something is not sent again.
    failing(&world);
    let mut once = job("once", rows(3));
    once["plan"] = json!({"concurrency": 1, "retries": {"max": 3, "backoff": "100ms"}});
    let id = world.run_of("dave", &once).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!((count(&run, "done"), count(&run, "failed")), (1, 2), "{run:#}");
    assert_eq!(world.recorder().requests().len(), 3);
    world.assert_accounted(&id, 3).await;

    // Of an idempotent job it is: under the same key, as an attempt of its own.
    world.recorder().clear();
    failing(&world);
    let mut again = once.clone();
    again["name"] = "again".into();
    again["plan"]["idempotent"] = true.into();
    let id = world.run_of("dave", &again).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!((count(&run, "done"), count(&run, "failed")), (3, 0), "{run:#}");
    let attempts: u64 =
        world.items(&id, "").await.iter().map(|item| item["attempts"].as_u64().unwrap()).sum();
    let hits = world.recorder().requests();
    assert_eq!((attempts, hits.len()), (5, 5));
    let mut keys: BTreeMap<_, usize> = BTreeMap::new();
    for hit in &hits {
        *keys.entry(hit.head.field("idempotency-key").unwrap().to_owned()).or_default() += 1;
    }
    assert_eq!(keys.len(), 3, "{keys:?}");
    world.assert_accounted(&id, 3).await;

    // What could not be sent at all is tried again as often as is said, and then given up.
    let mut down = once.clone();
    down["name"] = "down".into();
    down["request"]["service"] = "down".into();
    down["plan"] = json!({"retries": {"max": 2, "backoff": "50ms", "max_backoff": "100ms"}});
    let id = world.run_of("dave", &down).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!(count(&run, "failed"), 3, "{run:#}");
    for item in world.items(&id, "").await {
        assert_eq!((&item["attempts"], &item["error"]), (&json!(3), &json!("service_unreachable")), "{item}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_is_unknown() {
    let world = World::start().await;
    world.recorder().next(Reply::raw("").hang());
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("slow", rows(3));
    job["plan"] = json!({"concurrency": 1, "timeout": "1s"});
    let id = world.run_of("dave", &job).await;
    let run = world.run_until_state(&id, "done").await;
    assert_eq!((count(&run, "done"), count(&run, "unknown")), (2, 1), "{run:#}");
    let unknown = &world.items(&id, "&state=unknown").await[0];
    assert_eq!((&unknown["error"], &unknown["index"]), (&json!("timeout"), &json!(0)), "{unknown}");
    world.outcome(unknown["audit_id"].as_str().unwrap()).await;
    // Sent again only if a person says so about unknown ones too.
    assert_eq!(world.control("dave", &id, "retry-failed").await.0, 409);
    let path = format!("/api/v1/runs/{id}/retry-failed");
    let (status, run) = world.call("dave", "POST", &path, &json!({"with_unknown": true})).await;
    assert_eq!(status, 200, "{run:#}");
    let run = world.run_until(&id, "whole", |run| run["state"] == "done" && count(run, "done") == 3).await;
    assert_eq!(count(&run, "unknown"), 0, "{run:#}");
    world.assert_accounted(&id, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_bakes_before_the_next_and_failures_meanwhile_keep_the_gate_shut() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut baking = job("baking", rows(10));
    baking["plan"] = json!({"waves": [{"count": 2, "bake": "2s"}, {"percent": 100}]});
    let id = world.run_of("dave", &baking).await;
    let run = world.run_until_state(&id, "waiting").await;
    assert!(run["gate_opens_at"].is_string() && run["waves"] == 2, "{run:#}");
    assert_eq!(world.recorder().requests().len(), 2);
    // It opens by itself.
    let run = world.run_until_state(&id, "done").await;
    assert_eq!((count(&run, "done"), &run["wave"]), (10, &json!(1)), "{run:#}");
    let before = world.recorder().requests().len();

    // Half of a first wave of four failed, which is too much though the window is not full.
    for _ in 0..2 {
        world.recorder().next(status("500 No"));
    }
    let mut stopping = job("gated", rows(10));
    stopping["plan"] = json!({"concurrency": 1, "waves": [{"count": 4, "bake": "100ms"}],
        "stop_when": {"failure_rate": 0.5, "window": 100}});
    let id = world.run_of("dave", &stopping).await;
    let run = world.run_until_state(&id, "stopped").await;
    assert!(run["why"].as_str().unwrap().contains("failure_rate"), "{run:#}");
    assert_eq!((count(&run, "done"), count(&run, "failed"), count(&run, "pending")), (2, 2, 6), "{run:#}");
    assert_eq!(world.recorder().requests().len(), before + 4);
    assert_eq!(world.control("dave", &id, "cancel").await.0, 200);
    world.run_until(&id, "ended", |run| run["ended_at"].is_string()).await;
    world.assert_accounted(&id, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_stops_at_a_rate_of_failures_over_its_last_items() {
    let world = World::start().await;
    // A good beginning does not outweigh what fails now.
    for number in 0..60 {
        world.recorder().next(if number < 40 { Reply::ok("{}") } else { status("502 Bad") });
    }
    let mut job = job("rate", rows(400));
    job["plan"] = json!({"concurrency": 1, "stop_when": {"failure_rate": 0.4, "window": 20}});
    let id = world.run_of("dave", &job).await;
    let has_stopped = |run: &Value| run["state"] == "stopped" && run["counts"]["sending"] == 0;
    let run = world.run_until(&id, "stopped, and all counted", has_stopped).await;
    assert!(run["why"].as_str().unwrap().starts_with("8 of the last 20 items failed"), "{run:#}");
    assert_eq!((count(&run, "done"), count(&run, "failed")), (40, 8), "{run:#}");
    assert_eq!(run["errors"], json!([{"error": "status 502", "count": 8}]), "{run:#}");
    assert_eq!(world.recorder().requests().len(), 48, "nothing more was sent");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_for_another_person_is_not_opened_by_the_starter_nor_by_a_script_of_theirs() {
    let operators = "@id(\"another-operator\") permit (principal == User::\"bob\", action in [Action::\"job:read\", \
         Action::\"job:run\", Action::\"job:approve\"], resource in Folder::\"ops\");";
    let world = World::plan().policy("another.cedar", operators).start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("approved", rows(4));
    job["plan"] = json!({"waves": [{"count": 1, "gate": "approval"}, {"percent": 50, "gate": "manual"}]});
    let id = world.run_of("dave", &job).await;
    let run = world.run_until_state(&id, "waiting").await;
    assert_eq!(run["gate_opens_at"], Value::Null, "{run:#}");
    let path = format!("/api/v1/runs/{id}/advance");
    // Dave may approve in this folder, but not his own run.
    let (status, refused) = world.control("dave", &id, "advance").await;
    assert_eq!((status, &refused["code"]), (403, &json!("forbidden")), "{refused:#}");
    // A personal token of bob's is no person.
    let bob = world.login("bob").await;
    let token = json!({"name": "script", "expires_at": in_days(7)});
    let (status, made) = world.ask(request("POST", "/auth/v1/tokens").bearer(&bob), &token).await;
    assert_eq!(status, 201, "{made:#}");
    let by_script = request("POST", &path).bearer(made["token"].as_str().unwrap());
    assert_eq!(world.ask(by_script, &json!({})).await.0, 403);
    assert_eq!(world.recorder().requests().len(), 1);
    let (status, run) = world.ask(request("POST", &path).bearer(&bob), &json!({})).await;
    assert_eq!(status, 200, "{run:#}");
    // A manual gate is the starter's to open.
    world.run_until(&id, "at its second gate", |run| run["state"] == "waiting" && run["wave"] == 1).await;
    assert_eq!(world.recorder().requests().len(), 2);
    assert_eq!(world.control("dave", &id, "advance").await.0, 200);
    world.run_until_state(&id, "done").await;
    assert_eq!(world.control("dave", &id, "advance").await.0, 409);
    let approved =
        |entry: &Entry| entry.text("subject") == "user:bob" && entry.record["detail"]["change"] == "approve";
    assert_eq!(world.entries(approved).await.len(), 1);
    world.assert_accounted(&id, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_through_its_regions_one_after_the_other_each_by_its_own_plan() {
    let world = World::plan().regions(&["eu", "us"]).recorders(2).start().await;
    let mut job = job("regions", rows(6));
    job["request"] = json!({"regions": ["us", "eu"], "service": "target", "instance": "all", "method": "POST",
        "path": "/items/{{id}}"});
    job["plan"] = json!({"regions": {"us": {"waves": [{"count": 4, "gate": "manual"}]}}});
    let id = world.run_of("dave", &job).await;
    let run = world.run_until_state(&id, "waiting").await;
    assert_eq!((&run["counts"]["done"], &run["counts"]["pending"]), (&json!(4), &json!(20)), "{run:#}");
    let hits = |region: &str| -> usize {
        ["rec-1", "rec-2"].iter().map(|id| world.recorder_of(region, id).requests().len()).sum()
    };
    assert_eq!((hits("us"), hits("eu")), (4, 0));
    assert_eq!(world.control("dave", &id, "advance").await.0, 200);
    let run = world.run_until_state(&id, "done").await;
    assert_eq!(count(&run, "done"), 24, "{run:#}");
    // Each row to each instance of each region.
    for region in ["eu", "us"] {
        for instance in ["rec-1", "rec-2"] {
            let mut targets: Vec<_> = world
                .recorder_of(region, instance)
                .requests()
                .iter()
                .map(|hit| hit.target().to_owned())
                .collect();
            targets.sort();
            assert_eq!(targets, (0..6).map(|id| format!("/items/{id}")).collect::<Vec<_>>());
        }
    }
    let items = world.items(&id, "").await;
    let places: Vec<_> = items.iter().map(|item| item["region"].as_str().unwrap()).collect();
    assert_eq!((places[0], places[12], items.len()), ("us", "eu", 24));
    assert_eq!((&items[1]["instance"], &items[1]["input"]), (&json!("rec-2"), &json!({"id": "0"})));
    world.assert_accounted(&id, 24).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_told_while_it_happens_and_results_stand_beside_their_rows() {
    let world = World::start().await;
    for number in 0..40 {
        world.recorder().next(if number % 4 == 1 { status("500 No") } else { Reply::ok("{}") });
    }
    let rows: Vec<Value> =
        (0..40).map(|id| json!({"id": format!("{id}"), "name": format!("Firma; \"{id}\", =1+1")})).collect();
    let mut job = job("told", rows.into());
    job["plan"] = json!({"concurrency": 1, "rate_per_second": 20});
    let id = world.run_of("dave", &job).await;
    // The stream ends with the run.
    let answer = world.send(get(&format!("/api/v1/runs/{id}/events")).as_user("dave")).await;
    assert_eq!(answer.head.field("content-type"), Some("text/event-stream"));
    let text = String::from_utf8(answer.body).unwrap();
    let events: Vec<Value> = text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: progress\ndata: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let ended = |run: &Value| count(run, "done") + count(run, "failed");
    assert!(events.len() >= 3, "{text}");
    assert!(events.windows(2).all(|pair| ended(&pair[0]) <= ended(&pair[1])), "{text}");
    assert!(events.iter().any(|run| run["rate"].is_number() && run["eta"].is_string()), "{text}");
    let last = events.last().unwrap();
    assert_eq!((count(last, "done"), count(last, "failed")), (30, 10), "{last:#}");
    assert_eq!((&last["state"], &last["eta"]), (&json!("done"), &Value::Null));
    assert_eq!(last["errors"], json!([{"error": "status 500", "count": 10}]));

    let results = async |query: &str| {
        let path = format!("/api/v1/runs/{id}/results{query}");
        String::from_utf8(world.send(get(&path).as_user("dave")).await.body).unwrap()
    };
    let csv = results("").await;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(
        reader.headers().unwrap().iter().take(4).collect::<Vec<_>>(),
        ["id", "name", "doorman_index", "doorman_state"]
    );
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(lines.len(), 40);
    for (number, line) in lines.iter().enumerate() {
        let state = if number % 4 == 1 { "failed" } else { "done" };
        assert_eq!((&line[0], &line[3]), (number.to_string().as_str(), state), "{line:?}");
        assert_eq!(&line[1], format!("Firma; \"{number}\", =1+1"), "{line:?}");
    }
    let jsonl = results("?format=jsonl&state=failed").await;
    let failed: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(failed.len(), 10);
    assert_eq!((&failed[0]["input"]["id"], &failed[0]["status"]), (&json!("1"), &json!(500)));
    for (who, wanted) in [("alice", 404), ("mallory", 404), ("carol", 404)] {
        for what in ["", "/items", "/events", "/results"] {
            let path = format!("/api/v1/runs/{id}{what}");
            assert_eq!(world.send(get(&path).as_user(who)).await.status(), wanted, "{who} {what}");
        }
    }
    world.assert_accounted(&id, 40).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_take_hold_at_once_on_whichever_replica_they_are_given() {
    let world = World::plan().apis(2).start().await;
    world.recorder().always(Reply::ok("{}"));
    let mut job = job("commanded", rows(2_000));
    job["plan"] =
        json!({"concurrency": 8, "rate_per_second": 100, "waves": [{"count": 1_000, "gate": "manual"}]});
    let id = world.run_of("dave", &job).await;
    world.run_until(&id, "begun", |run| count(run, "done") > 20).await;
    let give = async |what: &str| {
        let request = request("POST", &format!("/api/v1/runs/{id}/{what}")).as_user("dave");
        let answer = world.send_to(1, request).await;
        assert_eq!(answer.status(), 200, "{what}: {answer:?}");
    };
    let sent = || world.recorder().requests().len();
    give("pause").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let paused = sent();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(sent(), paused, "a paused run sends nothing");
    give("resume").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(sent() > paused, "a resumed run sends");
    give("cancel").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cancelled = sent();
    let run = world.run_until(&id, "ended", |run| run["ended_at"].is_string()).await;
    assert_eq!((sent(), count(&run, "done")), (cancelled, cancelled as u64), "{run:#}");
    assert_eq!(count(&run, "skipped"), 2_000 - cancelled as u64, "{run:#}");
    let told = world.entries(|entry| entry.text("kind") == "run").await;
    for what in ["start", "pause", "resume", "cancel", "end"] {
        assert!(
            told.iter().any(|entry| entry.record["detail"]["change"] == what),
            "{what} is not in the log"
        );
    }
    world.assert_accounted(&id, 2_000).await;
}
