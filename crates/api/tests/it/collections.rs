//! Saved requests: who sees, edits and deletes them, and what is written down.

use crate::rig::Rig;
use http::Method;
use serde_json::{Value, json};

fn request(name: &str, groups: &[&str]) -> Value {
    json!({
        "name": name, "folder": " billing / invoices/", "shared_with": groups,
        "request": {
            "region": "eu", "service": "echo", "method": "POST", "path": "/Things", "instance": "any",
            "headers": [{"name": "Authorization", "value": "Bearer x"}, {"name": "accept", "value": "*/*"}],
            "body": {"kind": "json", "text": "{}"},
        },
    })
}

async fn save(rig: &Rig, token: &str, body: &Value) -> Value {
    let saved = rig.post("/api/v1/collections").bearer(token).json(body).send().await;
    assert_eq!(saved.status, 201, "{}", saved.json);
    assert_eq!(saved.header("etag"), "\"1\"");
    saved.json
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_request_is_its_owners_and_is_not_there_for_anybody_else() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.login("alice").await, rig.login("bob").await);
    let saved = save(&rig, &alice, &request("mine", &[])).await;
    assert_eq!((&saved["folder"], &saved["owner"]), (&json!("billing/invoices"), &json!("user:alice")));
    assert_eq!(saved["request"]["headers"][0]["value"], "", "no credential is kept");
    let at = format!("/api/v1/collections/{}", saved["id"].as_str().unwrap());

    let mine = rig.get("/api/v1/collections?q=THINGS").bearer(&alice).send().await;
    assert_eq!(mine.json["items"], json!([saved]));
    assert_eq!(rig.get("/api/v1/collections?q=nothing").bearer(&alice).send().await.json["items"], json!([]));
    assert_eq!(rig.get("/api/v1/collections").bearer(&bob).send().await.json["items"], json!([]));
    for path in [at.clone(), format!("{at}/history")] {
        assert_eq!(rig.get(&path).bearer(&bob).send().await.problem(), (404, "not_found"));
    }
    for method in [Method::PUT, Method::DELETE] {
        let call = rig.call(method, &at).bearer(&bob).header("if-match", "*");
        assert_eq!(call.json(&request("theirs", &[])).send().await.problem(), (404, "not_found"));
    }
    assert_eq!(rig.get(&at).bearer(&alice).send().await.json, saved);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_group_edit_what_it_shares_and_the_owner_alone_deletes_and_shares() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.login("alice").await, rig.login("bob").await);
    let (carol, mallory) = (rig.login("carol").await, rig.login("mallory").await);
    let saved = save(&rig, &alice, &request("ours", &["developers"])).await;
    let at = format!("/api/v1/collections/{}", saved["id"].as_str().unwrap());
    for outsider in [&carol, &mallory] {
        assert_eq!(rig.get(&at).bearer(outsider).send().await.problem(), (404, "not_found"));
    }
    let put = |token: &str, tag: &str, body: &Value| {
        rig.call(Method::PUT, &at).bearer(token).header("if-match", tag).json(body).send()
    };
    let edited = put(&bob, "\"1\"", &request("better", &["developers"])).await;
    assert_eq!((edited.status.as_u16(), edited.header("etag")), (200, "\"2\""));
    assert_eq!(edited.json["updated_by"], "user:bob");
    assert_eq!(edited.json["owner"], "user:alice");

    let late = put(&alice, "\"1\"", &request("late", &["developers"])).await;
    assert_eq!(late.problem(), (412, "conflict"));
    let unsaid = rig.call(Method::PUT, &at).bearer(&alice).json(&request("x", &[])).send().await;
    assert_eq!(unsaid.problem(), (428, "invalid"));
    assert_eq!(put(&bob, "*", &request("taken", &[])).await.problem(), (403, "forbidden"));
    let foreign = put(&alice, "*", &request("shown", &["security"])).await;
    assert_eq!((foreign.status.as_u16(), foreign.fields()), (422, vec!["shared_with"]));
    let deleted = rig.delete(&at).bearer(&bob).header("if-match", "*").send().await;
    assert_eq!(deleted.problem(), (403, "forbidden"));

    let history = rig.get(&format!("{at}/history")).bearer(&bob).send().await;
    let edits: Vec<_> = history.json["items"].as_array().unwrap().iter().map(|edit| &edit["name"]).collect();
    assert_eq!(edits, [&json!("better"), &json!("ours")]);

    assert_eq!(rig.delete(&at).bearer(&alice).header("if-match", "\"2\"").send().await.status, 204);
    assert_eq!(rig.get(&at).bearer(&alice).send().await.problem(), (404, "not_found"));
    let kinds = rig.log("kind=collection").await;
    let changes: Vec<_> = kinds.iter().filter(|entry| entry["decision"] == "permit").collect();
    assert!(changes.len() >= 3, "saved, edited, deleted: {kinds:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_saved_that_cannot_be_written_down_or_is_not_valid() {
    let mut rig = Rig::new().await;
    let alice = rig.login("alice").await;
    for (body, field) in [
        (json!({"name": " ", "request": {}}), "name"),
        (json!({"name": "a\u{7}", "request": {}}), "name"),
        (json!({"name": "a", "request": {}, "folder": "x".repeat(300)}), "folder"),
        (json!({"name": "a", "request": {"body": {"kind": "xml"}}}), "request.body.kind"),
        (json!({"name": "a", "request": {"extra": 1}}), "request.extra"),
        (json!({"name": "a", "request": {}, "shared_with": ["admins"]}), "shared_with"),
    ] {
        let answer = rig.post("/api/v1/collections").bearer(&alice).json(&body).send().await;
        assert_eq!((answer.status.as_u16(), answer.fields()), (422, vec![field]), "{body}");
    }
    rig.break_journal().await;
    let answer = rig.post("/api/v1/collections").bearer(&alice).json(&request("a", &[])).send().await;
    assert_eq!(answer.problem(), (503, "audit_unavailable"));
    assert_eq!(rig.get("/api/v1/collections").bearer(&alice).send().await.json["items"], json!([]));
}
