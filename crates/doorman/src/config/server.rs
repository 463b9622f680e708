//! `[server]` and `[log]`: how a process listens and what it tells.

use super::checks::Checks;
use super::path::Path;
use super::units::{address, duration, optional_origin, size};
use doorman_net::Limits;
use serde::Deserialize;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// `[server]` as written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSection {
    #[serde(deserialize_with = "address::deserialize")]
    listen: Option<SocketAddr>,
    threads: Option<NonZeroUsize>,
    #[serde(deserialize_with = "optional_origin::deserialize")]
    public_url: Option<Url>,
    tls: Option<TlsConfig>,
    limits: LimitsSection,
    #[serde(deserialize_with = "duration::deserialize")]
    drain: Duration,
}

/// How a process listens.
pub struct ServerConfig {
    /// The address.
    pub listen: SocketAddr,
    /// Threads that serve; default: one for each core.
    pub threads: Option<NonZeroUsize>,
    /// The origin under which clients know this Doorman; default: what `listen` says.
    pub public_url: String,
    /// Absent only on loopback.
    pub tls: Option<TlsConfig>,
    /// Limits of connections.
    pub limits: Limits,
    /// How long open requests may go on after a stop was asked for.
    pub drain: Duration,
}

/// A listener's certificate.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
    /// Let in only clients with a certificate from this authority.
    pub client_ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitsSection {
    max_connections: NonZeroUsize,
    #[serde(deserialize_with = "duration::deserialize")]
    header_read_timeout: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    write_timeout: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    idle_timeout: Duration,
    #[serde(deserialize_with = "size::deserialize")]
    max_header_size: usize,
    max_streams: u32,
}

impl Default for ServerSection {
    fn default() -> Self {
        Self {
            listen: None,
            threads: None,
            public_url: None,
            tls: None,
            limits: LimitsSection::default(),
            drain: Duration::from_secs(20),
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            max_connections: NonZeroUsize::new(limits.max_connections).unwrap_or(NonZeroUsize::MAX),
            header_read_timeout: limits.head_timeout,
            write_timeout: limits.write_timeout,
            idle_timeout: limits.idle_timeout,
            max_header_size: limits.max_head_bytes,
            max_streams: limits.max_streams,
        }
    }
}

impl ServerSection {
    /// Completes the section; `port` on loopback is the default.
    pub fn validate(self, port: u16, checks: &mut Checks<'_>) -> ServerConfig {
        let here = Path::of("server");
        let listen = self.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], port)));
        if self.tls.is_none() && !listen.ip().is_loopback() && !checks.is_refused(&here.key("tls")) {
            let message = "plain HTTP is accepted on loopback addresses only";
            checks.refuse(&here.key("listen"), message, "add [server.tls] with cert_file and key_file");
        }
        let limits = self.limits;
        for (key, is_zero) in [
            ("header_read_timeout", limits.header_read_timeout.is_zero()),
            ("write_timeout", limits.write_timeout.is_zero()),
            // `api` keeps its connections to proxies for less, so that none is closed as a request is on its way.
            ("idle_timeout", limits.idle_timeout < Duration::from_secs(60)),
            ("max_header_size", limits.max_header_size < 8 << 10),
            ("max_streams", limits.max_streams == 0),
        ] {
            if is_zero {
                checks.refuse(
                    &here.key("limits").key(key),
                    "too small to serve anybody",
                    "leave it out for the default",
                );
            }
        }
        ServerConfig {
            listen,
            threads: self.threads,
            public_url: match &self.public_url {
                Some(url) => url.origin().ascii_serialization(),
                None => format!("{}://{listen}", if self.tls.is_some() { "https" } else { "http" }),
            },
            tls: self.tls,
            limits: Limits {
                max_connections: limits.max_connections.get(),
                head_timeout: limits.header_read_timeout,
                write_timeout: limits.write_timeout,
                idle_timeout: limits.idle_timeout,
                max_head_bytes: limits.max_header_size,
                max_streams: limits.max_streams,
            },
            drain: self.drain,
        }
    }
}

/// `[log]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// For machines or for people.
    pub format: LogFormat,
    /// What is told: `error`, `warn`, `info`, `debug`, `trace`.
    pub level: LogLevel,
}

/// How a line of the log is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The least that is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: LogLevel::Info }
    }
}
