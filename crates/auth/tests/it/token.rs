//! Tokens of all classes under attack, and in the hands of a stock library.

use crate::rig::{Refused as _, Rig, wall_ms};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorman_auth::{IdentityTokens, KeyRing};
use doorman_core::code::Code;
use doorman_core::keys::{KeyUse, SigningKey};
use doorman_core::principal::Principal;
use doorman_core::{jws, token};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

fn token_key(rig: &Rig) -> Arc<SigningKey> {
    rig.auth.keys().signing_key(KeyUse::Token, rig.clock.now_ms(), |_| true).unwrap()
}

fn claims_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn each_claim_is_required_typed_and_checked_even_when_the_signature_is_ours() {
    let rig = Rig::new().await;
    let (token, _) = rig.login("alice").await;
    let key = token_key(&rig);
    let good = claims_of(token.expose());
    let now = rig.clock.now_ms() / 1000;
    let sign = |claims: &Value| jws::sign("at+jwt", &key, claims.to_string().as_bytes());
    rig.auth.verify_bearer(&sign(&good)).await.unwrap();

    let mut bad = Vec::new();
    for claim in ["exp", "iat", "aud", "iss", "sub", "jti", "client_id", "sid"] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().remove(claim).unwrap();
        bad.push(claims);
        for wrong in [
            json!(null),
            json!([]),
            json!({}),
            json!(true),
            json!(""),
            json!("9999999999"),
            json!(-1),
            json!(1.5),
        ] {
            let mut claims = good.clone();
            claims[claim] = wrong;
            // A client id and a token id may be any text.
            if !(matches!(claim, "jti" | "client_id")
                && claims[claim].as_str().is_some_and(|text| !text.is_empty()))
            {
                bad.push(claims);
            }
        }
    }
    for (claim, wrong) in [
        ("iss", json!("http://127.0.0.1:8440/")),
        ("aud", json!("other")),
        ("aud", json!(["doorman", "other"])),
        ("aud", json!(["doorman"])),
        ("sub", json!("user:bob")),
        ("sub", json!("service:alice")),
        ("sub", json!("alice")),
        ("sub", json!("user:")),
        ("sid", json!("00")),
        ("sid", json!("0".repeat(32))),
        ("iat", json!(now + 60)),
        ("nbf", json!(now + 60)),
        ("nbf", json!("0")),
        ("exp", json!(now + 400 * 86_400)),
        ("exp", json!(u64::MAX)),
        ("act", json!("service:x")),
    ] {
        let mut claims = good.clone();
        claims[claim] = wrong;
        bad.push(claims);
    }
    for claims in bad {
        let error = rig.auth.verify_bearer(&sign(&claims)).await.refusal();
        assert_eq!(error.code, Code::Unauthenticated, "{claims}");
    }
    let mut expired = good.clone();
    (expired["iat"], expired["exp"]) = (json!(now - 100), json!(now - 10));
    assert_eq!(rig.auth.verify_bearer(&sign(&expired)).await.refusal().code, Code::TokenExpired);
    let doubled = good.to_string().replacen('{', r#"{"sub":"user:bob","#, 1);
    assert!(rig.auth.verify_bearer(&jws::sign("at+jwt", &key, doubled.as_bytes())).await.is_err());
}

#[tokio::test]
async fn a_token_of_another_class_key_or_installation_is_none() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("alice").await;
    let claims = claims_of(token.expose()).to_string();
    let now_ms = rig.clock.now_ms();
    let foreign = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
    let mut bad = vec![jws::sign("at+jwt", &foreign, claims.as_bytes())];
    bad.extend(
        ["JWT", "application/at+jwt", "doorman-identity+jwt", "AT+JWT"]
            .map(|typ| jws::sign(typ, &token_key(&rig), claims.as_bytes())),
    );
    for key_use in [KeyUse::Identity, KeyUse::Statement, KeyUse::Control] {
        let key = rig.auth.keys().signing_key(key_use, now_ms, |_| true).unwrap();
        bad.push(jws::sign("at+jwt", &key, claims.as_bytes()));
    }
    let identity_key = rig.auth.keys().signing_key(KeyUse::Identity, now_ms, |_| true).unwrap();
    let issuer = &rig.auth.settings().issuer;
    let identity = IdentityTokens::new(issuer).token(&identity_key, &session, None, "eu", "echo", now_ms);
    bad.push(identity.to_string());
    bad.extend([String::new(), ".".into(), "..".into(), ".".repeat(1_000_000), "a".repeat(5 << 20)]);
    bad.push(format!("{}.", token.expose().rsplit_once('.').unwrap().0));
    bad.push(format!(" {}", token.expose()));
    for token in bad {
        let error = rig.auth.verify_bearer(&token).await.refusal();
        assert_eq!(error.code, Code::Unauthenticated, "{}", &token[..token.len().min(80)]);
    }
}

#[tokio::test]
async fn a_stock_library_verifies_our_tokens_by_our_key_set() {
    use jsonwebtoken::jwk::JwkSet;
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
    let rig = Rig::new().await;
    let (token, session) = rig.login("bob").await;
    let jwks: JwkSet = serde_json::from_str(&rig.auth.keys().public_keys().to_jwks()).unwrap();
    let check = |token: &str, typ: &str, audience: &str| {
        let header = decode_header(token).unwrap();
        assert_eq!(header.typ.as_deref(), Some(typ));
        let key = DecodingKey::from_jwk(jwks.find(&header.kid.unwrap()).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[&rig.auth.settings().issuer]);
        decode::<Value>(token, &key, &validation).unwrap().claims
    };
    let claims = check(token.expose(), "at+jwt", "doorman");
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some("user:bob"), Some("doorman")));
    assert_eq!(claims["sid"].as_str(), Some(session.id_text()));

    let key = rig.auth.keys().signing_key(KeyUse::Identity, rig.clock.now_ms(), |_| true).unwrap();
    let actor = Principal::Service("reports-ui".into());
    let made = IdentityTokens::new(&rig.auth.settings().issuer);
    let identity = made.token(&key, &session, Some(&actor), "eu", "companies", rig.clock.now_ms());
    let claims = check(&identity, "doorman-identity+jwt", "eu/companies");
    assert_eq!(claims["groups"], json!(["developers", "oncall"]));
    assert_eq!(claims["act"], json!({"sub": "service:reports-ui"}));
    assert!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap() <= 60);
}

#[tokio::test]
async fn an_identity_assertion_is_shared_only_by_calls_that_say_the_same() {
    let rig = Rig::new().await;
    let (_, alice) = rig.login("alice").await;
    let (_, again) = rig.login("alice").await;
    let (_, bob) = rig.login("bob").await;
    let now_ms = rig.clock.now_ms();
    let key = rig.auth.keys().signing_key(KeyUse::Identity, now_ms, |_| true).unwrap();
    let tokens = IdentityTokens::new("iss");
    let service = Principal::Service("s".into());
    let make = |session: &doorman_auth::Session, actor, region, name, now_ms| {
        tokens.token(&key, session, actor, region, name, now_ms)
    };
    let first = make(&alice, None, "eu", "echo", now_ms);
    assert!(Arc::ptr_eq(&first, &make(&alice, None, "eu", "echo", now_ms + 29_000)));
    let different = [
        make(&alice, None, "eu", "echo", now_ms + 30_000),
        make(&again, None, "eu", "echo", now_ms),
        make(&bob, None, "eu", "echo", now_ms),
        make(&alice, Some(&service), "eu", "echo", now_ms),
        make(&alice, None, "us", "echo", now_ms),
        make(&alice, None, "e", "uecho", now_ms),
        make(&alice, None, "eu", "companies", now_ms),
    ];
    assert!(different.iter().all(|token| *token != first));
    let keys = rig.auth.keys().public_keys();
    let claims = token::verify_identity(&keys, "iss", "eu", "echo", &first, now_ms).unwrap();
    assert_eq!(claims.sub, "user:alice");
    assert!(token::verify_identity(&keys, "iss", "eu", "other", &first, now_ms).is_err());
    assert!(token::verify_identity(&keys, "iss", "eu", "echo", &first, now_ms + 64_000).is_err());
}

#[test]
fn a_control_token_is_for_one_proxy_and_thirty_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let ring = KeyRing::open_or_create(dir.path(), &KeyUse::ALL, doorman_auth::Clock::system()).unwrap();
    let now_ms = wall_ms();
    let key = ring.signing_key(KeyUse::Control, now_ms, |_| true).unwrap();
    let made = token::sign_control(&key, "iss", "eu", [7; 16], now_ms);
    let keys = ring.public_keys();
    let check = |audience, now_ms| token::verify_control(&keys, "iss", audience, &made, now_ms);
    assert_eq!(check("eu", now_ms), Ok(()));
    assert_eq!(check("eu", now_ms + 34_000), Err(token::TokenError::Expired));
    assert_eq!(check("us", now_ms), Err(token::TokenError::Invalid));
    assert_eq!(check("eu", now_ms - 60_000), Err(token::TokenError::NotYet));
    assert!(token::verify_access(&keys, "iss", "eu", &made, now_ms).is_err());
}

#[tokio::test]
async fn many_verifications_leave_nothing_behind() {
    let rig = Rig::new().await;
    let (token, session) = rig.login("alice").await;
    for n in 0..100_000 {
        assert!(rig.auth.verify_bearer(token.expose()).await.is_ok());
        if n % 100 == 0 {
            let _ = rig.auth.verify_bearer(&format!("{}{n}", token.expose())).await;
            let _ = rig.authority().verify_user_token("alice", token.expose()).await.unwrap().unwrap();
        }
    }
    let (rows, _) = rig.auth.store().list_sessions(None, None, 10).await.unwrap();
    assert_eq!(rows.iter().map(|info| info.facts.id).collect::<Vec<_>>(), [session.id]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_claims_make_the_verifier_panic(claims in ".{0,200}", number in any::<i64>(), now_ms in any::<u64>()) {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        let mut keys = doorman_core::keys::PublicKeys::default();
        for key_use in KeyUse::ALL {
            keys.push(key_use, key.public());
        }
        let made = json!({"iss": "i", "aud": "a", "sub": "user:a", "jti": "j", "client_id": "c", "sid": "0".repeat(32),
            "exp": number, "iat": number, "nbf": number, "groups": []}).to_string();
        for claims in [&claims, &made] {
            for typ in ["at+jwt", "doorman-identity+jwt", "doorman-control+jwt"] {
                let token = jws::sign(typ, &key, claims.as_bytes());
                let _ = token::verify_access(&keys, "i", "a", &token, now_ms);
                let _ = token::verify_identity(&keys, "i", "a", "a", &token, now_ms);
                let _ = token::verify_control(&keys, "i", "a", &token, now_ms);
            }
        }
    }

    #[test]
    fn no_text_makes_the_verifier_panic(text in "[a-zA-Z0-9._-]{0,400}|.{0,100}") {
        let keys = doorman_core::keys::PublicKeys::default();
        prop_assert!(token::verify_access(&keys, "i", "a", &text, 0).is_err());
    }
}
