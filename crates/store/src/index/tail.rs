//! How far the index is, and what of the journal lies beyond.

use crate::driver::{Pool, args};
use crate::index::row::Meaning;
use crate::{Database, StoreError};
use doorman_core::id::AuditId;
use doorman_core::statement::WriterId;
use std::collections::HashMap;

/// One writer's place in the index.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    pub next_number: u64,
    pub last_id: AuditId,
}

/// Some statements of one writer that are not indexed.
pub(crate) struct Span {
    pub writer: WriterId,
    pub from: Place,
    pub to: Place,
    pub first_id: AuditId,
    pub entries: u64,
}

/// The first statement of a span.
struct First {
    number: u64,
    first_index: u64,
    first_id: AuditId,
}

impl Database {
    pub(crate) async fn index_places(&self) -> Result<HashMap<WriterId, Place>, StoreError> {
        let rows = self.index.rows("SELECT writer, next_number, last_id FROM audit_cursor", &[]).await?;
        let place = |row: &crate::driver::Row| {
            let place = Place { next_number: row.uint(1)?, last_id: AuditId(row.array(2)?) };
            Ok((WriterId(row.array(0)?), place))
        };
        rows.iter().map(place).collect()
    }

    /// Each writer's next unindexed statements, `max` entries of each or, with the rest of a statement, a
    /// few more; fewer where there are no more.
    pub(crate) async fn unindexed_spans(
        &self,
        places: &HashMap<WriterId, Place>,
        max: u64,
    ) -> Result<Vec<Span>, StoreError> {
        let mut spans = Vec::new();
        for (writer, from) in self.writers_behind(places).await? {
            spans.extend(self.span_from(writer, from, max).await?);
        }
        Ok(spans)
    }

    /// The first id that may not be indexed; `None` when all is.
    pub(crate) async fn unindexed_from(
        &self,
        places: &HashMap<WriterId, Place>,
    ) -> Result<Option<AuditId>, StoreError> {
        let mut earliest = None;
        for (writer, from) in self.writers_behind(places).await? {
            let first = self.statement_from(writer, from.next_number).await?.map(|first| first.first_id);
            earliest = earliest.into_iter().chain(first).min();
        }
        Ok(earliest)
    }

    /// The writers with statements that are not indexed, and how far each is.
    async fn writers_behind(
        &self,
        places: &HashMap<WriterId, Place>,
    ) -> Result<Vec<(WriterId, Place)>, StoreError> {
        let newest = "SELECT id, (SELECT MAX(number) FROM statement WHERE writer = writer.id) FROM writer";
        let mut behind = Vec::new();
        for row in self.pool.rows(newest, &[]).await? {
            let writer = WriterId(row.array(0)?);
            let from = places.get(&writer).copied().unwrap_or_default();
            if row.opt_uint(1)?.is_some_and(|newest| newest >= from.next_number) {
                behind.push((writer, from));
            }
        }
        Ok(behind)
    }

    /// The writer's first statement of that number or a later one.
    async fn statement_from(&self, writer: WriterId, number: u64) -> Result<Option<First>, StoreError> {
        let sql = "SELECT number, first_index, first_id FROM statement WHERE writer = ? AND number >= ? \
             ORDER BY number LIMIT 1";
        let row = self.pool.row(sql, args![writer.0, number]).await?;
        let first = |row: crate::driver::Row| {
            Ok(First { number: row.uint(0)?, first_index: row.uint(1)?, first_id: AuditId(row.array(2)?) })
        };
        row.map(first).transpose()
    }

    /// Two rows, whatever the span: those of its first and last statement.
    async fn span_from(&self, writer: WriterId, from: Place, max: u64) -> Result<Option<Span>, StoreError> {
        let Some(First { number, first_index, first_id }) =
            self.statement_from(writer, from.next_number).await?
        else {
            return Ok(None);
        };
        // Each has an entry at least: `max` of them are enough.
        let sql = "SELECT number, first_index + count, last_id FROM statement WHERE writer = ? AND number >= ? \
             AND number < ? AND first_index < ? ORDER BY number DESC LIMIT 1";
        let max = max.max(1);
        let bounds = args![writer.0, number, number.saturating_add(max), first_index.saturating_add(max)];
        let last = self.pool.row(sql, bounds).await?;
        let Some(last) = last else { return Ok(None) };
        let to = Place { next_number: last.uint(0)? + 1, last_id: AuditId(last.array(2)?) };
        let entries = last.uint(1)?.saturating_sub(first_index);
        Ok(Some(Span { writer, from, to, first_id, entries }))
    }
}

impl Span {
    /// The span's records, in the order of their ids.
    pub(crate) async fn meanings(&self, journal: &Pool) -> Result<Vec<Meaning>, StoreError> {
        let sql = "SELECT record FROM journal WHERE id >= ? AND id <= ? AND writer = ? ORDER BY id";
        let rows = journal.rows(sql, args![self.first_id.0, self.to.last_id.0, self.writer.0]).await?;
        let mut meanings = Vec::with_capacity(rows.len());
        for row in rows {
            match Meaning::of(&row.bytes(0)?) {
                Some(meaning) => meanings.push(meaning),
                None => {
                    tracing::error!(writer = %self.writer, "the journal holds a record that cannot be read")
                }
            }
        }
        Ok(meanings)
    }
}
