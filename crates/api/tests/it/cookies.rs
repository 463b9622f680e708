//! The UI's cookie: what it opens, and what other pages cannot do with it.

use crate::rig::{Rig, URL, in_a_month};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_opens_a_session_gives_door_tokens_and_goes_with_the_logout() {
    let rig = Rig::new().await;
    let login = json!({"username": "alice", "password": "alice-demo", "cookie": true});
    let login = rig.post("/auth/v1/login").own_origin().json(&login).send().await;
    let token = login.json["token"].as_str().unwrap();
    let set = login.set_cookie();
    assert!(set.starts_with(&format!("doorman={token}; Path=/; Max-Age=")), "{set}");
    assert!(set.ends_with("; HttpOnly; SameSite=Strict"), "{set}");

    assert_eq!(rig.get("/auth/v1/me").cookie(token).send().await.json["actor"], "user:alice");
    let short = rig.post("/auth/v1/session-token").cookie(token).own_origin().send().await;
    assert_eq!(short.status, 200, "{}", short.body);
    let short = short.json["token"].as_str().unwrap();
    assert_eq!(rig.get("/auth/v1/me").bearer(short).send().await.status, 200);
    // A short token must not make the next one.
    assert_eq!(rig.post("/auth/v1/session-token").bearer(short).send().await.code(), "forbidden");

    let logout = rig.post("/auth/v1/logout").cookie(token).own_origin().send().await;
    assert_eq!(logout.status, 204);
    assert_eq!(logout.set_cookie(), "doorman=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    for ended in [short, token] {
        assert_eq!(rig.get("/auth/v1/me").bearer(ended).send().await.code(), "token_revoked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_cookie_belongs_to_the_host_alone() {
    let rig = Rig::at("https://doorman.example.com").await;
    let login = json!({"username": "alice", "password": "alice-demo", "cookie": true});
    let answer = rig.post("/auth/v1/login").json(&login).send().await;
    assert!(answer.set_cookie().starts_with("__Host-doorman="));
    assert!(answer.set_cookie().ends_with("; HttpOnly; SameSite=Strict; Secure"));
    assert_eq!(answer.header("strict-transport-security"), "max-age=31536000");
    let token = answer.json["token"].as_str().unwrap();
    assert_eq!(rig.get("/auth/v1/me").cookie(token).send().await.code(), "unauthenticated");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_can_do_nothing_with_the_cookie() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let new = json!({"name": "stolen", "expires_at": in_a_month()});
    let tokens = || rig.post("/auth/v1/tokens").cookie(&alice);
    for call in [
        tokens().json(&new),
        tokens().header("origin", "https://evil.example").json(&new),
        tokens().header("origin", "null").json(&new),
        tokens().header("origin", URL).header("origin", "https://evil.example").json(&new),
        tokens().own_origin().header("content-type", "text/plain").body(new.to_string()),
        tokens().own_origin().header("content-type", "application/x-www-form-urlencoded").body("name=x"),
        rig.delete("/auth/v1/sessions").cookie(&alice),
        rig.post("/auth/v1/logout").cookie(&alice).header("origin", "https://evil.example"),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.problem(), (403, "forbidden"), "{}", answer.body);
    }
    assert_eq!(tokens().own_origin().json(&new).send().await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_logs_its_visitor_in() {
    let rig = Rig::new().await;
    let login = json!({"username": "mallory", "password": "mallory-demo", "cookie": true});
    let foreign =
        rig.post("/auth/v1/login").header("origin", "https://evil.example").json(&login).send().await;
    assert_eq!((foreign.problem(), foreign.set_cookie()), ((403, "forbidden"), ""));
    let cross = rig.post("/auth/v1/login").header("sec-fetch-site", "cross-site").json(&login).send().await;
    assert_eq!(cross.code(), "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_credential_wins_over_the_cookie_and_needs_no_origin() {
    let rig = Rig::new().await;
    let (alice, bob) = (rig.login("alice").await, rig.login("bob").await);
    let both = rig.get("/auth/v1/me").cookie(&alice).bearer(&bob).send().await;
    assert_eq!(both.json["actor"], "user:bob");
    let bad = rig.get("/auth/v1/me").cookie(&alice).bearer("nonsense").send().await;
    assert_eq!(bad.code(), "unauthenticated", "no falling back to the cookie");
    assert_eq!(rig.post("/auth/v1/logout").cookie(&alice).bearer(&bob).send().await.status, 204);
    assert_eq!(rig.get("/auth/v1/me").bearer(&alice).send().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_second_cookie_counts_for_nothing() {
    let rig = Rig::new().await;
    let (alice, mallory) = (rig.login("alice").await, rig.login("mallory").await);
    let answer = rig.get("/auth/v1/me").cookie(&alice).cookie(&mallory).send().await;
    assert_eq!(answer.code(), "unauthenticated");
}
