//! The export of a log as JSON lines: what the exporter writes and `doorman audit verify --export` reads. Specified in
//! `docs/audit-log.md`.
//!
//! In this order: `export`, all `writer` and `retention` lines, the batches (a `statement` line, then an `entry` line for each entry),
//! and `end`. Batches of one writer stand in the order of their numbers; those of several may be mixed.

use crate::canonical::canonicalize;
use crate::id::AuditId;
use crate::keys::PublicKeys;
use crate::peers::{PeerBook, PeerList};
use crate::statement::line::Text;
use crate::statement::{StatementLine, WriterId};
use crate::time::format_rfc3339;
use crate::verify::{LogVerifier, Report, StoredEntry, StoredStatement};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Export {
        version: u32,
        time: String,
    },
    Writer {
        id: String,
        peers: String,
    },
    Retention {
        body: String,
        signature: String,
    },
    Statement(Text),
    Entry {
        writer: String,
        number: u64,
        index: u64,
        claims: String,
        #[serde(borrow)]
        record: &'a RawValue,
    },
    End {
        entries: u64,
    },
}

impl Line<'_> {
    fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).unwrap_or_default();
        json.push('\n');
        json
    }
}

/// The first line. `unix_ms` is the time now.
pub fn begin(unix_ms: u64) -> String {
    Line::Export { version: VERSION, time: format_rfc3339(unix_ms) }.to_json()
}

/// The line of a writer. Those of all writers that the database knows come before any batch.
pub fn writer(id: WriterId, peers: &[u8]) -> String {
    Line::Writer { id: id.to_string(), peers: hex::encode(peers) }.to_json()
}

/// The line of a tombstone: some batches come without their entries. Those of all writers come before any batch.
pub fn retention(body: &[u8], signature: &[u8]) -> String {
    Line::Retention { body: hex::encode(body), signature: hex::encode(signature) }.to_json()
}

/// The lines of one batch. The leaves of `statement` are made here.
pub fn batch<'a>(
    statement: &StatementLine,
    first_index: u64,
    entries: impl Iterator<Item = StoredEntry<'a>> + Clone,
) -> String {
    let leaves = entries.clone().map(|entry| entry.leaf()).collect();
    let mut json = Line::Statement(StatementLine { leaves, ..statement.clone() }.to_text()).to_json();
    for (index, entry) in (first_index..).zip(entries) {
        // What is no canonical record any more shows as `null`, and verification names it.
        let record = std::str::from_utf8(entry.record).ok().and_then(|text| canonicalize(text).ok());
        let record =
            record.and_then(|record| String::from_utf8(record).ok()).unwrap_or_else(|| "null".to_owned());
        let Ok(record) = RawValue::from_string(record) else { continue };
        let line = Line::Entry {
            writer: statement.writer.to_string(),
            number: statement.number,
            index,
            claims: STANDARD.encode(entry.claims),
            record: &record,
        };
        json.push_str(&line.to_json());
    }
    json
}

/// The last line: without it, an export was cut off.
pub fn end(entries: u64) -> String {
    Line::End { entries }.to_json()
}

/// Why a text cannot be verified as an export.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ExportError {
    /// It does not begin like one.
    #[error(
        "not an export of a whole audit log, whose first line is an \"export\" of version {VERSION}; one that was narrowed by a filter or by rights cannot be verified"
    )]
    NotAnExport,
    /// A line is none of those that an export has, or stands in the wrong place.
    #[error("line {0} is not a line of an export, or stands in the wrong place")]
    Line(u64),
    /// The last line is missing, or counts other than what came.
    #[error("the export was cut off: its last line does not end it")]
    CutOff,
}

/// Verifies an export, line by line.
pub struct ExportReader {
    keys: Option<PublicKeys>,
    book: PeerBook,
    tombstones: Vec<(Vec<u8>, Vec<u8>)>,
    verifier: Option<LogVerifier>,
    lines: u64,
    entries: u64,
    batch: Option<WriterId>,
    ended: bool,
}

impl ExportReader {
    /// `keys` are those of all time.
    pub fn new(keys: PublicKeys) -> Self {
        Self {
            keys: Some(keys),
            book: PeerBook::default(),
            tombstones: Vec::new(),
            verifier: None,
            lines: 0,
            entries: 0,
            batch: None,
            ended: false,
        }
    }

    /// Takes the next line. Empty ones are passed over.
    ///
    /// # Errors
    /// [`ExportError::NotAnExport`], [`ExportError::Line`]: nothing more is to be read.
    pub fn line(&mut self, text: &str) -> Result<(), ExportError> {
        self.lines += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let taken = serde_json::from_str(text).ok().and_then(|line| self.take(line));
        taken.ok_or(if self.lines == 1 { ExportError::NotAnExport } else { ExportError::Line(self.lines) })
    }

    fn take(&mut self, line: Line<'_>) -> Option<()> {
        if self.ended || matches!(line, Line::Export { .. }) != (self.lines == 1) {
            return None;
        }
        match line {
            Line::Export { version, .. } => (version == VERSION).then_some(()),
            Line::Writer { id, peers } => {
                self.keys.as_ref()?;
                self.book.insert(id.parse().ok()?, PeerList::from_bytes(&hex::decode(peers).ok()?)?);
                Some(())
            }
            Line::Retention { body, signature } => {
                let (body, signature) = (hex::decode(body).ok()?, hex::decode(signature).ok()?);
                self.keys.as_ref()?;
                self.tombstones.push((body, signature));
                Some(())
            }
            Line::Statement(text) => {
                let line = StatementLine::from_text(&text)?;
                self.batch = Some(line.writer);
                self.verifier().statement(line.writer, StoredStatement { line, span: None }, None);
                Some(())
            }
            Line::Entry { writer, claims, record, .. } => {
                let writer: WriterId = writer.parse().ok()?;
                if self.batch != Some(writer) {
                    return None;
                }
                let claims = STANDARD.decode(claims).ok()?;
                // A text that has no canonical form has no leaf that anybody signed.
                let record = canonicalize(record.get()).unwrap_or_default();
                let entry = StoredEntry { id: id_of(&record), claims: &claims, record: &record };
                self.entries += 1;
                self.verifier().entry(writer, &entry);
                Some(())
            }
            Line::End { entries } => {
                self.ended = true;
                (entries == self.entries).then_some(())
            }
        }
    }

    fn verifier(&mut self) -> &mut LogVerifier {
        let (keys, book, tombstones) = (&mut self.keys, &mut self.book, &mut self.tombstones);
        self.verifier.get_or_insert_with(|| {
            let mut verifier = LogVerifier::new(keys.take().unwrap_or_default(), std::mem::take(book));
            for (body, signature) in tombstones.drain(..) {
                verifier.tombstone(&body, &signature);
            }
            verifier
        })
    }

    /// The end of the text: what was found, and whether the text was an export to its end.
    pub fn finish(mut self) -> (Report, Result<(), ExportError>) {
        let ended = match (self.lines, self.ended) {
            (0, _) => Err(ExportError::NotAnExport),
            (_, false) => Err(ExportError::CutOff),
            (_, true) => Ok(()),
        };
        self.verifier();
        let verifier = self.verifier.take();
        (verifier.map(LogVerifier::finish).unwrap_or_default(), ended)
    }
}

fn id_of(record: &[u8]) -> AuditId {
    #[derive(Deserialize)]
    struct Head {
        id: AuditId,
    }
    serde_json::from_slice(record).map_or(AuditId::default(), |head: Head| head.id)
}
