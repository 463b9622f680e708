//! A table of few kinds of columns, to and from the bytes of a Parquet file.

use crate::ArchiveError;
use bytes::Bytes;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::Field;
use parquet::schema::parser::parse_message_type;
use std::sync::Arc;

/// What a column holds; every column may be null.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Bytes,
    Integer,
    /// Milliseconds since the Unix epoch.
    Time,
}

/// One value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Null,
    Bytes(Vec<u8>),
    Integer(i64),
}

impl Value {
    pub(crate) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Bytes(text.as_bytes().to_vec()))
    }

    pub(crate) fn number(number: u64) -> Self {
        Self::Integer(number.cast_signed())
    }
}

pub(crate) type Columns = [(&'static str, Kind)];

/// The bytes of a file with these rows.
pub(crate) fn write(columns: &Columns, rows: &[Vec<Value>]) -> Result<Vec<u8>, ArchiveError> {
    let fields: String = columns
        .iter()
        .map(|(name, kind)| match kind {
            Kind::Text => format!("optional binary {name} (UTF8);"),
            Kind::Bytes => format!("optional binary {name};"),
            Kind::Integer => format!("optional int64 {name};"),
            Kind::Time => format!("optional int64 {name} (TIMESTAMP(MILLIS,true));"),
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message doorman {{ {fields} }}"))?);
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut out = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut out, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    let mut index = 0;
    while let Some(mut column) = group.next_column()? {
        let values: Vec<&Value> = rows.iter().filter_map(|row| row.get(index)).collect();
        let levels: Vec<i16> = values.iter().map(|value| i16::from(**value != Value::Null)).collect();
        match columns.get(index).map(|(_, kind)| kind) {
            Some(Kind::Text | Kind::Bytes) => {
                let present = values.iter().filter_map(|value| match value {
                    Value::Bytes(bytes) => Some(ByteArray::from(bytes.clone())),
                    _ => None,
                });
                column.typed::<ByteArrayType>().write_batch(
                    &present.collect::<Vec<_>>(),
                    Some(&levels),
                    None,
                )?;
            }
            _ => {
                let present = values.iter().filter_map(|value| match value {
                    Value::Integer(number) => Some(*number),
                    _ => None,
                });
                column.typed::<Int64Type>().write_batch(&present.collect::<Vec<_>>(), Some(&levels), None)?;
            }
        }
        column.close()?;
        index += 1;
    }
    group.close()?;
    writer.close()?;
    Ok(out)
}

/// The rows of a file that must have exactly these columns.
pub(crate) fn read(columns: &Columns, name: &str, bytes: Bytes) -> Result<Vec<Vec<Value>>, ArchiveError> {
    let reader = SerializedFileReader::new(bytes)?;
    let changed = || ArchiveError::Changed(name.to_owned());
    let mut rows = Vec::new();
    for row in reader.get_row_iter(None)? {
        let row = row?;
        let mut values = Vec::with_capacity(columns.len());
        for ((found, field), (column, _)) in row.get_column_iter().zip(columns) {
            if found != column {
                return Err(changed());
            }
            values.push(match field {
                Field::Null => Value::Null,
                Field::Str(text) => Value::Bytes(text.clone().into_bytes()),
                Field::Bytes(bytes) => Value::Bytes(bytes.data().to_vec()),
                Field::Long(number) | Field::TimestampMillis(number) => Value::Integer(*number),
                _ => return Err(changed()),
            });
        }
        if values.len() != columns.len() {
            return Err(changed());
        }
        rows.push(values);
    }
    Ok(rows)
}
