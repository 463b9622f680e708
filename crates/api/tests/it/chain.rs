//! How far the log has been verified, as the console shows it.

use crate::rig::Rig;
use serde_json::Value;
use std::time::Duration;

/// Looks until the signatures of the last batches are stored, which happens when the writer is idle.
async fn look(rig: &Rig, token: &str, state: &str) -> Value {
    for _ in 0..100 {
        let found = rig.get("/api/v1/audit/chain").bearer(token).send().await;
        assert_eq!(found.status, 200, "{}", found.body);
        if found.json["state"] == state && found.json["unsigned_entries"] == 0 {
            return found.json;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("never {state}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_verified_as_it_grows() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let first = look(&rig, &alice, "whole").await;
    assert_eq!(first["verified_entries"], first["entries"]);
    assert_eq!((&first["writers"], &first["latest"][0]["signed"]), (&1.into(), &true.into()));
    assert!(first["verified_up_to"].as_str().unwrap() <= first["checked_at"].as_str().unwrap());

    rig.login("bob").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let second = look(&rig, &alice, "whole").await;
    assert!(second["verified_entries"].as_u64() > first["verified_entries"].as_u64());
    assert!(second["verified_up_to"].as_str() > first["verified_up_to"].as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_changed_is_named() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let id = rig.log("kind=login&actor=alice").await[0]["id"].as_str().unwrap().to_owned();
    while !rig.state.database.statement_heads().await.unwrap().iter().all(|head| head.signed) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    rig.change_entry(&id, "user:alice", "user:aline");
    let broken = look(&rig, &alice, "broken").await;
    assert_eq!((&broken["faults"][0]["entry"], &broken["verified_up_to"]), (&id.into(), &Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_without_a_right_to_the_log_learns_about_it() {
    let rig = Rig::new().await;
    assert_eq!(rig.get("/api/v1/audit/chain").send().await.problem(), (401, "unauthenticated"));
    let service = rig.get("/api/v1/audit/chain").basic("reports-ui", "reports-ui-demo").send().await;
    assert_eq!(service.problem(), (403, "forbidden"));
}
