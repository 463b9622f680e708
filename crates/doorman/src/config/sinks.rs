//! `[[sinks]]`: where the log is carried on to, besides the database.

use super::checks::Checks;
use super::path::Path;
use super::units::is_loopback;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use url::Url;

/// One sink.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SinkConfig {
    /// Under this name its position is stored.
    pub name: String,
    /// What it is.
    pub kind: SinkKind,
    /// `file`: where lines are appended.
    pub path: Option<PathBuf>,
    /// `syslog`: `host:port`.
    pub address: Option<String>,
    /// `otlp` and `nats`: the receiver.
    pub url: Option<String>,
    /// `nats`: messages go to `SUBJECT.entry`, `.statement` and `.writer`.
    pub subject: Option<String>,
    /// The authority that vouches for the receiver; with it, syslog is sent over TLS.
    pub ca_file: Option<PathBuf>,
    /// `otlp` and `nats`: holds the token that is shown to the receiver.
    pub token_file: Option<PathBuf>,
    /// `otlp`: further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// What a sink is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    /// JSON lines in a file.
    File,
    /// JSON lines on standard output.
    Stdout,
    /// RFC 5424 over TCP or TLS.
    Syslog,
    /// OpenTelemetry logs over HTTP.
    Otlp,
    /// NATS JetStream.
    Nats,
}

impl SinkKind {
    /// The keys that have a meaning, and of these the ones that must be there.
    fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::File => (&["path"], &["path"]),
            Self::Stdout => (&[], &[]),
            Self::Syslog => (&["address", "ca_file"], &["address"]),
            Self::Otlp => (&["url", "ca_file", "token_file", "headers"], &["url"]),
            Self::Nats => (&["url", "subject", "ca_file", "token_file"], &["url", "subject"]),
        }
    }
}

const KEYS: [&str; 7] = ["path", "address", "url", "subject", "ca_file", "token_file", "headers"];

pub(super) fn validate(sinks: &[SinkConfig], checks: &mut Checks<'_>) {
    let mut names = HashSet::new();
    for (index, sink) in sinks.iter().enumerate() {
        let here = Path::of("sinks").index(index);
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if sink.name.is_empty() || sink.name.len() > 64 || !sink.name.chars().all(is_name) {
            let help = "use lower-case letters, digits and hyphens, as in \"siem\"";
            checks.refuse(&here.key("name"), format!("`{}` is no name of a sink", sink.name), help);
        } else if !names.insert(&sink.name) {
            let help = "its position is stored under its name; choose another";
            checks.refuse(&here.key("name"), format!("there are two sinks `{}`", sink.name), help);
        }
        let (allowed, required) = sink.kind.keys();
        let present = checks.keys(&here);
        for key in KEYS.iter().filter(|key| !allowed.contains(key)) {
            checks.refuse_key(&here.key(key), "sinks of this kind know no such key");
        }
        for key in required.iter().filter(|key| !present.iter().any(|present| present == *key)) {
            checks.require(&here.key(key), false, format!("sinks of this kind need `{key}`"));
        }
        if let Some(url) = &sink.url {
            match Url::parse(url) {
                Ok(url) => validate_url(&url, sink.kind, &here.key("url"), checks),
                Err(_) => checks.refuse(
                    &here.key("url"),
                    "this is no URL",
                    "as in \"https://collector.internal:4318/v1/logs\"",
                ),
            }
        }
        if sink.address.as_ref().is_some_and(|address| !is_address(address)) {
            checks.refuse(&here.key("address"), "this is no host:port", "as in \"siem.internal:6514\"");
        }
    }
}

fn validate_url(url: &Url, kind: SinkKind, at: &Path, checks: &mut Checks<'_>) {
    let schemes: &[&str] = if kind == SinkKind::Nats { &["nats", "tls"] } else { &["http", "https"] };
    if !schemes.contains(&url.scheme()) || !url.has_host() {
        checks.refuse(
            at,
            "this URL is none of this kind",
            format!("begin it with {}://", schemes.join(":// or ")),
        );
    } else if matches!(url.scheme(), "http" | "nats") && !is_loopback(url) {
        let message = "the log may leave this machine encrypted only";
        checks.refuse(
            at,
            message,
            format!("use {}://, or an agent on this machine", schemes.last().unwrap_or(&"tls")),
        );
    } else if url.password().is_some() {
        checks.refuse(
            at,
            "a password does not belong into this file",
            "put a token into a file and name it in `token_file`",
        );
    }
}

fn is_address(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}
