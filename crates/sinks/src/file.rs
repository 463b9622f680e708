//! JSON lines, to a file or to standard output.

use crate::{Line, Sink, SinkError};
use async_trait::async_trait;
use std::io::Write as _;
use std::path::PathBuf;

/// Appends to a file, which may be rotated away at any time; or writes to standard output.
pub struct FileSink {
    path: Option<PathBuf>,
}

impl FileSink {
    /// `None` for standard output.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path }
    }
}

#[async_trait]
impl Sink for FileSink {
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let mut text = String::with_capacity(lines.iter().map(|line| line.json.len() + 1).sum());
        for line in lines {
            text.push_str(&line.json);
            text.push('\n');
        }
        let path = self.path.clone();
        let written = tokio::task::spawn_blocking(move || match path {
            None => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
            Some(path) => {
                // Opened each time: whoever rotates files need not tell us.
                let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
                let before = file.metadata()?.len();
                file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).inspect_err(|_| {
                    // Half a line would be glued to the next one.
                    let _ = file.set_len(before);
                })
            }
        });
        Ok(written.await.map_err(std::io::Error::other)??)
    }
}
