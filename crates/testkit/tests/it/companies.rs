//! The sample service `companies` and how it verifies who is calling.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use doorman_testkit::companies::Companies;
use doorman_testkit::raw::{Answer, RawClient};
use doorman_testkit::recorder::{Recorder, Reply};
use doorman_testkit::serve::Service;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::{ANY, DEADLINE};

struct Key {
    kid: &'static str,
    key: EncodingKey,
}

impl Key {
    fn new(kid: &'static str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new()).unwrap();
        Self { kid, key: EncodingKey::from_ed_der(der.as_ref()) }
    }

    fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        jwk
    }

    fn token(&self, claims: Value) -> String {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(self.kid.to_owned());
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn alice() -> Value {
    json!({ "sub": "user:alice", "aud": "eu/companies", "exp": now() + 60 })
}

struct World {
    jwks: Recorder,
    key: Key,
    companies: Companies,
    instance: Service,
}

impl World {
    async fn start() -> Self {
        let (jwks, key) = (Recorder::start(ANY).await.unwrap(), Key::new("one"));
        publish(&jwks, &[&key]);
        let companies = Companies::new("eu", &format!("http://{}/.well-known/jwks.json", jwks.addr()));
        let instance = companies.start("companies-1", ANY).await.unwrap();
        Self { jwks, key, companies, instance }
    }

    async fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> Answer {
        ask(&self.instance, method, path, token, body).await
    }
}

fn publish(jwks: &Recorder, keys: &[&Key]) {
    let set = JwkSet { keys: keys.iter().map(|key| key.jwk()).collect() };
    jwks.always(Reply::ok(&serde_json::to_string(&set).unwrap()));
}

async fn ask(instance: &Service, method: &str, path: &str, token: &str, body: &str) -> Answer {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: c\r\nDoorman-Identity: {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    RawClient::exchange(instance.addr(), request.as_bytes(), DEADLINE).await.unwrap()
}

fn parsed(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

#[tokio::test]
async fn ten_thousand_companies_have_names_of_their_own() {
    let world = World::start().await;
    let token = world.key.token(alice());
    let mut names = std::collections::HashSet::new();
    for page in 1..=100 {
        let list = parsed(&world.ask("GET", &format!("/companies?page={page}"), &token, "").await);
        for company in list["items"].as_array().unwrap() {
            assert_eq!(company["state"], "v1");
            names.insert(company["name"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(names.len(), 10_000);
    let beyond = parsed(&world.ask("GET", "/companies?page=101", &token, "").await);
    assert_eq!(beyond["items"], json!([]));
}

#[tokio::test]
async fn a_migration_is_seen_by_all_instances_and_happens_once() {
    let world = World::start().await;
    let other = world.companies.start("companies-2", ANY).await.unwrap();
    let token = world.key.token(alice());
    let migrated = world.ask("POST", "/companies/12/migrate", &token, r#"{"to":"v2"}"#).await;
    assert_eq!(migrated.status(), 200);
    let seen = parsed(&ask(&other, "GET", "/companies/12", &token, "").await);
    assert_eq!((&seen["state"], &seen["migrated_by"]), (&json!("v2"), &json!("user:alice")));
    assert_eq!(ask(&other, "POST", "/companies/12/migrate", &token, r#"{"to":"v2"}"#).await.status(), 409);
}

#[tokio::test]
async fn some_companies_cannot_be_migrated() {
    let world = World::start().await;
    let token = world.key.token(alice());
    let status = async |path: &str, body: &str| world.ask("POST", path, &token, body).await.status();
    assert_eq!(status("/companies/97/migrate", r#"{"to":"v2"}"#).await, 500);
    assert_eq!(status("/companies/10001/migrate", r#"{"to":"v2"}"#).await, 404);
    assert_eq!(status("/companies/5/migrate", r#"{"to":"v3"}"#).await, 422);
}

#[tokio::test]
async fn health_names_the_instance_without_identity() {
    let world = World::start().await;
    let answer = world.ask("GET", "/health", "", "").await;
    assert_eq!((answer.status(), parsed(&answer)["instance"].clone()), (200, json!("companies-1")));
}

#[tokio::test]
async fn identities_that_do_not_verify_are_refused() {
    let world = World::start().await;
    let forger = Key::new("one");
    let without = |name: &str| {
        let mut claims = alice();
        claims.as_object_mut().unwrap().remove(name);
        world.key.token(claims)
    };
    let refused = [
        ("nothing", String::new()),
        ("no token", "x.y.z".to_owned()),
        ("another's key", forger.token(alice())),
        ("an unknown kid", Key::new("two").token(alice())),
        (
            "expired",
            world.key.token(json!({ "sub": "user:alice", "aud": "eu/companies", "exp": now() - 60 })),
        ),
        (
            "another region",
            world.key.token(json!({ "sub": "user:alice", "aud": "us/companies", "exp": now() + 60 })),
        ),
        ("no exp", without("exp")),
        ("no aud", without("aud")),
        ("no sub", without("sub")),
    ];
    for (what, token) in refused {
        let answer = world.ask("GET", "/companies/1", &token, "").await;
        assert_eq!(answer.status(), 401, "{what}: {answer:?}");
        assert!(parsed(&answer)["error"].is_string());
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_when_it_is_first_used() {
    let world = World::start().await;
    let new = Key::new("two");
    publish(&world.jwks, &[&world.key, &new]);
    for key in [&new, &world.key, &new] {
        assert_eq!(world.ask("GET", "/companies/1", &key.token(alice()), "").await.status(), 200);
    }
    assert_eq!(world.jwks.requests().len(), 2);
}
