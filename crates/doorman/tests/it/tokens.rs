//! Tokens that are almost good, and good ones in the wrong place.

use crate::world::{DEADLINE, World, code_of, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use doorman_core::jws;
use doorman_core::keys::{KeyUse, SigningKey};
use doorman_core::token::sign_control;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&B64.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let token = format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()));
    let signature = key.sign(token.as_bytes());
    format!("{token}.{}", B64.encode(signature))
}

fn with(mut value: Value, name: &str, new: Value) -> Value {
    value[name] = new;
    value
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn assert_refused(world: &World, what: &str, token: &str) {
    for request in [
        get("/r/eu/target/public/a").bearer(token),
        get("/r/eu/target/public/a").header("Doorman-Token", token),
    ] {
        let answer = world.send(request).await;
        assert_eq!(answer.status(), 401, "{what}: {answer:?}");
        assert!(world.recorder().is_untouched(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_our_own_signature_over_our_own_header_counts() {
    let world = World::start().await;
    let (token, key) = (world.login("alice").await, world.signing_key(KeyUse::Token));
    let (header, claims) = (part(&token, 0), part(&token, 1));
    let (signed_part, signature) = token.rsplit_once('.').unwrap();
    let other = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
    let mut flipped = signature.to_owned().into_bytes();
    flipped[10] = if flipped[10] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for alg in ["none", "nOnE", "NONE", "", "HS256", "ES256", "RS256", "Ed25519", "eddsa"] {
        let header = with(header.clone(), "alg", json!(alg));
        assert_refused(&world, alg, &signed(&key, &header, &claims)).await;
        let unsigned = format!("{}.{}.", B64.encode(header.to_string()), B64.encode(claims.to_string()));
        assert_refused(&world, alg, &unsigned).await;
        assert_refused(&world, alg, unsigned.trim_end_matches('.')).await;
    }
    for (what, token) in [
        ("no signature", format!("{signed_part}.")),
        ("two parts", signed_part.to_owned()),
        ("short signature", format!("{signed_part}.{}", &signature[..40])),
        ("long signature", format!("{token}AAAA")),
        ("flipped signature", format!("{signed_part}.{flipped}")),
        (
            "another's key under its own id",
            signed(&other, &with(header.clone(), "kid", json!(other.id().to_string())), &claims),
        ),
        ("another's key under our id", signed(&other, &header, &claims)),
        ("empty", String::new()),
        ("dots", "..".to_owned()),
        ("padding", format!("{signed_part}.{signature}==")),
    ] {
        assert_refused(&world, what, &token).await;
    }
    // Signed with our own key, so that only what stands in the header can be the reason.
    for kid in ["../../etc/passwd", "' OR 1=1 --", "http://127.0.0.1:1/jwks.json", "", "0000000000000000"] {
        assert_refused(&world, kid, &signed(&key, &with(header.clone(), "kid", json!(kid)), &claims)).await;
    }
    for (name, value) in [
        ("jku", json!("http://127.0.0.1:1/")),
        ("x5u", json!("http://127.0.0.1:1/")),
        ("jwk", json!({"kty": "OKP"})),
        ("crit", json!(["exp"])),
        ("zip", json!("DEF")),
        ("b64", json!(false)),
        ("typ", json!("JWT")),
        ("typ", json!(null)),
        ("typ", json!("doorman-control+jwt")),
        ("kid", json!(7)),
    ] {
        assert_refused(&world, name, &signed(&key, &with(header.clone(), name, value), &claims)).await;
    }
    // The same by the same means, unchanged: the refusals above are for what was changed.
    let answer = world.send(get("/r/eu/target/public/a").bearer(&signed(&key, &header, &claims))).await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_claim_is_required_and_meant() {
    let world = World::start().await;
    let (token, key) = (world.login("alice").await, world.signing_key(KeyUse::Token));
    let bobs = part(&world.login("bob").await, 1);
    let (header, claims) = (part(&token, 0), part(&token, 1));
    for name in ["exp", "iat", "aud", "iss", "sub", "jti", "client_id", "sid"] {
        let mut without = claims.clone();
        without.as_object_mut().unwrap().remove(name);
        assert_refused(&world, name, &signed(&key, &header, &without)).await;
        assert_refused(&world, name, &signed(&key, &header, &with(claims.clone(), name, json!(null)))).await;
        assert_refused(&world, name, &signed(&key, &header, &with(claims.clone(), name, json!([])))).await;
    }
    let now = now_s();
    for (name, value) in [
        ("exp", json!(now - 120)),
        ("exp", json!(0)),
        ("exp", json!(-1)),
        ("exp", json!("9999999999")),
        ("exp", json!(now as f64 + 3600.5)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(now + 100 * 365 * 86_400)),
        ("iat", json!(now + 600)),
        ("iat", json!("0")),
        ("nbf", json!(now + 600)),
        ("nbf", json!("0")),
        ("iss", json!("https://evil")),
        ("iss", json!("")),
        ("aud", json!("other")),
        ("aud", json!(["doorman"])),
        ("sub", json!("user:dave")),
        ("sub", json!("service:alice")),
        ("sub", json!("alice")),
        ("sub", json!("")),
        ("sid", bobs["sid"].clone()),
        ("sid", json!("0".repeat(32))),
        ("sid", json!("zz")),
        ("jti", json!("")),
        ("client_id", json!("")),
    ] {
        let token = signed(&key, &header, &with(claims.clone(), name, value.clone()));
        assert_refused(&world, &format!("{name} = {value}"), &token).await;
    }
    let doubled = claims.to_string().replacen('{', "{\"sub\":\"user:dave\",", 1);
    assert_refused(&world, "doubled sub", &jws::sign("at+jwt", &key, doubled.as_bytes())).await;
    world.assert_every_hit_was_written_down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_another_class_open_nothing() {
    let world = World::start().await;
    let token = world.login("dave").await;
    assert_eq!(world.send(get("/r/eu/target/a").bearer(&token)).await.status(), 200);
    let hit = world.recorder().requests().remove(0);
    let identity = hit.head.field("doorman-identity").unwrap().to_owned();
    world.recorder().clear();
    assert_refused(&world, "an identity assertion", &identity).await;
    let now_ms = now_s() * 1000;
    let control =
        sign_control(&world.signing_key(KeyUse::Control), "doorman-api", "proxy:eu", [7; 16], now_ms);
    assert_refused(&world, "a control token", &control).await;
    let claims = part(&token, 1).to_string();
    for key_use in [KeyUse::Control, KeyUse::Identity, KeyUse::Statement] {
        let forged = jws::sign("at+jwt", &world.signing_key(key_use), claims.as_bytes());
        assert_refused(&world, "signed with a key of another use", &forged).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn monstrous_tokens_are_refused_and_cost_nothing() {
    let world = World::start().await;
    world.send(get("/r/eu/target/public/a")).await;
    let (_, before) = world.api(0).memory();
    for token in
        [".".repeat(50_000), "a".repeat(50_000), format!("{}.{}.a", "a".repeat(20_000), "b".repeat(20_000))]
    {
        assert_refused(&world, "long", &token).await;
    }
    for token in [".".repeat(1_000_000), "a".repeat(5 << 20)] {
        let answer = world.send(get("/r/eu/target/public/a").bearer(&token)).await;
        assert_eq!(answer.status(), 431, "{answer:?}");
        let body = json!({ "username": "alice", "password": token }).to_string();
        let answer =
            world.send(post("/auth/v1/login", body).header("content-type", "application/json")).await;
        assert!((400..500).contains(&answer.status()), "{answer:?}");
    }
    let (_, after) = world.api(0).memory();
    assert!(after - before < 24 << 20, "{before} → {after}");
    assert!(world.recorder().is_untouched());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_the_query_is_no_credential_and_is_kept_nowhere() {
    let world = World::start().await;
    let token = world.login("dave").await;
    for name in ["access_token", "token", "bearer", "Doorman-Token", "x"] {
        let answer = world.assert_rejected(get(&format!("/r/eu/target/a?{name}={token}"))).await;
        assert_eq!((answer.status(), code_of(&answer).as_str()), (401, "unauthenticated"), "{answer:?}");
    }
    for entry in world.journal().await {
        assert!(!entry.record.to_string().contains(&token), "{entry:?}");
    }
    assert!(!world.api(0).log().contains(&token));
    assert!(!world.proxy("eu", 0).log().contains(&token));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_for_a_session_after_its_revocation_at_either_replica() {
    let world = World::plan().apis(2).start().await;
    let token = world.login("dave").await;
    let request = get("/r/eu/target/a").bearer(&token).to_bytes();
    let answered = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for number in 0..16 {
        let (mut client, request) = (world.connect_to(number % 2).await.unwrap(), request.clone());
        let answered = answered.clone();
        senders.spawn(async move {
            let mut sent = 0;
            loop {
                client.send(&request).await.unwrap();
                let answer = client.read_answer(DEADLINE).await;
                match answer.status() {
                    200 => {
                        sent += 1;
                        if sent == 1 {
                            answered.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        }
                    }
                    401 => return (sent, code_of(&answer)),
                    other => panic!("{other}: {answer:?}"),
                }
            }
        });
    }
    // Each has been let through at least once.
    while world.recorder().requests().len() < 200 || answered.load(std::sync::atomic::Ordering::Relaxed) < 16
    {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(world.send(post("/auth/v1/logout", "").bearer(&token)).await.status(), 204);
    // From here on, at once and everywhere.
    for api in [0, 1] {
        let answer = world.send_to(api, get("/r/eu/target/a").bearer(&token)).await;
        assert_eq!((answer.status(), code_of(&answer).as_str()), (401, "token_revoked"), "{answer:?}");
    }
    while let Some(ended) = senders.join_next().await {
        let (sent, code) = ended.unwrap();
        assert!(sent > 0 && code == "token_revoked", "{sent} {code}");
    }
    assert_eq!(world.attempts_after_revocation().await, 0);
    world.assert_every_hit_was_written_down().await;
}
