//! A service acts for a user: with both credentials, with the user's rights, and both on record.

use crate::rig::{Call, Rig};
use serde_json::json;

fn by_service(call: Call) -> Call {
    call.basic("reports-ui", "reports-ui-demo")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_with_a_users_live_token_acts_as_that_user() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let me = by_service(rig.get("/auth/v1/me")).on_behalf_of("alice", &alice).send().await;
    assert_eq!(
        (&me.json["actor"], &me.json["subject"]),
        (&json!("service:reports-ui"), &json!("user:alice"))
    );
    assert_eq!(me.json["groups"], json!(["developers"]));
    let audit = by_service(rig.get("/api/v1/audit")).on_behalf_of("alice", &alice).send().await;
    assert_eq!(audit.status, 200);
    assert_eq!(rig.log("kind=audit&actor=service:reports-ui&subject=alice").await.len(), 1);
    assert_eq!(rig.post("/auth/v1/logout").bearer(&alice).send().await.status, 204);
    let after = by_service(rig.get("/auth/v1/me")).on_behalf_of("alice", &alice).send().await;
    assert_eq!(after.code(), "delegation_refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_amiss_with_a_delegation_is_refused_and_written_down() {
    let rig = Rig::new().await;
    let (alice, bob, erin) = (rig.login("alice").await, rig.login("bob").await, rig.login("erin").await);
    let personal = rig.personal_token(&alice).await;
    let me = || by_service(rig.get("/auth/v1/me"));
    let calls = [
        me().header("doorman-on-behalf-of", "alice"),
        me().header("doorman-user-token", &alice),
        me().on_behalf_of("alice", &bob),
        me().on_behalf_of("alice", "nonsense"),
        me().on_behalf_of("alice", &personal),
        me().on_behalf_of("erin", &erin),
        me().on_behalf_of("alice", &alice).header("doorman-on-behalf-of", "bob"),
        me().on_behalf_of("alice,bob", &alice),
        rig.get("/auth/v1/me").bearer(&bob).on_behalf_of("alice", &alice),
        rig.get("/auth/v1/me").cookie(&bob).on_behalf_of("alice", &alice),
    ];
    let count = calls.len();
    for (n, call) in calls.into_iter().enumerate() {
        let answer = call.send().await;
        assert_eq!(answer.problem(), (403, "delegation_refused"), "{n}: {}", answer.body);
        assert!(answer.json["audit_id"].is_string());
    }
    let entries = rig.log("kind=request&path=/auth/v1/me").await;
    assert_eq!(entries.len(), count);
    assert!(entries.iter().all(|entry| entry["decision"] == "deny" && entry["detail"]["why"].is_string()));
    // Newest first. Each names whose credential it was and the user that was claimed.
    for (n, entry) in entries.iter().rev().enumerate() {
        let actor = if n < count - 2 { "service:reports-ui" } else { "user:bob" };
        let claimed = ["alice", "erin", "alice,bob"].map(|name| json!(name));
        assert_eq!(entry["actor"], actor, "{n}: {entry:#?}");
        assert!(claimed.contains(&entry["detail"]["claimed"]), "{n}: {entry:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_asks_whether_a_token_is_a_users() {
    let rig = Rig::new().await;
    let (alice, erin) = (rig.login("alice").await, rig.login("erin").await);
    let verify = |name: &str, token: &str| {
        let asked = json!({"username": name, "token": token});
        by_service(rig.post("/auth/v1/verify")).json(&asked).send()
    };
    let good = verify("alice", &alice).await;
    assert_eq!((&good.json["active"], &good.json["user"]["groups"]), (&json!(true), &json!(["developers"])));
    for (name, token) in [("bob", &*alice), ("alice", &erin), ("alice", "nonsense"), ("", "")] {
        let answer = verify(name, token).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_str()), (200, r#"{"active":false}"#));
    }
    let by_user = rig.post("/auth/v1/verify").bearer(&alice).json(&json!({"username": "a", "token": "b"}));
    assert_eq!(by_user.send().await.code(), "forbidden");
}
