//! Saved requests: whose they are, which groups share them, and their edits.
//!
//! What a request is stays with the caller: `content` is text to be given back as it came.

use crate::driver::{Row, Tx, Value, args};
use crate::{Database, StoreError, cursor};

/// One saved request. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedRequestRow {
    /// Tells it from others; lists are in its order.
    pub id: [u8; 16],
    /// Whose it is: `user:alice`.
    pub owner: String,
    /// Counts edits, from 1.
    pub version: u64,
    /// Groups whose members see it, too.
    pub groups: Vec<String>,
    /// What is searched: lower case.
    pub search: String,
    /// The request itself.
    pub content: String,
    /// When it was last edited.
    pub updated_ms: u64,
    /// By whom.
    pub updated_by: String,
}

/// One edit of a saved request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedEditRow {
    /// The version that it made.
    pub version: u64,
    /// What the request was then.
    pub content: String,
    /// When.
    pub at_ms: u64,
    /// By whom.
    pub by: String,
}

/// Who looks: their own requests are in sight, and those that one of their groups shares.
#[derive(Clone, Copy, Debug)]
pub struct Viewer<'a> {
    /// `user:alice`.
    pub principal: &'a str,
    /// Their groups.
    pub groups: &'a [String],
}

/// Edits that are kept of one request; older ones go.
const KEPT_EDITS: u64 = 100;
const COLUMNS: &str = "s.id, s.owner, s.version, s.search, s.content, s.updated_ms, s.updated_by";

impl Database {
    /// Adds a request as its version 1.
    pub async fn insert_saved_request(&self, row: &SavedRequestRow) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = "INSERT INTO saved_request (id, owner, version, search, content, updated_ms, updated_by) \
             VALUES (?, ?, ?, ?, ?, ?, ?)";
        let args = args![
            row.id,
            &row.owner,
            row.version,
            &row.search,
            &row.content,
            row.updated_ms,
            &row.updated_by,
        ];
        tx.execute(sql, args).await?;
        write_groups(&mut tx, row).await?;
        write_edit(&mut tx, row).await?;
        tx.commit().await
    }

    /// How many requests somebody owns.
    pub async fn count_saved_requests(&self, owner: &str) -> Result<u64, StoreError> {
        let row = self.pool.row("SELECT COUNT(*) FROM saved_request WHERE owner = ?", args![owner]).await?;
        row.map_or(Ok(0), |row| row.uint(0))
    }

    /// The request, if it is in sight.
    pub async fn saved_request(
        &self,
        viewer: Viewer<'_>,
        id: &[u8; 16],
    ) -> Result<Option<SavedRequestRow>, StoreError> {
        let (sight, mut args) = in_sight(viewer);
        args.insert(0, id.into());
        let sql = format!("SELECT {COLUMNS} FROM saved_request s WHERE s.id = ? AND {sight}");
        match self.pool.row(sql, &args).await? {
            Some(row) => self.with_groups(read(&row)?).await.map(Some),
            None => Ok(None),
        }
    }

    /// A page of what is in sight and contains `wanted` (lower case), and the cursor of the next.
    pub async fn saved_requests_page(
        &self,
        viewer: Viewer<'_>,
        wanted: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<SavedRequestRow>, Option<String>), StoreError> {
        let after: [u8; 16] = after.map(cursor::decode).transpose()?.unwrap_or_default();
        let (sight, mut args) = in_sight(viewer);
        args.insert(0, after.into());
        let matching = if wanted.is_some() { " AND s.search LIKE ? ESCAPE '!'" } else { "" };
        args.extend(wanted.map(|wanted| Value::from(like(wanted))));
        args.push((i64::from(limit) + 1).into());
        let sql = format!(
            "SELECT {COLUMNS} FROM saved_request s WHERE s.id > ? AND {sight}{matching} ORDER BY s.id LIMIT ?"
        );
        let rows = self.pool.rows(sql, &args).await?;
        let mut page = Vec::new();
        for row in rows.iter().take(limit as usize) {
            page.push(self.with_groups(read(row)?).await?);
        }
        let next = page.last().filter(|_| rows.len() > limit as usize).map(|row| cursor::encode(&row.id));
        Ok((page, next))
    }

    /// Replaces a request by its next version, if it is still at the version before that. Whether it was.
    pub async fn update_saved_request(&self, row: &SavedRequestRow) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = "UPDATE saved_request SET version = ?, search = ?, content = ?, updated_ms = ?, updated_by = ? \
             WHERE id = ? AND version = ?";
        let args = args![
            row.version,
            &row.search,
            &row.content,
            row.updated_ms,
            &row.updated_by,
            row.id,
            row.version.saturating_sub(1),
        ];
        if tx.execute(sql, args).await? == 0 {
            return Ok(false);
        }
        tx.execute("DELETE FROM saved_request_share WHERE request = ?", args![row.id]).await?;
        write_groups(&mut tx, row).await?;
        write_edit(&mut tx, row).await?;
        let oldest = row.version.saturating_sub(KEPT_EDITS);
        let sql = "DELETE FROM saved_request_edit WHERE request = ? AND version <= ?";
        tx.execute(sql, args![row.id, oldest]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Deletes a request with its history, if it is at this version. Whether it was.
    pub async fn delete_saved_request(&self, id: &[u8; 16], version: u64) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = "DELETE FROM saved_request WHERE id = ? AND version = ?";
        if tx.execute(sql, args![id, version]).await? == 0 {
            return Ok(false);
        }
        tx.execute("DELETE FROM saved_request_share WHERE request = ?", args![id]).await?;
        tx.execute("DELETE FROM saved_request_edit WHERE request = ?", args![id]).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The edits of a request, newest first.
    pub async fn saved_request_edits(&self, id: &[u8; 16]) -> Result<Vec<SavedEditRow>, StoreError> {
        let sql = "SELECT version, content, at_ms, by_whom FROM saved_request_edit WHERE request = ? \
             ORDER BY version DESC";
        let rows = self.pool.rows(sql, args![id]).await?;
        let edits = rows.iter().map(|row| {
            Ok(SavedEditRow {
                version: row.uint(0)?,
                content: row.text(1)?,
                at_ms: row.uint(2)?,
                by: row.text(3)?,
            })
        });
        edits.collect()
    }

    async fn with_groups(&self, mut row: SavedRequestRow) -> Result<SavedRequestRow, StoreError> {
        let sql = "SELECT group_name FROM saved_request_share WHERE request = ? ORDER BY group_name";
        let rows = self.pool.rows(sql, args![row.id]).await?;
        row.groups = rows.iter().map(|row| row.text(0)).collect::<Result<_, _>>()?;
        Ok(row)
    }
}

/// The condition that a request is in sight, and its parameters.
fn in_sight<'a>(viewer: Viewer<'a>) -> (String, Vec<Value<'a>>) {
    let mut args: Vec<Value<'a>> = vec![viewer.principal.into()];
    if viewer.groups.is_empty() {
        return ("s.owner = ?".to_owned(), args);
    }
    args.extend(viewer.groups.iter().map(Value::from));
    let marks = vec!["?"; viewer.groups.len()].join(", ");
    let shared = format!(
        "EXISTS (SELECT 1 FROM saved_request_share h WHERE h.request = s.id AND h.group_name IN ({marks}))"
    );
    (format!("(s.owner = ? OR {shared})"), args)
}

/// A pattern for what contains this text.
fn like(text: &str) -> String {
    let escaped = text.replace('!', "!!").replace('%', "!%").replace('_', "!_");
    format!("%{escaped}%")
}

async fn write_groups(tx: &mut Tx, row: &SavedRequestRow) -> Result<(), StoreError> {
    for group in &row.groups {
        let sql = "INSERT INTO saved_request_share (group_name, request) VALUES (?, ?)";
        tx.execute(sql, args![group, row.id]).await?;
    }
    Ok(())
}

async fn write_edit(tx: &mut Tx, row: &SavedRequestRow) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO saved_request_edit (request, version, content, at_ms, by_whom) VALUES (?, ?, ?, ?, ?)";
    let args = args![row.id, row.version, &row.content, row.updated_ms, &row.updated_by];
    tx.execute(sql, args).await.map(drop)
}

fn read(row: &Row) -> Result<SavedRequestRow, StoreError> {
    Ok(SavedRequestRow {
        id: row.array(0)?,
        owner: row.text(1)?,
        version: row.uint(2)?,
        groups: Vec::new(),
        search: row.text(3)?,
        content: row.text(4)?,
        updated_ms: row.uint(5)?,
        updated_by: row.text(6)?,
    })
}
