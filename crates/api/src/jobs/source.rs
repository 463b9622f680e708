//! A request's body as something that a thread may block on.

use axum::body::Body;
use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use std::io::{Error, Read, Result};
use tokio::sync::mpsc;

/// Parts of the body that wait to be read.
const WAITING: usize = 8;

/// Reads what a task takes from the body. Blocks, so it is for a thread of its own.
pub(super) struct BodySource {
    parts: mpsc::Receiver<Result<Bytes>>,
    part: Bytes,
}

impl BodySource {
    /// Begins to take the body in. It ends with the source.
    pub fn new(body: Body) -> Self {
        let (sender, parts) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut stream = body.into_data_stream();
            while let Some(part) = stream.next().await {
                if sender.send(part.map_err(Error::other)).await.is_err() {
                    return;
                }
            }
        });
        Self { parts, part: Bytes::new() }
    }
}

impl Read for BodySource {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.part.is_empty() {
            match self.parts.blocking_recv() {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
        }
        let most = buffer.len().min(self.part.len());
        self.part.copy_to_slice(buffer.get_mut(..most).unwrap_or_default());
        Ok(most)
    }
}
