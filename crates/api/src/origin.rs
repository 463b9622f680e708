//! Requests that a browser sends from somebody else's page, and how they are told apart.

use crate::state::ApiConfig;
use doorman_core::code::Code;
use doorman_door::Problem;
use http::request::Parts;
use http::{HeaderMap, Method, Version, header};
use url::Host;

impl ApiConfig {
    /// Whether a page of this origin is the UI's own.
    ///
    /// On loopback its names are one: somebody who types `localhost` is at the same place as at `127.0.0.1`.
    fn is_own_origin(&self, origin: &str) -> bool {
        if origin == self.public_url.origin().ascii_serialization() {
            return true;
        }
        let Ok(url) = url::Url::parse(origin) else { return false };
        let is_plain = origin == url.origin().ascii_serialization();
        is_plain
            && is_loopback(&self.public_url)
            && is_loopback(&url)
            && url.scheme() == self.public_url.scheme()
            && url.port_or_known_default() == self.public_url.port_or_known_default()
    }
}

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// Refuses what leaves it open whom the request is for: no Host or several, or an absolute target (RFC 9112 §3.2).
pub(crate) fn check_host(parts: &Parts) -> Result<(), Box<Problem>> {
    if parts.version >= Version::HTTP_2 {
        return Ok(());
    }
    let is_host = |host: &str| {
        !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'))
    };
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if host.is_some_and(is_host) && hosts.next().is_none() && parts.uri.authority().is_none() {
        return Ok(());
    }
    let detail =
        "The request has no Host, several, or one that is no host, or its target is in absolute form.";
    Err(Box::new(Problem::new(Code::Invalid, detail).hint("Send an ordinary HTTP request.")))
}

/// Whether a request with this method changes anything.
pub(crate) fn is_unsafe(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Refuses what only a foreign page would send: for calls without a credential, such as logins.
pub(crate) fn check_not_foreign(config: &ApiConfig, parts: &Parts) -> Result<(), Box<Problem>> {
    if !is_unsafe(&parts.method) {
        return Ok(());
    }
    let origins_are_own = parts
        .headers
        .get_all(header::ORIGIN)
        .iter()
        .all(|origin| origin.to_str().is_ok_and(|origin| config.is_own_origin(origin)));
    let site = parts.headers.get("sec-fetch-site").map(|site| site.as_bytes());
    if origins_are_own && !matches!(site, Some(b"cross-site" | b"same-site")) {
        Ok(())
    } else {
        Err(foreign("The request comes from another origin's page."))
    }
}

/// A call that the cookie authenticates and that changes anything must come from our own page and speak JSON, which no
/// form of another page can.
pub(crate) fn check_cookie_call(config: &ApiConfig, parts: &Parts) -> Result<(), Box<Problem>> {
    if !is_unsafe(&parts.method) {
        return Ok(());
    }
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    let origin = origins.next().and_then(|origin| origin.to_str().ok());
    if origins.next().is_some() || !origin.is_some_and(|origin| config.is_own_origin(origin)) {
        return Err(foreign("A call with the cookie must come from Doorman's own pages."));
    }
    if has_body(&parts.headers) && !is_json(&parts.headers) {
        return Err(foreign("A call with the cookie must have a body of `application/json`."));
    }
    Ok(())
}

fn foreign(detail: &str) -> Box<Problem> {
    let hint = "Programs send `Authorization: Bearer <token>` instead of the cookie, and no Origin.";
    Box::new(Problem::new(Code::Forbidden, detail).hint(hint))
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(header::CONTENT_TYPE)
        || headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// Whether the body says to be JSON.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let value = values.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    values.next().is_none() && essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_origin_is_ours() {
        let at = |url: &str| ApiConfig::new(url.parse().unwrap());
        let public = at("https://doorman.example.com");
        assert!(public.is_own_origin("https://doorman.example.com"));
        for foreign in [
            "http://doorman.example.com",
            "https://doorman.example.com.evil",
            "https://doorman.example.com:8443",
            "https://evil@doorman.example.com",
            "null",
            "",
        ] {
            assert!(!public.is_own_origin(foreign), "{foreign}");
        }
        let local = at("http://127.0.0.1:8440");
        assert!(local.is_own_origin("http://localhost:8440") && local.is_own_origin("http://[::1]:8440"));
        assert!(!local.is_own_origin("http://localhost:8441"));
        assert!(!local.is_own_origin("http://localhost.evil:8440"));
        assert!(!local.is_own_origin("http://localhost:8440/"));
    }
}
