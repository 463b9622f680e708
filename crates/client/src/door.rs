//! Sending through the door (`/r/{region}/{service}[@{instance}]/{path}`).

use crate::client::{Client, read_problem};
use crate::error::ClientError;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// A request to a live service.
#[derive(Clone, Debug, Default)]
pub struct DoorRequest {
    /// The HTTP method.
    pub method: String,
    /// `region/service[@instance][/path][?query]`, percent-encoded as it is to arrive.
    pub target: String,
    /// Headers in the order given.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Bytes>,
    /// Why this is done; written to the audit log.
    pub reason: Option<String>,
}

/// What came back, its head read and its body still to come. It is a live service's unless `error` is there.
pub struct Answer {
    response: reqwest::Response,
}

impl Answer {
    pub(crate) fn of(response: reqwest::Response) -> Self {
        Self { response }
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// `HTTP/1.1 404 Not Found`
    pub fn status_line(&self) -> String {
        format!("{:?} {}", self.response.version(), self.response.status())
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The audit entry that records this request.
    pub fn audit_id(&self) -> Option<&str> {
        self.text("doorman-audit-id")
    }

    /// The instance that answered.
    pub fn instance(&self) -> Option<&str> {
        self.text("doorman-instance")
    }

    /// Doorman's code, when Doorman itself made this answer.
    pub fn error(&self) -> Option<&str> {
        self.text("doorman-error")
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        Ok(self.response.chunk().await?)
    }

    /// Doorman's own error, or the service's answer.
    ///
    /// # Errors
    /// [`ClientError::Problem`].
    pub async fn into_result(self) -> Result<Self, ClientError> {
        if self.error().is_some() { Err(read_problem(self.response).await) } else { Ok(self) }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }
}

impl Client {
    /// Sends a request through the door and returns as soon as the head of the answer is there.
    ///
    /// # Errors
    /// [`ClientError::Target`] before anything is sent; [`ClientError::Unreachable`]. An answer of Doorman's own is
    /// an [`Answer`] too: see [`Answer::into_result`].
    pub async fn request(&self, request: &DoorRequest) -> Result<Answer, ClientError> {
        let url = self.door_url(&request.target)?;
        let method = request.method.parse().map_err(|_| invalid("method", &request.method))?;
        let mut builder = self.start(method, url);
        for (name, value) in &request.headers {
            let name = name.parse::<HeaderName>().map_err(|_| invalid("header name", name))?;
            let value =
                value.parse::<HeaderValue>().map_err(|_| invalid("value of a header", name.as_str()))?;
            builder = builder.header(name, value);
        }
        if let Some(reason) = &request.reason {
            let value = HeaderValue::from_bytes(reason.as_bytes()).map_err(|_| invalid("reason", reason))?;
            builder = builder.header("doorman-reason", value);
        }
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        Ok(Answer { response: builder.send().await? })
    }

    /// The door's URL of `region/service[@instance][/path][?query]`.
    ///
    /// # Errors
    /// [`ClientError::Target`] when a URL library would change it on the way, as it does with `..`: what is
    /// written in the audit log must be what was typed here.
    pub fn door_url(&self, target: &str) -> Result<Url, ClientError> {
        let refuse = |why| ClientError::Target { target: target.to_owned(), why };
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        if path.starts_with(['/', '.']) || !path.contains('/') || path.contains("://") {
            return Err(refuse("write region/service/path"));
        }
        if target.contains(|c: char| c.is_ascii_control() || c == ' ' || c == '#' || !c.is_ascii()) {
            return Err(refuse("percent-encode spaces, '#' and what is not ASCII"));
        }
        let mut url =
            Url::parse(&format!("{}/r/{path}", self.base())).map_err(|_| refuse("it does not make a URL"))?;
        if url.path().strip_prefix("/r/") != Some(path) {
            return Err(refuse(
                "take out '.' and '..' segments and backslashes; percent-encode other special characters",
            ));
        }
        url.set_query(query);
        if url.query() != query {
            return Err(refuse("percent-encode quotes and angle brackets in the query"));
        }
        Ok(url)
    }
}

fn invalid(what: &str, text: &str) -> ClientError {
    ClientError::Invalid(format!("{text:?} is no valid {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_arrives_as_written_or_is_refused() {
        let client = Client::builder("http://localhost:1").build().unwrap();
        for good in [
            "eu/echo/",
            "eu/echo@echo-1/a%20b/c;d=1?x=%2F&y=a+b",
            "eu/echo",
            "eu/echo@all/a//b",
            "eu/e/%2e/x%2Fy?",
        ] {
            match client.door_url(good) {
                Ok(url) => assert_eq!(url.as_str(), format!("http://localhost:1/r/{good}")),
                Err(error) => assert!(good.contains("%2e"), "{error}"),
            }
        }
        for bad in [
            "eu",
            "http://evil.example/",
            "/eu/echo/",
            "eu/echo/../x",
            "eu/echo/a\\b",
            "eu/echo/a b",
            "eu/echo/#x",
            "eu/echo/é",
            "eu/echo/a?'<",
        ] {
            assert!(client.door_url(bad).is_err(), "{bad}");
        }
    }
}
