//! TOML text, and single values from the environment, to a tree.

use super::tree::{Entry, Node, Table, Value};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A fault against TOML's grammar.
pub struct Malformed {
    pub message: String,
    pub span: Range<usize>,
}

/// Parses a file, as much of it as can be understood.
pub fn parse_file(text: &str) -> (Node, Vec<Malformed>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Malformed> = errors
        .iter()
        .map(|error| Malformed { message: error.message().to_owned(), span: error.span().unwrap_or(0..0) })
        .collect();
    let value = Value::Table(convert_table(table.get_ref(), 0, &mut faults));
    (Node { span: 0..0, value }, faults)
}

/// Reads the value of a variable, whose text begins at byte `start` of the document: a TOML number, boolean, array,
/// inline table or quoted text if it is one, otherwise the text as it is.
pub fn parse_value(text: &str, start: usize) -> Node {
    let parsed = DeValue::parse(text).ok().filter(|value| is_meant_as_toml(value.get_ref(), text));
    let mut faults = Vec::new();
    let node = parsed.map(|value| convert(&value, start, &mut faults));
    match node {
        Some(node) if faults.is_empty() => node,
        _ => Node { span: start..start + text.len(), value: Value::Text(text.to_owned()) },
    }
}

/// `inf` is a name before it is a number, and `2026-01-01` is a text like any other.
fn is_meant_as_toml(value: &DeValue<'_>, text: &str) -> bool {
    match value {
        DeValue::Datetime(_) => false,
        DeValue::Float(_) => text.bytes().any(|byte| byte.is_ascii_digit()),
        _ => true,
    }
}

fn convert_table(table: &DeTable<'_>, start: usize, faults: &mut Vec<Malformed>) -> Table {
    let entries = table.iter().map(|(key, value)| {
        let entry = Entry { key_span: shift(key.span(), start), node: convert(value, start, faults) };
        (key.get_ref().to_string(), entry)
    });
    entries.collect()
}

fn convert(value: &Spanned<DeValue<'_>>, start: usize, faults: &mut Vec<Malformed>) -> Node {
    let span = shift(value.span(), start);
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(_) => Value::Datetime,
        DeValue::Array(array) => {
            Value::Array(array.iter().map(|value| convert(value, start, faults)).collect())
        }
        DeValue::Table(table) => Value::Table(convert_table(table, start, faults)),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => {
                faults.push(Malformed { message: "the number is too large".to_owned(), span: span.clone() });
                Value::Integer(0)
            }
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
    };
    Node { span, value }
}

fn shift(span: Range<usize>, start: usize) -> Range<usize> {
    span.start + start..span.end + start
}
