//! What counts as a success.

use super::{Problems, SuccessSpec};
use serde_json::Value;
use std::cmp::Ordering;
use std::ops::RangeInclusive;

const OPERATORS: [&str; 8] = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "exists"];
const MOST_CHECKS: usize = 50;

/// By status, and by what stands in a JSON body.
#[derive(Clone, PartialEq, Debug)]
pub struct SuccessRule {
    status: Vec<RangeInclusive<u16>>,
    body: Vec<(Box<str>, Comparison)>,
}

#[derive(Clone, PartialEq, Debug)]
enum Comparison {
    Equal(Value),
    NotEqual(Value),
    Ordered(&'static str, Value),
    OneOf(Vec<Value>),
    Exists(bool),
}

impl SuccessRule {
    pub(super) fn check(field: &str, spec: Option<&SuccessSpec>, problems: &mut Problems) -> Self {
        let spec = spec.cloned().unwrap_or_default();
        let mut status = Vec::new();
        for (number, text) in spec.status.iter().enumerate() {
            match parse_status(text) {
                Some(range) => status.push(range),
                None => problems.add(
                    format!("{field}.status[{number}]"),
                    format!("`{text}` is no status: write \"2xx\", \"409\" or \"200-204\""),
                ),
            }
        }
        if spec.status.is_empty() {
            status.push(200..=299);
        }
        if spec.body.len() > MOST_CHECKS {
            problems.add(format!("{field}.body"), format!("has more than {MOST_CHECKS} comparisons"));
        }
        let mut body = Vec::new();
        for (pointer, wanted) in spec.body.iter().take(MOST_CHECKS) {
            let field = format!("{field}.body.{pointer}");
            if !is_pointer(pointer) {
                problems.add(&field, "is no JSON pointer (RFC 6901): write \"/state\" or \"/items/0/ok\", or \"\" for all of it");
            }
            check_comparison(&field, wanted, problems, |comparison| {
                body.push((pointer.as_str().into(), comparison))
            });
        }
        Self { status, body }
    }

    /// Whether the answer's body must be read to judge.
    pub fn needs_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Judges an answer of which the status alone is known.
    ///
    /// # Errors
    /// Why it is no success, for people.
    pub fn judge_status(&self, status: u16) -> Result<(), String> {
        let is_wanted = self.status.iter().any(|range| range.contains(&status));
        if is_wanted { Ok(()) } else { Err(format!("status {status}")) }
    }

    /// Judges an answer; `body` is `None` when it was too long to be read.
    ///
    /// # Errors
    /// Why it is no success, for people.
    pub fn judge(&self, status: u16, body: Option<&[u8]>) -> Result<(), String> {
        self.judge_status(status)?;
        if self.body.is_empty() {
            return Ok(());
        }
        let body = body.ok_or("the answer is too long to be looked at")?;
        let value: Value = serde_json::from_slice(body).map_err(|_| "the answer is no JSON".to_owned())?;
        self.body.iter().try_for_each(|(pointer, comparison)| {
            comparison.judge(value.pointer(pointer)).map_err(|why| format!("{pointer:?} in the answer {why}"))
        })
    }
}

impl Comparison {
    fn judge(&self, found: Option<&Value>) -> Result<(), String> {
        let holds = match (self, found) {
            (Self::Exists(wanted), found) => found.is_some() == *wanted,
            (Self::NotEqual(wanted), found) => found.is_none_or(|found| !is_equal(found, wanted)),
            (_, None) => return Err("is not there".to_owned()),
            (Self::Equal(wanted), Some(found)) => is_equal(found, wanted),
            (Self::OneOf(wanted), Some(found)) => wanted.iter().any(|wanted| is_equal(found, wanted)),
            (Self::Ordered(operator, wanted), Some(found)) => match (*operator, order(found, wanted)) {
                (_, None) => false,
                ("lt", Some(order)) => order.is_lt(),
                ("lte", Some(order)) => order.is_le(),
                ("gt", Some(order)) => order.is_gt(),
                (_, Some(order)) => order.is_ge(),
            },
        };
        if holds { Ok(()) } else { Err(format!("is {}", found.map_or("not there".to_owned(), shorten))) }
    }
}

fn check_comparison(field: &str, wanted: &Value, problems: &mut Problems, mut add: impl FnMut(Comparison)) {
    let Value::Object(operators) = wanted else { return add(Comparison::Equal(wanted.clone())) };
    if operators.is_empty() {
        problems.add(field, "compares with nothing");
    }
    for (name, wanted) in operators {
        match (OPERATORS.iter().find(|operator| *operator == name), wanted) {
            (Some(&"eq"), _) => add(Comparison::Equal(wanted.clone())),
            (Some(&"ne"), _) => add(Comparison::NotEqual(wanted.clone())),
            (Some(&"in"), Value::Array(wanted)) => add(Comparison::OneOf(wanted.clone())),
            (Some(&"exists"), Value::Bool(wanted)) => add(Comparison::Exists(*wanted)),
            (Some(&"in"), _) => problems.add(format!("{field}.in"), "is no list"),
            (Some(&"exists"), _) => problems.add(format!("{field}.exists"), "is neither true nor false"),
            (Some(operator), Value::Number(_) | Value::String(_)) => {
                add(Comparison::Ordered(operator, wanted.clone()))
            }
            (Some(operator), _) => {
                problems.add(format!("{field}.{operator}"), "is neither a number nor text")
            }
            (None, _) => problems.add(
                format!("{field}.{name}"),
                format!(
                    "is no comparison: there are {}; to compare with an object, use eq",
                    OPERATORS.join(", ")
                ),
            ),
        }
    }
}

/// JSON's numbers are equal by value: `1` is `1.0`.
fn is_equal(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(_), Value::Number(_)) => order(found, wanted) == Some(Ordering::Equal),
        _ => found == wanted,
    }
}

fn order(found: &Value, wanted: &Value) -> Option<Ordering> {
    match (found, wanted) {
        (Value::String(found), Value::String(wanted)) => Some(found.cmp(wanted)),
        (Value::Number(found), Value::Number(wanted)) => {
            let whole = |number: &serde_json::Number| {
                number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
            };
            match (whole(found), whole(wanted)) {
                (Some(found), Some(wanted)) => Some(found.cmp(&wanted)),
                _ => found.as_f64()?.partial_cmp(&wanted.as_f64()?),
            }
        }
        _ => None,
    }
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(80) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn parse_status(text: &str) -> Option<RangeInclusive<u16>> {
    let code = |text: &str| {
        let is_plain = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|code| is_plain && (100..=599).contains(code))
    };
    if let Some(class) = text.strip_suffix("xx") {
        let class = class.parse::<u16>().ok().filter(|class| class_is_known(*class) && text.len() == 3)?;
        return Some(class * 100..=class * 100 + 99);
    }
    match text.split_once('-') {
        Some((from, to)) => Some(code(from)?..=code(to)?).filter(|range| !range.is_empty()),
        None => code(text).map(|code| code..=code),
    }
}

fn class_is_known(class: u16) -> bool {
    (1..=5).contains(&class)
}

fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/'))
        && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}
