//! Flat JSON objects: one a line, or in a list inside the job.

use super::limited::{Budget, Limited};
use super::{InputRow, Limits, ReadError, RowProblem, Rows};
use doorman_core::rollout::Row;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, BufReader, Read};

pub(super) struct JsonRows<R> {
    source: BufReader<Limited<R>>,
    budget: Budget,
    line: u64,
    buffer: Vec<u8>,
    shape: Shape,
}

impl<R: Read> JsonRows<R> {
    pub fn open(source: R, limits: Limits) -> Self {
        let budget = Budget::new(limits.row_bytes);
        let source = BufReader::new(budget.source(source));
        Self { source, budget, line: 0, buffer: Vec::new(), shape: Shape::new(limits) }
    }

    fn read_line(&mut self) -> Result<bool, ReadError> {
        self.buffer.clear();
        self.line += 1;
        match self.source.read_until(b'\n', &mut self.buffer) {
            Ok(0) => Ok(false),
            Ok(_) => {
                self.budget.renew();
                if self.line == 1 && self.buffer.starts_with(&[0xef, 0xbb, 0xbf]) {
                    self.buffer.drain(..3);
                }
                Ok(true)
            }
            Err(_) if self.budget.is_spent() => {
                let why = format!("the line is longer than {} bytes", self.shape.limits.row_bytes);
                Err(ReadError::Broken(RowProblem::new(self.line, why)))
            }
            Err(error) => Err(ReadError::Source(error)),
        }
    }
}

impl<R: Read> Rows for JsonRows<R> {
    fn columns(&self) -> &[String] {
        &self.shape.columns
    }

    fn next(&mut self) -> Result<Option<Result<InputRow, RowProblem>>, ReadError> {
        while self.read_line()? {
            if self.buffer.trim_ascii().is_empty() {
                continue;
            }
            let line = self.line;
            if self.buffer.len() > self.shape.limits.row_bytes {
                let why = format!("the line is longer than {} bytes", self.shape.limits.row_bytes);
                return Ok(Some(Err(RowProblem::new(line, why))));
            }
            let row = match serde_json::from_slice::<FlatRow>(&self.buffer) {
                Ok(FlatRow(row)) => self.shape.check(line, row)?,
                Err(error) => Err(RowProblem::new(line, tell(&error))),
            };
            return Ok(Some(row));
        }
        Ok(None)
    }
}

/// Rows that stand inside the job. Serde has read them already.
pub(super) struct InlineRows<'a> {
    rows: std::slice::Iter<'a, Row>,
    line: u64,
    shape: Shape,
}

impl<'a> InlineRows<'a> {
    pub fn new(rows: &'a [Row], limits: Limits) -> Self {
        Self { rows: rows.iter(), line: 0, shape: Shape::new(limits) }
    }
}

impl Rows for InlineRows<'_> {
    fn columns(&self) -> &[String] {
        &self.shape.columns
    }

    fn next(&mut self) -> Result<Option<Result<InputRow, RowProblem>>, ReadError> {
        let Some(row) = self.rows.next() else { return Ok(None) };
        self.line += 1;
        let bad = row.iter().find_map(|(column, value)| {
            check_value(value).err().map(|why| RowProblem::of(self.line, column, why))
        });
        match bad {
            Some(problem) => Ok(Some(Err(problem))),
            None => Ok(Some(self.shape.check(self.line, row.clone())?)),
        }
    }
}

/// All rows have the columns of the first.
struct Shape {
    columns: Vec<String>,
    limits: Limits,
}

impl Shape {
    fn new(limits: Limits) -> Self {
        Self { columns: Vec::new(), limits }
    }

    /// # Errors
    /// When the first row has no usable columns.
    fn check(&mut self, line: u64, row: Row) -> Result<Result<InputRow, RowProblem>, ReadError> {
        if self.columns.is_empty() {
            if row.is_empty() {
                return Ok(Err(RowProblem::new(line, "the row is empty")));
            }
            self.columns = super::csv::check_header(line, row.keys().cloned().collect(), self.limits)?;
        }
        if let Some(column) = self.columns.iter().find(|column| !row.contains_key(column.as_str())) {
            return Ok(Err(RowProblem::of(
                line,
                column,
                "is missing; rows before have it (null says that there is no value)",
            )));
        }
        if let Some(column) = row.keys().find(|key| !self.columns.contains(key)) {
            return Ok(Err(RowProblem::of(line, column, "is not in the rows before")));
        }
        Ok(Ok(InputRow { line, values: row }))
    }
}

/// An object of plain values, each key once.
struct FlatRow(Row);

impl<'de> Deserialize<'de> for FlatRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = FlatRow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<FlatRow, A::Error> {
                let mut row = Row::new();
                while let Some((key, value)) = map.next_entry::<String, Value>()? {
                    check_value(&value).map_err(|why| A::Error::custom(format!("`{key}` {why}")))?;
                    if row.contains_key(&key) {
                        return Err(A::Error::custom(format!("`{key}` is there twice")));
                    }
                    row.insert(key, value);
                }
                Ok(FlatRow(row))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Whole numbers beyond this were rounded when they were read.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn check_value(value: &Value) -> Result<(), &'static str> {
    match value {
        Value::Array(_) | Value::Object(_) => Err("is a list or an object: rows are flat"),
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.abs() >= EXACT => {
                Err("is too large a number to be kept exactly: write it as text")
            }
            _ => Ok(()),
        },
        Value::String(text) if text.contains('\0') => Err("has a NUL character"),
        _ => Ok(()),
    }
}

/// What serde_json says, without a line that is always 1.
fn tell(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.split(" at line ").next().unwrap_or_default();
    match error.classify() {
        serde_json::error::Category::Data => what.to_owned(),
        _ => format!("is no JSON object: {what} at column {}", error.column()),
    }
}
