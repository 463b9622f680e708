//! Control tokens: with these `api` polls a proxy. A proxy forwards nothing for them.

use super::{Claims, Expected, TokenError, to_json};
use crate::keys::{KeyUse, PublicKeys, SigningKey};
use serde::{Deserialize, Serialize};

const TYP: &str = "doorman-control+jwt";

/// How long a control token is good.
pub const CONTROL_LIFETIME_MS: u64 = 30_000;

#[derive(Serialize, Deserialize)]
struct ControlClaims {
    iss: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
}

impl Claims for ControlClaims {
    fn issuer(&self) -> &str {
        &self.iss
    }

    fn audience(&self) -> &str {
        &self.aud
    }

    fn times(&self) -> (u64, u64, Option<u64>) {
        (self.exp, self.iat, None)
    }
}

/// A token for one proxy; `audience` is what both know it by, `jti` is random.
pub fn sign_control(key: &SigningKey, issuer: &str, audience: &str, jti: [u8; 16], now_ms: u64) -> String {
    let claims = ControlClaims {
        iss: issuer.to_owned(),
        aud: audience.to_owned(),
        exp: (now_ms + CONTROL_LIFETIME_MS) / 1000,
        iat: now_ms / 1000,
        jti: hex::encode(jti),
    };
    crate::jws::sign(TYP, key, &to_json(&claims))
}

/// Checks a control token.
///
/// # Errors
/// [`TokenError`].
pub fn verify_control(
    keys: &PublicKeys,
    issuer: &str,
    audience: &str,
    token: &str,
    now_ms: u64,
) -> Result<(), TokenError> {
    let lifetime_s = CONTROL_LIFETIME_MS / 1000;
    let expected = Expected { typ: TYP, key_use: KeyUse::Control, issuer, audience, lifetime_s };
    expected.verify::<ControlClaims>(keys, token, now_ms).map(drop)
}
