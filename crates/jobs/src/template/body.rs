//! The body of a templated request: JSON, a form, or text.

use super::text::{Placeholder, Text};
use super::{RowError, Uses, escape};
use bytes::Bytes;
use doorman_core::rollout::{Problems, Row};
use serde_json::{Map, Value};

/// A body with placeholders.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Body {
    Json(Node),
    /// Names and values of `application/x-www-form-urlencoded`.
    Form(Vec<(String, Text)>),
    /// `a=1&b={{x}}`, written by hand.
    FormText(Text),
    Plain(Text),
}

/// JSON whose strings may hold placeholders.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Node {
    /// Without any.
    Literal(Value),
    /// A string that is one placeholder: the value keeps its own type.
    Whole(Placeholder),
    Text(Text),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// How a media type is treated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Media {
    Json,
    Form,
    Plain,
    Other,
}

impl Media {
    fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/x-www-form-urlencoded" => Self::Form,
            "text/plain" => Self::Plain,
            other if other == "application/json" || other.ends_with("+json") => Self::Json,
            _ => Self::Other,
        }
    }
}

impl Body {
    /// Reads a body; also gives the media type to send when the job names none.
    pub fn compile(
        body: &Value,
        content_type: Option<&str>,
        uses: &mut Uses,
        problems: &mut Problems,
    ) -> Option<(Self, &'static str)> {
        const FIELD: &str = "request.body";
        let media = content_type.map(Media::of);
        match (body, media) {
            (Value::String(text), Some(Media::Json)) => match serde_json::from_str(text) {
                Ok(value) => {
                    Some((Self::Json(Node::compile(FIELD, &value, uses, problems)), "application/json"))
                }
                Err(error) => {
                    let why = format!(
                        "is no JSON, though content-type says so ({error}); a placeholder stands in quotes: \"{{{{id|number}}}}\" makes a number"
                    );
                    problems.add(FIELD, why);
                    None
                }
            },
            (Value::String(text), media) => {
                let text = uses.text(FIELD, text, problems)?;
                let has_placeholders = text.as_literal().is_none();
                match media {
                    Some(Media::Form) => Some((Self::FormText(text), "application/x-www-form-urlencoded")),
                    Some(Media::Other | Media::Json) if has_placeholders => {
                        problems.add(FIELD, "has placeholders, and how to escape them in this content-type is not known: there are JSON, forms and text/plain");
                        None
                    }
                    _ => Some((Self::Plain(text), "text/plain; charset=utf-8")),
                }
            }
            (Value::Object(fields), Some(Media::Form)) => {
                let form = fields.iter().filter_map(|(name, value)| {
                    let field = format!("{FIELD}.{name}");
                    check_key(&field, name, problems);
                    let text = match value {
                        Value::String(text) => text.clone(),
                        Value::Number(_) | Value::Bool(_) => value.to_string(),
                        _ => {
                            problems.add(&field, "is no text: a form has plain values");
                            return None;
                        }
                    };
                    Some((name.clone(), uses.text(&field, &text, problems)?))
                });
                Some((Self::Form(form.collect()), "application/x-www-form-urlencoded"))
            }
            (_, Some(Media::Plain | Media::Other | Media::Form)) => {
                problems.add(FIELD, "is JSON, but the content-type header says otherwise");
                None
            }
            (value, _) => Some((Self::Json(Node::compile(FIELD, value, uses, problems)), "application/json")),
        }
    }

    pub fn render(&self, row: &Row) -> Result<Bytes, RowError> {
        let text = match self {
            Self::Json(node) => return Ok(serde_json::to_vec(&node.render(row)?).unwrap_or_default().into()),
            Self::FormText(text) => text.render(row, escape::form)?,
            Self::Plain(text) => text.render(row, escape::plain)?,
            Self::Form(fields) => {
                let mut out = String::new();
                for (name, text) in fields {
                    if !out.is_empty() {
                        out.push('&');
                    }
                    // Escaping for a form refuses nothing.
                    let _ = escape::form(name, &mut out);
                    out.push('=');
                    let _ = escape::form(&text.render(row, escape::plain)?, &mut out);
                }
                out
            }
        };
        Ok(text.into())
    }
}

impl Node {
    fn compile(field: &str, value: &Value, uses: &mut Uses, problems: &mut Problems) -> Self {
        match value {
            Value::String(text) => match uses.text(field, text, problems) {
                None => Self::Literal(Value::Null),
                Some(text) => match (text.as_literal(), text.as_placeholder()) {
                    (Some(literal), _) => Self::Literal(Value::String(literal.into_owned())),
                    (None, Some(placeholder)) => Self::Whole(placeholder.clone()),
                    (None, None) => Self::Text(text),
                },
            },
            Value::Array(elements) => {
                let nodes = elements
                    .iter()
                    .enumerate()
                    .map(|(at, element)| Self::compile(&format!("{field}[{at}]"), element, uses, problems));
                Self::Array(nodes.collect())
            }
            Value::Object(fields) => {
                let nodes = fields.iter().map(|(key, value)| {
                    let field = format!("{field}.{key}");
                    check_key(&field, key, problems);
                    (key.clone(), Self::compile(&field, value, uses, problems))
                });
                Self::Object(nodes.collect())
            }
            other => Self::Literal(other.clone()),
        }
    }

    fn render(&self, row: &Row) -> Result<Value, RowError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Whole(placeholder) => placeholder.value(row),
            Self::Text(text) => text.render(row, escape::plain).map(Value::String),
            Self::Array(nodes) => {
                nodes.iter().map(|node| node.render(row)).collect::<Result<_, _>>().map(Value::Array)
            }
            Self::Object(nodes) => {
                let fields = nodes.iter().map(|(key, node)| Ok((key.clone(), node.render(row)?)));
                fields.collect::<Result<Map<_, _>, _>>().map(Value::Object)
            }
        }
    }
}

fn check_key(field: &str, key: &str, problems: &mut Problems) {
    if key.contains("{{") {
        problems.add(field, "is a name, and names have no placeholders");
    }
}
