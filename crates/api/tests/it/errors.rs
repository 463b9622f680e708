//! What bad input gets: a problem with a stable code, never HTML, never a redirect.

use crate::rig::Rig;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::Method;
use serde_json::json;

const JSON: &str = "application/json";

#[tokio::test(flavor = "multi_thread")]
async fn paths_and_methods_that_are_not_there_are_problems() {
    let rig = Rig::new().await;
    for path in [
        "/nowhere",
        "/assets/gone.js",
        "/auth",
        "/auth/v1/login/",
        "/api/v2/regions",
        "/auth/v1/login/next=//evil",
        "/%ff",
    ] {
        assert_eq!(rig.get(path).send().await.problem(), (404, "not_found"), "{path}");
    }
    for (method, path, allowed) in [
        (Method::GET, "/auth/v1/login", "POST"),
        (Method::PUT, "/auth/v1/me", "GET"),
        (Method::OPTIONS, "/auth/v1/me", "GET"),
        (Method::TRACE, "/auth/v1/tokens", "POST"),
    ] {
        let answer = rig.call(method.clone(), path).send().await;
        assert_eq!(answer.problem(), (405, "invalid"), "{method} {path}");
        assert!(answer.header("allow").contains(allowed), "{method} {path}: {:?}", answer.headers);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_read_strictly_and_within_limits() {
    let rig = Rig::new().await;
    let login =
        |kind: &str, body: Body| rig.post("/auth/v1/login").header("content-type", kind).body(body).send();
    let good = r#"{"username":"alice","password":"alice-demo"}"#;
    assert_eq!(login("application/json; charset=utf-8", good.into()).await.status, 200);

    assert_eq!(login("text/plain", good.into()).await.problem(), (415, "invalid"));
    let encoded = rig.post("/auth/v1/login").header("content-type", JSON).header("content-encoding", "gzip");
    assert_eq!(encoded.body(good).send().await.status, 415);
    for (body, status) in
        [("", 400), ("{", 400), ("[]", 422), ("{}", 422), ("null", 422), ("{\"username\":1}", 422)]
    {
        let answer = login(JSON, body.into()).await;
        assert_eq!(answer.problem(), (status, "invalid"), "{body}: {}", answer.body);
    }
    let extra = login(JSON, r#"{"username":"a","password":"b","next":"//evil"}"#.into()).await;
    assert_eq!((extra.status.as_u16(), extra.fields()), (422, vec!["next"]));
    let doubled = login(JSON, r#"{"username":"a","username":"b","password":"c"}"#.into()).await;
    assert_eq!(doubled.status, 422);
    let deep = format!("{{\"username\":{}1", "[".repeat(100_000));
    assert!(login(JSON, deep.into()).await.status.is_client_error());

    let long = format!("{{\"username\":\"{}\"", "x".repeat(1 << 20));
    assert_eq!(login(JSON, long.into()).await.problem(), (413, "too_large"));
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 4096])));
    assert_eq!(login(JSON, Body::from_stream(endless)).await.code(), "too_large");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_none_are_refused_without_a_basic_challenge() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let me = || rig.get("/auth/v1/me");
    let unsigned = format!("{}.", alice.rsplit_once('.').unwrap().0);
    for call in [
        me(),
        me().bearer(""),
        me().bearer("a.b.c"),
        me().bearer(&unsigned),
        me().bearer(&".".repeat(7_000)),
        me().header("authorization", "Digest x"),
        me().header("authorization", "Basic !!!"),
        me().bearer(&alice).bearer(&alice),
        me().header("doorman-token", &alice).header("doorman-token", &alice),
        me().basic("alice", "alice-demo").header("origin", "https://evil.example"),
        me().basic("alice", "alice-demo").header("sec-fetch-mode", "navigate"),
        rig.get(&format!("/auth/v1/me?access_token={alice}")),
    ] {
        let answer = call.send().await;
        assert_eq!(answer.problem(), (401, "unauthenticated"), "{}", answer.body);
        assert!(!answer.header("www-authenticate").to_lowercase().contains("basic"));
        assert!(answer.json["hint"].is_string());
    }
    assert_eq!(me().header("doorman-token", &alice).send().await.status, 200);
    assert_eq!(me().basic("alice", "alice-demo").send().await.json["actor"], "user:alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_what_keeps_browsers_from_harm() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    for answer in [
        rig.get("/healthz").send().await,
        rig.get("/nothing").send().await,
        rig.get("/auth/v1/me").send().await,
        rig.get("/auth/v1/me").bearer(&alice).send().await,
        rig.delete("/auth/v1/me").send().await,
        rig.post("/auth/v1/login").json(&json!({})).send().await,
        rig.get("/api/v1/openapi.json").send().await,
        rig.post("/auth/v1/logout").bearer(&alice).send().await,
    ] {
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe-inline"));
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!((answer.header("access-control-allow-origin"), answer.header("location")), ("", ""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_do_not_say_whom_they_are_for_are_refused() {
    let rig = Rig::new().await;
    for call in [
        rig.get("/healthz").header("host", "127.0.0.1:8440"),
        rig.get("http://evil.example/healthz"),
        rig.get("/healthz").without("host"),
        rig.get("/healthz").without("host").header("host", ""),
        rig.get("/healthz").without("host").header("host", "a@b"),
    ] {
        assert_eq!(call.send().await.problem(), (400, "invalid"));
    }
}
