//! No token is accepted but the one that was signed: raw text, and a good token with a change in it.

#![no_main]

use doorman_core::jws;
use doorman_core::keys::{KeyUse, PublicKeys, SigningKey};
use doorman_core::token::{sign_control, verify_access, verify_control, verify_identity};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const NOW: u64 = 1_772_366_400_000;

static KEYS: LazyLock<(PublicKeys, Vec<String>)> = LazyLock::new(|| {
    let pkcs8 = SigningKey::generate_pkcs8().expect("randomness");
    let key = SigningKey::from_pkcs8(&pkcs8).expect("a key");
    let mut keys = PublicKeys::default();
    for key_use in KeyUse::ALL {
        keys.push(key_use, key.public());
    }
    let good = vec![
        jws::sign("at+jwt", &key, br#"{"sub":"user:alice"}"#),
        sign_control(&key, "doorman-api", "proxy:eu", [7; 16], NOW),
    ];
    (keys, good)
});

fuzz_target!(|input: (Vec<(u16, u8)>, &str)| {
    let (changes, text) = input;
    let (keys, good) = &*KEYS;
    for token in good {
        let mut bytes = token.clone().into_bytes();
        for (at, byte) in &changes {
            let at = usize::from(*at) % bytes.len();
            bytes[at] = *byte;
        }
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        for typ in ["at+jwt", "doorman-control+jwt"] {
            let verified = jws::verify(typ, KeyUse::Token, keys, &changed);
            assert!(verified.is_none() || good.contains(&changed), "{changed}");
        }
        let is_good = verify_control(keys, "doorman-api", "proxy:eu", &changed, NOW).is_ok();
        assert!(!is_good || changed == good[1], "{changed}");
        let _ = verify_access(keys, "doorman-api", "proxy:eu", &changed, NOW);
        let _ = verify_identity(keys, "doorman-api", "eu", "echo", &changed, NOW);
    }
    assert!(jws::verify("at+jwt", KeyUse::Token, keys, text).is_none());
    let _ = jws::key_id(text);
    let _ = PublicKeys::from_jwks(text);
});
