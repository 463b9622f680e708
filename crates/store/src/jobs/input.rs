//! Rows to run over: written in chunks while they arrive, whole or not at all to everybody else.

use crate::driver::{Value, args};
use crate::{Database, StoreError};

/// Rows of one INSERT.
const AT_ONCE: usize = 500;

/// One row of an input.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InputRow {
    /// From 0, without gaps.
    pub number: u64,
    /// The line on which it began, from 1.
    pub line: u64,
    /// Its columns as a JSON object.
    pub content: String,
}

/// What is known of an input.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InputAbout {
    /// Its columns, in their order.
    pub columns: Vec<String>,
    /// How many rows it has.
    pub rows: u64,
    /// Duplicates that were left out.
    pub duplicates: u64,
    /// Bytes as they came.
    pub bytes: u64,
    /// SHA-256 of them, lower-case hex.
    pub sha256: String,
}

impl Database {
    /// Begins an input. Until [`Database::finish_input`] nobody may use it.
    pub async fn begin_input(&self, id: &[u8; 16], now_ms: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO job_input (id, is_ready, column_names, row_count, duplicates, bytes, sha256, created_ms) \
             VALUES (?, 0, '[]', 0, 0, 0, '', ?)";
        self.pool.execute(sql, args![id, now_ms]).await.map(drop)
    }

    /// Adds rows.
    pub async fn add_input_rows(&self, input: &[u8; 16], rows: &[InputRow]) -> Result<(), StoreError> {
        for rows in rows.chunks(AT_ONCE) {
            let mut sql = "INSERT INTO job_input_row (input, number, line, content) VALUES ".to_owned();
            let mut args: Vec<Value<'_>> = Vec::with_capacity(4 * rows.len());
            for (index, row) in rows.iter().enumerate() {
                sql.push_str(if index == 0 { "(?, ?, ?, ?)" } else { ", (?, ?, ?, ?)" });
                args.extend([input.into(), row.number.into(), row.line.into(), (&row.content).into()]);
            }
            self.pool.execute(sql, &args).await?;
        }
        Ok(())
    }

    /// Ends an input: from now on it never changes.
    pub async fn finish_input(&self, id: &[u8; 16], about: &InputAbout) -> Result<(), StoreError> {
        let sql = "UPDATE job_input SET is_ready = 1, column_names = ?, row_count = ?, duplicates = ?, bytes = ?, \
             sha256 = ? WHERE id = ?";
        let columns = crate::sessions::encode_list(&about.columns);
        let args = args![columns, about.rows, about.duplicates, about.bytes, &about.sha256, id];
        self.pool.execute(sql, args).await.map(drop)
    }

    /// What is known of a finished input.
    pub async fn input(&self, id: &[u8; 16]) -> Result<Option<InputAbout>, StoreError> {
        let sql = "SELECT column_names, row_count, duplicates, bytes, sha256 FROM job_input WHERE id = ? AND is_ready = 1";
        let Some(row) = self.pool.row(sql, args![id]).await? else { return Ok(None) };
        Ok(Some(InputAbout {
            columns: crate::sessions::decode_list(&row.text(0)?)?,
            rows: row.uint(1)?,
            duplicates: row.uint(2)?,
            bytes: row.uint(3)?,
            sha256: row.text(4)?,
        }))
    }

    /// The rows from `from` up to, but not, `until`.
    pub async fn input_rows(
        &self,
        input: &[u8; 16],
        from: u64,
        until: u64,
    ) -> Result<Vec<InputRow>, StoreError> {
        let sql = "SELECT number, line, content FROM job_input_row WHERE input = ? AND number >= ? AND number < ? \
             ORDER BY number";
        let rows = self.pool.rows(sql, args![input, from, until]).await?;
        let read = |row: &crate::driver::Row| {
            Ok(InputRow { number: row.uint(0)?, line: row.uint(1)?, content: row.text(2)? })
        };
        rows.iter().map(read).collect()
    }

    /// Deletes an input with its rows, a part at a time, so that the journal need not wait long.
    pub async fn drop_input(&self, id: &[u8; 16]) -> Result<(), StoreError> {
        let mut from = 0u64;
        loop {
            let sql = "SELECT MIN(number) FROM job_input_row WHERE input = ? AND number >= ?";
            let row = self.pool.row(sql, args![id, from]).await?;
            let Some(first) = row.and_then(|row| row.opt_uint(0).ok().flatten()) else { break };
            from = first + 2_000;
            let sql = "DELETE FROM job_input_row WHERE input = ? AND number < ?";
            self.pool.execute(sql, args![id, from]).await?;
        }
        self.pool.execute("DELETE FROM job_input WHERE id = ?", args![id]).await.map(drop)
    }

    /// Inputs that were begun before `before_ms` and belong to nothing.
    pub async fn stray_inputs(&self, before_ms: u64) -> Result<Vec<[u8; 16]>, StoreError> {
        let sql = "SELECT i.id FROM job_input i WHERE i.created_ms < ? \
             AND NOT EXISTS (SELECT 1 FROM job j WHERE j.input = i.id) \
             AND NOT EXISTS (SELECT 1 FROM job_edit e WHERE e.input = i.id) \
             AND NOT EXISTS (SELECT 1 FROM run r WHERE r.input = i.id)";
        self.pool.rows(sql, args![before_ms]).await?.iter().map(|row| row.array(0)).collect()
    }
}
