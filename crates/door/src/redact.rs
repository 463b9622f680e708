//! Secrets are masked before they reach the journal.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

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
        masked_pairs(query, |key| is_any(&self.query_keys, key))
    }

    /// A body with the values of secret fields masked: in JSON at any depth, also where a text within it is JSON again, a
    /// form, or an address with a query; in a form, where a name of the field stands in the key; in a multipart form, where
    /// it stands in a part's head, and within each part.
    ///
    /// Of a body that names a secret field and can be read in no such way, or in two (a prefix, a broken text, a name that
    /// occurs twice), the beginning is kept up to where that name may begin; nothing, when that is at once. The caller
    /// records its size and digest in any case.
    pub fn body(&self, body: &str) -> Masked {
        if !self.mentions_field(body) {
            return Masked::Clean;
        }
        let Ok(mut value) = serde_json::from_str::<Value>(body) else {
            let read = self.multipart(body).or_else(|| self.form(body));
            return read.map_or_else(|| self.beginning(body), Masked::Text);
        };
        // Of a name that occurs twice, the parser keeps the last value only.
        if serde_json::from_str::<Names>(body).ok() != Some(Names(names_in(&value))) {
            return self.beginning(body);
        }
        if self.mask_value(&mut value) { Masked::Text(value.to_string()) } else { Masked::Clean }
    }

    /// What comes before the first place that may name a secret field, back to where the element begins that it stands in.
    pub fn beginning(&self, body: &str) -> Masked {
        let lower = body.to_ascii_lowercase();
        let names = self.fields.iter().filter_map(|field| lower.find(field.as_str()));
        // An escape may hide a name.
        let first = names.chain(lower.find("\\u")).chain(lower.find('%')).min();
        let before = first.and_then(|first| body.get(..first));
        let kept = before.and_then(|before| before.get(..before.rfind(['\n', '{', '<', '&'])?));
        match kept.filter(|kept| !kept.trim().is_empty()) {
            Some(kept) => Masked::Text(format!("{kept}{MASK}")),
            None => Masked::Withheld,
        }
    }

    /// A multipart form (RFC 7578) that is there to its end: the delimiter is its first line.
    fn multipart(&self, body: &str) -> Option<String> {
        let (delimiter, _) = body.split_once("\r\n")?;
        if !delimiter.starts_with("--") || !(3..=72).contains(&delimiter.len()) {
            return None;
        }
        let delimiter = format!("\r\n{delimiter}");
        let whole = format!("\r\n{body}");
        let mut pieces = whole.split(delimiter.as_str());
        if pieces.next() != Some("") {
            return None;
        }
        let mut masked = String::with_capacity(body.len());
        let mut is_ended = false;
        for piece in pieces {
            if is_ended {
                return None;
            }
            masked.push_str(&delimiter);
            if matches!(piece, "--" | "--\r\n") {
                masked.push_str(piece);
                is_ended = true;
                continue;
            }
            let (head, content) = piece.strip_prefix("\r\n")?.split_once("\r\n\r\n")?;
            let content = match self.mentions_field(head) {
                true => MASK.to_owned(),
                false => match self.body(content) {
                    Masked::Clean => content.to_owned(),
                    Masked::Text(text) => text,
                    Masked::Withheld => MASK.to_owned(),
                },
            };
            masked.push_str(&format!("\r\n{head}\r\n\r\n{content}"));
        }
        is_ended.then(|| masked.trim_start().to_owned())
    }

    fn form(&self, body: &str) -> Option<String> {
        let is_form = body.bytes().all(|b| b.is_ascii_graphic()) && !body.contains(['{', '<', '"']);
        if !is_form {
            return None;
        }
        // What names a field elsewhere than in a key may be anything; the bare name, as in `grant_type`, tells nothing.
        let is_bare = |value: &str| self.fields.iter().any(|field| field.eq_ignore_ascii_case(value));
        let is_told = |pair: &str| match pair.split_once('=') {
            Some((key, value)) => self.mentions_field(key) || is_bare(value) || !self.mentions_field(value),
            None => !self.mentions_field(pair),
        };
        if !body.split('&').all(is_told) {
            return None;
        }
        Some(masked_pairs(body, |key| self.mentions_field(key)).0.into_owned())
    }

    /// Whether a body may name a secret field.
    pub fn mentions_field(&self, body: &str) -> bool {
        let is_in = |text: &str| {
            let lower = text.to_ascii_lowercase();
            self.fields.iter().any(|field| memchr::memmem::find(lower.as_bytes(), field.as_bytes()).is_some())
        };
        is_in(body)
            || (body.contains("\\u") && body.contains('"'))
            || (body.contains('%') && is_in(&decoded(body)))
    }

    fn mask_value(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(fields) => {
                let mut any = false;
                for (name, value) in fields {
                    if self.fields.iter().any(|field| field.eq_ignore_ascii_case(name)) {
                        *value = Value::from(MASK);
                        any = true;
                    } else {
                        any |= self.mask_value(value);
                    }
                }
                any
            }
            Value::Array(items) => items.iter_mut().fold(false, |any, item| self.mask_value(item) | any),
            Value::String(text) if text.trim_start().starts_with(['{', '[']) => match self.body(text) {
                Masked::Clean => false,
                Masked::Text(masked) => {
                    *text = masked;
                    true
                }
                Masked::Withheld => {
                    MASK.clone_into(text);
                    true
                }
            },
            Value::String(text) => match self.pairs_in(text) {
                Some(masked) => {
                    *text = masked;
                    true
                }
                None => false,
            },
            _ => false,
        }
    }

    /// A text with the values of secret keys masked, where it holds a form or an address with a query; `None` when it
    /// holds none.
    fn pairs_in(&self, text: &str) -> Option<String> {
        let begins =
            |c: char| c.is_whitespace() || matches!(c, '?' | '#' | ';' | ',' | '"' | '\'' | '<' | '(');
        let is_secret =
            |before: &str| before.rsplit(begins).next().is_some_and(|key| self.mentions_field(key));
        masked_behind(text, |pair| {
            pair.match_indices('=').map(|(at, _)| at).find(|at| pair.get(..*at).is_some_and(is_secret))
        })
    }
}

/// The pairs of a query or form with the values of secret keys masked, and which keys were.
fn masked_pairs(pairs: &str, is_secret: impl Fn(&str) -> bool) -> (Cow<'_, str>, Vec<String>) {
    let mut masked = Vec::new();
    let kept = masked_behind(pairs, |pair| {
        let (key, _) = pair.split_once('=')?;
        let plain = decoded(key).to_ascii_lowercase();
        is_secret(&plain).then(|| {
            masked.push(plain);
            key.len()
        })
    });
    (kept.map_or(Cow::Borrowed(pairs), Cow::Owned), masked)
}

/// `text` with each of its pairs masked from the `=` on whose place in the pair `secret_at` gives; `None` when it gives none.
fn masked_behind(text: &str, mut secret_at: impl FnMut(&str) -> Option<usize>) -> Option<String> {
    let mut any = false;
    let pair = |pair| match secret_at(pair).and_then(|at| str::get(pair, ..at)) {
        Some(before) => {
            any = true;
            Cow::Owned(format!("{before}={MASK}"))
        }
        None => Cow::Borrowed(pair),
    };
    let pairs: Vec<Cow<'_, str>> = text.split('&').map(pair).collect();
    any.then(|| pairs.join("&"))
}

/// Whether a decoded key is one of `names`, also as a part of `user[password]`, `password[]` or `user.password`.
fn is_any(names: &[String], key: &str) -> bool {
    let is_name = |part: &str| names.iter().any(|name| name == part);
    is_name(key) || key.split(['[', ']', '.']).any(is_name)
}

/// How many names the objects of a JSON text have, each time one occurs.
#[derive(PartialEq)]
struct Names(usize);

fn names_in(value: &Value) -> usize {
    match value {
        Value::Object(fields) => fields.len() + fields.values().map(names_in).sum::<usize>(),
        Value::Array(items) => items.iter().map(names_in).sum(),
        _ => 0,
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Names, E> {
        Ok(Names(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Names, E> {
        Ok(Names(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Names, E> {
        Ok(Names(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Names, E> {
        Ok(Names(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Names, E> {
        Ok(Names(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Names, E> {
        Ok(Names(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Names, A::Error> {
        let mut names = 0;
        while let Some(Names(more)) = items.next_element()? {
            names += more;
        }
        Ok(Names(names))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Names, A::Error> {
        let mut names = 0;
        while let Some((IgnoredAny, Names(more))) = fields.next_entry()? {
            names += 1 + more;
        }
        Ok(Names(names))
    }
}

/// What becomes of a body in the log.
pub enum Masked {
    /// Nothing to mask.
    Clean,
    /// Masked.
    Text(String),
    /// It names a secret at once and cannot be parsed: only size and digest are kept.
    Withheld,
}

fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        let digit = |at: usize| tail.get(at).and_then(|digit| char::from(*digit).to_digit(16));
        let escaped = digit(0).zip(digit(1)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        match (byte, escaped) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = tail.get(2..).unwrap_or_default();
            }
            // A `%` without digits stands for itself, and hides nothing behind it.
            _ => {
                out.push(if *byte == b'+' { b' ' } else { *byte });
                rest = tail;
            }
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
        assert_eq!(text("user=a&p%61ssword=b"), "user=a&p%61ssword=[redacted]");
        assert_eq!(text("%&%70assword=b"), "%&%70assword=[redacted]");
        assert_eq!(
            text("grant_type=refresh_token&refresh_token=b"),
            "grant_type=refresh_token&refresh_token=[redacted]"
        );
        assert_eq!(text(r#"{"a":"{\"password\":\"x\"}"}"#), r#"{"a":"{\"password\":\"[redacted]\"}"}"#);
        assert_eq!(text(r#"{"note":"asks for a password"}"#), "clean");
        assert_eq!(text(r#""&password=b&""#), r#""&password=[redacted]&""#);
        assert_eq!(
            text(r#"{"link":"https://a/?x=token&p%61ssword=b c&y=1","to":"v2"}"#),
            r#"{"link":"https://a/?x=token&p%61ssword=[redacted]&y=1","to":"v2"}"#
        );
        assert_eq!(text(r#"["see https://a/b?api_key=1#x=2"]"#), r#"["see https://a/b?api_key=[redacted]"]"#);
        for body in
            ["password:x", "x=password:y", r#"{"a":{"password":"x"},"a":1}"#, r#"{"a":"{\"password\":"}"#]
        {
            let kept = text(body);
            let is_good = matches!(&*kept, "withheld" | r#"{"a":"[redacted]"}"# | r#"{"a":[redacted]"#);
            assert!(is_good, "{kept}");
        }
        assert_eq!(
            redaction.query("user[password]=x&token[]=y&a.b=z").0,
            "user[password]=[redacted]&token[]=[redacted]&a.b=z"
        );
    }

    const CANARY: &str = "s3cr3t-c4nary";

    fn kept(body: &str) -> String {
        match Redaction::default().body(body) {
            Masked::Clean => body.to_owned(),
            Masked::Text(text) => text,
            Masked::Withheld => String::new(),
        }
    }

    fn multipart(parts: &[(&str, &str)], boundary: &str) -> String {
        let part = |(name, value): &(&str, &str)| {
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        parts.iter().map(part).collect::<String>() + &format!("--{boundary}--\r\n")
    }

    #[test]
    fn parts_of_a_multipart_form_are_masked_by_name_and_by_what_they_hold() {
        let json = format!(r#"[{{"token":"{CANARY}"}}]"#);
        let body =
            multipart(&[("user", "alice"), ("Password", CANARY), ("json", &json), ("n", "token?")], "x-B");
        let text = kept(&body);
        assert_eq!(
            text,
            multipart(
                &[
                    ("user", "alice"),
                    ("Password", MASK),
                    ("json", r#"[{"token":"[redacted]"}]"#),
                    ("n", MASK)
                ],
                "x-B"
            )
        );
        let cut = body.split_at(body.find("json").unwrap()).0;
        assert!(kept(cut).contains("alice") && !kept(cut).contains(CANARY), "{}", kept(cut));
    }

    #[test]
    fn of_what_cannot_be_read_the_beginning_is_kept() {
        for (body, beginning) in [
            (format!("<a>1</a><password>{CANARY}</password>"), "<a>1</a>[redacted]"),
            (format!("user: alice\npassword: {CANARY}\n"), "user: alice[redacted]"),
            (format!("{{\"a\":\"b\",\"c\":{{\"token\":\"{CANARY}"), "{\"a\":\"b\",\"c\":[redacted]"),
            (format!("password={CANARY}\nx"), ""),
        ] {
            assert_eq!(kept(&body), beginning, "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_secret_field_of_a_multipart_form_never_stays(
            names in proptest::collection::vec("[a-z]{1,6}|password|api_key|p%61ssword", 1..5),
            boundary in "[A-Za-z0-9'_-]{1,30}", cut in proptest::option::of(0usize..400), noise in ".{0,12}",
        ) {
            let redaction = Redaction::default();
            let values: Vec<_> = names
                .iter()
                .map(|name| if redaction.mentions_field(name) { CANARY } else { noise.as_str() })
                .collect();
            let parts: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
            let mut body = multipart(&parts, &boundary);
            if let Some(cut) = cut {
                body.truncate(body.floor_char_boundary(cut));
            }
            proptest::prop_assert!(!kept(&body).contains("s3cr3t"), "{}", kept(&body));
        }
    }
}
