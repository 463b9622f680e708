//! A peer and how to reach it.

use http::HeaderValue;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A peer that answers nothing at all for three quarters of a minute is gone: whoever waits for it learns so.
const GONE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(15))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// Which HTTP is spoken to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with prior knowledge on plain connections.
    Http2,
}

/// Where requests are sent: a proxy or an instance of a service.
#[derive(Clone, Debug)]
pub struct Peer {
    host: Box<str>,
    port: u16,
    authority: Box<str>,
    host_header: HeaderValue,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// An address that is no peer's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not `http://host:port` or `https://host:port`.
    #[error("an address is http://host:port or https://host:port, without a path")]
    Url,
    /// `https` without TLS settings.
    #[error("https needs a CA file")]
    NoTls,
}

impl Peer {
    /// Parses `http://host:port` or, with `tls`, `https://host:port`.
    ///
    /// # Errors
    /// [`PeerError`].
    pub fn parse(url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Self, PeerError> {
        let uri: http::Uri = url.parse().map_err(|_| PeerError::Url)?;
        let authority = uri.authority().ok_or(PeerError::Url)?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(PeerError::Url);
        }
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(PeerError::Url),
        };
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let tls = if secure {
            let name = ServerName::try_from(host.to_owned()).map_err(|_| PeerError::Url)?;
            Some((tls.ok_or(PeerError::NoTls)?, name))
        } else {
            None
        };
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host_header = HeaderValue::try_from(authority.as_str()).map_err(|_| PeerError::Url)?;
        Ok(Self { host: host.into(), port, authority: authority.as_str().into(), host_header, tls })
    }

    /// Expects this name in the peer's certificate instead of the address's host.
    ///
    /// # Errors
    /// [`PeerError::Url`] when it is no name.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, PeerError> {
        if let Some((_, expected)) = &mut self.tls {
            *expected = ServerName::try_from(name.to_owned()).map_err(|_| PeerError::Url)?;
        }
        Ok(self)
    }

    /// `host:port` as written.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The `Host` that the peer sees: the authority.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// Whether connections are encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the peer is on this machine.
    pub fn is_loopback(&self) -> bool {
        &*self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// Whether it takes a connection.
    pub async fn connects(&self) -> bool {
        TcpStream::connect((&*self.host, self.port)).await.is_ok()
    }

    pub(crate) async fn dial(&self, protocol: Protocol) -> std::io::Result<Link> {
        let tcp = TcpStream::connect((&*self.host, self.port)).await?;
        tcp.set_nodelay(true)?;
        socket2::SockRef::from(&tcp).set_tcp_keepalive(&GONE)?;
        let Some((config, name)) = &self.tls else { return Ok(Link::Plain(tcp)) };
        let mut config = ClientConfig::clone(config);
        config.alpn_protocols = match protocol {
            Protocol::Http1 => vec![b"http/1.1".to_vec()],
            Protocol::Http2 => vec![b"h2".to_vec()],
        };
        let tls = TlsConnector::from(Arc::new(config)).connect(name.clone(), tcp).await?;
        Ok(Link::Tls(Box::new(tls)))
    }
}

/// An open connection to a peer.
pub(crate) enum Link {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Link {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
