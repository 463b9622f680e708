//! The configured sinks, made and fed.

use super::process;
use crate::config::{SinkConfig, SinkKind};
use anyhow::Context as _;
use doorman_net::tls;
use doorman_sinks::{Feed, FileSink, NatsSink, OtlpSink, Sink, SyslogLink, SyslogSink};

/// Starts feeding every sink.
///
/// # Errors
/// When a file that a sink names cannot be used. Receivers that are away are waited for.
pub fn start(configured: &[SinkConfig], feed: &Feed) -> anyhow::Result<()> {
    for config in configured {
        let sink = sink(config).with_context(|| format!("sink {}", config.name))?;
        doorman_sinks::start(feed.clone(), config.name.clone(), sink);
    }
    Ok(())
}

fn sink(config: &SinkConfig) -> anyhow::Result<Box<dyn Sink>> {
    let url = || config.url.clone().unwrap_or_default();
    let token = match &config.token_file {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Some(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    Ok(match config.kind {
        SinkKind::File => Box::new(FileSink::new(config.path.clone())),
        SinkKind::Stdout => Box::new(FileSink::new(None)),
        SinkKind::Syslog => {
            let tls = process::link_tls(config.ca_file.as_deref(), None, None)?;
            let address = config.address.clone().unwrap_or_default();
            let host = std::fs::read_to_string("/etc/hostname").unwrap_or_default();
            Box::new(SyslogSink::new(SyslogLink { address, tls }, &host))
        }
        SinkKind::Otlp => {
            let mut client = reqwest::Client::builder().no_proxy();
            if let Some(ca) = &config.ca_file {
                let tls = tls::client_config(ca, None)?;
                client = client.use_preconfigured_tls(rustls::ClientConfig::clone(&tls));
            }
            let mut headers: Vec<_> = config.headers.clone().into_iter().collect();
            headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
            Box::new(OtlpSink::new(url(), headers, client.build()?))
        }
        SinkKind::Nats => {
            let tls = process::link_tls(config.ca_file.as_deref(), None, None)?;
            Box::new(NatsSink::new(url(), config.subject.clone().unwrap_or_default(), token, tls))
        }
    })
}
