//! From the tree to Rust types by serde, with errors that keep what they are about.

use super::tree::{Node, Table, Value};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, IntoDeserializer, Visitor};
use std::fmt;

/// Why serde refused a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mismatch {
    /// The table has no such key; these it has.
    UnknownKey(&'static [&'static str]),
    /// The table lacks this key.
    MissingKey(String),
    /// The text is none of these.
    UnknownChoice(String, &'static [&'static str]),
    /// A value of another type.
    Type {
        /// Text, number, …
        expected: String,
        /// What is there.
        found: String,
    },
    /// What a type's own parser said.
    Other(String),
}

/// Decodes `node`; on failure also says where.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, serde_path_to_error::Error<Mismatch>> {
    serde_path_to_error::deserialize(Decoder(node))
}

#[derive(Clone, Copy)]
struct Decoder<'a>(&'a Node);

impl<'de> de::Deserializer<'de> for Decoder<'_> {
    type Error = Mismatch;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match &self.0.value {
            Value::Text(text) => visitor.visit_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Boolean(value) => visitor.visit_bool(*value),
            Value::Datetime => Err(de::Error::invalid_type(de::Unexpected::Other("date"), &visitor)),
            Value::Array(array) => {
                let mut elements = SeqDeserializer::new(array.iter().map(Decoder));
                let value = visitor.visit_seq(&mut elements)?;
                elements.end()?;
                Ok(value)
            }
            Value::Table(table) => visit_table(table, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match &self.0.value {
            Value::Text(text) => {
                visitor.visit_enum(IntoDeserializer::<Mismatch>::into_deserializer(text.as_str()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

fn visit_table<'de, V: Visitor<'de>>(table: &Table, visitor: V) -> Result<V::Value, Mismatch> {
    let mut entries =
        MapDeserializer::new(table.iter().map(|(key, entry)| (key.as_str(), Decoder(&entry.node))));
    let value = visitor.visit_map(&mut entries)?;
    entries.end()?;
    Ok(value)
}

impl<'de> IntoDeserializer<'de, Mismatch> for Decoder<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        let found = match found {
            de::Unexpected::Bool(_) => "true or false".to_owned(),
            de::Unexpected::Signed(_) | de::Unexpected::Unsigned(_) => "a number".to_owned(),
            de::Unexpected::Float(_) => "a number with a fraction".to_owned(),
            de::Unexpected::Str(_) => "text".to_owned(),
            de::Unexpected::Seq => "a list".to_owned(),
            de::Unexpected::Map => "a table".to_owned(),
            other => other.to_string(),
        };
        Self::Type { expected: describe(expected), found }
    }

    fn invalid_value(found: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::Type { expected: describe(expected), found: found.to_string() }
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownKey(expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::MissingKey(field.to_owned())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::UnknownChoice(variant.to_owned(), expected)
    }
}

/// serde's names of types, in an operator's words.
fn describe(expected: &dyn de::Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "a string" | "string" | "path string" => "text in quotes".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list in brackets".to_owned(),
        "a map" => "a table".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number of 0 or more".to_owned(),
        "a nonzero usize" | "a nonzero u32" | "a nonzero u64" => "a whole number of 1 or more".to_owned(),
        "i32" | "i64" => "a whole number".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey(_) => f.write_str("no such key"),
            Self::MissingKey(key) => write!(f, "`{key}` is missing"),
            Self::UnknownChoice(given, _) => write!(f, "`{given}` is none of the choices"),
            Self::Type { expected, found } => write!(f, "expected {expected}, found {found}"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Mismatch {}
