//! The form in which OAuth clients ask (RFC 6749 appendix B), and the credential that may be in it.

use crate::error::{ApiError, ApiResult};
use crate::input;
use axum::body::Body;
use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorman_core::code::Code;
use doorman_door::Problem;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A form's fields. Empty ones count as absent, none may be there twice (RFC 6749 §3.2).
#[derive(Clone)]
pub(crate) struct Form(Arc<BTreeMap<String, String>>);

impl Form {
    /// Reads a form.
    pub async fn read(headers: &HeaderMap, body: Body) -> ApiResult<Self> {
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(invalid("The body must be a form (application/x-www-form-urlencoded)."));
        }
        let bytes = input::read(headers, body).await?;
        let mut fields = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(&bytes).into_owned() {
            if !value.is_empty() && fields.insert(name, value).is_some() {
                return Err(invalid("A parameter is there twice."));
            }
        }
        Ok(Self(Arc::new(fields)))
    }

    /// The value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Makes the client's name and secret in the form the request's credential. There must not be another.
    pub fn put_credential(&self, headers: &mut HeaderMap) -> ApiResult<()> {
        let Some(secret) = self.value("client_secret") else { return Ok(()) };
        if headers.contains_key(header::AUTHORIZATION) {
            return Err(invalid("The client shows its secret in two ways."));
        }
        let name = self.value("client_id").unwrap_or_default();
        if name.contains(':') {
            return Err(invalid("client_id: no service account has a colon in its name."));
        }
        let encoded = STANDARD.encode(format!("{name}:{secret}"));
        let value = HeaderValue::try_from(format!("Basic {encoded}"))
            .map_err(|_| invalid("The client's secret is too long."))?;
        headers.insert(header::AUTHORIZATION, value);
        Ok(())
    }
}

/// Whether the credential is a secret. A token must not make the next one, or no secret would ever be needed again.
pub(crate) fn shows_secret(headers: &HeaderMap) -> bool {
    let scheme = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let scheme = scheme.split(' ').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("basic") && !headers.contains_key("doorman-token")
}

fn invalid(detail: &str) -> ApiError {
    Problem::new(Code::Invalid, detail).hint("See RFC 6749 §4.4 and RFC 8693 §2.1.").into()
}

impl<S: Send + Sync> FromRequestParts<S> for Form {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let form = parts.extensions.get::<Self>().cloned();
        form.ok_or_else(|| ApiError::internal("a handler asks for a form on a route without"))
    }
}
