//! Access tokens (RFC 9068): a session, in the caller's hands.

use super::{Claims, Expected, LONGEST_TOKEN_MS, TokenError, to_json};
use crate::keys::{KeyUse, PublicKeys, SigningKey};
use crate::principal::Principal;
use serde::{Deserialize, Serialize};

const TYP: &str = "at+jwt";

/// The claims of an access token. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessClaims {
    /// Issuer: this installation.
    pub iss: String,
    /// `user:alice` or `service:reports-ui`.
    pub sub: String,
    /// This installation's resource name.
    pub aud: String,
    /// When it ends.
    pub exp: u64,
    /// When it was made.
    pub iat: u64,
    /// From when it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// The token's own id.
    pub jti: String,
    /// `doorman` for people, the account's name for services.
    pub client_id: String,
    /// The session, as 32 hexadecimal digits.
    pub sid: String,
    /// Who acts for `sub`, in exchanged tokens (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

/// Who acts (RFC 8693 §4.1). Only the outermost actor counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// `service:reports-ui`
    pub sub: String,
}

impl AccessClaims {
    /// The session that the token stands for.
    pub fn session(&self) -> Option<[u8; 16]> {
        let mut id = [0; 16];
        hex::decode_to_slice(&self.sid, &mut id).ok().map(|()| id)
    }
}

impl Claims for AccessClaims {
    fn issuer(&self) -> &str {
        &self.iss
    }

    fn audience(&self) -> &str {
        &self.aud
    }

    fn times(&self) -> (u64, u64, Option<u64>) {
        (self.exp, self.iat, self.nbf)
    }
}

/// Signs `claims`.
pub fn sign_access(key: &SigningKey, claims: &AccessClaims) -> String {
    crate::jws::sign(TYP, key, &to_json(claims))
}

/// Checks everything that a token says by itself; whether its session is live is another question.
///
/// # Errors
/// [`TokenError`].
pub fn verify_access(
    keys: &PublicKeys,
    issuer: &str,
    audience: &str,
    token: &str,
    now_ms: u64,
) -> Result<AccessClaims, TokenError> {
    let expected =
        Expected { typ: TYP, key_use: KeyUse::Token, issuer, audience, lifetime_s: LONGEST_TOKEN_MS / 1000 };
    let claims: AccessClaims = expected.verify(keys, token, now_ms)?;
    let complete = claims.session().is_some() && !claims.jti.is_empty() && !claims.client_id.is_empty();
    if !complete || claims.sub.parse::<Principal>().is_err() {
        return Err(TokenError::Invalid);
    }
    Ok(claims)
}
