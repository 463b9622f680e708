//! The typed client.

use crate::error::ClientError;
use crate::wire::{Instance, List, LoginRequest, LoginResponse, Me, Problem, Region, Service, Session};
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use url::Url;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Speaks to one Doorman. It follows no redirect, uses no proxy of the environment and decompresses nothing, so
/// that a credential goes where it was meant to go and nowhere else.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<String>,
}

/// Makes a [`Client`].
pub struct ClientBuilder {
    base: String,
    token: Option<String>,
    authorities: Option<Vec<u8>>,
    user_agent: String,
}

impl ClientBuilder {
    /// The credential to send: an access token.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Trust these certificate authorities (PEM) and no others.
    pub fn authorities(mut self, pem: Vec<u8>) -> Self {
        self.authorities = Some(pem);
        self
    }

    /// How the client names itself in the audit log.
    pub fn user_agent(mut self, text: impl Into<String>) -> Self {
        self.user_agent = text.into();
        self
    }

    /// The client. Connects to nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Address`], or [`ClientError::Invalid`] for certificates that are none.
    pub fn build(self) -> Result<Client, ClientError> {
        let base = parse_base(&self.base)?;
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // Somebody else may have been faster; then theirs is used, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(self.user_agent);
        if let Some(pem) = &self.authorities {
            builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem)?);
        }
        Ok(Client { http: builder.build()?, base, token: self.token })
    }
}

impl Client {
    /// Starts to make a client of the Doorman at `base`, such as `https://doorman.example.com`.
    pub fn builder(base: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            base: base.into(),
            token: None,
            authorities: None,
            user_agent: concat!("doorman-client/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The address that the client speaks to, without a slash at its end.
    pub fn base(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// Whether the address is on this very machine.
    pub fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        }
    }

    /// The same client with another credential.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// Logs in with the directory's password. The answer's token is not used by this client by itself: see
    /// [`Client::with_token`].
    ///
    /// # Errors
    /// `bad_credentials`, `throttled`, `directory_unavailable`.
    pub async fn login(&self, login: &LoginRequest) -> Result<LoginResponse, ClientError> {
        let request = self.http.post(self.url(&["auth", "v1", "login"])?).json(login);
        read_json(request.send().await?).await
    }

    /// Revokes the credential in use.
    ///
    /// # Errors
    /// `unauthenticated` when it is none any more.
    pub async fn logout(&self) -> Result<(), ClientError> {
        let response = self.start(Method::POST, self.url(&["auth", "v1", "logout"])?).send().await?;
        if response.status().is_success() { Ok(()) } else { Err(read_problem(response).await) }
    }

    /// Who the credential stands for.
    ///
    /// # Errors
    /// `unauthenticated`, `token_expired`, `token_revoked`.
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.read(&["auth", "v1", "me"], &()).await
    }

    /// The caller's sessions.
    ///
    /// # Errors
    /// As [`Client::me`].
    pub async fn sessions(&self) -> Result<List<Session>, ClientError> {
        self.read(&["auth", "v1", "sessions"], &()).await
    }

    /// The regions that the caller may reach.
    ///
    /// # Errors
    /// As [`Client::me`].
    pub async fn regions(&self) -> Result<List<Region>, ClientError> {
        self.read(&["api", "v1", "regions"], &()).await
    }

    /// The services of a region that the caller may reach.
    ///
    /// # Errors
    /// `unknown_region`, `region_unavailable`.
    pub async fn services(&self, region: &str) -> Result<List<Service>, ClientError> {
        self.read(&["api", "v1", "regions", region, "services"], &()).await
    }

    /// The instances of a service.
    ///
    /// # Errors
    /// `unknown_region`, `unknown_service`, `region_unavailable`.
    pub async fn instances(&self, region: &str, service: &str) -> Result<List<Instance>, ClientError> {
        self.read(&["api", "v1", "regions", region, "services", service, "instances"], &()).await
    }

    /// Reads anything else that answers with JSON. `query` is a struct whose absent fields are left out.
    ///
    /// # Errors
    /// Whatever that path answers.
    pub async fn read<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &impl Serialize,
    ) -> Result<T, ClientError> {
        read_json(self.start(Method::GET, self.query_url(path, query)?).send().await?).await
    }

    pub(crate) fn query_url(&self, path: &[&str], query: &impl Serialize) -> Result<Url, ClientError> {
        let mut url = self.url(path)?;
        add_query(&mut url, query);
        Ok(url)
    }

    /// Posts JSON and reads the answer.
    ///
    /// # Errors
    /// Whatever that path answers.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        read_json(self.start(Method::POST, self.url(path)?).json(body).send().await?).await
    }

    /// Changes what is at a path, and reads what it is then.
    ///
    /// # Errors
    /// Whatever that path answers.
    pub async fn patch<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        read_json(self.start(Method::PATCH, self.url(path)?).json(body).send().await?).await
    }

    /// Deletes what is at a path. `query` is as for [`Client::read`].
    ///
    /// # Errors
    /// Whatever that path answers.
    pub async fn delete(&self, path: &[&str], query: &impl Serialize) -> Result<(), ClientError> {
        let mut url = self.url(path)?;
        add_query(&mut url, query);
        let response = self.start(Method::DELETE, url).send().await?;
        if response.status().is_success() { Ok(()) } else { Err(read_problem(response).await) }
    }

    /// The URL of `segments`, each of them encoded.
    pub(crate) fn url(&self, segments: &[&str]) -> Result<Url, ClientError> {
        let mut url = self.base.clone();
        if let Some(dots) = segments.iter().find(|segment| matches!(**segment, "" | "." | "..")) {
            return Err(ClientError::Invalid(format!("{dots:?} is no name")));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        Ok(url)
    }

    pub(crate) fn start(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }
}

fn parse_base(text: &str) -> Result<Url, ClientError> {
    let refuse = |why| ClientError::Address { url: text.to_owned(), why };
    let url = Url::parse(text).map_err(|_| refuse("it is no URL such as https://doorman.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(refuse("it does not begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a user name or password"));
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a path; Doorman has an origin of its own"));
    }
    Ok(url)
}

pub(crate) fn add_query(url: &mut Url, query: &impl Serialize) {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(query) else { return };
    for (name, value) in fields {
        match value {
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => {
                url.query_pairs_mut().append_pair(&name, &text);
            }
            other => {
                url.query_pairs_mut().append_pair(&name, &other.to_string());
            }
        }
    }
}

pub(crate) async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, ClientError> {
    if !response.status().is_success() {
        return Err(read_problem(response).await);
    }
    let (url, status) = (shown(response.url()), response.status());
    let bytes = response.bytes().await?;
    serde_json::from_slice(&bytes).map_err(|error| not_doorman(url, status, error.to_string()))
}

/// Reads an answer that is no success.
pub(crate) async fn read_problem(response: Response) -> ClientError {
    let (url, status) = (shown(response.url()), response.status());
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or("no content type").to_owned();
    if !kind.starts_with("application/problem+json") {
        return not_doorman(url, status, kind);
    }
    match response.bytes().await.map(|bytes| serde_json::from_slice::<Problem>(&bytes)) {
        Ok(Ok(mut problem)) => {
            problem.status = status.as_u16();
            ClientError::Problem(Box::new(problem))
        }
        Ok(Err(error)) => not_doorman(url, status, error.to_string()),
        Err(error) => error.into(),
    }
}

fn not_doorman(url: String, status: StatusCode, why: String) -> ClientError {
    ClientError::NotDoorman { url, status: status.as_u16(), why }
}

/// The URL without its query, which may hold what is not to be shown.
fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::AuditQuery;

    #[test]
    fn an_address_with_credentials_or_a_path_is_refused() {
        for bad in ["doorman", "ftp://d/", "http://u:p@d/", "https://d/path", "https://d/?q", "unix:/x", ""] {
            assert!(Client::builder(bad).build().is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:8440", "https://doorman.example.com/"] {
            assert!(Client::builder(good).build().is_ok(), "{good}");
        }
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_path() {
        let client = Client::builder("http://localhost:1").build().unwrap();
        let url = client.url(&["api", "v1", "audit", "../x?y#z/"]).unwrap();
        assert_eq!(url.as_str(), "http://localhost:1/api/v1/audit/..%2Fx%3Fy%23z%2F");
        assert!(client.url(&["api", ".."]).is_err());
    }

    #[test]
    fn absent_filters_are_left_out_of_the_query() {
        let mut url = Url::parse("http://d/").unwrap();
        let query = AuditQuery { path: Some("/a b&c".into()), limit: Some(5), ..AuditQuery::default() };
        add_query(&mut url, &query);
        assert_eq!(url.as_str(), "http://d/?path=%2Fa+b%26c&limit=5");
    }
}
