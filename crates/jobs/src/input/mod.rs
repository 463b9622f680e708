//! The rows of a job, read as a stream: CSV as spreadsheets write it, JSON Lines, or rows inside the job. A row that cannot
//! be used is told with its line; reading goes on, so that all of them are told at once. Memory does not grow with the
//! input, but for twelve bytes a row by which duplicates are known.

mod csv;
mod duplicates;
mod jsonl;
mod limited;
#[cfg(test)]
mod tests;

use doorman_core::rollout::{Duplicates, InputSpec, Problem, Problems, Row};
use duplicates::Seen;
use std::io::{self, Read};

/// What an input may hold at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Rows.
    pub rows: u64,
    /// Columns.
    pub columns: usize,
    /// Bytes of one row.
    pub row_bytes: usize,
    /// Problems that are told one by one.
    pub problems: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { rows: 1_000_000, columns: 200, row_bytes: 64 << 10, problems: 100 }
    }
}

/// How rows are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Comma, semicolon or tab, found out by the header; quoted as in RFC 4180.
    Csv,
    /// One flat object a line.
    Jsonl,
}

impl Format {
    /// By media type: `text/csv`, `application/jsonl` and what is also said for it.
    pub fn of_media_type(content_type: &str) -> Option<Self> {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "text/csv" | "application/csv" | "text/tab-separated-values" => Some(Self::Csv),
            "application/jsonl"
            | "application/x-ndjson"
            | "application/ndjson"
            | "application/x-jsonl"
            | "application/json-lines" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// How an input is to be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// How rows are written.
    pub format: Format,
    /// Names the columns of a CSV without a header line.
    pub columns: Option<Vec<String>>,
    /// The column by which rows are told apart.
    pub key: Option<String>,
    /// What becomes of duplicates.
    pub duplicates: Duplicates,
    /// What it may hold at most.
    pub limits: Limits,
}

impl Options {
    /// With a header line, rows told apart as a whole, duplicates refused.
    pub fn new(format: Format) -> Self {
        Self { format, columns: None, key: None, duplicates: Duplicates::Refuse, limits: Limits::default() }
    }
}

/// A row and where it stood.
#[derive(Clone, PartialEq, Debug)]
pub struct InputRow {
    /// The line where it begins, from 1; of rows inside the job, their number.
    pub line: u64,
    /// Its values, each of the input's columns.
    pub values: Row,
}

/// Something wrong with one row.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {}{detail}", .column.as_deref().map(|column| format!("`{column}` ")).unwrap_or_default())]
pub struct RowProblem {
    /// The line where the row begins, from 1.
    pub line: u64,
    /// The column, where it is about one.
    pub column: Option<String>,
    /// What is wrong.
    pub detail: String,
}

impl RowProblem {
    fn new(line: u64, detail: impl Into<String>) -> Self {
        Self { line, column: None, detail: detail.into() }
    }

    fn of(line: u64, column: &str, detail: impl Into<String>) -> Self {
        Self { line, column: Some(column.to_owned()), detail: detail.into() }
    }
}

/// What was read, when all of it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Good rows.
    pub rows: u64,
    /// Duplicates that were left out ([`Duplicates::Skip`]).
    pub duplicates: u64,
    /// The first problems.
    pub problems: Vec<RowProblem>,
    /// All problems.
    pub problem_count: u64,
}

/// Why reading ended early.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed: the upload broke off.
    #[error("the input broke off: {0}")]
    Source(#[source] io::Error),
    /// The input is not what it should be from here on; nothing behind it can be read.
    #[error("{0}")]
    Broken(RowProblem),
}

/// One source of rows of one kind.
trait Rows {
    /// Columns, in their order. Known once the first row was read.
    fn columns(&self) -> &[String];
    /// The next row; a bad one as an `Ok(Err)`.
    fn next(&mut self) -> Result<Option<Result<InputRow, RowProblem>>, ReadError>;
}

/// Rows as they come. Drop it when a row is not wanted any more.
pub struct Reader<'a> {
    rows: Box<dyn Rows + 'a>,
    key: Option<String>,
    duplicates: Duplicates,
    limits: Limits,
    seen: Seen,
    report: Report,
}

impl<'a> Reader<'a> {
    /// Begins to read `source`: a CSV's header at once.
    ///
    /// # Errors
    /// [`ReadError`]: no header, or one that cannot be used.
    pub fn open(source: impl Read + 'a, options: &Options) -> Result<Self, ReadError> {
        let rows: Box<dyn Rows> = match options.format {
            Format::Csv => Box::new(csv::CsvRows::open(source, options.columns.as_deref(), options.limits)?),
            Format::Jsonl => Box::new(jsonl::JsonRows::open(source, options.limits)),
        };
        Self::over(rows, options)
    }

    /// Rows inside the job.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn inline(rows: &'a [Row], options: &Options) -> Result<Self, ReadError> {
        Self::over(Box::new(jsonl::InlineRows::new(rows, options.limits)), options)
    }

    fn over(rows: Box<dyn Rows + 'a>, options: &Options) -> Result<Self, ReadError> {
        let reader = Self {
            rows,
            key: options.key.clone(),
            duplicates: options.duplicates,
            limits: options.limits,
            seen: Seen::default(),
            report: Report::default(),
        };
        if options.format == Format::Csv {
            reader.check_key(1)?;
        }
        Ok(reader)
    }

    /// The columns, in their order; of JSON Lines only once a row was read.
    pub fn columns(&self) -> &[String] {
        self.rows.columns()
    }

    /// The next good row. Bad ones are gathered in the report, and reading goes on.
    ///
    /// # Errors
    /// [`ReadError`]: nothing more can be read.
    pub fn next_row(&mut self) -> Result<Option<InputRow>, ReadError> {
        loop {
            let row = match self.rows.next()? {
                None => return Ok(None),
                Some(Err(problem)) => {
                    self.reject(problem);
                    continue;
                }
                Some(Ok(row)) => row,
            };
            if self.report.rows == 0 {
                self.check_key(row.line)?;
            }
            if let Some(first) = self.repeats(&row) {
                if self.duplicates == Duplicates::Skip {
                    self.report.duplicates += 1;
                } else {
                    self.reject(self.tell_duplicate(&row, first));
                }
                continue;
            }
            if self.report.rows >= self.limits.rows {
                let why = format!("there are more than {} rows", self.limits.rows);
                return Err(ReadError::Broken(RowProblem::new(row.line, why)));
            }
            self.report.rows += 1;
            return Ok(Some(row));
        }
    }

    /// Counts a row among the bad ones that was given out as a good one: its request could not be made of it.
    pub fn reject_given(&mut self, problem: RowProblem) {
        self.report.rows = self.report.rows.saturating_sub(1);
        self.reject(problem);
    }

    /// What was read so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Reads to the end, without keeping the rows.
    ///
    /// # Errors
    /// [`ReadError`]: nothing more can be read.
    pub fn check_all(mut self) -> Result<(Vec<String>, Report), ReadError> {
        while self.next_row()?.is_some() {}
        Ok((self.columns().to_vec(), self.report))
    }

    /// Counts one more problem.
    pub fn reject(&mut self, problem: RowProblem) {
        self.report.problem_count += 1;
        if self.report.problems.len() < self.limits.problems {
            self.report.problems.push(problem);
        }
    }

    /// The line of the row that this one repeats.
    fn repeats(&mut self, row: &InputRow) -> Option<u64> {
        match (self.duplicates, &self.key) {
            (Duplicates::Allow, _) => None,
            (_, Some(key)) => self.seen.insert(row.line, row.values.get(key)),
            (_, None) => self.seen.insert(row.line, &row.values),
        }
    }

    fn tell_duplicate(&self, row: &InputRow, first: u64) -> RowProblem {
        match &self.key {
            Some(key) => RowProblem::of(row.line, key, format!("is as in line {first}")),
            None => RowProblem::new(row.line, format!("the row is as in line {first}")),
        }
    }

    fn check_key(&self, line: u64) -> Result<(), ReadError> {
        match &self.key {
            Some(key) if !self.columns().contains(key) => {
                let columns = self.columns().join("`, `");
                let why = format!("rows are to be told apart by `{key}`, but the columns are `{columns}`");
                Err(ReadError::Broken(RowProblem::new(line, why)))
            }
            _ => Ok(()),
        }
    }
}

/// Opens the rows that stand inside a job; `None` when there are none.
///
/// # Errors
/// What is wrong with the choice itself; rows are read later.
pub fn open_inline(spec: &InputSpec, limits: Limits) -> Result<Option<Reader<'_>>, Vec<Problem>> {
    let mut problems = Problems::new();
    let given = [spec.rows.is_some(), spec.csv.is_some(), spec.jsonl.is_some()];
    if given.iter().filter(|is_given| **is_given).count() > 1 {
        problems.add("input", "has more than one of rows, csv and jsonl");
    }
    if spec.columns.is_some() && spec.csv.is_none() && spec.has_rows() {
        problems.add("input.columns", "names the columns of a csv, and there is none");
    }
    let options = |format| Options {
        format,
        columns: spec.columns.clone(),
        key: spec.key.clone(),
        duplicates: spec.duplicates,
        limits,
    };
    problems.into_result(())?;
    let (field, opened) = match (&spec.rows, &spec.csv, &spec.jsonl) {
        (Some(rows), ..) => ("input.rows", Reader::inline(rows, &options(Format::Jsonl))),
        (_, Some(csv), _) => ("input.csv", Reader::open(csv.as_bytes(), &options(Format::Csv))),
        (.., Some(jsonl)) => ("input.jsonl", Reader::open(jsonl.as_bytes(), &options(Format::Jsonl))),
        (None, None, None) => return Ok(None),
    };
    opened.map(Some).map_err(|error| vec![Problem { field: field.to_owned(), detail: error.to_string() }])
}
