//! `text with {{column}} in it`: the syntax of placeholders.
//!
//! `{{column}}` is the row's value. `{{column|number}}`, `{{column|boolean}}` and `{{column|text}}` also say what it must be.
//! `{{'{{'}}` is two braces. Spaces inside the braces mean nothing.

use super::RowError;
use doorman_core::rollout::Row;
use serde_json::{Number, Value};
use std::borrow::Cow;

/// A text with placeholders.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Text(Vec<Part>);

#[derive(Clone, PartialEq, Debug)]
enum Part {
    Literal(Box<str>),
    Column(Placeholder),
}

/// One `{{column|kind}}`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Placeholder {
    pub column: Box<str>,
    pub kind: Option<Kind>,
}

/// What a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
}

/// Why a template is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum TextError {
    #[error("`{{{{` is not closed by `}}}}`: write {{{{'{{{{'}}}} for two plain braces")]
    Open,
    #[error("`{{{{{0}}}}}` names no column: a name has no braces, quotes or `|`")]
    Name(String),
    #[error("`{0}` is no kind of value: there are text, number and boolean")]
    Kind(String),
}

impl Text {
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            push_literal(&mut parts, before);
            rest = match after.trim_start().strip_prefix('\'') {
                Some(quoted) => {
                    let (literal, after) = quoted.split_once('\'').ok_or(TextError::Open)?;
                    push_literal(&mut parts, literal);
                    after.trim_start().strip_prefix("}}").ok_or(TextError::Open)?
                }
                None => {
                    let (inside, after) = after.split_once("}}").ok_or(TextError::Open)?;
                    parts.push(Part::Column(Placeholder::parse(inside)?));
                    after
                }
            };
        }
        push_literal(&mut parts, rest);
        Ok(Self(parts))
    }

    /// All columns it uses.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(_) => None,
            Part::Column(placeholder) => Some(&*placeholder.column),
        })
    }

    /// Its text, if it has no placeholder.
    pub fn as_literal(&self) -> Option<Cow<'_, str>> {
        match self.0.as_slice() {
            [] => Some("".into()),
            [Part::Literal(text)] => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }

    /// The placeholder, if it is nothing else.
    pub fn as_placeholder(&self) -> Option<&Placeholder> {
        match self.0.as_slice() {
            [Part::Column(placeholder)] => Some(placeholder),
            _ => None,
        }
    }

    /// Its literal parts, each by itself.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(&**text),
            Part::Column(_) => None,
        })
    }

    /// Every placeholder replaced by a value that can do no harm anywhere.
    pub fn render_sample(&self) -> String {
        let parts = self.0.iter().map(|part| match part {
            Part::Literal(text) => text,
            Part::Column(_) => "0",
        });
        parts.collect()
    }

    /// Fills in a row; `escape` writes each value for the place it stands in, or says why it cannot stand there.
    pub fn render(
        &self,
        row: &Row,
        escape: impl Fn(&str, &mut String) -> Result<(), &'static str>,
    ) -> Result<String, RowError> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Column(placeholder) => {
                    let value = placeholder.text(row)?;
                    escape(&value, &mut out).map_err(|why| placeholder.refuse(why))?;
                }
            }
        }
        Ok(out)
    }
}

/// Neighbouring literals are one, so that [`Text::as_literal`] finds it.
fn push_literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(before)) => *before = format!("{before}{text}").into(),
        _ => parts.push(Part::Literal(text.into())),
    }
}

impl Placeholder {
    fn parse(inside: &str) -> Result<Self, TextError> {
        let (column, kind) = match inside.split_once('|') {
            None => (inside.trim(), None),
            Some((column, kind)) => (column.trim(), Some(Kind::parse(kind.trim())?)),
        };
        if column.is_empty() || column.contains(['{', '}', '\'']) {
            return Err(TextError::Name(inside.to_owned()));
        }
        Ok(Self { column: column.into(), kind })
    }

    /// The row's value as text.
    pub fn text<'a>(&self, row: &'a Row) -> Result<Cow<'a, str>, RowError> {
        let value = self.find(row)?;
        if let Some(kind @ (Kind::Number | Kind::Boolean)) = self.kind {
            kind.read(value).ok_or_else(|| self.refuse(kind.refusal()))?;
        }
        match value {
            Value::String(text) => Ok(Cow::Borrowed(text)),
            Value::Number(_) | Value::Bool(_) => Ok(Cow::Owned(value.to_string())),
            Value::Null => Err(self.refuse("is null")),
            Value::Array(_) | Value::Object(_) => Err(self.refuse("is a list or an object")),
        }
    }

    /// The row's value as JSON: of its own type, unless the placeholder names one.
    pub fn value(&self, row: &Row) -> Result<Value, RowError> {
        let value = self.find(row)?;
        match self.kind {
            None if value.is_array() || value.is_object() => Err(self.refuse("is a list or an object")),
            None => Ok(value.clone()),
            Some(Kind::Text) => Ok(Value::String(self.text(row)?.into_owned())),
            Some(kind) => kind.read(value).ok_or_else(|| self.refuse(kind.refusal())),
        }
    }

    fn find<'a>(&self, row: &'a Row) -> Result<&'a Value, RowError> {
        row.get(&*self.column).ok_or_else(|| self.refuse("is not in this row"))
    }

    fn refuse(&self, why: &'static str) -> RowError {
        RowError { column: Some(self.column.clone()), detail: why.into() }
    }
}

impl Kind {
    fn parse(text: &str) -> Result<Self, TextError> {
        match text {
            "text" => Ok(Self::Text),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            other => Err(TextError::Kind(other.to_owned())),
        }
    }

    fn refusal(self) -> &'static str {
        match self {
            Self::Text => "is no text",
            Self::Number => "is no number, or one too large to be kept exactly",
            Self::Boolean => "is neither true nor false",
        }
    }

    fn read(self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Self::Number, Value::Number(_)) | (Self::Boolean, Value::Bool(_)) => Some(value.clone()),
            (Self::Number, Value::String(text)) => {
                let number: Number = serde_json::from_str(text).ok()?;
                let is_exact = !number.is_f64() || text.contains(['.', 'e', 'E']);
                // `from_str` takes spaces around the number, which are no part of it.
                (is_exact && text.trim() == text).then_some(Value::Number(number))
            }
            // Spreadsheets write them in capitals.
            (Self::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("true") => {
                Some(Value::Bool(true))
            }
            (Self::Boolean, Value::String(text)) if text.eq_ignore_ascii_case("false") => {
                Some(Value::Bool(false))
            }
            _ => None,
        }
    }
}
