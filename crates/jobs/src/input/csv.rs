//! CSV as spreadsheets write it: with a byte order mark, commas, semicolons or tabs, quoted fields with line breaks in
//! them, CRLF, and empty columns at the right and rows at the bottom.

use super::limited::{Budget, Limited};
use super::{InputRow, Limits, ReadError, RowProblem, Rows};
use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder, Trim};
use doorman_core::rollout::Row;
use serde_json::Value;
use std::io::{self, Cursor, Read};

/// How much of the beginning is looked at to find out what separates fields. The header must end in it.
const SNIFFED: usize = 64 << 10;

/// What is read behind the last byte. Where a quote is still open it closes it, and stands at the end of the record;
/// otherwise it is a record of its own, [`END`]. No good row has a NUL character.
const BEHIND: &[u8] = b"\n\"\0\n";
const END: &[u8] = b"\0\n";
const OPEN: &[u8] = b"\n\0";

type Source<R> = Limited<io::Chain<io::Chain<Cursor<Vec<u8>>, R>, &'static [u8]>>;

pub(super) struct CsvRows<R> {
    reader: Reader<Source<R>>,
    budget: Budget,
    columns: Vec<String>,
    record: ByteRecord,
    limits: Limits,
    /// Lines before the first one that the CSV reader sees.
    lines_before: u64,
}

impl<R: Read> CsvRows<R> {
    pub fn open(mut source: R, columns: Option<&[String]>, limits: Limits) -> Result<Self, ReadError> {
        let mut start = Vec::with_capacity(SNIFFED);
        source.by_ref().take(SNIFFED as u64).read_to_end(&mut start).map_err(ReadError::Source)?;
        let dialect = sniff(&start)?;
        start.drain(..dialect.skipped_bytes);
        let budget = Budget::with_lines(limits.row_bytes, dialect.line_end);
        let source = budget.source(Cursor::new(start).chain(source).chain(BEHIND));
        let reader = ReaderBuilder::new()
            .delimiter(dialect.delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::None)
            .from_reader(source);
        let mut rows = Self {
            reader,
            budget,
            columns: Vec::new(),
            record: ByteRecord::new(),
            limits,
            lines_before: dialect.skipped_lines,
        };
        rows.columns = match columns {
            Some(columns) => check_header(1, columns.to_vec(), limits)?,
            None => rows.read_header()?,
        };
        Ok(rows)
    }

    fn read_header(&mut self) -> Result<Vec<String>, ReadError> {
        let Some(line) = self.read_record()? else {
            return Err(broken(1, "the input is empty: its first line must name the columns"));
        };
        let names =
            self.record.iter().map(|name| std::str::from_utf8(name).map(|name| name.trim().to_owned()));
        let mut names: Vec<String> = names.collect::<Result<_, _>>().map_err(|_| broken(line, NOT_UTF8))?;
        // Spreadsheets write columns that were emptied, too.
        while names.len() > 1 && names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        check_header(line, names, self.limits)
    }

    /// The line where the next record begins; `None` at the end.
    fn read_record(&mut self) -> Result<Option<u64>, ReadError> {
        let Some(line) = self.read_any_record()? else { return Ok(None) };
        if self.record.len() == 1 && self.record.get(0) == Some(END) {
            // Unless it stood in the input.
            return match self.read_any_record()? {
                None => Ok(None),
                Some(_) => Err(broken(line, NUL)),
            };
        }
        match self.record.get(self.record.len().saturating_sub(1)) {
            Some(last) if last.ends_with(OPEN) => Err(broken(line, "a quote is opened and never closed")),
            _ => Ok(Some(line)),
        }
    }

    fn read_any_record(&mut self) -> Result<Option<u64>, ReadError> {
        let start = self.reader.position().byte();
        let read = self.reader.read_byte_record(&mut self.record);
        let line = self.budget.line_at(start) + self.lines_before;
        match read {
            Ok(true) => {
                self.budget.renew();
                Ok(Some(line))
            }
            Ok(false) => Ok(None),
            Err(_) if self.budget.is_spent() => {
                let why = format!(
                    "a row is longer than {} bytes; perhaps a quote is opened and never closed",
                    self.limits.row_bytes
                );
                Err(broken(line, why))
            }
            Err(error) => match error.into_kind() {
                ErrorKind::Io(error) => Err(ReadError::Source(error)),
                other => Err(broken(line, format!("{other:?}"))),
            },
        }
    }

    fn row(&self, line: u64) -> Result<InputRow, RowProblem> {
        let extra = self.record.iter().skip(self.columns.len()).any(|field| !field.is_empty());
        if self.record.len() < self.columns.len() || extra {
            let why = format!(
                "the row has {} fields, and there are {} columns",
                self.record.len(),
                self.columns.len()
            );
            return Err(RowProblem::new(line, why));
        }
        if self.record.as_slice().len() > self.limits.row_bytes {
            return Err(RowProblem::new(
                line,
                format!("the row is longer than {} bytes", self.limits.row_bytes),
            ));
        }
        let mut values = Row::new();
        for (column, field) in self.columns.iter().zip(&self.record) {
            let text = std::str::from_utf8(field).map_err(|_| RowProblem::of(line, column, NOT_UTF8))?;
            if text.contains('\0') {
                return Err(RowProblem::of(line, column, NUL));
            }
            values.insert(column.clone(), Value::String(text.to_owned()));
        }
        Ok(InputRow { line, values })
    }
}

impl<R: Read> Rows for CsvRows<R> {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn next(&mut self) -> Result<Option<Result<InputRow, RowProblem>>, ReadError> {
        while let Some(line) = self.read_record()? {
            // Spreadsheets write rows that were emptied, too.
            if self.record.iter().any(|field| !field.is_empty()) {
                return Ok(Some(self.row(line)));
            }
        }
        Ok(None)
    }
}

const NUL: &str = "has a NUL character";
const NOT_UTF8: &str = "is not UTF-8: save the file as \"CSV UTF-8\"";

fn broken(line: u64, why: impl Into<String>) -> ReadError {
    ReadError::Broken(RowProblem::new(line, why))
}

/// Names of columns: there, different, and nothing that would end a placeholder.
pub(super) fn check_header(line: u64, names: Vec<String>, limits: Limits) -> Result<Vec<String>, ReadError> {
    if names.len() > limits.columns {
        return Err(broken(line, format!("there are more than {} columns", limits.columns)));
    }
    let looks_like_data = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    for (number, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(broken(line, format!("column {} has no name", number + 1)));
        }
        if names.iter().take(number).any(|before| before == name) {
            return Err(broken(line, format!("two columns are called `{name}`")));
        }
        if name.contains(['{', '}', '|', '\'']) || name.contains(char::is_control) {
            return Err(broken(
                line,
                format!("`{name}` can't be a column: names have no braces, quotes, `|` or line breaks"),
            ));
        }
        if looks_like_data(name) {
            let why = format!(
                "`{name}` looks like a value: the first line must name the columns, or they are named apart"
            );
            return Err(broken(line, why));
        }
    }
    Ok(names)
}

struct Dialect {
    delimiter: u8,
    /// Of a byte order mark, and of a line `sep=;`.
    skipped_bytes: usize,
    skipped_lines: u64,
    /// `\n`, or `\r` as old spreadsheets have it.
    line_end: u8,
}

/// Finds out how a CSV is written, by its beginning.
fn sniff(start: &[u8]) -> Result<Dialect, ReadError> {
    if start.starts_with(&[0xff, 0xfe])
        || start.starts_with(&[0xfe, 0xff])
        || start.iter().take(2).any(|b| *b == 0)
    {
        return Err(broken(1, "the input is UTF-16, or no text at all: save the file as \"CSV UTF-8\""));
    }
    if start.starts_with(b"PK\x03\x04") || start.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        return Err(broken(1, "the input is a spreadsheet's own file: save it as \"CSV UTF-8\""));
    }
    let line_end = if start.contains(&b'\r') && !start.contains(&b'\n') { b'\r' } else { b'\n' };
    let mark = if start.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    let text = start.get(mark..).unwrap_or_default();
    // What Excel writes to tell itself.
    if let Some(rest) = text.strip_prefix(b"sep=")
        && let Some((delimiter @ (b',' | b';' | b'\t' | b'|'), rest)) = rest.split_first()
        && let Some(end) = [&b"\r\n"[..], b"\n"].iter().find(|end| rest.starts_with(end))
    {
        return Ok(Dialect {
            delimiter: *delimiter,
            skipped_bytes: mark + 5 + end.len(),
            skipped_lines: 1,
            line_end,
        });
    }
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut is_quoted = false;
    // Empty lines before the header are none of it.
    let header = text.iter().skip_while(|byte| matches!(byte, b'\n' | b'\r'));
    for byte in header {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\n' | b'\r' if !is_quoted => break,
            _ if !is_quoted => {
                counts
                    .iter_mut()
                    .filter(|(delimiter, _)| delimiter == byte)
                    .for_each(|(_, count)| *count += 1);
            }
            _ => {}
        }
    }
    let most = counts.iter().rev().max_by_key(|(_, count)| *count);
    let delimiter = most.filter(|(_, count)| *count > 0).map_or(b',', |(delimiter, _)| *delimiter);
    Ok(Dialect { delimiter, skipped_bytes: mark, skipped_lines: 0, line_end })
}
