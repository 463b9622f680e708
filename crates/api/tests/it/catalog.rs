//! What can be reached, and how the process is.

use crate::rig::Rig;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_caller_may_reach_is_listed() {
    let rig = Rig::new().await;
    let (alice, dave, mallory) =
        (rig.login("alice").await, rig.login("dave").await, rig.login("mallory").await);
    let get = async |path: &str, token: &str| rig.get(path).bearer(token).send().await;
    let regions = get("/api/v1/regions", &alice).await.json;
    assert_eq!(names(&regions), ["eu", "us"]);
    let health = (&regions["items"][0]["health"], &regions["items"][1]["health"]);
    assert_eq!(health, (&json!("healthy"), &json!("unknown")));
    assert!(regions["next_cursor"].is_null());
    assert_eq!(names(&get("/api/v1/regions/eu/services", &alice).await.json), ["companies", "echo"]);
    assert_eq!(names(&get("/api/v1/regions/eu/services", &dave).await.json), ["companies"]);
    let instances = get("/api/v1/regions/eu/services/echo/instances", &alice).await.json;
    assert_eq!(instances["items"][1]["health"], "unhealthy");
    assert_eq!(instances["items"][0]["labels"]["zone"], "a");

    assert_eq!(names(&get("/api/v1/regions", &mallory).await.json), [""; 0]);
    for (path, token, code) in [
        ("/api/v1/regions/eu/services", &mallory, "unknown_region"),
        ("/api/v1/regions/mars/services", &alice, "unknown_region"),
        ("/api/v1/regions/eu/services/vault/instances", &alice, "unknown_service"),
        ("/api/v1/regions/eu/services/none/instances", &alice, "unknown_service"),
        ("/api/v1/regions/eu/services/echo/instances", &dave, "unknown_service"),
    ] {
        assert_eq!(get(path, token).await.problem(), (404, code), "{path}");
    }
    let silent = get("/api/v1/regions/us/services", &alice).await;
    assert_eq!(silent.problem(), (502, "region_unavailable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_tells_what_fails() {
    let mut rig = Rig::new().await;
    assert_eq!(rig.get("/healthz").send().await.json["status"], "ok");
    let ready = rig.get("/readyz").send().await;
    assert_eq!((ready.status.as_u16(), &ready.json["status"]), (200, &json!("degraded")), "us has no proxy");
    assert_eq!(
        ready.json["regions"],
        json!({"eu": {"proxies": 1, "live": 1}, "us": {"proxies": 1, "live": 0}})
    );
    assert_eq!((&ready.json["database"], &ready.json["journal"]), (&json!(true), &json!(true)));
    rig.break_directory().await;
    // The first tick begins a probe, which tells its result later.
    rig.state.authenticator.tick().await;
    let broken = loop {
        let answer = rig.get("/readyz").send().await;
        if answer.json["directory"]["available"] == false {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((broken.status.as_u16(), &broken.json["status"]), (200, &json!("degraded")));
    assert!(broken.json["directory"]["sessions_until"].is_string());
    rig.state.door.draining.store(true, Ordering::Relaxed);
    let draining = rig.get("/readyz").send().await;
    assert_eq!((draining.status.as_u16(), &draining.json["status"]), (503, &json!("draining")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_keys_are_those_of_tokens_and_identities() {
    let rig = Rig::new().await;
    let keys = rig.get("/.well-known/jwks.json").send().await;
    let keys = keys.json["keys"].as_array().unwrap();
    let mut uses: Vec<_> = keys.iter().map(|key| key["doorman_use"].as_str().unwrap()).collect();
    uses.sort_unstable();
    assert_eq!(uses, ["identity", "token"]);
    assert!(keys.iter().all(|key| key["d"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_is_explained_to_whom_may_read_it_and_to_everybody_about_themselves() {
    let rig = Rig::new().await;
    let (erin, alice) = (rig.login("erin").await, rig.login("alice").await);
    let at = |rest: &str| format!("/api/v1/policy/explain?subject=bob&groups=oncall&region=eu{rest}");
    let path = at("&service=companies&method=DELETE&path=/companies/1");
    let explained = rig.get(&path).bearer(&erin).send().await;
    assert_eq!(explained.status, 200, "{}", explained.body);
    let said = (&explained.json["permit"], &explained.json["would_permit_with"]);
    assert_eq!(said, (&json!(false), &json!("reason")));
    let reasoned = rig.get(&format!("{path}&reason=INC-1")).bearer(&erin).send().await.json;
    assert_eq!((&reasoned["permit"], &reasoned["policies"]), (&json!(true), &json!(["oncall-companies"])));
    assert_eq!(rig.get(&path).bearer(&alice).send().await.code(), "forbidden");
    let mine = rig.get(&path.replace("subject=bob&groups=oncall&", "")).bearer(&alice).send().await.json;
    assert_eq!((&mine["permit"], &mine["groups"]), (&json!(false), &json!(["developers"])), "{mine:#}");
    let names: Vec<_> = mine["candidates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| policy["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"developers-companies-read") && !names.contains(&"oncall-companies"),
        "{names:?}"
    );
    assert!(mine["candidates"].as_array().unwrap().iter().all(|policy| policy["file"].is_null()));
    let dots = rig.get(&at("&service=echo&path=/a/../b")).bearer(&erin).send().await;
    assert_eq!((dots.problem(), dots.fields()), ((422, "invalid"), vec!["path"]));
}
