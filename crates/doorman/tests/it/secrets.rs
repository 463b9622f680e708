//! Canaries: secrets that came in by every way there is, looked for in everything that is kept or told.

#[cfg(feature = "archive")]
use crate::shell::Shell;
use crate::world::{DEADLINE, World, get, post, request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_testkit::recorder::Reply;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CANARY: &str = "s3cr3t-canary";

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&entry.path())),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found
}

/// The canary as itself and as base64 has it at each of the three places it can begin.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = vec![CANARY.as_bytes().to_vec()];
    for before in 0..3 {
        let text = STANDARD.encode(["x".repeat(before).as_bytes(), CANARY.as_bytes()].concat());
        // The digits that depend on what stands before or behind are left away.
        forms.push(text.as_bytes()[4..text.len() - 4].to_vec());
    }
    forms
}

fn assert_clean(what: &str, bytes: &[u8]) {
    for form in forms() {
        let at = bytes.windows(form.len()).position(|window| window == form);
        let Some(at) = at else { continue };
        let around = &bytes[at.saturating_sub(200)..(at + 100).min(bytes.len())];
        panic!("{what} holds a secret: {}", String::from_utf8_lossy(around));
    }
}

/// Sends the canary in by every way that takes secrets; gives an id whose outcome is the last.
async fn send_canaries(world: &World) -> String {
    let token = world.login("dave").await;
    let json = |request: crate::world::Request| request.header("Content-Type", "application/json");
    // Everywhere in a request that is sent, and in its answer.
    world.recorder().next(Reply::raw(format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a={CANARY}\r\nAuthorization: {CANARY}\r\nContent-Type: application/json\r\n\
         Content-Length: 33\r\n\r\n{{\"access_token\":\"{CANARY}\"}}\n"
    )));
    let body = format!(r#"{{"a":[{{"password":"{CANARY}"}}],"client_secret":"{CANARY}"}}"#);
    let sent = post(&format!("/r/eu/target/a?access_token={CANARY}&x=1"), body)
        .header("Doorman-Token", &token)
        .header("Authorization", &format!("Bearer {CANARY}"))
        .header("Cookie", &format!("session={CANARY}"))
        .header("X-Api-Key", CANARY);
    let answer = world.send(json(sent)).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    // In bodies of other kinds, and in one that cannot be read.
    let form = format!("a=1&password={CANARY}");
    let multipart =
        format!("--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{CANARY}\r\n--b--\r\n");
    let garbled = [format!("{{\"password\":\"{CANARY}\",").as_bytes(), b"\xff\xfe"].concat();
    for (kind, body) in [
        ("application/x-www-form-urlencoded", form.into_bytes()),
        ("multipart/form-data; boundary=b", multipart.into_bytes()),
        ("application/json", garbled.clone()),
        ("application/octet-stream", garbled),
    ] {
        let sent = post("/r/eu/target/b", body).header("Doorman-Token", &token).header("Content-Type", kind);
        assert_eq!(world.send(sent).await.status(), 200, "{kind}");
    }
    // In refused requests.
    let credentials = [
        get("/r/eu/target/c").bearer(CANARY),
        get("/r/eu/target/c").basic("dave", CANARY),
        get("/r/eu/target/c").basic("nobody", CANARY),
        get("/r/eu/target/c").header("Authorization", &format!("Negotiate {CANARY}")),
        get("/r/eu/target/c").header("Cookie", &format!("doorman_session={CANARY}")),
        get(&format!("/r/eu/target/c?access_token={CANARY}")).bearer(&token),
        get("/r/eu/target/c")
            .bearer(&token)
            .header("Doorman-On-Behalf-Of", "alice")
            .header("Doorman-User-Token", CANARY),
        request("DELETE", "/r/eu/echo/c").bearer(&token).header("X-Api-Key", CANARY),
        get("/api/v1/audit").bearer(CANARY),
        json(post("/auth/v1/login", format!(r#"{{"username":"dave","password":"{CANARY}"}}"#))),
        json(post("/auth/v1/login", format!(r#"{{"username":"dave","password":"{CANARY}""#))),
        json(post("/auth/v1/verify", format!(r#"{{"username":"alice","token":"{CANARY}"}}"#)))
            .as_user("dave"),
        post(
            "/oauth2/token",
            format!("grant_type=client_credentials&client_id=reports-ui&client_secret={CANARY}"),
        )
        .header("Content-Type", "application/x-www-form-urlencoded"),
        post("/oauth2/introspect", format!("token={CANARY}"))
            .header("Content-Type", "application/x-www-form-urlencoded")
            .as_user("dave"),
    ];
    for request in credentials {
        world.send(request).await;
    }
    let last = world.send(post("/r/eu/target/z", "end").header("Doorman-Token", &token)).await;
    last.head.field("doorman-audit-id").unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "fails: claims hold the query as sent, its secrets too (docs/audit-log.md, What is masked)"]
async fn canaries_are_found_in_nothing_that_is_kept_or_told() {
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("lines.jsonl");
    let sinks = format!(
        "[[sinks]]\nname = \"lines\"\nkind = \"file\"\npath = \"{}\"\n[[sinks]]\nname = \"out\"\nkind = \"stdout\"\n",
        lines.display()
    );
    let world = World::plan().api_toml(&sinks).start().await;
    let last = send_canaries(&world).await;
    let outcome = world.outcome(&last).await.text("id").to_owned();
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while !std::fs::read_to_string(&lines).unwrap_or_default().contains(&outcome) {
        assert!(tokio::time::Instant::now() < deadline, "the sink does not get the last entry");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sent = world.recorder().requests().iter().map(|hit| hit.bytes.clone()).collect::<Vec<_>>().concat();
    let hits = sent.windows(CANARY.len()).filter(|window| *window == CANARY.as_bytes()).count();
    assert!(hits >= 8, "the service gets what was sent: {hits}");

    let auditor = world.login("carol").await;
    for path in [
        "/metrics",
        "/readyz",
        "/api/v1/audit?limit=500",
        "/api/v1/audit/export?format=jsonl",
        "/api/v1/audit/export?format=csv",
        "/api/v1/audit/export?format=jsonl&from=1970-01-01T00:00:00Z",
    ] {
        let answer = world.send(get(path).bearer(&auditor)).await;
        assert_eq!(answer.status(), 200, "{path}: {answer:?}");
        assert!(answer.body.len() > 200, "{path}: {answer:?}");
        assert_clean(path, &answer.body);
    }
    // Of the log, not of lists alone: a list of what `q` finds finds none.
    let found = world.send(get(&format!("/api/v1/audit?q={}", &CANARY[..6])).bearer(&auditor)).await;
    let found: serde_json::Value = serde_json::from_slice(&found.body).unwrap();
    let is_other = |item: &serde_json::Value| item["kind"] != "audit";
    assert_eq!(found["items"].as_array().unwrap().iter().filter(|item| is_other(item)).count(), 0, "{found}");
    assert_clean("the log of api", world.api(0).log().as_bytes());
    assert_clean("the log of proxy", world.proxy("eu", 0).log().as_bytes());
    assert_clean("the file of a sink", &std::fs::read(&lines).unwrap());
    #[cfg(feature = "archive")]
    assert_archive_is_clean(&world);
    // The database with its write-ahead log and index, statements, receipts, keys; while it runs and after.
    for ended in [false, true] {
        if ended {
            world.api(0).stop();
            world.proxy("eu", 0).stop();
        }
        let all = files(world.path());
        for name in ["doorman.db", "doorman.db.index"] {
            assert!(all.iter().any(|file| file.ends_with(name)), "{all:?}");
        }
        for file in all {
            // Files come and go beside a database that is in use.
            if let Ok(bytes) = std::fs::read(&file) {
                assert_clean(&file.display().to_string(), &bytes);
            }
        }
    }
    world.assert_every_hit_was_written_down().await;
}

/// Parquet is compressed: what it holds is read by DuckDB.
#[cfg(feature = "archive")]
fn assert_archive_is_clean(world: &World) {
    let shell = Shell::new();
    let archive = ["audit", "archive", "--database", world.database_url(), "--to", "archive"];
    assert!(!shell.run(&archive).ok().starts_with("0 "));
    let script = "import duckdb\n\
                  for row in duckdb.sql(\"SELECT * FROM 'archive/entries/*.parquet'\").fetchall(): print(row)";
    let mut python = std::process::Command::new(crate::python::interpreter());
    let ran = python.args(["-c", script]).current_dir(shell.path()).output().unwrap();
    assert!(ran.status.success() && ran.stdout.len() > 5_000, "{ran:?}");
    assert_clean("the archive", &ran.stdout);
}
