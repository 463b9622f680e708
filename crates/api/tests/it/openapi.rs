//! The OpenAPI document and the routes say the same.

use crate::rig::Rig;
use doorman_api::{listed, openapi};
use std::collections::BTreeSet;

#[test]
fn the_document_describes_every_route_and_no_other() {
    let document = serde_json::to_value(openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes = listed();
    let routed: BTreeSet<_> = routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    assert_eq!(described, routed);
    assert_eq!(routed.len(), routes.len(), "no route twice");
}

#[test]
fn every_operation_has_its_own_id_and_every_reference_an_end() {
    let document = serde_json::to_value(openapi()).unwrap();
    let mut ids = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            assert!(operation["responses"]["default"].is_object(), "{id}");
        }
    }
    for reference in document.to_string().split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name} is referred to and not there");
    }
}

/// What clients are generated from: a change here is a change of the contract.
#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_served_as_reviewed() {
    let rig = Rig::new().await;
    let served = rig.get("/api/v1/openapi.json").send().await;
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.json, serde_json::to_value(openapi()).unwrap());
    insta::assert_json_snapshot!(served.json);
}
