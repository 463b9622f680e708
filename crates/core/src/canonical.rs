//! The canonical bytes (RFC 8785) of a record that is at hand as some JSON text: how a leaf is rebuilt from an export,
//! however that was formatted since.
//!
//! Of numbers, only integers up to 2⁵³ − 1 are taken: a record holds no others. A name that occurs twice in one object
//! is refused, since two readers could see two different records.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;

/// The largest integer that every JSON library keeps (RFC 7493 §2.2).
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// A JSON value whose names are known to be unique.
enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Value>),
    /// By the name's UTF-16 code units, which is the order of RFC 8785 §3.2.3.
    Object(BTreeMap<Vec<u16>, (String, Value)>),
}

/// The canonical bytes of `json`.
///
/// # Errors
/// When it is no JSON, or JSON that no record can be.
pub fn canonicalize(json: &str) -> Result<Vec<u8>, serde_json::Error> {
    let value: Value = serde_json::from_str(json)?;
    let mut out = Vec::with_capacity(json.len());
    write(&value, &mut out);
    Ok(out)
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Integer(number) => out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes()),
        Value::Text(text) => write_text(text, out),
        Value::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                separate(at, out);
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (at, (name, value)) in fields.values().enumerate() {
                separate(at, out);
                write_text(name, out);
                out.push(b':');
                write(value, out);
            }
            out.push(b'}');
        }
    }
}

fn separate(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

/// `serde_json` escapes exactly what RFC 8785 §3.2.2.2 asks for.
fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a string to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON with integers only")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        if value > MAX_INTEGER {
            return Err(E::custom("an integer beyond 2^53 - 1"));
        }
        Ok(Value::Integer(value.cast_signed()))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        if value.unsigned_abs() > MAX_INTEGER {
            return Err(E::custom("an integer beyond 2^53 - 1"));
        }
        Ok(Value::Integer(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = BTreeMap::new();
        while let Some((name, value)) = fields.next_entry::<String, Value>()? {
            if object.insert(name.encode_utf16().collect(), (name, value)).is_some() {
                return Err(A::Error::custom("a name occurs twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_does_not_matter_and_names_are_sorted_by_utf16() {
        let text = "{ \"b\" : [ 1 , -2, true, null ], \"\\u20ac\":\"\\u00e9\\/\\u000f\\n\", \"a\": {}, \"\\ud83d\\ude02\": 1, \"\u{fb33}\": 2 }";
        let canonical = "{\"a\":{},\"b\":[1,-2,true,null],\"€\":\"é/\\u000f\\n\",\"😂\":1,\"\u{fb33}\":2}";
        assert_eq!(String::from_utf8(canonicalize(text).unwrap()).unwrap(), canonical);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        for text in [
            "{\"a\":1,\"a\":1}",
            "{\"a\":{\"b\":1,\"\\u0062\":2}}",
            "1.5",
            "1e3",
            "9007199254740992",
            "[1",
            "\"\\ud800\"",
            "{} {}",
        ] {
            assert!(canonicalize(text).is_err(), "{text}");
        }
        assert_eq!(canonicalize("9007199254740991").unwrap(), b"9007199254740991");
    }
}
