//! What is known of a request before anybody is verified.

use crate::error::ApiError;
use crate::state::ClientAddr;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, Record};
use doorman_door::channel_of;
use http::request::Parts;
use http::{Method, header};
use std::net::IpAddr;

/// Longest text of a client's that is kept in an entry.
const MAX_TEXT: usize = 1_024;

/// A request's outer facts.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub client_ip: IpAddr,
    pub method: Method,
    pub path: String,
    pub user_agent: Option<String>,
    pub channel: &'static str,
    pub arrived_ms: u64,
}

impl Arrival {
    /// Reads them from a request whose listener told the client's address.
    pub fn of(parts: &Parts, now_ms: u64) -> Result<Self, ApiError> {
        let ClientAddr(ip, _) = *parts
            .extensions
            .get()
            .ok_or_else(|| ApiError::internal("the listener did not say where the request comes from"))?;
        let user_agent = parts.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self {
            client_ip: ip.to_canonical(),
            method: parts.method.clone(),
            path: clip(parts.uri.path()).to_owned(),
            user_agent: user_agent.map(|agent| clip(agent).to_owned()),
            channel: channel_of(&parts.headers),
            arrived_ms: now_ms,
        })
    }

    /// The beginning of an entry about this request.
    pub fn record(&self, kind: Kind) -> Record<'_> {
        let mut record = Record::new(kind, AuditId::default(), self.arrived_ms);
        record.method = Some(self.method.as_str().into());
        record.path = Some(self.path.as_str().into());
        record.client_ip = Some(self.client_ip.to_string().into());
        record.user_agent = self.user_agent.as_deref().map(Into::into);
        record.channel = Some(self.channel.into());
        record
    }
}

/// `text` up to a length that an entry can hold.
pub(crate) fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default()
}
