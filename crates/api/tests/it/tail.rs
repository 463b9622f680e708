//! The live tail: what it shows, when it ends, and the two entries that it is.

use crate::rig::Rig;
use axum::body::{Body, BodyDataStream};
use futures_util::StreamExt as _;
use http::Response;
use serde_json::Value;
use std::time::Duration;

struct Tail {
    body: BodyDataStream,
    buffered: String,
}

impl Tail {
    async fn open(rig: &Rig, filters: &str, token: &str) -> Self {
        let path = format!("/api/v1/audit/stream?{filters}");
        let answer: Response<Body> = rig.get(&path).bearer(token).open().await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut tail = Self { body: answer.into_body().into_data_stream(), buffered: String::new() };
        let first = tail.body.next().await.unwrap().unwrap();
        assert_eq!(&first[..], b": following\n\n");
        tail
    }

    /// The next event and its data; `None` at the end.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.buffered.split_once("\n\n") {
                let (event, rest) = (event.to_owned(), rest.to_owned());
                self.buffered = rest;
                let Some((name, data)) = event.split_once("\ndata: ") else { continue };
                let name = name.strip_prefix("event: ").unwrap().to_owned();
                return Some((name, serde_json::from_str(data).unwrap()));
            }
            let more = tokio::time::timeout(Duration::from_secs(30), self.body.next()).await;
            let more = more.expect("nothing comes")?.unwrap();
            self.buffered.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_matches_comes_as_it_is_committed_and_again_with_its_outcome() {
    let rig = Rig::new().await;
    rig.login("bob").await;
    let (carol, alice) = (rig.login("carol").await, rig.login("alice").await);
    let mut tail = Tail::open(&rig, "actor=alice", &carol).await;
    rig.login("bob").await;
    rig.login("alice").await;
    let (name, entry) = tail.event().await.unwrap();
    assert_eq!((&*name, &entry["kind"], &entry["actor"]), ("entry", &"login".into(), &"user:alice".into()));

    // A change is an entry before it is done, and has an outcome after.
    rig.personal_token(&alice).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|entry: &Value| entry["outcome"].is_null()) {
        let (_, entry) = tail.event().await.unwrap();
        assert_eq!((&entry["kind"], &entry["actor"]), (&"token".into(), &"user:alice".into()));
        seen.push(entry);
    }
    assert!(seen.iter().all(|entry| entry["id"] == seen[0]["id"]), "{seen:#?}");
    assert_eq!(seen.last().unwrap()["outcome"]["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_of_ones_own_shows_nobody_elses_entries() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let mut tail = Tail::open(&rig, "kind=login", &alice).await;
    for user in ["bob", "carol", "alice"] {
        rig.login(user).await;
    }
    assert_eq!(tail.event().await.unwrap().1["actor"], "user:alice");
    let empty = rig.get("/api/v1/audit/stream?limit=1").bearer(&alice).send().await;
    assert_eq!(empty.problem(), (422, "invalid"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_is_two_entries() {
    let rig = Rig::new().await;
    let carol = rig.login("carol").await;
    let tail = Tail::open(&rig, "status=5xx", &carol).await;
    let begun = rig.log("kind=audit&q=/stream").await;
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0]["detail"]["filter"], r#"{"status":"5xx"}"#);
    assert!(begun[0]["outcome"].is_null());
    drop(tail);
    let mut ended = Vec::new();
    while ended.first().is_none_or(|entry: &Value| entry["outcome"].is_null()) {
        ended = rig.log("kind=audit&q=/stream").await;
    }
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0]["detail"]["why"], "the client left");
    assert_eq!(ended[0]["outcome"]["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_ends_with_the_session_and_with_the_right_to_read() {
    let rig = Rig::new().await;
    let (carol, alice) = (rig.login("carol").await, rig.login("alice").await);
    let mut of_carol = Tail::open(&rig, "kind=job", &carol).await;
    let mut of_alice = Tail::open(&rig, "kind=job", &alice).await;
    assert_eq!(rig.post("/auth/v1/logout").bearer(&carol).send().await.status, 204);
    let (name, data) = of_carol.event().await.unwrap();
    assert_eq!((&*name, &data["code"]), ("end", &"token_revoked".into()));
    assert!(of_carol.event().await.is_none());

    rig.set_policy("everyone.cedar", "");
    let (name, data) = of_alice.event().await.unwrap();
    assert_eq!((&*name, &data["code"]), ("end", &"forbidden".into()));
    assert!(of_alice.event().await.is_none());
}
