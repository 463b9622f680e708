//! Syslog: RFC 5424 messages over TCP (RFC 6587, octet counting) or TLS (RFC 5425). The protocol has no answers: that a
//! receiver took what was written is known only when a later write finds the connection whole.

use crate::{Line, Sink, SinkError};
use async_trait::async_trait;
use doorman_core::time::format_rfc3339;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(10);
/// Facility 13 (log audit), severity 6 (informational).
const PRIORITY: u8 = 13 * 8 + 6;

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// Where the receiver is.
pub struct SyslogLink {
    /// `host:port`.
    pub address: String,
    /// With TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

/// Sends to a syslog receiver.
pub struct SyslogSink {
    link: SyslogLink,
    host: String,
    stream: Option<Box<dyn Stream>>,
}

impl SyslogSink {
    /// `host` is what messages say they come from.
    pub fn new(link: SyslogLink, host: &str) -> Self {
        let host: String = host.chars().filter(char::is_ascii_graphic).take(255).collect();
        let host = if host.is_empty() { "-".to_owned() } else { host };
        Self { link, host, stream: None }
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, SinkError> {
        let tcp = TcpStream::connect(&self.link.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.link.tls else { return Ok(Box::new(tcp)) };
        let host = self.link.address.rsplit_once(':').map_or(self.link.address.as_str(), |(host, _)| host);
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| SinkError::Refused(error.to_string()))?;
        Ok(Box::new(tokio_rustls::TlsConnector::from(tls.clone()).connect(name, tcp).await?))
    }

    fn frames(&self, lines: &[Line]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in lines {
            let message = message(line, &self.host);
            out.extend_from_slice(format!("{} ", message.len()).as_bytes());
            out.extend_from_slice(message.as_bytes());
        }
        out
    }
}

/// `<110>1 TIME HOST doorman - WHAT - JSON`
fn message(line: &Line, host: &str) -> String {
    let time = format_rfc3339(line.time_ms);
    format!("<{PRIORITY}>1 {time} {host} doorman - {} - {}", line.what, line.json)
}

/// Whether the receiver has closed, or said something, which none does. Looked at for a moment: what has arrived must get
/// from the system to here.
async fn is_closed(stream: &mut Box<dyn Stream>) -> bool {
    tokio::time::timeout(MOMENT, stream.read_u8()).await.is_ok()
}

#[async_trait]
impl Sink for SyslogSink {
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let frames = self.frames(lines);
        let sending = async {
            let mut stream = match self.stream.take() {
                Some(mut stream) => {
                    if is_closed(&mut stream).await {
                        self.connect().await?
                    } else {
                        stream
                    }
                }
                None => self.connect().await?,
            };
            stream.write_all(&frames).await?;
            stream.flush().await?;
            if is_closed(&mut stream).await {
                return Err(SinkError::Refused("the receiver closed the connection".into()));
            }
            Ok(stream)
        };
        let sent = tokio::time::timeout(TIMEOUT, sending).await;
        let stream = sent.unwrap_or_else(|_| Err(SinkError::Refused("the receiver takes nothing".into())))?;
        self.stream = Some(stream);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_framed_by_its_length_in_bytes() {
        let line = Line {
            key: "k".into(),
            what: "entry",
            id: None,
            time_ms: 1_700_000_000_000,
            json: "{\"path\":\"/ü\"}".into(),
        };
        let link = SyslogLink { address: "127.0.0.1:1".into(), tls: None };
        let sink = SyslogSink::new(link, "api 1\n");
        let frames = String::from_utf8(sink.frames(&[line.clone(), line])).unwrap();
        let message = "<110>1 2023-11-14T22:13:20.000Z api1 doorman - entry - {\"path\":\"/ü\"}";
        let one = format!("{} {message}", message.len());
        assert_eq!(frames, format!("{one}{one}"));
    }
}
