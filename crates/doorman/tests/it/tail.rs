//! `audit tail` against a running `api`: what it shows, and how it ends.

use crate::shell::Shell;
use crate::world::{DEADLINE, World, post};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tokio::task::block_in_place;

/// A running tail; dropping it kills it.
struct Tail {
    child: Child,
    lines: Receiver<String>,
}

impl Tail {
    fn start(world: &World, shell: &Shell, token: &str, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_doorman"))
            .args(["audit", "tail"])
            .args(args)
            .env_clear()
            .env("HOME", shell.path())
            .env("DOORMAN_URL", format!("http://{}", world.api(0).address()))
            .env("DOORMAN_TOKEN", token)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        block_in_place(|| self.lines.recv_timeout(DEADLINE)).expect("the tail shows nothing")
    }

    /// Its exit code and standard error.
    fn end(mut self) -> (Option<i32>, String) {
        block_in_place(|| {
            let code = self.child.wait().unwrap().code();
            let mut told = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            (code, told)
        })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_shows_entries_as_they_come_and_ends_with_its_session() {
    let world = World::start().await;
    let (shell, token) = (Shell::new(), world.login("carol").await);
    let json = Tail::start(&world, &shell, &token, &["--service", "target", "--json"]);
    let text = Tail::start(&world, &shell, &token, &["--kind", "request"]);
    // Each is an entry, written when it follows.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while world
        .entries(|entry| entry.text("kind") == "audit" && entry.text("actor") == "user:carol")
        .await
        .len()
        < 2
    {
        assert!(tokio::time::Instant::now() < deadline, "{}", world.api(0).log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let hostile = post("/r/eu/target/a", "x").as_user("dave").header("Doorman-Reason", "\u{202e}reversed");
    let answer = world.send(hostile).await;
    let id = answer.head.field("doorman-audit-id").unwrap();
    // When it is written, unless its outcome came with it; and when its outcome is known.
    loop {
        let entry: Value = serde_json::from_str(&json.line()).unwrap();
        assert_eq!((entry["id"].as_str(), &entry["subject"]), (Some(id), &"user:dave".into()), "{entry}");
        assert_eq!(entry["service"], "target");
        if entry["outcome"]["status"] == 200 {
            break;
        }
        assert!(entry["outcome"].is_null(), "{entry}");
    }
    loop {
        let line = text.line();
        assert!(line.contains(id) && line.contains("POST eu/target/a"), "{line}");
        assert!(!line.contains(['\u{202e}', '\u{1b}']), "{line:?}");
        if line.contains("done 200") {
            break;
        }
    }
    let logout = post("/auth/v1/logout", "").bearer(&token);
    assert!(world.send(logout).await.status() < 300);
    for tail in [json, text] {
        let (code, told) = tail.end();
        assert_eq!(code, Some(3), "{told}");
        assert!(told.contains("session"), "{told}");
    }
    world.assert_every_hit_was_written_down().await;
}
