//! The way from `api` to a `doorman auth`: HTTP over TLS (plain on loopback only), each request with a fresh control token.

use super::auth::AUDIENCE;
use anyhow::Context as _;
use async_trait::async_trait;
use doorman_auth::{Clock, KeyRing, Link, Unreachable};
use doorman_core::keys::KeyUse;
use doorman_core::token;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// A login waits for the directory, whose own deadline is shorter.
const PATIENCE: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(2);

/// A link to one `doorman auth`.
pub struct HttpLink {
    http: reqwest::Client,
    url: Url,
    keys: KeyRing,
    clock: Clock,
}

impl HttpLink {
    /// A link to `url`, whose certificate `ca_file` vouches for.
    ///
    /// # Errors
    /// When the authority cannot be used.
    pub fn new(url: Url, ca_file: Option<&Path>, keys: KeyRing, clock: Clock) -> anyhow::Result<Self> {
        // A second call, as in `demo`, changes nothing.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(PATIENCE);
        if let Some(path) = ca_file {
            let pem = std::fs::read(path).with_context(|| path.display().to_string())?;
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self { http: builder.build()?, url, keys, clock })
    }

    fn token(&self) -> Option<String> {
        let now_ms = self.clock.now_ms();
        let key = self.keys.signing_key(KeyUse::Control, now_ms, |_| true)?;
        let mut jti = [0; 16];
        aws_lc_rs::rand::fill(&mut jti).ok()?;
        let issuer = doorman_proxy::control::CONTROL_ISSUER;
        Some(token::sign_control(&key, issuer, AUDIENCE, jti, now_ms))
    }
}

#[async_trait]
impl Link for HttpLink {
    async fn post(&self, path: &'static str, body: Vec<u8>) -> Result<Vec<u8>, Unreachable> {
        let failed = |error: reqwest::Error| Unreachable(error.without_url().to_string());
        let url = self.url.join(path).map_err(|error| Unreachable(error.to_string()))?;
        let token = self.token().ok_or_else(|| Unreachable("no key signs control tokens now".to_owned()))?;
        let request = self.http.post(url).bearer_auth(token);
        let request = request.header(http::header::CONTENT_TYPE, "application/json").body(body);
        let response = request.send().await.map_err(failed)?;
        if response.status() != http::StatusCode::OK {
            return Err(Unreachable(format!("it answered {}", response.status())));
        }
        Ok(response.bytes().await.map_err(failed)?.to_vec())
    }
}
