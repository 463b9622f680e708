//! The UI's cookie: it holds the session's token, for `/auth` and `/api` alone.

use crate::state::ApiConfig;
use doorman_core::secret::Secret;
use http::{HeaderMap, HeaderValue, header};

impl ApiConfig {
    /// The cookie's name. The prefix binds it to this host and to TLS (RFC 6265bis §4.1.3.2).
    pub(crate) fn cookie_name(&self) -> &'static str {
        if self.secure_cookie { "__Host-doorman" } else { "doorman" }
    }

    /// `Set-Cookie` for a session's token, or, without one, to forget it.
    pub(crate) fn set_cookie(&self, token: Option<&Secret>, lifetime_s: u64) -> Option<HeaderValue> {
        let (value, age) = token.map_or(("", 0), |token| (token.expose(), lifetime_s));
        let secure = if self.secure_cookie { "; Secure" } else { "" };
        let name = self.cookie_name();
        let text = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The token in the cookie. With two cookies of the name, one may be planted: neither counts.
    pub(crate) fn cookie<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let pairs = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        let mut found = pairs.filter(|(name, _)| *name == self.cookie_name());
        let (_, token) = found.next()?;
        (found.next().is_none() && !token.is_empty()).then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> ApiConfig {
        ApiConfig::new(url.parse().unwrap())
    }

    fn cookies(texts: &[&str]) -> HeaderMap {
        texts.iter().map(|text| (header::COOKIE, HeaderValue::from_str(text).unwrap())).collect()
    }

    #[test]
    fn over_tls_the_cookie_is_bound_to_the_host() {
        let config = config("https://doorman.example.com");
        let set = config.set_cookie(Some(&Secret::new("t".into())), 60).unwrap();
        assert_eq!(set, "__Host-doorman=t; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(config.cookie(&cookies(&["a=b; __Host-doorman=t; c=d"])), Some("t"));
        assert_eq!(config.cookie(&cookies(&["doorman=t"])), None);
    }

    #[test]
    fn a_cookie_that_is_there_twice_counts_for_nothing() {
        let config = config("http://127.0.0.1:8440");
        assert_eq!(config.cookie(&cookies(&["doorman=t"])), Some("t"));
        assert_eq!(config.cookie(&cookies(&["doorman=t; doorman=u"])), None);
        assert_eq!(config.cookie(&cookies(&["doorman=t", "doorman=t"])), None);
        assert_eq!(config.cookie(&cookies(&["doorman="])), None);
    }
}
