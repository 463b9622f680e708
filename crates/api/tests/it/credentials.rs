//! Personal tokens, sessions and service accounts.

use crate::rig::{Call, Rig, in_a_month};
use http::Method;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_personal_token_is_shown_once_listed_and_revoked() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let scopes = json!({"regions": ["eu"], "methods": ["GET"]});
    let new = json!({"name": "nightly", "expires_at": in_a_month(), "scopes": scopes});
    let issued = rig.post("/auth/v1/tokens").bearer(&alice).json(&new).send().await;
    assert_eq!(issued.status, 201, "{}", issued.body);
    let (id, token) = (issued.json["id"].as_str().unwrap(), issued.json["token"].as_str().unwrap());
    assert_eq!(issued.json["scopes"], scopes);

    let list = rig.get("/auth/v1/tokens").bearer(&alice).send().await;
    assert_eq!(list.json["items"].as_array().unwrap().len(), 1);
    let listed = &list.json["items"][0];
    assert_eq!((&listed["id"], &listed["name"], &listed["scopes"]), (&json!(id), &json!("nightly"), &scopes));
    assert!(!list.body.contains(token));
    assert_eq!(rig.get("/auth/v1/me").bearer(token).send().await.json["actor"], "user:alice");

    let bob = rig.login("bob").await;
    let path = format!("/auth/v1/tokens/{id}");
    assert_eq!(rig.delete(&path).bearer(&bob).send().await.code(), "not_found");
    assert_eq!(rig.delete(&path).bearer(&alice).send().await.status, 204);
    assert_eq!(rig.get("/auth/v1/me").bearer(token).send().await.code(), "token_revoked");
    assert_eq!(rig.delete(&path).bearer(&alice).send().await.code(), "not_found");

    let entries = rig.log("kind=token&actor=alice").await;
    let changes: Vec<_> =
        entries.iter().rev().map(|entry| entry["detail"]["change"].as_str().unwrap()).collect();
    assert_eq!(changes, ["issue", "revoke"]);
    assert!(entries.iter().all(|entry| entry["outcome"]["state"] == "done"), "{entries:#?}");
    assert_eq!(entries[1]["detail"]["token"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_is_wrong_with_a_new_token_is_told_field_by_field() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let issue = async |new: Value| {
        let answer = rig.post("/auth/v1/tokens").bearer(&alice).json(&new).send().await;
        assert_eq!(answer.problem(), (422, "invalid"), "{}", answer.body);
        answer.fields().join(" ")
    };
    let bad = json!({"name": "", "expires_at": "soon", "scopes": {"regions": [], "methods": ["get"]}});
    assert_eq!(issue(bad).await, "name expires_at scopes.regions scopes.methods");
    assert_eq!(issue(json!({"name": "x", "expires_at": "2020-01-01T00:00:00Z"})).await, "expires_at");
    assert_eq!(issue(json!({"name": "x", "expires_at": "2099-01-01T00:00:00Z"})).await, "expires_at");
    let unknown = json!({"name": "x", "expires_at": in_a_month(), "scopes": {"verbs": []}});
    assert_eq!(issue(unknown).await, "scopes.verbs");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_see_and_end_their_own_sessions_and_administrators_any() {
    let rig = Rig::new().await;
    let (alice, other, erin) = (rig.login("alice").await, rig.login("alice").await, rig.login("erin").await);
    let list = rig.get("/auth/v1/sessions").bearer(&alice).send().await;
    let sessions = list.json["items"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions.iter().filter(|session| session["current"] == true).count(), 1);
    assert_eq!(sessions[0]["kind"], "login");
    let path_of = async |token: &str| {
        let me = rig.get("/auth/v1/me").bearer(token).send().await;
        format!("/auth/v1/sessions/{}", me.json["session"].as_str().unwrap())
    };
    let (others_path, erins_path) = (path_of(&other).await, path_of(&erin).await);

    assert_eq!(rig.delete(&erins_path).bearer(&alice).send().await.problem(), (404, "not_found"));
    let all = rig.get("/auth/v1/sessions?principal=all").bearer(&alice).send().await;
    assert_eq!(all.problem(), (403, "forbidden"));
    assert_eq!(rig.delete(&others_path).bearer(&alice).send().await.status, 204);
    assert_eq!(rig.get("/auth/v1/me").bearer(&other).send().await.code(), "token_revoked");

    let seen = rig.get("/auth/v1/sessions?principal=all").bearer(&erin).send().await;
    let seen = seen.json["items"].as_array().unwrap();
    assert!(seen.iter().any(|session| session["principal"] == "user:alice"));
    assert_eq!(rig.delete("/auth/v1/sessions?principal=alice").bearer(&erin).send().await.status, 204);
    assert_eq!(rig.get("/auth/v1/me").bearer(&alice).send().await.code(), "token_revoked");
    assert_eq!(rig.get("/auth/v1/me").bearer(&erin).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_sessions_go_on_at_their_cursor() {
    let rig = Rig::new().await;
    let mut alice = String::new();
    for _ in 0..5 {
        alice = rig.login("alice").await;
    }
    let (mut seen, mut path) = (Vec::new(), "/auth/v1/sessions?limit=2".to_owned());
    loop {
        let page = rig.get(&path).bearer(&alice).send().await.json;
        seen.extend(page["items"].as_array().unwrap().iter().map(|session| session["id"].to_string()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/auth/v1/sessions?limit=2&cursor={cursor}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5);
    for bad in [
        "cursor=zz",
        "cursor=abc",
        "cursor=ab",
        "cursor=",
        "limit=0",
        "limit=501",
        "limit=x",
        "limit=1&limit=2",
        "sort=id",
    ] {
        let answer = rig.get(&format!("/auth/v1/sessions?{bad}")).bearer(&alice).send().await;
        assert_eq!(answer.problem(), (422, "invalid"), "{bad}: {}", answer.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_lives_from_its_making_to_its_end() {
    let rig = Rig::new().await;
    let erin = rig.login("erin").await;
    let by_erin = |call: Call| call.bearer(&erin);
    let accounts = "/auth/v1/service-accounts";
    let new = json!({"name": "billing", "owner": "erin", "description": "monthly bills", "networks": []});
    let made = by_erin(rig.post(accounts)).json(&new).send().await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!((&made.json["owner"], &made.json["secrets"]), (&json!("user:erin"), &json!(1)));
    let secret = made.json["secret"].as_str().unwrap();
    assert_eq!(rig.get("/auth/v1/me").basic("billing", secret).send().await.json["actor"], "service:billing");

    assert_eq!(by_erin(rig.post(accounts)).json(&new).send().await.problem(), (409, "conflict"));
    let taken = json!({"name": "alice", "owner": "erin"});
    assert_eq!(by_erin(rig.post(accounts)).json(&taken).send().await.code(), "conflict");
    let bad = by_erin(rig.post(accounts)).json(&json!({"name": "No Good", "owner": "erin"})).send().await;
    assert_eq!((bad.problem(), bad.fields()), ((422, "invalid"), vec!["name"]));

    let list = by_erin(rig.get(accounts)).send().await.json;
    assert_eq!(
        (&list["items"][0]["name"], &list["items"][1]["name"]),
        (&json!("billing"), &json!("reports-ui"))
    );

    let billing = format!("{accounts}/billing");
    let rotated = by_erin(rig.post(&format!("{billing}/rotate"))).send().await;
    assert_eq!((rotated.status.as_u16(), &rotated.json["secrets"]), (200, &json!(2)), "{}", rotated.body);
    let newer = rotated.json["secret"].as_str().unwrap();
    for good in [secret, newer] {
        assert_eq!(rig.get("/auth/v1/me").basic("billing", good).send().await.status, 200);
    }
    let patch = json!({"disabled": true, "networks": ["10.0.0.0/8"]});
    let patched = by_erin(rig.call(Method::PATCH, &billing)).json(&patch).send().await.json;
    assert_eq!((&patched["disabled"], &patched["description"]), (&json!(true), &json!("monthly bills")));
    assert_eq!(rig.get("/auth/v1/me").basic("billing", newer).send().await.status, 401);
    assert_eq!(by_erin(rig.delete(&billing)).send().await.status, 204);
    assert_eq!(by_erin(rig.get(&billing)).send().await.problem(), (404, "not_found"));

    let entries = rig.log("kind=service_account").await;
    let changes: Vec<_> = entries
        .iter()
        .rev()
        .map(|entry| {
            (entry["detail"]["change"].as_str().unwrap(), entry["outcome"]["state"].as_str().unwrap())
        })
        .collect();
    let failed = ("create", "unsent");
    let expected = [
        ("create", "done"),
        failed,
        failed,
        failed,
        ("rotate", "done"),
        ("update", "done"),
        ("delete", "done"),
    ];
    assert_eq!(changes, expected);
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains(secret) && !text.contains(newer), "no secret in the log");
}
