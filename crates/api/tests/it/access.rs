//! Who gets past the gate: every route, by every role, with every kind of credential.

use crate::rig::{Call, Rig, URL};
use doorman_api::{By, Who, listed};
use doorman_auth::Ask;
use doorman_core::secret::Secret;
use http::Method;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Routes that ask for no credential. This list may only shrink.
const PUBLIC: &[&str] = &[
    "POST /auth/v1/login",
    "GET /.well-known/jwks.json",
    "GET /.well-known/oauth-authorization-server",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /api/v1/openapi.json",
];

/// Routes for which policy is not asked once, since they are about the caller's own session or judge what they list one
/// by one. This list may only shrink.
const WITHOUT_POLICY: &[&str] = &[
    "POST /auth/v1/logout",
    "POST /auth/v1/session-token",
    "GET /auth/v1/me",
    "POST /auth/v1/verify",
    "POST /oauth2/token",
    "POST /oauth2/introspect",
    "POST /oauth2/revoke",
    "GET /api/v1/regions",
    "GET /api/v1/regions/{region}/services",
    "GET /api/v1/regions/{region}/services/{service}/instances",
    "GET /api/v1/collections",
    "POST /api/v1/collections",
    "GET /api/v1/collections/{id}",
    "PUT /api/v1/collections/{id}",
    "DELETE /api/v1/collections/{id}",
    "GET /api/v1/collections/{id}/history",
];

#[test]
fn no_route_goes_without_a_credential_or_policy_but_those_that_are_known_to() {
    for route in listed() {
        let name = format!("{} {}", route.method, route.path);
        match route.access.who {
            Who::Public => assert!(PUBLIC.contains(&&*name), "{name} is public"),
            Who::Judged(actions) => assert!(!actions.is_empty(), "{name} asks policy nothing"),
            Who::Permitted(actions) => assert!(!actions.is_empty(), "{name} asks policy nothing"),
            _ => assert!(WITHOUT_POLICY.contains(&&*name), "{name} asks no policy"),
        }
        let manages = route.method != "GET" && route.path.starts_with("/auth/v1/");
        let exempt = ["POST /auth/v1/login", "POST /auth/v1/logout", "POST /auth/v1/verify"];
        if manages && !exempt.contains(&&*name) {
            assert_eq!(route.access.by, By::Login, "{name} manages credentials");
        }
    }
}

enum Credential {
    Bearer(String),
    Cookie { token: String, origin: Option<&'static str> },
    Basic(&'static str, &'static str),
    Delegated(String),
    None,
}

impl Credential {
    fn put(&self, call: Call) -> Call {
        match self {
            Self::None => call,
            Self::Bearer(token) => call.bearer(token),
            Self::Cookie { token, origin: Some(origin) } => call.cookie(token).header("origin", origin),
            Self::Cookie { token, origin: None } => call.cookie(token),
            Self::Basic(name, password) => call.basic(name, password),
            Self::Delegated(token) => {
                call.basic("reports-ui", "reports-ui-demo").on_behalf_of("alice", token)
            }
        }
    }
}

async fn columns(rig: &Rig) -> Vec<(&'static str, Credential)> {
    let (alice, carol) = (rig.login("alice").await, rig.login("carol").await);
    let (erin, mallory) = (rig.login("erin").await, rig.login("mallory").await);
    let cookie = |token: &str, origin| Credential::Cookie { token: token.to_owned(), origin };
    vec![
        ("nobody", Credential::None),
        ("forged token", Credential::Bearer(format!("{alice}AAAA"))),
        ("alice", Credential::Bearer(alice.clone())),
        ("carol", Credential::Bearer(carol)),
        ("erin", Credential::Bearer(erin.clone())),
        ("mallory", Credential::Bearer(mallory)),
        ("alice by password", Credential::Basic("alice", "alice-demo")),
        ("alice by cookie", cookie(&alice, Some(URL))),
        ("alice by cookie from nowhere", cookie(&alice, None)),
        ("erin by cookie", cookie(&erin, Some(URL))),
        ("erin by cookie from elsewhere", cookie(&erin, Some("https://evil.example"))),
        ("alice by personal token", Credential::Bearer(rig.personal_token(&alice).await)),
        ("erin by personal token", Credential::Bearer(rig.personal_token(&erin).await)),
        ("erin by exchanged token", Credential::Bearer(exchanged(rig, &erin).await)),
        ("reports-ui", Credential::Basic("reports-ui", "reports-ui-demo")),
        ("reports-ui for alice", Credential::Delegated(alice)),
    ]
}

/// A token with which `reports-ui` acts for the user of `login`. Policy, which would refuse that, is not asked.
async fn exchanged(rig: &Rig, login: &str) -> String {
    let (auth, ip) = (&rig.state.authenticator, "192.0.2.1".parse().unwrap());
    let secret = Secret::new("reports-ui-demo".into());
    let actor = auth.verify_basic("reports-ui", &secret, ip).await.unwrap();
    let subject = auth.verify_bearer(login).await.unwrap().session;
    let ask = Ask::Exchange { actor: actor.id, subject: subject.id, client_ip: ip };
    auth.issue(ask).await.unwrap().0.expose().to_owned()
}

/// What gets through must then fail for want of a good input, or find nothing, so that no cell changes the next.
fn concrete(path: &str, method: &str) -> String {
    let path = path
        .replace("{region}", "eu")
        .replace("{service}", "echo")
        .replace("{name}", "no-such-account")
        .replace("{id}", "00000000000000000000000000000000");
    if method == "DELETE" && path == "/auth/v1/sessions" { format!("{path}?nonsense=1") } else { path }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_should_by_every_kind_of_credential() {
    let rig = Rig::new().await;
    let columns = columns(&rig).await;
    let mut table = String::new();
    for route in listed() {
        writeln!(table, "{} {}", route.method, route.path).unwrap();
        let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for (name, credential) in &columns {
            // A logout ends the session that the next cells need: those who may are tested elsewhere.
            let is_refused = matches!(credential, Credential::None | Credential::Delegated(_))
                || matches!(
                    *name,
                    "forged token" | "erin by cookie from elsewhere" | "erin by exchanged token"
                );
            if route.path == "/auth/v1/logout" && !is_refused {
                continue;
            }
            let method: Method = route.method.parse().unwrap();
            let mut call = credential.put(rig.call(method, &concrete(&route.path, &route.method)));
            if route.path.starts_with("/oauth2/") {
                call = call.form(&[("grant_type", "password"), ("token", "nonsense")]);
            }
            // A tail has no end.
            let status = call.open().await.status();
            by_status.entry(status.as_u16()).or_default().push(name);
        }
        for (status, names) in by_status {
            writeln!(table, "  {status}: {}", names.join(", ")).unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
