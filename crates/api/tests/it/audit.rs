//! Reading the log: filters, pages, whose entries, and that reading is an entry.

use crate::rig::Rig;
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn users_read_their_own_entries_and_auditors_all() {
    let rig = Rig::new().await;
    let (alice, bob, carol) = (rig.login("alice").await, rig.login("bob").await, rig.login("carol").await);
    let own = rig.get("/api/v1/audit").bearer(&alice).send().await.json;
    assert!(own["items"].as_array().unwrap().iter().all(|entry| entry["actor"] == "user:alice"));
    assert_eq!(ids(&own).len(), 2, "the login and this reading: {own:#}");
    let asked = rig.get("/api/v1/audit?actor=bob").bearer(&alice).send().await.json;
    assert_eq!(ids(&asked), [""; 0], "no filter shows another's");

    let bobs = rig.get("/api/v1/audit?kind=login&actor=user:bob").bearer(&carol).send().await.json;
    let [id] = &ids(&bobs)[..] else { panic!("{bobs:#}") };
    let path = format!("/api/v1/audit/{id}");
    assert_eq!(rig.get(&path).bearer(&carol).send().await.json["actor"], "user:bob");
    assert_eq!(rig.get(&path).bearer(&bob).send().await.json["id"], **id);
    let hidden = rig.get(&path).bearer(&alice).send().await;
    let absent = rig.get("/api/v1/audit/0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f").bearer(&alice).send().await;
    let malformed = rig.get("/api/v1/audit/1").bearer(&alice).send().await;
    for answer in [&hidden, &absent, &malformed] {
        assert_eq!(answer.problem(), (404, "not_found"));
        assert_eq!(answer.json["detail"], hidden.json["detail"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_one_entry_and_its_further_pages_none() {
    let rig = Rig::new().await;
    for _ in 0..6 {
        rig.login("alice").await;
    }
    let carol = rig.login("carol").await;
    let query = "/api/v1/audit?kind=login&actor=alice&limit=2";
    let (mut seen, mut path) = (Vec::new(), query.to_owned());
    loop {
        let page = rig.get(&path).bearer(&carol).send().await;
        assert_eq!(page.status, 200, "{}", page.body);
        seen.extend(ids(&page.json));
        let Some(cursor) = page.json["next_cursor"].as_str() else { break };
        path = format!("{query}&cursor={cursor}");
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
    let readings = rig.log("kind=audit&actor=carol").await;
    let filters: Vec<_> = readings.iter().map(|entry| entry["detail"]["filter"].as_str().unwrap()).collect();
    // The newest is the one that these were read by.
    assert_eq!(filters, [r#"{"actor":"carol","kind":"audit"}"#, r#"{"actor":"alice","kind":"login"}"#]);
    assert_eq!(readings[1]["outcome"]["state"], "done");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_serves_its_own_query_and_reader_alone() {
    let rig = Rig::new().await;
    for _ in 0..3 {
        rig.login("alice").await;
    }
    let (carol, alice) = (rig.login("carol").await, rig.login("alice").await);
    let page = rig.get("/api/v1/audit?limit=1").bearer(&carol).send().await.json;
    let cursor = page["next_cursor"].as_str().unwrap().to_owned();
    let with = |query: &str| format!("/api/v1/audit?{query}cursor={cursor}");
    assert_eq!(rig.get(&with("limit=2&")).bearer(&carol).send().await.status, 200);
    let (reading, place) = cursor.split_at(32);
    for (path, token) in [
        (with("actor=bob&"), &carol),
        (with(""), &alice),
        (format!("/api/v1/audit?cursor={place}"), &carol),
        (format!("/api/v1/audit?cursor={}{place}", "0".repeat(32)), &carol),
        (format!("/api/v1/audit?cursor={reading}'--"), &carol),
        ("/api/v1/audit?cursor=%F0%9F%9A%AA".to_owned(), &carol),
    ] {
        let answer = rig.get(&path).bearer(token).send().await;
        assert_eq!((answer.problem(), answer.fields()), ((422, "invalid"), vec!["cursor"]), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_narrow_and_wrong_ones_are_named() {
    let rig = Rig::new().await;
    let carol = rig.login("carol").await;
    let mallory = rig.login("mallory").await;
    assert_eq!(rig.get("/auth/v1/service-accounts").bearer(&mallory).send().await.code(), "forbidden");
    rig.try_login("alice", "wrong").await;
    for (filters, count) in [
        ("actor=mallory", 2),
        ("subject=user:mallory", 2),
        ("actor=mallory&kind=service_account", 1),
        ("status=403", 1),
        ("status=4xx", 2),
        ("path=/auth/v1/service", 1),
        ("q=SERVICE-ACCOUNTS", 1),
        ("method=post&kind=login&status=401", 1),
        ("from=2100-01-01T00:00:00Z", 0),
        ("to=2000-01-01T00:00:00Z", 0),
        ("region=eu", 0),
        ("actor=alice'%20OR%20'1'='1", 0),
        ("q=%25_%27%22", 0),
        ("path=%27);DROP%20TABLE%20journal;--", 0),
    ] {
        let answer = rig.get(&format!("/api/v1/audit?limit=100&{filters}")).bearer(&carol).send().await;
        assert_eq!(answer.status, 200, "{filters}: {}", answer.body);
        assert_eq!(ids(&answer.json).len(), count, "{filters}: {}", answer.body);
    }
    for (bad, field) in [
        ("status=6xx", "status"),
        ("status=abc", "status"),
        ("outcome=fine", "outcome"),
        ("kind=none", "kind"),
        ("from=yesterday", "from"),
        ("q=", "q"),
        ("q=%00", "q"),
        ("limit=1000", "limit"),
    ] {
        let answer = rig.get(&format!("/api/v1/audit?{bad}")).bearer(&carol).send().await;
        assert_eq!((answer.problem(), answer.fields()), ((422, "invalid"), vec![field]), "{bad}");
    }
    let order = rig.get("/api/v1/audit?order=asc").bearer(&carol).send().await;
    assert_eq!(order.problem(), (422, "invalid"), "{}", order.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_by_policy_are_entries_with_who_and_why() {
    let rig = Rig::new().await;
    let mallory = rig.login("mallory").await;
    let denied = rig.get("/auth/v1/service-accounts").bearer(&mallory).send().await;
    assert_eq!(denied.problem(), (403, "forbidden"));
    assert!(denied.json["detail"].as_str().unwrap().contains("service_account:manage"), "{}", denied.body);
    assert_eq!(denied.header("doorman-audit-id"), denied.json["audit_id"].as_str().unwrap());
    let entries = rig.log("kind=service_account").await;
    let entry = &entries[0];
    assert_eq!(entry["id"], denied.json["audit_id"]);
    assert_eq!((&entry["actor"], &entry["decision"]), (&json!("user:mallory"), &json!("deny")));
    let outcome = &entry["outcome"];
    assert_eq!(
        (&outcome["state"], &outcome["status"], &outcome["error"]),
        (&json!("denied"), &json!(403), &json!("forbidden"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_denial_is_found_by_its_outcome() {
    let rig = Rig::new().await;
    let mallory = rig.login("mallory").await;
    rig.get("/auth/v1/service-accounts").bearer(&mallory).send().await;
    rig.try_login("alice", "wrong").await;
    rig.get("/auth/v1/me").send().await;
    let kinds: Vec<_> = rig.log("outcome=denied").await.iter().map(|entry| entry["kind"].clone()).collect();
    assert_eq!(kinds, [json!("request"), json!("login"), json!("service_account")]);
}
