//! The statements files: what a database is held against.

use doorman_core::statement::{Statement, StatementLine, WriterId};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Take};
use std::path::{Path, PathBuf};

const EXTENSION: &str = "jsonl";

/// Where each writer's statements are, and how long the file was when the verification began. What is added meanwhile
/// is not read, since the database may have been read before.
#[derive(Default)]
pub struct StatementFiles(BTreeMap<WriterId, Vec<(PathBuf, u64)>>);

impl StatementFiles {
    /// Adds the files of a directory.
    pub fn add(&mut self, directory: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str());
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(writer) = stem.and_then(|stem| stem.parse().ok())
            {
                self.0.entry(writer).or_default().push((path, entry.metadata()?.len()));
            }
        }
        Ok(())
    }

    /// Takes out a writer's statements.
    pub fn open(&mut self, writer: WriterId) -> io::Result<Option<WriterFile>> {
        let Some((path, length)) = self.0.get_mut(&writer).and_then(Vec::pop) else { return Ok(None) };
        let lines = BufReader::new(File::open(path)?.take(length));
        Ok(Some(WriterFile { writer, lines, expected: 0, next: None }))
    }

    /// Writers whose files were not opened.
    pub fn rest(&self) -> Vec<WriterId> {
        self.0.iter().filter(|(_, files)| !files.is_empty()).map(|(writer, _)| *writer).collect()
    }
}

/// The statements of one writer, in order.
pub struct WriterFile {
    writer: WriterId,
    lines: BufReader<Take<File>>,
    expected: u64,
    next: Option<StatementLine>,
}

impl WriterFile {
    /// The statement with this number, if it is there. Numbers must be asked for in order.
    pub fn statement(&mut self, number: u64) -> io::Result<Option<StatementLine>> {
        while self.peek()?.is_some_and(|line| line.number < number) {
            self.next = None;
        }
        Ok(self.next.take_if(|line| line.number == number))
    }

    /// The first statement that was not asked for.
    pub fn rest(mut self) -> io::Result<Option<StatementLine>> {
        self.peek()?;
        Ok(self.next)
    }

    fn peek(&mut self) -> io::Result<Option<&StatementLine>> {
        if self.next.is_none() {
            let mut text = Vec::new();
            self.lines.read_until(b'\n', &mut text)?;
            // A line without its end was being written, or was cut by a crash: it says nothing.
            if text.pop() == Some(b'\n') {
                self.next = Some(self.parse(&text));
                self.expected = self.next.as_ref().map_or(0, |line| line.number.saturating_add(1));
            }
        }
        Ok(self.next.as_ref())
    }

    /// What is no line of this writer is a line that nobody signed.
    fn parse(&self, text: &[u8]) -> StatementLine {
        let line = std::str::from_utf8(text).ok().and_then(|text| StatementLine::from_json(text).ok());
        let is_own = |line: &StatementLine| {
            line.number >= self.expected
                && Statement::from_bytes(&line.body)
                    .is_some_and(|body| (body.writer, body.number) == (self.writer, line.number))
        };
        line.filter(is_own).unwrap_or(StatementLine {
            writer: self.writer,
            number: self.expected,
            body: Vec::new(),
            signature: None,
            leaves: Vec::new(),
        })
    }
}
