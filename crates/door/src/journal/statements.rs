//! The signed statements, also kept outside the database: one JSON line each, in a file for each writer
//! (`docs/audit-log.md`). Its leaves let a verifier name the very entry that was changed.

use doorman_core::Digest;
use doorman_core::statement::{StatementLine, WriterId};
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

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

    pub(super) fn append(
        &mut self,
        number: u64,
        body: &[u8],
        signature: &[u8; 64],
        leaves: &[Digest],
    ) -> io::Result<()> {
        let line = StatementLine {
            writer: self.writer,
            number,
            body: body.to_vec(),
            signature: Some(*signature),
            leaves: leaves.to_vec(),
        };
        let mut json = line.to_json();
        json.push('\n');
        self.file.write_all(json.as_bytes())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
