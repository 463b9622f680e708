//! Requests as bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A request that is to be sent on a connection of its own.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// Any method, any target; both are sent as they are.
pub fn request(method: &str, target: &str) -> Request {
    Request { method: method.to_owned(), target: target.to_owned(), headers: Vec::new(), body: Vec::new() }
}

/// GET.
pub fn get(target: &str) -> Request {
    request("GET", target)
}

/// POST with a body.
pub fn post(target: &str, body: impl Into<Vec<u8>>) -> Request {
    request("POST", target).body(body)
}

impl Request {
    /// One more header line.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this body and its length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With Basic credentials.
    pub fn basic(self, name: &str, password: &str) -> Self {
        let value = format!("Basic {}", STANDARD.encode(format!("{name}:{password}")));
        self.header("authorization", &value)
    }

    /// As a demo user, by Basic credentials.
    pub fn as_user(self, name: &str) -> Self {
        self.basic(name, &format!("{name}-demo"))
    }

    /// With a token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The request on the wire. `Host` and `Content-Length` are added unless they were given.
    pub fn to_bytes(&self) -> Vec<u8> {
        let has = |wanted: &str| self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !has("host") {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let is_framed = has("content-length") || has("transfer-encoding");
        if !is_framed && (!self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH")) {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.into_bytes(), self.body.clone()].concat()
    }
}

/// A time so many days ahead, as RFC 3339.
pub fn in_days(days: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    doorman_core::time::format_rfc3339(now.as_millis() as u64 + days * 86_400_000)
}
