//! Secrets are masked before they reach the journal.

use std::borrow::Cow;

/// What stands in place of a secret.
pub const MASK: &str = "[redacted]";

/// Which headers, query keys and body fields hold secrets. Names are lower-case.
#[derive(Clone, Debug)]
pub struct Redaction {
    headers: Vec<String>,
    query_keys: Vec<String>,
    fields: Vec<String>,
}

impl Default for Redaction {
    fn default() -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            headers: owned(&[
                "authorization",
                "cookie",
                "set-cookie",
                "doorman-identity",
                "x-api-key",
                "api-key",
                "x-auth-token",
                "x-amz-security-token",
                "x-csrf-token",
                "x-vault-token",
            ]),
            query_keys: owned(&[
                "access_token",
                "api_key",
                "apikey",
                "client_secret",
                "code",
                "id_token",
                "key",
                "password",
                "passwd",
                "refresh_token",
                "secret",
                "sig",
                "signature",
                "token",
            ]),
            fields: owned(&[
                "access_token",
                "api_key",
                "apikey",
                "client_secret",
                "id_token",
                "passwd",
                "password",
                "private_key",
                "refresh_token",
                "secret",
                "token",
            ]),
        }
    }
}

impl Redaction {
    /// The usual names, and these besides.
    pub fn with(headers: &[String], query_keys: &[String], fields: &[String]) -> Self {
        let mut all = Self::default();
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect::<Vec<_>>();
        all.headers.extend(lower(headers));
        all.query_keys.extend(lower(query_keys));
        all.fields.extend(lower(fields));
        all
    }

    /// Whether a header's value is a secret.
    pub fn masks_header(&self, name: &str) -> bool {
        self.headers.iter().any(|masked| masked == name)
    }

    /// The query with secret values masked, and which keys were.
    pub fn query<'a>(&self, query: &'a str) -> (Cow<'a, str>, Vec<String>) {
        let key_of = |pair: &'a str| pair.split_once('=').map(|(key, _)| key);
        let is_secret = |key: &str| {
            let plain = decoded(key).to_ascii_lowercase();
            self.query_keys.contains(&plain)
        };
        if !query.split('&').filter_map(key_of).any(is_secret) {
            return (Cow::Borrowed(query), Vec::new());
        }
        let mut masked = Vec::new();
        let pairs: Vec<Cow<'_, str>> = query
            .split('&')
            .map(|pair| match key_of(pair) {
                Some(key) if is_secret(key) => {
                    masked.push(decoded(key).to_ascii_lowercase());
                    Cow::Owned(format!("{key}={MASK}"))
                }
                _ => Cow::Borrowed(pair),
            })
            .collect();
        (Cow::Owned(pairs.join("&")), masked)
    }

    /// A JSON body with secret fields masked at any depth, or `None` when there is nothing to mask.
    ///
    /// A body that names a secret field and cannot be parsed (a prefix, a broken text) is not kept at all: the caller
    /// records its size and digest.
    pub fn body(&self, body: &str) -> Masked {
        if !self.mentions_field(body) {
            return Masked::Clean;
        }
        match serde_json::from_str::<serde_json::Value>(body) {
            Ok(mut value) => {
                if self.mask_value(&mut value) {
                    Masked::Text(value.to_string())
                } else {
                    Masked::Clean
                }
            }
            Err(_) => self.form(body).map_or(Masked::Withheld, Masked::Text),
        }
    }

    fn form(&self, body: &str) -> Option<String> {
        let is_form = body.bytes().all(|b| b.is_ascii_graphic()) && !body.contains(['{', '<', '"']);
        if !is_form {
            return None;
        }
        let fields = Self { query_keys: self.fields.clone(), headers: Vec::new(), fields: Vec::new() };
        Some(fields.query(body).0.into_owned())
    }

    /// Whether a body may name a secret field.
    pub fn mentions_field(&self, body: &str) -> bool {
        let lower = body.to_ascii_lowercase();
        self.fields.iter().any(|field| memchr::memmem::find(lower.as_bytes(), field.as_bytes()).is_some())
            || lower.contains("\\u")
    }

    fn mask_value(&self, value: &mut serde_json::Value) -> bool {
        match value {
            serde_json::Value::Object(fields) => {
                let mut any = false;
                for (name, value) in fields {
                    let name = name.to_ascii_lowercase();
                    if self.fields.contains(&name) {
                        *value = serde_json::Value::from(MASK);
                        any = true;
                    } else {
                        any |= self.mask_value(value);
                    }
                }
                any
            }
            serde_json::Value::Array(items) => {
                items.iter_mut().fold(false, |any, item| self.mask_value(item) | any)
            }
            _ => false,
        }
    }
}

/// What becomes of a body in the log.
pub enum Masked {
    /// Nothing to mask.
    Clean,
    /// Masked.
    Text(String),
    /// It names a secret and cannot be parsed: only size and digest are kept.
    Withheld,
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let pair: Vec<u8> = bytes.by_ref().take(2).collect();
                match std::str::from_utf8(&pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(value) => out.push(value),
                    None => out.extend(pair),
                }
            }
            _ => out.push(byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_in_queries_and_bodies_are_masked_and_the_rest_is_kept() {
        let redaction = Redaction::default();
        let (query, masked) = redaction.query("a=1&TOKEN=abc&x=%20&pass%77ord=p");
        assert_eq!(query, "a=1&TOKEN=[redacted]&x=%20&pass%77ord=[redacted]");
        assert_eq!(masked, ["token", "password"]);
        assert!(matches!(redaction.query("a=1"), (Cow::Borrowed(_), _)));
        let text = |body: &str| match redaction.body(body) {
            Masked::Clean => "clean".to_owned(),
            Masked::Text(text) => text,
            Masked::Withheld => "withheld".to_owned(),
        };
        assert_eq!(text(r#"{"to":"v2"}"#), "clean");
        assert_eq!(text(r#"{"a":[{"PassWord":"x"}],"b":1}"#), r#"{"a":[{"PassWord":"[redacted]"}],"b":1}"#);
        assert_eq!(text(r#"{"p\u0061ssword":"x"}"#), r#"{"password":"[redacted]"}"#);
        assert_eq!(text(r#"{"password":"x"#), "withheld");
        assert_eq!(text("user=a&password=b"), "user=a&password=[redacted]");
    }
}
