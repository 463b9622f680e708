//! The audit log: lists, single entries, exports, the live tail, proofs and retries.

use crate::client::{Client, read_json, read_problem};
use crate::door::Answer;
use crate::error::ClientError;
use crate::wire::{
    AuditEntry, AuditExportQuery, AuditQuery, AuditStreamQuery, List, RetryAnswer, RetryRequest,
};
use reqwest::{Method, Response};
use serde::Serialize;
use serde_json::value::RawValue;

/// Longest event; an entry with the largest body that can be configured is shorter.
const MAX_EVENT: usize = 64 << 20;

/// A server-sent event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// `entry` or `end`.
    pub name: String,
    /// JSON.
    pub data: String,
}

/// Server-sent events as they come.
pub struct Events {
    response: Response,
    buffered: Vec<u8>,
}

impl Events {
    /// The next event; `None` when the server ends the stream.
    ///
    /// # Errors
    /// When the stream breaks off, or is none.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = take_event(&mut self.buffered) {
                return Ok(Some(event));
            }
            if self.buffered.len() > MAX_EVENT {
                return Err(ClientError::Invalid("an event has no end".to_owned()));
            }
            match self.response.chunk().await? {
                Some(bytes) => self.buffered.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

/// Takes the first whole event off `buffered`; comments are passed over.
fn take_event(buffered: &mut Vec<u8>) -> Option<Event> {
    loop {
        let end = buffered.windows(2).position(|pair| pair == b"\n\n")?;
        let block: Vec<u8> = buffered.drain(..end + 2).collect();
        let text = String::from_utf8_lossy(&block);
        let field = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
        };
        if let Some(data) = field("data") {
            return Some(Event { name: field("event").unwrap_or_else(|| "message".to_owned()), data });
        }
    }
}

impl Client {
    /// One page of the audit log, newest first.
    ///
    /// # Errors
    /// `invalid` names the filter.
    pub async fn audit_list(&self, query: &AuditQuery) -> Result<List<AuditEntry>, ClientError> {
        self.read(&["api", "v1", "audit"], query).await
    }

    /// One audit entry.
    ///
    /// # Errors
    /// `not_found`, also when it is not the caller's to see.
    pub async fn audit_entry(&self, id: &str) -> Result<AuditEntry, ClientError> {
        self.read(&["api", "v1", "audit", id], &()).await
    }

    /// Exports the log: the body of the answer, of whatever size. One that breaks off is not complete.
    ///
    /// # Errors
    /// `forbidden`, `invalid`, `throttled`.
    pub async fn audit_export(&self, query: &AuditExportQuery) -> Result<Answer, ClientError> {
        Ok(Answer::of(self.open(&["api", "v1", "audit", "export"], query).await?))
    }

    /// Follows the log from now on.
    ///
    /// # Errors
    /// `forbidden`, `invalid`, `throttled`.
    pub async fn audit_stream(&self, query: &AuditStreamQuery) -> Result<Events, ClientError> {
        let response = self.open(&["api", "v1", "audit", "stream"], query).await?;
        Ok(Events { response, buffered: Vec::new() })
    }

    /// The proof that an entry is in the log, as it is to be kept.
    ///
    /// # Errors
    /// `not_found`; `conflict` when no signed statement covers it yet.
    pub async fn audit_proof(&self, id: &str) -> Result<Box<RawValue>, ClientError> {
        self.read(&["api", "v1", "audit", id, "proof"], &()).await
    }

    /// Sends a recorded request again, as the caller.
    ///
    /// # Errors
    /// `confirmation_required`; `conflict` when body or query must be supplied; whatever the door answers itself.
    pub async fn audit_retry(&self, id: &str, retry: &RetryRequest) -> Result<RetryAnswer, ClientError> {
        let url = self.url(&["api", "v1", "audit", id, "retry"])?;
        read_json(self.start(Method::POST, url).json(retry).send().await?).await
    }

    async fn open(&self, path: &[&str], query: &impl Serialize) -> Result<Response, ClientError> {
        let response = self.start(Method::GET, self.query_url(path, query)?).send().await?;
        if response.status().is_success() { Ok(response) } else { Err(read_problem(response).await) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_whole_in_whatever_pieces_they_come() {
        let text =
            ": following\n\nevent: entry\ndata: {\"a\":1}\n\n: alive\n\nevent: end\ndata: {}\n\nevent: en";
        let (mut buffered, mut seen) = (Vec::new(), Vec::new());
        for byte in text.bytes() {
            buffered.push(byte);
            seen.extend(take_event(&mut buffered));
        }
        let seen: Vec<_> = seen.iter().map(|event| (event.name.as_str(), event.data.as_str())).collect();
        assert_eq!(seen, [("entry", "{\"a\":1}"), ("end", "{}")]);
        assert_eq!(buffered, b"event: en");
    }
}
