//! The OAuth endpoints, as stock clients use them.

use crate::rig::{Answer, Call, Rig};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

fn by_service(call: Call) -> Call {
    call.basic("reports-ui", "reports-ui-demo")
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn error(answer: &Answer) -> (u16, &str) {
    assert_eq!(answer.header("content-type"), "application/json");
    assert!(
        answer.json["error_description"].is_string() && answer.json["code"].is_string(),
        "{}",
        answer.body
    );
    (answer.status.as_u16(), answer.json["error"].as_str().unwrap())
}

async fn exchange(rig: &Rig, token: &str) -> Answer {
    let fields = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", ACCESS_TOKEN)];
    by_service(rig.post("/oauth2/token")).form(&fields).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_gets_a_token_for_its_secret_shown_either_way() {
    let rig = Rig::new().await;
    let grant = ("grant_type", "client_credentials");
    let basic = by_service(rig.post("/oauth2/token")).form(&[grant]).send().await;
    assert_eq!(basic.status, 200, "{}", basic.body);
    assert_eq!(basic.json["token_type"], "Bearer");
    assert!((3_500..=3_600).contains(&basic.json["expires_in"].as_u64().unwrap()));
    let secret = [grant, ("client_id", "reports-ui"), ("client_secret", "reports-ui-demo")];
    let posted = rig.post("/oauth2/token").form(&secret).send().await;
    for answer in [&basic, &posted] {
        let token = answer.json["access_token"].as_str().unwrap();
        assert_eq!(claims(token)["sub"], "service:reports-ui");
        assert_eq!(rig.get("/auth/v1/me").bearer(token).send().await.json["actor"], "service:reports-ui");
        // A token must not make the next one.
        let again = rig.post("/oauth2/token").bearer(token).form(&[grant]).send().await;
        assert_eq!(error(&again), (401, "invalid_client"));
    }
    let entries = rig.log("kind=token&actor=service:reports-ui").await;
    assert_eq!(entries[0]["detail"]["grant"], "client_credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_login_is_exchanged_for_a_token_that_names_both() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let answer = exchange(&rig, &alice).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json["issued_token_type"]),
        (200, &json!(ACCESS_TOKEN)),
        "{}",
        answer.body
    );
    let token = answer.json["access_token"].as_str().unwrap();
    let said = claims(token);
    assert_eq!((&said["sub"], &said["act"]), (&json!("user:alice"), &json!({"sub": "service:reports-ui"})));

    let me = rig.get("/auth/v1/me").bearer(token).send().await.json;
    assert_eq!((&me["actor"], &me["subject"]), (&json!("service:reports-ui"), &json!("user:alice")));
    let new = json!({"name": "x", "expires_at": crate::rig::in_a_month()});
    assert_eq!(
        rig.post("/auth/v1/tokens").bearer(token).json(&new).send().await.problem(),
        (403, "forbidden")
    );
    // Neither exchanged again nor shown as the user's own.
    assert_eq!(error(&exchange(&rig, token).await), (400, "invalid_request"));
    let nested = by_service(rig.get("/auth/v1/me")).on_behalf_of("alice", token).send().await;
    assert_eq!(nested.code(), "delegation_refused");

    assert_eq!(rig.post("/auth/v1/logout").bearer(&alice).send().await.status, 204);
    assert_eq!(rig.get("/auth/v1/me").bearer(token).send().await.code(), "token_revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_that_policy_does_not_allow_are_refused_and_written_down() {
    let rig = Rig::new().await;
    let (erin, alice) = (rig.login("erin").await, rig.login("alice").await);
    let own =
        by_service(rig.post("/oauth2/token")).form(&[("grant_type", "client_credentials")]).send().await;
    let own = own.json["access_token"].as_str().unwrap().to_owned();
    let personal = rig.personal_token(&alice).await;
    for token in [&*erin, "nonsense", &own, &personal] {
        assert_eq!(error(&exchange(&rig, token).await), (400, "invalid_request"));
    }
    let entries = rig.log("kind=token&actor=service:reports-ui&outcome=denied").await;
    assert_eq!(entries.len(), 4);
    assert_eq!((&entries[3]["detail"]["claimed"], &entries[3]["decision"]), (&json!("erin"), &json!("deny")));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_clients_and_requests_get_the_errors_of_the_rfcs() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let token = || rig.post("/oauth2/token");
    let grant = ("grant_type", "client_credentials");
    for (call, expected) in [
        (token().basic("reports-ui", "wrong").form(&[grant]), (401, "invalid_client")),
        (token().form(&[grant]), (401, "invalid_client")),
        (token().form(&[grant, ("client_id", "nobody"), ("client_secret", "x")]), (401, "invalid_client")),
        (token().basic("alice", "alice-demo").form(&[grant]), (400, "unauthorized_client")),
        (by_service(token()).form(&[grant, ("client_secret", "reports-ui-demo")]), (400, "invalid_request")),
        (by_service(token()).form(&[grant, grant]), (400, "invalid_request")),
        (by_service(token()).form(&[]), (400, "invalid_request")),
        (by_service(token()).form(&[("grant_type", "")]), (400, "invalid_request")),
        (by_service(token()).form(&[("grant_type", "password")]), (400, "unsupported_grant_type")),
        (by_service(token()).form(&[grant, ("scope", "all")]), (400, "invalid_scope")),
        (by_service(token()).json(&json!({})), (400, "invalid_request")),
        (by_service(token()).form(&[("grant_type", EXCHANGE)]), (400, "invalid_request")),
        (by_service(token()).on_behalf_of("alice", &alice).form(&[grant]), (400, "unauthorized_client")),
        (by_service(rig.post("/oauth2/introspect")).form(&[]), (400, "invalid_request")),
    ] {
        let answer = call.send().await;
        assert_eq!(error(&answer), expected, "{}", answer.body);
    }
    let target = [
        ("grant_type", EXCHANGE),
        ("subject_token", &*alice),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "https://elsewhere.example"),
    ];
    assert_eq!(error(&by_service(token()).form(&target).send().await), (400, "invalid_target"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_learn_what_a_token_says_and_revoke_what_is_theirs() {
    let rig = Rig::new().await;
    let alice = rig.login("alice").await;
    let exchanged = exchange(&rig, &alice).await.json["access_token"].as_str().unwrap().to_owned();
    let introspect = async |token: &str| {
        by_service(rig.post("/oauth2/introspect")).form(&[("token", token)]).send().await.json
    };
    let revoke =
        async |token: &str| by_service(rig.post("/oauth2/revoke")).form(&[("token", token)]).send().await;
    let said = introspect(&exchanged).await;
    assert_eq!(
        (&said["active"], &said["sub"], &said["username"]),
        (&json!(true), &json!("user:alice"), &json!("alice"))
    );
    assert_eq!(said["act"], json!({"sub": "service:reports-ui"}));
    assert_eq!(said["exp"], claims(&exchanged)["exp"]);
    assert_eq!(introspect("nonsense").await, json!({"active": false}));

    assert_eq!(
        error(&revoke(&alice).await),
        (400, "unauthorized_client"),
        "a user's own login is not the client's"
    );
    assert_eq!(revoke(&exchanged).await.status, 200);
    assert_eq!(introspect(&exchanged).await, json!({"active": false}));
    assert_eq!(revoke(&exchanged).await.status, 200, "revoking again is no error");
    assert_eq!(introspect(&alice).await["active"], json!(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metadata_names_the_endpoints() {
    let rig = Rig::new().await;
    let metadata = rig.get("/.well-known/oauth-authorization-server").send().await.json;
    let alice = rig.login("alice").await;
    assert_eq!(metadata["issuer"], claims(&alice)["iss"]);
    assert_eq!(metadata["token_endpoint"], "http://127.0.0.1:8440/oauth2/token");
    assert_eq!(metadata["grant_types_supported"], json!(["client_credentials", EXCHANGE]));
}
