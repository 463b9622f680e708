//! Identity assertions (`Doorman-Identity`): whom a live service is dealing with, for that service and a minute.

use super::{Actor, Claims, Expected, TokenError, to_json};
use crate::keys::{KeyUse, PublicKeys, SigningKey};
use serde::{Deserialize, Serialize};

const TYP: &str = "doorman-identity+jwt";

/// How long an assertion is good.
pub const IDENTITY_LIFETIME_MS: u64 = 60_000;

/// The claims of an assertion. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityClaims {
    /// Issuer: this installation.
    pub iss: String,
    /// On whose behalf: `user:alice`.
    pub sub: String,
    /// `region/service`
    pub aud: String,
    /// When it ends.
    pub exp: u64,
    /// When it was made.
    pub iat: u64,
    /// The assertion's own id.
    pub jti: String,
    /// The subject's groups.
    pub groups: Vec<String>,
    /// Who acts for `sub`, when somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
}

impl Claims for IdentityClaims {
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

/// Signs `claims`.
pub fn sign_identity(key: &SigningKey, claims: &IdentityClaims) -> String {
    crate::jws::sign(TYP, key, &to_json(claims))
}

/// Checks an assertion as a live service would.
///
/// # Errors
/// [`TokenError`].
pub fn verify_identity(
    keys: &PublicKeys,
    issuer: &str,
    region: &str,
    service: &str,
    token: &str,
    now_ms: u64,
) -> Result<IdentityClaims, TokenError> {
    let audience = format!("{region}/{service}");
    let (audience, lifetime_s) = (audience.as_str(), IDENTITY_LIFETIME_MS / 1000);
    Expected { typ: TYP, key_use: KeyUse::Identity, issuer, audience, lifetime_s }.verify(keys, token, now_ms)
}
