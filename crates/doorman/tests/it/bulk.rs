//! `doorman bulk`, `jobs` and `runs` against real processes: what people type, and what comes of it.

use crate::shell::Shell;
use crate::world::World;
use doorman_testkit::recorder::Reply;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::process::Command;
use std::time::Duration;

/// A shell in which dave is logged in, with his folder.
async fn shell_of(world: &World) -> Shell {
    let token = world.login("dave").await;
    let url = format!("http://{}", world.api(0).address());
    Shell::at(&url).with("DOORMAN_TOKEN", &token).with("DOORMAN_FOLDER", "ops")
}

/// As a spreadsheet saves it: byte order mark, semicolons, CRLF, quotes, an emptied row.
fn spreadsheet(rows: usize) -> String {
    let rows = (1..=rows).map(|id| format!("{id};\"Firma; {id}\"\r\n"));
    format!("\u{feff}id;name\r\n{};\r\n", rows.collect::<String>())
}

const MIGRATE: [&str; 11] = [
    "bulk",
    "--region",
    "eu",
    "--service",
    "target",
    "--method",
    "post",
    "--path",
    "/companies/{{id}}/migrate",
    "--ids",
    "ids.csv",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheet_of_ids_is_sent_in_waves_and_its_results_come_back() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{\"ok\":true}"));
    let shell = shell_of(&world).await;
    shell.write("ids.csv", &spreadsheet(30));
    let more = [
        "--key",
        "id",
        "--json-body",
        "{\"name\":\"{{name}}\"}",
        "--wave",
        "5",
        "--wave",
        "50%",
        "--reason",
        "ticket 1",
    ];

    let tried = shell.run(&[&MIGRATE[..], &more, &["--dry-run", "--watch"]].concat());
    assert!(tried.ok().contains("30 done"));
    assert!(world.recorder().is_untouched(), "a dry run sends nothing");

    let told = shell.run(&[&MIGRATE[..], &more, &["--watch"]].concat()).ok();
    assert!(told.contains("wave 3/3") && told.contains("30 done"), "{told}");
    let hits = world.recorder().requests();
    let paths: BTreeSet<_> = hits.iter().map(|hit| hit.target().to_owned()).collect();
    let wanted: BTreeSet<_> = (1..=30).map(|id| format!("/companies/{id}/migrate")).collect();
    assert_eq!((hits.len(), paths), (30, wanted));

    let run = told.split(' ').next().unwrap();
    let csv = shell.run(&["runs", "results", run]).ok();
    assert!(csv.starts_with("id,name,"), "{csv}");
    assert_eq!(csv.lines().count(), 31);
    let shown: Value = serde_json::from_str(&shell.run(&["runs", "show", run, "--json"]).ok()).unwrap();
    assert_eq!((&shown["state"], &shown["reason"]), (&"done".into(), &"ticket 1".into()), "{shown}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_whole_with_its_lines_and_nothing_is_left() {
    let world = World::start().await;
    let shell = shell_of(&world).await;
    shell.write("ids.csv", "id,name\n1,a\n../admin,b\n3\n1,a\n");
    let told = shell.run(&MIGRATE).failed(1);
    for problem in ["line 3", "line 4", "line 5: the row is as in line 2"] {
        assert!(told.contains(problem), "{problem} in {told}");
    }
    assert!(shell.run(&["jobs", "list"]).ok().is_empty());
    assert!(world.recorder().is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_waits_for_a_person_and_failures_make_the_watch_fail() {
    let world = World::start().await;
    world.recorder().always(Reply::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
    let shell = shell_of(&world).await;
    shell.write("ids.csv", "id\na\nb\nc\n");
    let run = shell.run(&[&MIGRATE[..], &["--wave", "1", "--gate", "manual"]].concat()).ok();
    let run = run.trim();
    let state = || {
        let shown: Value = serde_json::from_str(&shell.run(&["runs", "show", run, "--json"]).ok()).unwrap();
        shown["state"].as_str().unwrap().to_owned()
    };
    while state() != "waiting" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(world.recorder().requests().len(), 1);
    shell.run(&["runs", "advance", run]).ok();
    let watched = shell.run(&["runs", "watch", run]);
    assert_eq!(watched.code, 1, "{watched:?}");
    assert!(watched.stdout.contains("3 failed") && watched.stdout.contains("3 × status 500"), "{watched:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_tells_the_end_of_a_cancelled_run_and_an_interrupted_one_that_the_run_goes_on() {
    let world = World::start().await;
    world.recorder().always(
        Reply::raw("").pause(Duration::from_millis(700)).then("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
    );
    let shell = shell_of(&world).await;
    shell.write("ids.csv", &spreadsheet(200));
    let run = shell.run(&[&MIGRATE[..], &["--rate", "10"]].concat()).ok();
    let run = run.trim();
    let mut watch = shell.start(&["runs", "watch", run]);
    world.run_until(run, "under way", |run| run["counts"]["done"].as_u64().unwrap() > 3).await;
    Command::new("kill").args(["-INT", &watch.id().to_string()]).status().unwrap();
    let mut told = String::new();
    watch.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(130), "{told}");
    assert!(told.contains("The run goes on") && told.contains(run), "{told}");

    let mut watch = shell.start(&["runs", "watch", run, "--json"]);
    assert_eq!(world.control("dave", run, "cancel").await.0, 200);
    let mut told = String::new();
    watch.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(watch.wait().unwrap().code(), Some(1));
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    let counts = &last["counts"];
    assert_eq!(counts["done"].as_u64().unwrap() + counts["skipped"].as_u64().unwrap(), 200, "{last}");
    assert!(last["ended_at"].is_string(), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_items_are_sent_again_when_a_person_says_so() {
    let world = World::start().await;
    world.recorder().always(Reply::raw("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"));
    let shell = shell_of(&world).await;
    shell.write("ids.csv", "id\na\nb\nc\n");
    let told = shell.run(&[&MIGRATE[..], &["--wave", "1", "--watch"]].concat()).stdout;
    let run = told.split(' ').next().unwrap();
    world.recorder().always(Reply::ok("{}"));
    shell.run(&["runs", "retry-failed", run]).ok();
    assert!(shell.run(&["runs", "watch", run]).ok().contains("3 done"));
    assert_eq!(shell.run(&["runs", "retry-failed", run]).code, 1, "nothing has failed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_saved_filled_previewed_run_and_deleted() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("{}"));
    let shell = shell_of(&world).await;
    shell.write(
        "job.json",
        r#"{"name": "move", "folder": "ops", "request": {"region": "eu", "service": "target", "method": "PUT",
            "path": "/c/{{id}}", "query": {"to": "{{to}}"}}}"#,
    );
    let job = shell.run(&["jobs", "create", "job.json"]).ok();
    let job = job.trim();
    shell.write(
        "rows.jsonl",
        "{\"id\": 1, \"to\": \"a&b\", \"spare\": 0}\n{\"id\": 2, \"to\": \"c\", \"spare\": 0}\n",
    );
    shell.run(&["jobs", "upload", job, "rows.jsonl"]).ok();
    let preview = shell.run(&["jobs", "preview", job]);
    assert!(preview.stdout.contains("PUT eu/target/c/1?to=a%26b\n"), "{preview:?}");
    assert!(preview.stderr.contains("Not used: spare"), "{preview:?}");
    assert!(shell.run(&["jobs", "run", job, "--watch"]).ok().contains("2 done"));
    let edited = shell.run(&["jobs", "show", job]).ok().replace("\"move\"", "\"moved\"");
    shell.run_with_input(&["jobs", "edit", job, "--file", "-"], &edited).ok();
    let history = shell.run(&["jobs", "history", job]).ok();
    assert!(history.contains("user:dave") && history.contains("moved"), "{history}");
    shell.run(&["jobs", "delete", job]).ok();
    assert_eq!(shell.run(&["jobs", "show", job]).code, 5);
}
