//! One response as it comes off a connection: fed with bytes until it is whole.

use anyhow::{Result, ensure};

use crate::wire::{self, BodyReader};

/// A response that is being received. Keep-alive without pipelining: every byte belongs to it.
#[derive(Debug, Default)]
pub struct Reply {
    /// Only what came before the head was complete; empty when head and body arrive together.
    pending: Vec<u8>,
    status: u16,
    keep_alive: bool,
    body: Option<BodyReader>,
}

/// A response that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Bytes of its body.
    pub size: u64,
    pub keep_alive: bool,
}

impl Reply {
    /// Takes the next bytes; answers once the response is whole, and is then ready for the next one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Answer>> {
        let Some(body) = &mut self.body else { return self.feed_head(bytes) };
        let taken = body.feed(bytes)?;
        ensure!(taken == bytes.len(), "more bytes than one response");
        Ok(self.finish())
    }

    fn feed_head(&mut self, bytes: &[u8]) -> Result<Option<Answer>> {
        if self.pending.is_empty() {
            return self.start(bytes);
        }
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(bytes);
        self.start(&pending)
    }

    fn start(&mut self, bytes: &[u8]) -> Result<Option<Answer>> {
        let Some(head) = wire::parse_head(bytes)? else {
            self.pending.extend_from_slice(bytes);
            return Ok(None);
        };
        self.status = wire::parse_status(bytes)?;
        self.keep_alive = head.keep_alive;
        let mut body = BodyReader::new(head.body);
        let rest = bytes.get(head.length..).unwrap_or_default();
        ensure!(body.feed(rest)? == rest.len(), "more bytes than one response");
        self.body = Some(body);
        Ok(self.finish())
    }

    fn finish(&mut self) -> Option<Answer> {
        let body = self.body.take_if(|body| body.is_done())?;
        Some(Answer { status: self.status, size: body.received, keep_alive: self.keep_alive })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_wherever_reads_are_cut() {
        let bytes = b"HTTP/1.1 404 Not Found\r\ncontent-length: 5\r\n\r\nhello";
        for cut in 1..bytes.len() {
            let mut reply = Reply::default();
            assert_eq!(reply.feed(&bytes[..cut]).unwrap(), None, "cut at {cut}");
            let answer = reply.feed(&bytes[cut..]).unwrap();
            assert_eq!(answer, Some(Answer { status: 404, size: 5, keep_alive: true }), "cut at {cut}");
        }
    }

    #[test]
    fn bytes_beyond_the_response_are_an_error() {
        assert!(Reply::default().feed(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nab").is_err());
    }
}
