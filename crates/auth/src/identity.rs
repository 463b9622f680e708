//! Makes identity assertions, and makes few of them: a signature costs more than everything else a request needs.

use crate::session::{Session, SessionId};
use doorman_core::keys::{KeyId, SigningKey};
use doorman_core::principal::Principal;
use doorman_core::token::{Actor, IDENTITY_LIFETIME_MS, IdentityClaims, sign_identity};
use std::sync::Arc;

/// An assertion is used again only while a service has at least this long to check it.
const REUSE_MS: u64 = 30_000;

/// How many assertions are kept.
const CAPACITY: u64 = 50_000;

/// Everything that an assertion says, as separate fields: a joined string could mean two things.
#[derive(PartialEq, Eq, Hash)]
struct CacheKey {
    subject: Principal,
    actor: Option<Principal>,
    session: SessionId,
    groups_version: u64,
    region: Box<str>,
    service: Box<str>,
}

/// Makes assertions, each at most twice a minute for the same caller and service. Bounded.
pub struct IdentityTokens {
    issuer: String,
    made: moka::sync::Cache<CacheKey, Made>,
}

#[derive(Clone)]
struct Made {
    token: Arc<str>,
    reuse_until_ms: u64,
    key: KeyId,
}

impl IdentityTokens {
    /// Assertions of this issuer.
    pub fn new(issuer: impl Into<String>) -> Self {
        let made = moka::sync::Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(std::time::Duration::from_millis(REUSE_MS))
            .build();
        Self { issuer: issuer.into(), made }
    }

    /// An assertion for `region/service` about `session`'s principal, and about `actor` if somebody else calls for it.
    pub fn token(
        &self,
        key: &SigningKey,
        session: &Session,
        actor: Option<&Principal>,
        region: &str,
        service: &str,
        now_ms: u64,
    ) -> Arc<str> {
        let cache_key = CacheKey {
            subject: session.principal.clone(),
            actor: actor.cloned(),
            session: session.id,
            groups_version: session.groups_version(),
            region: region.into(),
            service: service.into(),
        };
        if let Some(made) = self.made.get(&cache_key)
            && now_ms < made.reuse_until_ms
            && made.key == key.id()
        {
            return made.token;
        }
        let claims = IdentityClaims {
            iss: self.issuer.clone(),
            sub: session.principal.to_string(),
            aud: format!("{region}/{service}"),
            exp: (now_ms + IDENTITY_LIFETIME_MS) / 1000,
            iat: now_ms / 1000,
            jti: hex::encode(crate::random::bytes::<16>()),
            groups: session.groups.to_vec(),
            act: actor.map(|actor| Actor { sub: actor.to_string() }),
        };
        let token: Arc<str> = sign_identity(key, &claims).into();
        let made = Made { token: token.clone(), reuse_until_ms: now_ms + REUSE_MS, key: key.id() };
        self.made.insert(cache_key, made);
        token
    }
}
