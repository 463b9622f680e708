//! Sinks of a running `api`: what they get, what `/readyz` says of them, where they go on after a restart.

use crate::shell::Shell;
use crate::world::{DEADLINE, World, get, post};
use doorman_core::export;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The lines of a sink's file so far; a last one without its end is left out.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn entries(lines: &[Value]) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    for id in lines.iter().filter_map(|line| line["entry"]["record"]["id"].as_str()) {
        *ids.entry(id.to_owned()).or_default() += 1;
    }
    ids
}

async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until `/readyz` says `wanted` of the sinks.
async fn until_ready_says(world: &World, status: &str, wanted: &[(&str, bool)]) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        let answer = world.send(get("/readyz")).await;
        assert_eq!(answer.status(), 200, "requests go on: {answer:?}");
        let ready: Value = serde_json::from_slice(&answer.body).unwrap();
        let says = wanted.iter().all(|(name, takes)| ready["sinks"][name] == *takes);
        if says && ready["status"] == status {
            return;
        }
        assert!(Instant::now() < deadline, "{ready}\n{}", world.api(0).log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sink_gets_the_whole_chain_once_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("lines.jsonl");
    let world = World::plan()
        .api_toml(&format!(
            "[[sinks]]\nname = \"lines\"\nkind = \"file\"\npath = \"{}\"\n[[sinks]]\nname = \"out\"\nkind = \"stdout\"\n",
            file.display()
        ))
        .start()
        .await;
    let token = world.login("dave").await;
    let send = async || {
        let answer = world.send(post("/r/eu/target/a", "x").bearer(&token)).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.head.field("doorman-audit-id").unwrap().to_owned()
    };
    let first = send().await;
    until("the file gets the entry", async || entries(&lines(&file)).contains_key(&first).then_some(()))
        .await;
    let printed = async || {
        world.api(0).log().lines().any(|l| l.starts_with("{\"entry\"") && l.contains(&first)).then_some(())
    };
    until("standard output gets the entry", printed).await;
    until_ready_says(&world, "ready", &[("lines", true), ("out", true)]).await;
    let ended = world.outcome(&first).await.text("id").to_owned();
    until("the file gets the outcome", async || entries(&lines(&file)).contains_key(&ended).then_some(()))
        .await;
    // The position is stored behind what was taken.
    sleep(Duration::from_millis(300)).await;
    world.api(0).stop();
    world.start_api(0).await;
    let second = send().await;
    let outcome = world.outcome(&second).await.text("id").to_owned();
    until("the file goes on", async || entries(&lines(&file)).contains_key(&outcome).then_some(())).await;
    world.api(0).stop();
    let told = lines(&file);
    let (ids, journal) = (entries(&told), world.journal().await);
    // The last entries may be on their way; what came, came once.
    assert!(ids.values().all(|count| *count == 1), "{ids:?}");
    assert!(ids.contains_key(&first) && journal.len() - ids.len() <= 2, "{} of {}", ids.len(), journal.len());

    // What a sink holds is the chain, and proves itself.
    let text = std::fs::read_to_string(&file).unwrap();
    let (writers, rest): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("{\"writer\""));
    assert_eq!(writers.len(), 2);
    let whole = [
        export::begin(0),
        writers.join("\n"),
        "\n".into(),
        rest.join("\n"),
        "\n".into(),
        export::end(ids.len() as u64),
    ];
    let shell = Shell::new();
    shell.write("log.jsonl", &whole.concat());
    let keys = world.path().join("keys/history.json").display().to_string();
    let verify = ["audit", "verify", "--export", "log.jsonl", "--keys", &keys];
    assert!(shell.run(&verify).ok().starts_with(&format!("The log is whole: {} entries", ids.len())));
    shell.write("log.jsonl", &whole.concat().replace("user:dave", "user:eve!"));
    shell.run(&verify).failed(1);
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_fails_or_is_stuck_is_told_and_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let (away, pipe) = (dir.path().join("away"), dir.path().join("pipe"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let sink = |name: &str, path: &Path| {
        format!("[[sinks]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{}\"\n", path.display())
    };
    let world =
        World::plan().api_toml(&(sink("away", &away.join("lines")) + &sink("stuck", &pipe))).start().await;
    let answer = world.send(post("/r/eu/target/a", "x").as_user("dave")).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let id = answer.head.field("doorman-audit-id").unwrap().to_owned();
    // Nobody reads the pipe: opening it never ends.
    until_ready_says(&world, "degraded", &[("away", false), ("stuck", false)]).await;
    std::fs::create_dir(&away).unwrap();
    until_ready_says(&world, "degraded", &[("away", true), ("stuck", false)]).await;
    until("all of the log comes late", async || {
        entries(&lines(&away.join("lines"))).contains_key(&id).then_some(())
    })
    .await;
    let metrics = world.send(get("/metrics")).await;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    assert!(metrics.contains("doorman_sink_lines_total{sink=\"away\"}"), "{metrics}");
    // A stuck sink keeps nobody from ending: this would wait for ever.
    world.api(0).stop();
    world.assert_every_hit_was_written_down().await;
}
