//! The signed statements, also kept outside the database: one JSON line each, in a file for each writer.

use doorman_core::statement::WriterId;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

#[derive(Serialize)]
struct Line {
    writer: String,
    number: u64,
    body: String,
    signature: String,
}

/// The statements file of one writer. Written with the next batch or when idle, never flushed on the send path.
pub(super) struct StatementFile {
    file: BufWriter<File>,
    writer: WriterId,
}

impl StatementFile {
    pub(super) fn create(dir: &Path, writer: WriterId) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = File::options().create_new(true).append(true).open(dir.join(format!("{writer}.jsonl")))?;
        Ok(Self { file: BufWriter::with_capacity(64 * 1024, file), writer })
    }

    pub(super) fn append(&mut self, number: u64, body: &[u8], signature: &[u8; 64]) -> io::Result<()> {
        let line = Line {
            writer: self.writer.to_string(),
            number,
            body: hex::encode(body),
            signature: hex::encode(signature),
        };
        serde_json::to_writer(&mut self.file, &line)?;
        self.file.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
