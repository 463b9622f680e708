//! What the log holds of hostile requests, and that it cannot be changed.

use crate::world::{World, get, post};
use doorman_core::sha256;
use doorman_testkit::recorder::Reply;
use sqlx::Connection as _;

#[tokio::test(flavor = "multi_thread")]
async fn of_a_body_over_the_limit_the_prefix_is_kept_with_its_whole_length_and_digest() {
    let world = World::plan().api_toml("[journal]\nbody_limit = \"1KiB\"\n").start().await;
    let body: Vec<u8> = (0..300_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let whole = &body[..1024];
    for (sent, is_whole) in [(whole, true), (&body[..], false)] {
        let answer = world.send(post("/r/eu/target/a", sent).as_user("dave")).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let id = answer.head.field("doorman-audit-id").unwrap();
        let (attempt, outcome) = (world.entry(id).await, world.outcome(id).await);
        let kept = attempt.text("body").as_bytes();
        assert!(sent.starts_with(kept) && (1024..=2048).contains(&kept.len()), "{} kept", kept.len());
        if is_whole {
            assert_ne!(attempt.record["body_truncated"], true, "{attempt:?}");
            assert_eq!(attempt.record["body_size"], 1024);
        } else {
            assert_eq!(attempt.record["body_truncated"], true, "{attempt:?}");
            assert_eq!(outcome.record["request_size"], 300_000, "{outcome:?}");
            assert_eq!(outcome.text("request_sha256"), hex::encode(sha256(sent)));
        }
    }
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_cut_or_garbled_body_is_not_kept_either() {
    let world = World::plan().api_toml("[journal]\nbody_limit = \"1KiB\"\n").start().await;
    let (start, rest) = (r#"{"password":"s3cr3t-canary","x":""#, "é".repeat(100_000));
    let garbled = [start.as_bytes(), b"\xff\xfe", rest.as_bytes()].concat();
    // Cut within a character, at one parity or the other.
    let bodies = [format!("{start}{rest}").into_bytes(), format!("{start}y{rest}").into_bytes(), garbled];
    for body in bodies {
        let answer = world.send(post("/r/eu/target/a", body).as_user("dave")).await;
        assert_eq!(answer.status(), 200, "{answer:?}");
        let entry = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
        assert!(entry.record["body"].is_null(), "{entry:?}");
        assert_eq!(
            entry.record["redacted"].as_array().unwrap().iter().filter(|what| **what == "body").count(),
            1
        );
        assert_eq!(entry.record["body_truncated"], true);
    }
    let answer = world.send(post("/r/eu/target/a", rest).as_user("dave")).await;
    let entry = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
    assert_eq!((entry.text("body").len(), entry.text("body_encoding")), (1024, "text"));
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_stays_one_entry_as_it_came() {
    let world = World::start().await;
    let hostile = [
        "=cmd|'/c calc'!A1",
        "+SUM(1)",
        "\u{202e}desrever",
        "<script>alert(1)</script>",
        "'; DROP TABLE journal; --",
        "{\"kind\":\"forged\"}",
        "tab\there",
        "%0d%0aforged: 1",
        "\\u000aforged",
        "$(reboot)`reboot`",
    ];
    for text in hostile {
        let request = post("/r/eu/target/a", text)
            .as_user("dave")
            .header("Doorman-Reason", text)
            .header("User-Agent", text);
        let answer = world.send(request.header("X-Text", text)).await;
        assert_eq!(answer.status(), 200, "{text}: {answer:?}");
        let entry = world.entry(answer.head.field("doorman-audit-id").unwrap()).await;
        assert_eq!(entry.text("reason"), text.trim());
        assert_eq!(entry.text("body"), text);
    }
    for text in ["a\rb", "a\nDoorman-Audit-Id: x", "a\0b", "\u{1b}[2J\u{1b}]0;owned\u{7}", "a\u{7f}b"] {
        let raw = post("/r/eu/target/b", "x").as_user("dave").header("Doorman-Reason", text);
        let answer = world.send(raw).await;
        assert!([200, 400].contains(&answer.status()), "{text:?}: {answer:?}");
    }
    let attempts = world.entries(|entry| entry.text("kind") == "request").await;
    assert!(
        attempts.iter().all(|entry| !entry.text("reason").contains(['\r', '\n', '\0', '\u{1b}'])),
        "{attempts:?}"
    );
    // The process's own log is one JSON object a line, and moves no cursor.
    let log = world.api(0).log();
    assert!(!log.contains('\u{1b}'), "{log}");
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_masked_before_they_are_written() {
    let world = World::plan()
        .api_toml("[redact]\nheaders = [\"X-Mine\"]\nquery_keys = [\"mine\"]\njson_fields = [\"mine\"]\n")
        .start()
        .await;
    let secret = "s3cr3t-canary";
    let body =
        format!("{{\"a\":[{{\"password\":\"{secret}\",\"mine\":\"{secret}\"}}],\"token\":\"{secret}\"}}");
    world.recorder().next(Reply::raw(format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a={secret}\r\nX-Mine: {secret}\r\nAuthorization: {secret}\r\nContent-Length: 0\r\n\r\n"
    )));
    let token = world.login("dave").await;
    let answer = world
        .send(
            post(&format!("/r/eu/target/a?access_token={secret}&mine={secret}&%6dine={secret}&x=1"), body)
                .header("Doorman-Token", &token)
                .header("Content-Type", "application/json")
                .header("Authorization", &format!("Bearer {secret}"))
                .header("Cookie", &format!("session={secret}"))
                .header("X-Api-Key", secret)
                .header("x-mine", secret),
        )
        .await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    let hit = world.recorder().requests().remove(0);
    assert_eq!(
        String::from_utf8_lossy(&hit.bytes).matches(secret).count(),
        10,
        "the service gets what was sent"
    );
    let id = answer.head.field("doorman-audit-id").unwrap();
    world.outcome(id).await;
    let journal = world.journal().await;
    assert!(journal.iter().all(|entry| !entry.record.to_string().contains(secret)), "{journal:#?}");
    assert!(!world.api(0).log().contains(secret) && !world.proxy("eu", 0).log().contains(secret));
    let entry = world.entry(id).await;
    assert_eq!(entry.text("path"), "/a");
    assert!(entry.record["redacted"].as_array().unwrap().len() >= 6, "{entry:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_can_be_added_to_and_nothing_else() {
    let world = World::start().await;
    let answer = world.send(get("/r/eu/target/public/a").as_user("alice")).await;
    world.outcome(answer.head.field("doorman-audit-id").unwrap()).await;
    let before = world.journal().await.len();
    let mut connection = world.sqlite().await;
    // As on Doorman's own connections: REPLACE would otherwise go past the triggers.
    sqlx::query("PRAGMA recursive_triggers = 1").execute(&mut connection).await.unwrap();
    for sql in [
        "UPDATE journal SET record = record",
        "UPDATE journal SET claims = x''",
        "DELETE FROM journal",
        "DELETE FROM journal WHERE id = (SELECT MIN(id) FROM journal)",
        "REPLACE INTO journal SELECT id, writer, claims, x'7b7d' FROM journal LIMIT 1",
        "INSERT OR REPLACE INTO journal SELECT id, writer, claims, x'7b7d' FROM journal LIMIT 1",
        "UPDATE OR REPLACE journal SET id = x'00'",
        "UPDATE statement SET body = x''",
        "DELETE FROM statement",
        "REPLACE INTO statement SELECT writer, number, epoch, x'00', first_index, count, first_id, last_id FROM statement LIMIT 1",
        "DELETE FROM statement_signature",
        "UPDATE statement_signature SET signature = x''",
    ] {
        let done = sqlx::query(sql).execute(&mut connection).await;
        let changed = done.as_ref().map_or(0, sqlx::sqlite::SqliteQueryResult::rows_affected);
        // There may be no signature yet to be changed.
        assert!(done.is_err() || changed == 0 && sql.contains("statement_signature"), "{sql}: {done:?}");
    }
    connection.close().await.unwrap();
    let after = world.journal().await;
    assert_eq!(after.len(), before);
    assert!(after.iter().all(|entry| entry.record.as_object().is_some_and(|record| !record.is_empty())));
    world.assert_every_hit_was_written_down().await;
}
