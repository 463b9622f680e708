//! Logins and their end, and what the log says of them.

use crate::rig::{Answer, HOME, Rig};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_logs_in_looks_around_and_logs_out() {
    let rig = Rig::new().await;
    let login = rig.try_login("Alice", "alice-demo").await;
    assert_eq!(login.status, 200);
    assert_eq!(login.json["token_type"], "Bearer");
    let user = json!({"name": "alice", "display_name": "Alice Archer", "email": "alice@demo.example", "groups": ["developers"]});
    assert_eq!(login.json["user"], user);
    assert_eq!(login.set_cookie(), "");
    let token = login.json["token"].as_str().unwrap();

    let me = rig.get("/auth/v1/me").bearer(token).send().await;
    assert_eq!((&me.json["actor"], &me.json["subject"]), (&json!("user:alice"), &json!("user:alice")));
    assert_eq!(me.json["user"], user);
    assert_eq!(me.json["expires_at"], login.json["expires_at"]);
    let may: Vec<String> = me.json["may"]
        .as_array()
        .unwrap()
        .iter()
        .map(|right| format!("{} {}", right["action"].as_str().unwrap(), right["resource"].as_str().unwrap()))
        .collect();
    let own = ["audit:read audit:own", "token:issue tokens", "session:manage sessions:own"];
    assert_eq!(may, [own.as_slice(), &["job:create folder:dev"]].concat());

    assert_eq!(rig.post("/auth/v1/logout").bearer(token).send().await.status, 204);
    assert_eq!(rig.get("/auth/v1/me").bearer(token).send().await.problem(), (401, "token_revoked"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer_and_differ_in_the_log() {
    let rig = Rig::new().await;
    let wrong = rig.try_login("alice", "not-this").await;
    let unknown = rig.try_login("nobody", "not-this").await;
    assert_eq!(wrong.problem(), (401, "bad_credentials"));
    let without_id = |answer: &Answer| {
        let mut json = answer.json.clone();
        json.as_object_mut().unwrap().remove("audit_id");
        json
    };
    assert_eq!(without_id(&wrong), without_id(&unknown));
    assert_eq!(rig.try_login("bob", "").await.code(), "bad_credentials");

    let entries = rig.log("kind=login").await;
    let denied: Vec<_> = entries.iter().filter(|entry| entry["decision"] == "deny").collect();
    assert_eq!(denied.len(), 3, "{entries:#?}");
    let of = |name: &str| denied.iter().find(|entry| entry["detail"]["claimed"] == name).unwrap();
    assert_eq!(of("alice")["id"], wrong.json["audit_id"]);
    assert_eq!(of("alice")["outcome"]["state"], "denied");
    assert!(of("alice")["actor"].is_null(), "nothing was proven");
    assert_ne!(of("alice")["detail"]["why"], of("nobody")["detail"]["why"]);
    assert!(!serde_json::to_string(&entries).unwrap().contains("not-this"), "no password in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_login_is_in_the_log_with_its_session() {
    let rig = Rig::new().await;
    let token = rig.login("alice").await;
    let session = rig.get("/auth/v1/me").bearer(&token).send().await.json["session"].clone();
    let entries = rig.log("kind=login&actor=alice").await;
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0]["session"], &entries[0]["client_ip"]), (&session, &json!(HOME)));
    assert_eq!(
        (&entries[0]["decision"], &entries[0]["outcome"]["state"]),
        (&json!("permit"), &json!("done"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_journal_nobody_logs_in_and_nothing_changes() {
    let mut rig = Rig::new().await;
    let alice = rig.login("alice").await;
    rig.break_journal().await;
    for answer in [
        rig.try_login("bob", "bob-demo").await,
        rig.try_login("bob", "wrong").await,
        rig.post("/auth/v1/logout").bearer(&alice).send().await,
        rig.get("/api/v1/audit").bearer(&alice).send().await,
        rig.get("/auth/v1/service-accounts").bearer(&alice).send().await,
        rig.get("/auth/v1/me").send().await,
    ] {
        assert_eq!(answer.problem(), (503, "audit_unavailable"), "{}", answer.body);
    }
    // What leaves no entry goes on, and so does the session that was not ended.
    assert_eq!(rig.get("/auth/v1/me").bearer(&alice).send().await.status, 200);
    let bob = "user:bob".parse().unwrap();
    let (left, _) = rig.state.authenticator.store().list_sessions(Some(&bob), None, 10).await.unwrap();
    assert!(left.is_empty(), "a login that was not written down leaves no session");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_directory_logins_say_so_and_sessions_go_on() {
    let mut rig = Rig::new().await;
    let alice = rig.login("alice").await;
    rig.break_directory().await;
    assert_eq!(rig.try_login("bob", "bob-demo").await.problem(), (503, "directory_unavailable"));
    assert_eq!(rig.get("/auth/v1/me").bearer(&alice).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_some_failures_an_account_must_wait_whoever_asks() {
    let rig = Rig::new().await;
    for n in 0..3 {
        let login = json!({"username": "alice", "password": format!("wrong {n}")});
        let call = rig.post("/auth/v1/login").json(&login).from(&format!("198.51.100.{n}"));
        assert_eq!(call.send().await.code(), "bad_credentials");
    }
    let answer = rig.try_login("alice", "alice-demo").await;
    assert_eq!(answer.problem(), (429, "throttled"));
    assert!(answer.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(rig.try_login("bob", "bob-demo").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_bad_tokens_leaves_a_hundred_entries() {
    let rig = Rig::new().await;
    let mut written = 0;
    for n in 0..150 {
        let answer = rig.get("/auth/v1/me").bearer(&format!("nonsense-{n}")).send().await;
        assert_eq!(answer.code(), "unauthenticated");
        written += usize::from(answer.json["audit_id"].is_string());
    }
    // Two windows, should the clock pass from one to the next in between.
    assert!((100..150).contains(&written), "{written}");
}
