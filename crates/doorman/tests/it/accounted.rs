//! A whole spreadsheet sent while processes are killed: afterwards each row is accounted for, in the items, in the log, in
//! the results, and by the service that got it.

use crate::shell::Shell;
use crate::world::{World, get};
use doorman_testkit::mariadb;
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::block_in_place;

/// As a spreadsheet saves it: byte order mark, semicolons, CRLF, quotes, line breaks in cells, an emptied row at the end.
fn spreadsheet(rows: usize) -> String {
    let rows = (1..=rows).map(|id| format!("{id};\"{}\"\r\n", name_of(id).replace('"', "\"\"")));
    format!("\u{feff}id;name\r\n{};\r\n", rows.collect::<String>())
}

fn name_of(id: usize) -> String {
    match id % 4 {
        0 => format!("M\u{fc}ller; S\u{f6}hne {id}"),
        1 => format!("say \"{id}\""),
        2 => format!("line one\r\nline {id}"),
        _ => format!("plain {id}"),
    }
}

/// Which rows the service refuses, as the demo's `companies` does.
fn is_refused(id: usize) -> bool {
    id.is_multiple_of(97)
}

fn path_of(id: usize) -> String {
    format!("/companies/{id}/migrate")
}

/// Starts a run over a spreadsheet of so many rows, as dave.
async fn start(world: &World, rows: usize) -> String {
    world.recorder().by_target(|target| {
        let id = target.split('/').nth(2).and_then(|id| id.parse().ok()).unwrap();
        let line = if is_refused(id) { "500 No" } else { "200 OK" };
        let answer = format!("HTTP/1.1 {line}\r\ncontent-length: 2\r\n\r\n{{}}");
        Reply::raw("").pause(Duration::from_millis(5)).then(answer)
    });
    let url = format!("http://{}", world.api(0).address());
    let shell = Shell::at(&url).with("DOORMAN_TOKEN", &world.login("dave").await);
    shell.write("ids.csv", &spreadsheet(rows));
    let path = path_of(0).replace('0', "{{id}}");
    let what = [
        "bulk",
        "--folder",
        "ops",
        "--region",
        "eu",
        "--service",
        "target",
        "--method",
        "POST",
        "--path",
        &path,
    ];
    let how = ["--ids", "ids.csv", "--key", "id", "--json-body", "{\"name\":\"{{name}}\"}"];
    // What could not be sent is tried again.
    let concurrency = IN_FLIGHT.to_string();
    let plan = ["--concurrency", &concurrency, "--retries", "8", "--backoff", "500ms"];
    block_in_place(|| shell.run(&[&what[..], &how, &plan].concat())).ok().trim().to_owned()
}

fn ended(run: &Value) -> u64 {
    ["done", "failed", "unknown"].iter().map(|state| run["counts"][state].as_u64().unwrap()).sum()
}

/// Waits until so many items have ended. The results of a run that goes on have each of its rows once.
async fn until_ended(world: &World, run: &str, (count, rows): (usize, usize)) {
    world.run_until(run, "under way", |run| ended(run) >= count as u64).await;
    for _ in 0..3 {
        let text = results(world, run, "jsonl").await;
        let index = |line: &str| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap();
        assert!(text.lines().map(index).eq(0..rows as u64), "results of {count} of {rows}");
    }
}

async fn results(world: &World, run: &str, format: &str) -> String {
    let path = format!("/api/v1/runs/{run}/results?format={format}");
    let answer = world.send(get(&path).as_user("dave")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    String::from_utf8(answer.body).unwrap()
}

/// What the service got, by row: how often, and whether each came with the item's own key.
fn hits(world: &World, run: &str) -> BTreeMap<usize, usize> {
    let mut hits = BTreeMap::new();
    for hit in world.recorder().requests().iter().filter(|hit| !hit.bytes.is_empty()) {
        let id: usize = hit.target().split('/').nth(2).unwrap().parse().unwrap();
        assert_eq!(hit.target(), path_of(id));
        assert_eq!(hit.head.field("idempotency-key").unwrap(), format!("{run}-{}", id - 1));
        if hit.complete {
            let sent: Value = serde_json::from_slice(&hit.body).unwrap();
            assert_eq!(sent, json!({"name": name_of(id)}));
        }
        *hits.entry(id).or_default() += 1;
    }
    hits
}

/// Accounts for every row: what is said of it is what happened. Of each blow only what was in flight may be unknown.
async fn account(world: &World, run: &str, rows: usize, blows: usize) {
    let shown = world.run_until(run, "at its end", |run| run["ended_at"].is_string()).await;
    assert_eq!((ended(&shown), &shown["state"]), (rows as u64, &json!("done")), "{shown:#}");
    world.assert_accounted(run, rows).await;
    let hits = hits(world, run);
    let journal = world.journal().await;
    let attempts: BTreeMap<&str, u64> = journal
        .iter()
        .filter(|entry| entry.text("run") == run && entry.text("decision") == "permit")
        .filter(|entry| entry.text("kind") == "request")
        .map(|entry| (entry.text("id"), entry.record["item"].as_u64().unwrap()))
        .collect();
    let items = world.items(run, "").await;
    assert_eq!(items.len(), rows);
    let mut unknown = 0;
    for (index, item) in items.iter().enumerate() {
        let id = index + 1;
        assert_eq!(item["index"], index);
        assert_eq!(item["input"], json!({"id": id.to_string(), "name": name_of(id)}));
        let audit = item["audit_id"].as_str().unwrap_or_else(|| panic!("no attempt: {item:#}"));
        assert_eq!(attempts.get(audit), Some(&(index as u64)), "{item:#}");
        let hits = hits.get(&id).copied().unwrap_or_default();
        assert!(hits <= 1, "sent {hits} times: {item:#}");
        match (item["state"].as_str().unwrap(), is_refused(id)) {
            ("unknown", _) => unknown += 1,
            ("done", false) => assert_eq!((hits, &item["status"]), (1, &json!(200)), "{item:#}"),
            ("failed", true) if hits == 1 => assert_eq!(item["status"], 500, "{item:#}"),
            // Provably not sent.
            ("failed", _) if hits == 0 => assert!(item["error"].is_string(), "{item:#}"),
            _ => panic!("{hits} hits: {item:#}"),
        }
    }
    assert!(unknown <= blows * IN_FLIGHT, "{unknown} are unknown");
    let csv = results(world, run, "csv").await;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let lines: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let jsonl = results(world, run, "jsonl").await;
    let objects: Vec<Value> = jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((lines.len(), objects.len()), (rows, rows));
    for ((line, object), item) in lines.iter().zip(&objects).zip(&items) {
        let cells: Vec<&str> = line.iter().take(4).collect();
        let (input, state) = (&item["input"], item["state"].as_str().unwrap());
        let index = item["index"].to_string();
        assert_eq!(cells, [input["id"].as_str().unwrap(), input["name"].as_str().unwrap(), &index, state]);
        assert_eq!((&object["input"], &object["state"]), (input, &item["state"]));
    }
}

/// The log proves itself, offline, by public keys.
fn verify(world: &World) {
    let keys = world.path().join("keys/public.json").display().to_string();
    let said =
        Shell::new().run(&["audit", "verify", "--database", world.database_url(), "--keys", &keys]).ok();
    assert!(said.contains("The log is whole"), "{said}");
}

/// Items at once.
const IN_FLIGHT: usize = 32;
const LEASE: &str = "[jobs]\nlease = \"20s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_rows_with_failures_are_accounted_for_though_api_is_killed_twice() {
    let world = World::plan().api_toml(LEASE).start().await;
    let rows = 10_000;
    let run = start(&world, rows).await;
    for part in [4, 2] {
        until_ended(&world, &run, (rows / part, rows)).await;
        world.api(0).kill();
        world.start_api(0).await;
    }
    account(&world, &run, rows, 2).await;
    world.api(0).stop();
    verify(&world);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_accounted_for_whatever_is_killed() {
    let server = mariadb::Server::start().unwrap();
    let url = server.database().unwrap();
    let world = World::plan().database(&url).api_toml(LEASE).start().await;
    let rows = 3_000;
    let run = start(&world, rows).await;
    until_ended(&world, &run, (rows / 6, rows)).await;
    world.proxy("eu", 0).kill();
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.proxy("eu", 0).start();
    until_ended(&world, &run, (rows / 3, rows)).await;
    block_in_place(|| server.daemon().kill());
    tokio::time::sleep(Duration::from_secs(1)).await;
    block_in_place(|| server.restart().unwrap());
    world.settle(0).await;
    until_ended(&world, &run, (rows / 2, rows)).await;
    world.api(0).kill();
    world.proxy("eu", 0).kill();
    world.proxy("eu", 0).start();
    world.start_api(0).await;
    account(&world, &run, rows, 4).await;
    world.api(0).stop();
    verify(&world);
}
