//! The three classes of token that Doorman signs, each with its own key, `typ` and audience: access tokens (RFC 9068),
//! identity assertions for live services, and control tokens for proxies.
//!
//! Claims are typed and all required; a token with one missing, of another type, or named twice is no token.

mod access;
mod control;
mod identity;

pub use access::{AccessClaims, Actor, sign_access, verify_access};
pub use control::{CONTROL_LIFETIME_MS, sign_control, verify_control};
pub use identity::{IDENTITY_LIFETIME_MS, IdentityClaims, sign_identity, verify_identity};

use crate::keys::{KeyUse, PublicKeys};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest that any token may live: personal tokens, 366 days.
pub const LONGEST_TOKEN_MS: u64 = 366 * 86_400_000;

/// By how much (s) clocks of issuer and verifier may differ.
pub const LEEWAY_S: u64 = 3;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Signature, class, key, claims, issuer or audience do not hold.
    #[error("not a token of ours")]
    Invalid,
    /// It was good until `exp`.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lie in the future.
    #[error("the token is not valid yet")]
    NotYet,
}

/// The claims that every class has.
trait Claims: DeserializeOwned {
    fn issuer(&self) -> &str;
    fn audience(&self) -> &str;
    /// `exp`, `iat` and `nbf`, in seconds.
    fn times(&self) -> (u64, u64, Option<u64>);
}

/// What a verifier expects of a token of one class.
struct Expected<'a> {
    typ: &'static str,
    key_use: KeyUse,
    issuer: &'a str,
    audience: &'a str,
    /// The longest `exp` - `iat` in seconds.
    lifetime_s: u64,
}

impl Expected<'_> {
    fn verify<C: Claims>(&self, keys: &PublicKeys, token: &str, now_ms: u64) -> Result<C, TokenError> {
        let claims = crate::jws::verify(self.typ, self.key_use, keys, token).ok_or(TokenError::Invalid)?;
        let claims: C = serde_json::from_slice(&claims).map_err(|_| TokenError::Invalid)?;
        let (exp, iat, nbf) = claims.times();
        let now = now_ms / 1000;
        if claims.issuer() != self.issuer || claims.audience() != self.audience {
            return Err(TokenError::Invalid);
        }
        if exp < iat || exp - iat > self.lifetime_s {
            return Err(TokenError::Invalid);
        }
        if iat > now + LEEWAY_S || nbf.is_some_and(|nbf| nbf > now + LEEWAY_S) {
            return Err(TokenError::NotYet);
        }
        if now >= exp.saturating_add(LEEWAY_S) {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }
}

fn to_json(claims: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(claims).unwrap_or_default()
}
