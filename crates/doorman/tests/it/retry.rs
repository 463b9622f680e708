//! Requests sent again from the log: as whom, with what, and what is never sent.

use crate::shell::Shell;
use crate::world::{World, get, post};
use doorman_testkit::raw::Answer;
use doorman_testkit::recorder::Reply;
use serde_json::{Value, json};

fn id_of(answer: &Answer) -> String {
    answer.head.field("doorman-audit-id").unwrap().to_owned()
}

async fn retry(world: &World, id: &str, user: &str, how: &Value) -> (u16, Value, Answer) {
    let request = post(&format!("/api/v1/audit/{id}/retry"), how.to_string())
        .header("content-type", "application/json")
        .as_user(user);
    let answer = world.send(request).await;
    (answer.status(), serde_json::from_slice(&answer.body).unwrap_or_default(), answer)
}

async fn shown(world: &World, id: &str, user: &str) -> Value {
    let answer = world.send(get(&format!("/api/v1/audit/{id}")).as_user(user)).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_repeated_as_it_was_and_both_entries_name_each_other() {
    let world = World::start().await;
    world.recorder().always(Reply::raw("HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 2\r\n\r\nhi"));
    let first =
        world.send(get("/r/eu/target/public/a%20b?x=1&y=%2F").header("X-Mine", "m").as_user("alice")).await;
    let id = id_of(&first);
    world.outcome(&id).await;
    let (status, answer, _) = retry(&world, &id, "alice", &json!({"reason": "once more"})).await;
    assert_eq!(status, 200, "{answer}");
    let same = json!({"status": true, "headers": true, "body": true, "differing_headers": []});
    assert_eq!((&answer["status"], &answer["body"], &answer["same"]), (&json!(200), &json!("hi"), &same));

    let hits = world.recorder().requests();
    assert_eq!(hits.len(), 2);
    assert_eq!((hits[0].method(), hits[0].target()), (hits[1].method(), hits[1].target()));
    assert!(String::from_utf8_lossy(&hits[1].bytes).to_lowercase().contains("x-mine: m"));
    let again = answer["audit_id"].as_str().unwrap();
    let entry = shown(&world, again, "alice").await;
    assert_eq!((&entry["retry_of"], &entry["channel"]), (&json!(id), &json!("retry")));
    assert_eq!(entry["reason"], "once more");
    assert_eq!(shown(&world, &id, "alice").await["retries"], json!([again]));

    world.recorder().always(Reply::raw("HTTP/1.1 404 No\r\nETag: \"2\"\r\nContent-Length: 2\r\n\r\nho"));
    let (_, answer, _) = retry(&world, &id, "alice", &json!({})).await;
    let other = json!({"status": false, "headers": false, "body": false, "differing_headers": ["etag"]});
    assert_eq!((&answer["status"], &answer["same"]), (&json!(404), &other));
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_of_whoever_repeats_decide_and_a_denial_is_linked_too() {
    let world = World::start().await;
    let id = id_of(&world.send(post("/r/eu/target/a", "x").as_user("dave")).await);
    world.recorder().clear();
    let (status, problem, _) = retry(&world, &id, "alice", &json!({"confirm": true})).await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")), "another's entry");
    let (status, problem, answer) = retry(&world, &id, "carol", &json!({"confirm": true})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")), "an auditor sends nothing");
    let denial = shown(&world, &id_of(&answer), "carol").await;
    assert_eq!((&denial["retry_of"], &denial["decision"]), (&json!(id), &json!("deny")));
    assert_eq!((&denial["actor"], &denial["channel"]), (&json!("user:carol"), &json!("retry")));
    let (status, problem, _) = retry(&world, &id, "dave", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("confirmation_required")));
    assert!(world.recorder().is_untouched());
    let (status, answer, _) = retry(&world, &id, "dave", &json!({"confirm": true})).await;
    assert_eq!((status, &answer["status"]), (200, &json!(200)), "{answer}");
    assert_eq!(world.recorder().requests().len(), 1);
    let reading = world.send(get("/api/v1/audit/export?run=none").as_user("carol")).await;
    let (status, problem, _) = retry(&world, &id_of(&reading), "carol", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "an entry that is no request");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_and_no_mask_is_sent_and_what_is_missing_must_be_supplied() {
    let world = World::plan().api_toml("[journal]\nbody_limit = \"1KiB\"\n").start().await;
    let secret = "s3cr3t-canary";
    let token = world.login("dave").await;
    let send = async |target: &str, body: Vec<u8>| {
        let request = post(target, body)
            .header("Doorman-Token", &token)
            .header("Authorization", &format!("Bearer {secret}"))
            .header("Cookie", &format!("a={secret}"))
            .header("X-Api-Key", secret);
        id_of(&world.send(request).await)
    };
    let masked_body = send("/r/eu/target/a", format!(r#"{{"password":"{secret}"}}"#).into_bytes()).await;
    let masked_query = send(&format!("/r/eu/target/b?token={secret}"), b"b".to_vec()).await;
    let cut = send("/r/eu/target/c", vec![b'c'; 5_000]).await;
    let plain = send("/r/eu/target/d", b"d".to_vec()).await;
    world.recorder().clear();
    for id in [&masked_body, &masked_query, &cut] {
        let (status, problem, _) = retry(&world, id, "dave", &json!({"confirm": true})).await;
        assert_eq!((status, &problem["code"]), (409, &json!("conflict")), "{problem}");
    }
    let still_masked = json!({"confirm": true, "body": {"password": "[redacted]"}});
    assert_eq!(retry(&world, &masked_body, "dave", &still_masked).await.0, 422);
    assert!(world.recorder().is_untouched());

    for (id, how) in [
        (&masked_body, json!({"confirm": true, "body": {"password": "new"}})),
        (&masked_query, json!({"confirm": true, "query": "token=new"})),
        (&cut, json!({"confirm": true, "body": "whole"})),
        (&plain, json!({"confirm": true})),
    ] {
        let (status, answer, _) = retry(&world, id, "dave", &how).await;
        assert_eq!(status, 200, "{answer}");
    }
    let hits = world.recorder().requests();
    let texts: Vec<_> = hits.iter().map(|hit| String::from_utf8_lossy(&hit.bytes).to_lowercase()).collect();
    assert_eq!(texts.len(), 4);
    for text in &texts {
        assert!(!text.contains(secret) && !text.contains("[redacted]"), "{text}");
        assert!(
            !["authorization:", "cookie:", "x-api-key:"].iter().any(|name| text.contains(name)),
            "{text}"
        );
    }
    assert!(texts[0].contains(r#"{"password":"new"}"#) && texts[1].contains("/b?token=new "));
    let journal = world.journal().await;
    assert!(journal.iter().all(|entry| !entry.record.to_string().contains(secret)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_repeat_export_and_prove() {
    let world = World::start().await;
    world.recorder().always(Reply::ok("hello"));
    let id = id_of(&world.send(post("/r/eu/target/a", "x").as_user("dave")).await);
    world.outcome(&id).await;
    let url = format!("http://{}", world.api(0).address());
    let keys = world.path().join("keys/history.json");
    let keys = keys.to_str().unwrap();
    let dave = Shell::at(&url).with("DOORMAN_TOKEN", &world.login("dave").await);
    let carol = Shell::at(&url).with("DOORMAN_TOKEN", &world.login("carol").await);
    let commands = tokio::task::spawn_blocking({
        let (id, keys) = (id.clone(), keys.to_owned());
        move || {
            let told = dave.run(&["audit", "retry", &id]).failed(1);
            assert!(told.contains("confirm"), "{told}");
            let ended = dave.run(&["audit", "retry", &id, "--confirm", "--reason", "t"]);
            assert!(ended.stderr.contains("status same, headers same, body same"), "{ended:?}");
            assert_eq!(ended.ok(), "hello");

            dave.run(&["audit", "export"]).failed(4);
            carol.run(&["audit", "export", "--output", "log.jsonl"]).ok();
            let whole = carol.run(&["audit", "verify", "--export", "log.jsonl", "--keys", &keys]).ok();
            assert!(whole.contains("The log is whole"), "{whole}");
            let csv = carol.run(&["audit", "export", "--format", "csv", "--service", "target"]).ok();
            assert_eq!(csv.lines().count(), 3, "{csv}");
            carol.run(&["audit", "export", "--service", "target", "--output", "some.jsonl"]).ok();
            let told = carol.run(&["audit", "verify", "--export", "some.jsonl", "--keys", &keys]).failed(2);
            assert!(told.contains("narrowed"), "{told}");

            carol.run(&["audit", "prove", &id, "--output", "proof.json"]).ok();
            let held = carol.run(&["audit", "check-proof", "proof.json", "--keys", &keys, "--json"]).ok();
            let held: Value = serde_json::from_str(&held).unwrap();
            assert_eq!((&held["holds"], &held["proven"]["id"]), (&json!(true), &json!(id)));
            assert_eq!(
                (&held["record"]["path"], &held["proven"]["with_outcome"]),
                (&json!("/a"), &json!(true))
            );
            let proof = std::fs::read_to_string(carol.path().join("proof.json")).unwrap();
            assert!(proof.len() < 8_000, "{}", proof.len());
            carol.write("forged.json", &proof.replace("user:dave", "user:erin"));
            carol.run(&["audit", "check-proof", "forged.json", "--keys", &keys]).failed(1);
            carol.run(&["audit", "check-proof", "log.jsonl", "--keys", &keys]).failed(2);
        }
    });
    commands.await.unwrap();
    world.assert_every_hit_was_written_down().await;
}
