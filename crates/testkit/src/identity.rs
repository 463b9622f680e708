//! How a live service verifies `Doorman-Identity`: a stock JWT library and the published keys.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::RwLock;
use serde::Deserialize;

/// Who is asking, as the token says.
#[derive(Debug, Deserialize)]
pub(crate) struct Caller {
    /// The subject's name, such as `user:alice`.
    pub sub: String,
}

/// Why a token was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No published key has the token's `kid`.
    #[error("signed by an unknown key")]
    UnknownKey,
    /// Malformed, forged, expired or for somebody else.
    #[error(transparent)]
    Refused(#[from] jsonwebtoken::errors::Error),
}

/// Verifies identity tokens for one audience.
pub(crate) struct Verifier {
    jwks_url: String,
    validation: Validation,
    keys: RwLock<Arc<JwkSet>>,
    client: Client<HttpConnector, Empty<bytes::Bytes>>,
}

impl Verifier {
    /// Trusts the keys at `jwks_url` (plain HTTP) for tokens whose `aud` is `audience`.
    pub fn new(jwks_url: &str, audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        Self {
            jwks_url: jwks_url.to_owned(),
            validation,
            keys: RwLock::new(Arc::new(JwkSet { keys: Vec::new() })),
            client: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    /// Fetches the keys anew; keeps the old ones if that fails.
    pub async fn refresh(&self) {
        match self.fetch().await {
            Ok(keys) => *self.keys.write() = Arc::new(keys),
            Err(error) => tracing::warn!(url = self.jwks_url, %error, "cannot fetch the identity keys"),
        }
    }

    /// Verifies a token. A `kid` not known yet makes it look for new keys once.
    pub async fn verify(&self, token: &str) -> Result<Caller, Error> {
        let kid = jsonwebtoken::decode_header(token)?.kid.ok_or(Error::UnknownKey)?;
        let key = match self.key(&kid) {
            Some(key) => key,
            None => {
                self.refresh().await;
                self.key(&kid).ok_or(Error::UnknownKey)?
            }
        };
        let token = jsonwebtoken::decode::<Caller>(token, &DecodingKey::from_jwk(&key)?, &self.validation)?;
        Ok(token.claims)
    }

    fn key(&self, kid: &str) -> Option<Jwk> {
        self.keys.read().find(kid).cloned()
    }

    async fn fetch(&self) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let response = self.client.get(self.jwks_url.parse()?).await?;
        let body = Limited::new(response.into_body(), 1 << 20).collect().await?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    }
}
