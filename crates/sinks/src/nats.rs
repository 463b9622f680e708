//! NATS JetStream: each line is a message, acknowledged by the stream. Its key is the message id, by which a stream tells
//! doubles.

use crate::{Line, Sink, SinkError};
use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, HeaderMap};
use async_trait::async_trait;
use rustls::ClientConfig;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(15);

/// Publishes to a subject that a stream listens to.
pub struct NatsSink {
    url: String,
    subject: String,
    token: Option<String>,
    tls: Option<Arc<ClientConfig>>,
    context: Option<Context>,
}

impl NatsSink {
    /// Messages go to `SUBJECT.entry`, `SUBJECT.statement` and `SUBJECT.writer`. With `tls` nothing is said in the clear;
    /// without it, a `tls://` server must be one that public authorities vouch for.
    pub fn new(url: String, subject: String, token: Option<String>, tls: Option<Arc<ClientConfig>>) -> Self {
        Self { url, subject, token, tls, context: None }
    }

    async fn context(&mut self) -> Result<Context, SinkError> {
        if let Some(context) = &self.context {
            return Ok(context.clone());
        }
        let options = ConnectOptions::new().name("doorman").connection_timeout(TIMEOUT);
        let options = match &self.token {
            Some(token) => options.token(token.clone()),
            None => options,
        };
        let options = match &self.tls {
            Some(tls) => options.require_tls(true).tls_client_config(ClientConfig::clone(tls)),
            None => options,
        };
        let client =
            options.connect(&self.url).await.map_err(|error| SinkError::Refused(error.to_string()))?;
        let context = jetstream::new(client);
        self.context = Some(context.clone());
        Ok(context)
    }

    async fn publish(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let context = self.context().await?;
        let refused = |error: jetstream::context::PublishError| {
            SinkError::Refused(format!("the stream did not acknowledge: {error}"))
        };
        let mut acknowledgements = Vec::with_capacity(lines.len());
        for line in lines {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", line.key.as_str());
            let subject = format!("{}.{}", self.subject, line.what);
            let sent = context.publish_with_headers(subject, headers, line.json.clone().into()).await;
            acknowledgements.push(sent.map_err(refused)?);
        }
        for acknowledgement in acknowledgements {
            acknowledgement.await.map_err(refused)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Sink for NatsSink {
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let sent = tokio::time::timeout(TIMEOUT, self.publish(lines)).await;
        sent.unwrap_or_else(|_| Err(SinkError::Refused("no acknowledgement came in time".into())))
    }
}
