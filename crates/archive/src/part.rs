//! Batches as rows. What is proven are `claims` and `record`; the other columns of an entry follow from its record, and are
//! compared with it when an archive is read.

use crate::ArchiveError;
use crate::manifest::Part;
use crate::table::{self, Columns, Kind, Value};
use bytes::Bytes;
use doorman_core::id::AuditId;
use serde_json::Value as Json;

/// An archived batch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivedBatch {
    /// The statement's number.
    pub number: u64,
    /// The statement's body.
    pub statement: Vec<u8>,
    /// Its signature, where somebody has it.
    pub signature: Option<Vec<u8>>,
    /// The ids of its first and last entry.
    pub span: (AuditId, AuditId),
    /// The entries, in the order of their leaves; none where they went by retention.
    pub entries: Vec<ArchivedEntry>,
}

/// An archived entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ArchivedEntry {
    /// Its id.
    pub id: AuditId,
    /// What its pass says.
    pub claims: Vec<u8>,
    /// The record's canonical bytes.
    pub record: Vec<u8>,
}

/// Text columns of the same name in the record.
const OF_RECORD: [&str; 17] = [
    "kind",
    "actor",
    "subject",
    "channel",
    "client_ip",
    "region",
    "service",
    "instance",
    "method",
    "path",
    "query",
    "reason",
    "decision",
    "attempt",
    "state",
    "error",
    "run",
];

const ENTRIES: &Columns = &[
    ("id", Kind::Text),
    ("time", Kind::Time),
    ("writer", Kind::Text),
    ("number", Kind::Integer),
    ("status", Kind::Integer),
    ("duration_ms", Kind::Integer),
    ("kind", Kind::Text),
    ("actor", Kind::Text),
    ("subject", Kind::Text),
    ("channel", Kind::Text),
    ("client_ip", Kind::Text),
    ("region", Kind::Text),
    ("service", Kind::Text),
    ("instance", Kind::Text),
    ("method", Kind::Text),
    ("path", Kind::Text),
    ("query", Kind::Text),
    ("reason", Kind::Text),
    ("decision", Kind::Text),
    ("attempt", Kind::Text),
    ("state", Kind::Text),
    ("error", Kind::Text),
    ("run", Kind::Text),
    ("claims", Kind::Bytes),
    ("record", Kind::Text),
];

const STATEMENTS: &Columns = &[
    ("writer", Kind::Text),
    ("number", Kind::Integer),
    ("first_id", Kind::Text),
    ("last_id", Kind::Text),
    ("body", Kind::Bytes),
    ("signature", Kind::Bytes),
];

pub(crate) fn entries_file(writer: &str, batches: &[ArchivedBatch]) -> Result<Vec<u8>, ArchiveError> {
    let rows: Vec<_> = batches
        .iter()
        .flat_map(|batch| batch.entries.iter().map(|entry| entry_row(writer, batch.number, entry)))
        .collect();
    table::write(ENTRIES, &rows)
}

fn entry_row(writer: &str, number: u64, entry: &ArchivedEntry) -> Vec<Value> {
    let json: Json = serde_json::from_slice(&entry.record).unwrap_or_default();
    let integer = |name: &str| json.get(name).and_then(Json::as_i64).map_or(Value::Null, Value::Integer);
    let mut row = vec![
        Value::text(Some(&entry.id.to_string())),
        Value::number(entry.id.unix_ms()),
        Value::text(Some(writer)),
        Value::number(number),
        integer("status"),
        integer("duration_ms"),
    ];
    row.extend(OF_RECORD.iter().map(|name| Value::text(json.get(name).and_then(Json::as_str))));
    row.push(Value::Bytes(entry.claims.clone()));
    row.push(Value::Bytes(entry.record.clone()));
    row
}

pub(crate) fn statements_file(writer: &str, batches: &[ArchivedBatch]) -> Result<Vec<u8>, ArchiveError> {
    let row = |batch: &ArchivedBatch| {
        vec![
            Value::text(Some(writer)),
            Value::number(batch.number),
            Value::text(Some(&batch.span.0.to_string())),
            Value::text(Some(&batch.span.1.to_string())),
            Value::Bytes(batch.statement.clone()),
            batch.signature.clone().map_or(Value::Null, Value::Bytes),
        ]
    };
    table::write(STATEMENTS, &batches.iter().map(row).collect::<Vec<_>>())
}

/// What [`entries_file`] and [`statements_file`] wrote.
pub(crate) fn read(
    part: &Part,
    entries: Bytes,
    statements: Bytes,
) -> Result<Vec<ArchivedBatch>, ArchiveError> {
    let mut batches = Vec::new();
    for row in table::read(STATEMENTS, &part.statements, statements)? {
        batches.push(batch_of(row).ok_or_else(|| ArchiveError::Changed(part.statements.clone()))?);
    }
    let changed = || ArchiveError::Changed(part.entries.clone());
    let mut at = 0;
    for row in table::read(ENTRIES, &part.entries, entries)? {
        let (writer, number, entry) = entry_of(&row).ok_or_else(changed)?;
        if entry_row(&writer, number, &entry) != row {
            return Err(ArchiveError::Changed(format!("entry {} in {}", entry.id, part.entries)));
        }
        while batches.get(at).is_some_and(|batch| batch.number < number) {
            at += 1;
        }
        let batch = batches.get_mut(at).filter(|batch| batch.number == number).ok_or_else(changed)?;
        batch.entries.push(entry);
    }
    Ok(batches)
}

fn batch_of(row: Vec<Value>) -> Option<ArchivedBatch> {
    let [_, number, first, last, body, signature] = <[Value; 6]>::try_from(row).ok()?;
    Some(ArchivedBatch {
        number: integer(&number)?,
        statement: bytes(&body)?.to_vec(),
        signature: bytes(&signature).map(<[u8]>::to_vec),
        span: (id(&first)?, id(&last)?),
        entries: Vec::new(),
    })
}

fn entry_of(row: &[Value]) -> Option<(String, u64, ArchivedEntry)> {
    let [own_id, _, writer, number, .., claims, record] = row else { return None };
    let writer = String::from_utf8(bytes(writer)?.to_vec()).ok()?;
    let entry =
        ArchivedEntry { id: id(own_id)?, claims: bytes(claims)?.to_vec(), record: bytes(record)?.to_vec() };
    Some((writer, integer(number)?, entry))
}

fn integer(value: &Value) -> Option<u64> {
    if let Value::Integer(number) = value { u64::try_from(*number).ok() } else { None }
}

fn bytes(value: &Value) -> Option<&[u8]> {
    if let Value::Bytes(bytes) = value { Some(bytes) } else { None }
}

fn id(value: &Value) -> Option<AuditId> {
    std::str::from_utf8(bytes(value)?).ok()?.parse().ok()
}
