//! One connection to a directory server, used by one caller for one request at a time. Time limits are the caller's:
//! whoever gives up drops the connection, and whatever was under way on it with it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::{FutureExt, SinkExt, StreamExt};
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::{
    LdapBindCred, LdapBindRequest, LdapDerefAliases, LdapExtendedRequest, LdapFilter, LdapMsg, LdapOp,
    LdapResult, LdapResultCode, LdapSearchRequest, LdapSearchScope,
};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::codec::Framed;
use url::{Host, Url};

use super::RefusedReason;
use super::config::LdapConfigError;
use super::entry::Entry;
use super::wire::{Answer, Codec};

const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// More entries than any answer needs. A directory that sends more without end is cut off here.
const MAX_ENTRIES: usize = 20_000;

/// Why something could not be done, by who can still help.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This server does not serve now: cannot be reached, broke off, said busy or unavailable. Another one may.
    Server(String),
    /// The directory has answered, and the login is refused.
    Refused(RefusedReason),
    /// The directory has answered with something that cannot be used, and another server would too.
    Unusable(String),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Server(error.to_string())
    }
}

/// Where a server is and how it is secured.
pub(super) struct Endpoint {
    host: Host<String>,
    port: u16,
    security: Security,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Security {
    /// TLS from the first byte (`ldaps`).
    Tls,
    StartTls,
    /// Loopback only.
    Plain,
}

impl Endpoint {
    /// Parses `ldap://host[:port]` or `ldaps://host[:port]`.
    pub(super) fn parse(text: &str, start_tls: bool) -> Result<Self, LdapConfigError> {
        let invalid = |problem: &str| LdapConfigError::invalid("urls", format!("`{text}`: {problem}"));
        let url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        let (security, default_port) = match (url.scheme(), start_tls) {
            ("ldaps", _) => (Security::Tls, 636),
            ("ldap", true) => (Security::StartTls, 389),
            ("ldap", false) => (Security::Plain, 389),
            _ => return Err(invalid("must begin with ldaps:// or ldap://")),
        };
        // `Url` keeps hosts of schemes it does not know as opaque text.
        let host = url.host_str().unwrap_or_default();
        let host = Host::parse(host).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.path(), "" | "/") || url.query().is_some() || !url.username().is_empty() {
            return Err(invalid("must be a scheme, a host and a port only"));
        }
        if security == Security::Plain && !is_loopback(&host) {
            return Err(LdapConfigError::invalid(
                "start_tls",
                format!("is required for `{text}`: passwords in clear are for loopback addresses only"),
            ));
        }
        Ok(Self { host, port: url.port().unwrap_or(default_port), security })
    }

    /// Whether connections to it take certificates.
    pub(super) fn is_secured(&self) -> bool {
        self.security != Security::Plain
    }

    /// Host and port, for messages.
    pub(super) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn server_name(&self) -> Result<ServerName<'static>, Fault> {
        match &self.host {
            Host::Domain(name) => {
                ServerName::try_from(name.clone()).map_err(|error| Fault::Unusable(error.to_string()))
            }
            Host::Ipv4(address) => Ok(ServerName::from(IpAddr::V4(*address))),
            Host::Ipv6(address) => Ok(ServerName::from(IpAddr::V6(*address))),
        }
    }
}

fn is_loopback(host: &Host<String>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Io for T {}

/// What is searched.
#[derive(Clone)]
pub(super) struct Search<'a> {
    pub(super) base: &'a str,
    pub(super) scope: LdapSearchScope,
    pub(super) filter: LdapFilter,
    pub(super) attributes: Vec<String>,
    /// At most so many entries; 0 for all, in pages.
    pub(super) limit: i32,
    pub(super) page_size: u32,
}

/// What was found.
pub(super) struct Found {
    pub(super) entries: Vec<Entry>,
    pub(super) result: LdapResult,
}

/// How a bind ended.
pub(super) struct BindAnswer {
    pub(super) result: LdapResult,
    pub(super) policy_error: Option<u8>,
}

/// An open, secured connection.
pub(super) struct Connection {
    stream: Framed<Box<dyn Io>, Codec>,
    last_id: i32,
}

impl Connection {
    /// Connects and secures the connection. No credential is sent before that is done.
    pub(super) async fn open(endpoint: &Endpoint, tls: Option<&Arc<ClientConfig>>) -> Result<Self, Fault> {
        let host = endpoint.host.to_string();
        let host = host.trim_matches(['[', ']']);
        let tcp = TcpStream::connect((host, endpoint.port)).await?;
        tcp.set_nodelay(true)?;
        if endpoint.security == Security::Plain && !tcp.peer_addr()?.ip().is_loopback() {
            return Err(Fault::Unusable(format!("{host} is not a loopback address, and StartTLS is off")));
        }
        let (tcp, tls) = match (endpoint.security, tls) {
            (Security::Plain, _) => return Ok(Self::over(Box::new(tcp))),
            (Security::Tls, Some(tls)) => (tcp, tls),
            (Security::StartTls, Some(tls)) => (start_tls(tcp).await?, tls),
            (_, None) => return Err(Fault::Unusable("no certificate authorities are loaded".to_owned())),
        };
        let connector = TlsConnector::from(Arc::clone(tls));
        Ok(Self::over(Box::new(connector.connect(endpoint.server_name()?, tcp).await?)))
    }

    fn over(stream: Box<dyn Io>) -> Self {
        Self { stream: Framed::new(stream, Codec), last_id: 0 }
    }

    /// A simple bind. `password` must be neither empty nor hold a NUL: that is checked where it comes in.
    pub(super) async fn bind(&mut self, dn: &str, password: &str) -> Result<BindAnswer, Fault> {
        let request = LdapOp::BindRequest(LdapBindRequest {
            version: 3,
            dn: dn.to_owned(),
            cred: LdapBindCred::Simple(password.to_owned()),
        });
        self.send(request, vec![LdapControl::PasswordPolicyRequest { criticality: false }]).await?;
        let Answer { message, policy_error } = self.receive().await?;
        match message.op {
            LdapOp::BindResponse(response) => Ok(BindAnswer { result: serving(response.res)?, policy_error }),
            _ => Err(Fault::Server("answered a bind with something else".to_owned())),
        }
    }

    /// A search to its end. An answer that breaks off is an error and never a shorter result.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Found, Fault> {
        let mut found = Vec::new();
        let mut cookie = Vec::new();
        loop {
            let request = LdapOp::SearchRequest(LdapSearchRequest {
                base: search.base.to_owned(),
                scope: search.scope.clone(),
                aliases: LdapDerefAliases::Never,
                sizelimit: search.limit,
                timelimit: 0,
                typesonly: false,
                filter: search.filter.clone(),
                attrs: search.attributes.clone(),
            });
            let paging = LdapControl::SimplePagedResults { size: search.page_size.into(), cookie };
            let controls = if search.limit == 0 { vec![paging] } else { Vec::new() };
            self.send(request, controls).await?;
            let (result, controls) = loop {
                let message = self.receive().await?.message;
                match message.op {
                    LdapOp::SearchResultEntry(entry) if found.len() < MAX_ENTRIES => {
                        found.push(Entry::from(entry))
                    }
                    LdapOp::SearchResultEntry(_) => {
                        return Err(Fault::Unusable(format!("more than {MAX_ENTRIES} entries")));
                    }
                    LdapOp::SearchResultDone(result) => break (serving(result)?, message.ctrl),
                    // Pointers to other servers end every search from the root of a Windows domain. Never followed.
                    LdapOp::SearchResultReference(_) | LdapOp::IntermediateResponse(_) => {}
                    _ => return Err(Fault::Server("answered a search with something else".to_owned())),
                }
            };
            let next = controls.into_iter().find_map(|control| match control {
                LdapControl::SimplePagedResults { cookie, .. } if !cookie.is_empty() => Some(cookie),
                _ => None,
            });
            match next {
                Some(next) if result.code == LdapResultCode::Success => cookie = next,
                _ => return Ok(Found { entries: found, result }),
            }
        }
    }

    /// This connection, if nothing has come in since the last answer. What comes unasked is the end of it.
    pub(super) fn if_quiet(mut self) -> Option<Self> {
        self.stream.next().now_or_never().is_none().then_some(self)
    }

    async fn send(&mut self, op: LdapOp, controls: Vec<LdapControl>) -> Result<(), Fault> {
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        Ok(self.stream.send(LdapMsg::new_with_ctrls(self.last_id, op, controls)).await?)
    }

    async fn receive(&mut self) -> Result<Answer, Fault> {
        let Some(answer) = self.stream.next().await else {
            return Err(Fault::Server("the server closed the connection".to_owned()));
        };
        let answer = answer?;
        match answer.message.msgid {
            id if id == self.last_id => Ok(answer),
            0 => Err(Fault::Server("the server announced that it disconnects".to_owned())),
            _ => Err(Fault::Server("answered a request that was not made".to_owned())),
        }
    }
}

/// Asks for TLS (RFC 4511 §4.14). Anything but a plain yes ends the connection.
async fn start_tls(tcp: TcpStream) -> Result<TcpStream, Fault> {
    let mut plain = Framed::new(tcp, Codec);
    let request = LdapOp::ExtendedRequest(LdapExtendedRequest { name: START_TLS.to_owned(), value: None });
    plain.send(LdapMsg::new(1, request)).await?;
    let Some(answer) = plain.next().await else {
        return Err(Fault::Server("the server closed the connection at StartTLS".to_owned()));
    };
    match answer?.message {
        LdapMsg { msgid: 1, op: LdapOp::ExtendedResponse(response), .. }
            if response.res.code == LdapResultCode::Success => {}
        _ => return Err(Fault::Server("the server refused StartTLS".to_owned())),
    }
    let parts = plain.into_parts();
    // Bytes that came in clear before the handshake would be read as if they came under it.
    if !parts.read_buf.is_empty() {
        return Err(Fault::Server("the server sent more than its answer to StartTLS".to_owned()));
    }
    Ok(parts.io)
}

/// Turns "not now" into a reason to ask another server.
fn serving(result: LdapResult) -> Result<LdapResult, Fault> {
    match result.code {
        LdapResultCode::Busy | LdapResultCode::Unavailable => {
            Err(Fault::Server(format!("the server said {}", describe(&result))))
        }
        _ => Ok(result),
    }
}

/// A result for the operator's log.
pub(super) fn describe(result: &LdapResult) -> String {
    let message: String = result.message.chars().filter(|c| !c.is_control()).take(200).collect();
    let hint = match result.code {
        LdapResultCode::StrongerAuthRequired | LdapResultCode::ConfidentialityRequired => {
            " (it takes no password in clear: use ldaps:// or start_tls = true)"
        }
        _ => "",
    };
    format!("{:?} {message}{hint}", result.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_text_is_for_loopback_only() {
        for url in ["ldap://127.0.0.1:1389", "ldap://localhost", "ldap://[::1]:389"] {
            assert!(Endpoint::parse(url, false).is_ok(), "{url}");
        }
        for url in ["ldap://ldap.corp.example", "ldap://10.0.0.1", "ldap://localhost.evil.example"] {
            assert!(Endpoint::parse(url, false).is_err(), "{url}");
            assert!(Endpoint::parse(url, true).is_ok(), "{url}");
        }
        assert!(Endpoint::parse("ldaps://ldap.corp.example", false).is_ok());
    }

    #[test]
    fn a_url_names_a_scheme_a_host_and_a_port() {
        for url in [
            "ldapi:///run/slapd",
            "http://x",
            "ldap://",
            "x",
            "ldaps://u@h",
            "ldaps://h/dc=x",
            "ldaps://h?uid",
        ] {
            assert!(Endpoint::parse(url, true).is_err(), "{url}");
        }
        assert_eq!(Endpoint::parse("ldaps://h:1636", true).unwrap().name(), "h:1636");
        assert_eq!(Endpoint::parse("ldap://h", true).unwrap().name(), "h:389");
    }
}
