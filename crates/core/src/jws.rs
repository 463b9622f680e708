//! Compact JWS (RFC 7515) with Ed25519 (RFC 8037), pinned as RFC 8725 asks: the key decides the algorithm, `typ`
//! decides the class, and a header may hold `alg`, `kid` and `typ` and nothing else.

use crate::keys::{KeyId, KeyUse, PublicKeys, SigningKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The longest token that is looked at, in bytes.
pub const MAX_LEN: usize = 16 * 1024;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
}

/// Signs `claims` (JSON) as a token of class `typ`, for example `at+jwt`.
pub fn sign(typ: &str, key: &SigningKey, claims: &[u8]) -> String {
    let header = format!(r#"{{"alg":"EdDSA","kid":"{}","typ":"{typ}"}}"#, key.id());
    let mut token = String::with_capacity((header.len() + claims.len() + 64) * 4 / 3 + 8);
    URL_SAFE_NO_PAD.encode_string(header, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// The claims (JSON) of a token whose signature, class and key hold, or `None`. Times and audience are the caller's to check.
pub fn verify(typ: &str, key_use: KeyUse, keys: &PublicKeys, token: &str) -> Option<Vec<u8>> {
    if token.len() > MAX_LEN {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let header: Header<'_> = serde_json::from_slice(&header).ok()?;
    if header.alg != "EdDSA" || header.typ != typ {
        return None;
    }
    let key = keys.find(key_use, header.kid.parse().ok()?)?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    key.verifies(signed.as_bytes(), &signature).then(|| URL_SAFE_NO_PAD.decode(claims).ok()).flatten()
}

/// Which key a token says it is signed with; says nothing about whether it is.
pub fn key_id(token: &str) -> Option<KeyId> {
    if token.len() > MAX_LEN {
        return None;
    }
    let header = URL_SAFE_NO_PAD.decode(token.split_once('.')?.0).ok()?;
    serde_json::from_slice::<Header<'_>>(&header).ok()?.kid.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key_and_ring() -> (SigningKey, PublicKeys) {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        let mut keys = PublicKeys::default();
        keys.push(KeyUse::Token, key.public());
        (key, keys)
    }

    fn with_header(key: &SigningKey, header: &str) -> String {
        let mut token = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode("{}"));
        let signature = key.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        token
    }

    #[test]
    fn only_our_own_algorithm_class_and_header_fields_are_taken() {
        let (key, keys) = key_and_ring();
        let token = sign("at+jwt", &key, b"{}");
        assert_eq!(verify("at+jwt", KeyUse::Token, &keys, &token).as_deref(), Some(b"{}".as_slice()));
        assert_eq!(key_id(&token), Some(key.id()));
        assert!(verify("other", KeyUse::Token, &keys, &token).is_none());
        assert!(verify("at+jwt", KeyUse::Control, &keys, &token).is_none());
        let kid = key.id();
        for header in [
            format!(r#"{{"alg":"none","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"nOnE","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"HS256","kid":"{kid}","typ":"at+jwt"}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"../{kid}","typ":"at+jwt"}}"#),
            r#"{"alg":"EdDSA","kid":"' OR 1=1","typ":"at+jwt"}"#.to_owned(),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt","jku":"http://127.0.0.1/"}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt","jwk":{{}}}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt","x5u":""}}"#),
            format!(r#"{{"alg":"EdDSA","kid":"{kid}","typ":"at+jwt","crit":[]}}"#),
            format!(r#"{{"alg":"EdDSA","alg":"EdDSA","kid":"{kid}","typ":"at+jwt"}}"#),
            r#"{"alg":"EdDSA","typ":"at+jwt"}"#.to_owned(),
        ] {
            assert!(
                verify("at+jwt", KeyUse::Token, &keys, &with_header(&key, &header)).is_none(),
                "{header}"
            );
        }
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        for bad in [
            format!("{unsigned}."),
            unsigned.to_owned(),
            format!("{token}="),
            format!("{token}.x"),
            ".".repeat(1_000_000),
            "a".repeat(5 << 20),
        ] {
            assert!(verify("at+jwt", KeyUse::Token, &keys, &bad).is_none());
        }
    }

    proptest! {
        #[test]
        fn a_changed_token_is_never_taken(at in 0usize..200, to in "[A-Za-z0-9_.-]") {
            let (key, keys) = key_and_ring();
            let token = sign("at+jwt", &key, br#"{"sub":"user:alice"}"#);
            let at = at % token.len();
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            prop_assert_eq!(verify("at+jwt", KeyUse::Token, &keys, &changed).is_some(), changed == token);
        }

        #[test]
        fn no_input_panics(token in ".{0,80}") {
            prop_assert!(verify("at+jwt", KeyUse::Token, &key_and_ring().1, &token).is_none());
        }
    }
}
