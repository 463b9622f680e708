//! Saved definitions and the history of their edits.

use crate::driver::{Row, Value, args};
use crate::{Database, StoreError};

/// One saved definition. Times are milliseconds since the Unix epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobRow {
    /// Its id, which sorts by the time it was made.
    pub id: [u8; 16],
    /// The folder that its rights come from.
    pub folder: String,
    /// Unique within the folder.
    pub name: String,
    /// From 1; each edit adds one.
    pub version: u64,
    /// The definition as JSON, without its rows.
    pub definition: String,
    /// The rows.
    pub input: Option<[u8; 16]>,
    /// Whether it was deleted; then only its runs tell of it.
    pub is_deleted: bool,
    /// When it was made.
    pub created_ms: u64,
    /// `user:alice`
    pub created_by: String,
    /// When it was last changed.
    pub updated_ms: u64,
    /// By whom.
    pub updated_by: String,
    /// As whom its schedule runs, as JSON.
    pub run_as: Option<String>,
    /// When its schedule is due next.
    pub next_ms: Option<u64>,
}

/// One edit of a job: what it said from then on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EditRow {
    /// The version that it made.
    pub version: u64,
    /// When.
    pub at_ms: u64,
    /// `create`, `update`, `input`, `delete`.
    pub change: String,
    /// Whose credential it was.
    pub actor: String,
    /// On whose behalf.
    pub subject: String,
    /// The definition as JSON.
    pub definition: String,
    /// The rows.
    pub input: Option<[u8; 16]>,
}

const COLUMNS: &str = "id, folder, version, definition, input, is_deleted, created_ms, created_by, updated_ms, \
     updated_by, run_as, next_ms";

impl Database {
    /// Adds a job with the first entry of its history.
    pub async fn insert_job(&self, job: &JobRow, actor: &str) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql =
            format!("INSERT INTO job ({COLUMNS}, name_hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        let args = args![
            job.id,
            &job.folder,
            job.version,
            &job.definition,
            job.input,
            job.is_deleted,
            job.created_ms,
            &job.created_by,
            job.updated_ms,
            &job.updated_by,
            job.run_as.as_deref(),
            job.next_ms,
            name_hash(job),
        ];
        tx.execute(sql, args).await?;
        tx.execute(EDIT, &edit(job, "create", actor)).await?;
        tx.commit().await
    }

    /// Replaces what a job says, if its version is still the one before `job.version`.
    pub async fn update_job(&self, job: &JobRow, change: &str, actor: &str) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let sql = "UPDATE job SET folder = ?, version = ?, definition = ?, input = ?, is_deleted = ?, updated_ms = ?, \
             updated_by = ?, run_as = ?, next_ms = ?, name_hash = ? WHERE id = ? AND version = ? AND is_deleted = 0";
        let args = args![
            &job.folder,
            job.version,
            &job.definition,
            job.input,
            job.is_deleted,
            job.updated_ms,
            &job.updated_by,
            job.run_as.as_deref(),
            job.next_ms,
            name_hash(job),
            job.id,
            job.version - 1,
        ];
        if tx.execute(sql, args).await? == 0 {
            return Ok(false);
        }
        tx.execute(EDIT, &edit(job, change, actor)).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// The job of that id, be it deleted or not.
    pub async fn job(&self, id: &[u8; 16]) -> Result<Option<JobRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ?");
        self.pool.row(sql, args![id]).await?.map(|row| read(&row)).transpose()
    }

    /// Jobs after `after` in the order of their ids, newest first.
    pub async fn jobs_page(
        &self,
        folder: Option<&str>,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<JobRow>, StoreError> {
        let mut sql = format!("SELECT {COLUMNS} FROM job WHERE is_deleted = 0");
        let mut args = Vec::new();
        if let Some(folder) = folder {
            sql.push_str(" AND folder = ?");
            args.push(folder.into());
        }
        if let Some(after) = after {
            sql.push_str(" AND id < ?");
            args.push(after.into());
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        args.push(limit.into());
        self.pool.rows(sql, &args).await?.iter().map(read).collect()
    }

    /// The history of a job, newest first, before `before`.
    pub async fn job_history(
        &self,
        job: &[u8; 16],
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<EditRow>, StoreError> {
        let sql = "SELECT version, at_ms, change_kind, actor, subject, definition, input FROM job_edit \
             WHERE job = ? AND version < ? ORDER BY version DESC LIMIT ?";
        let before = before.unwrap_or(i64::MAX.cast_unsigned());
        let rows = self.pool.rows(sql, args![job, before, limit]).await?;
        let edit = |row: &Row| {
            Ok(EditRow {
                version: row.uint(0)?,
                at_ms: row.uint(1)?,
                change: row.text(2)?,
                actor: row.text(3)?,
                subject: row.text(4)?,
                definition: row.text(5)?,
                input: row.opt_array(6)?,
            })
        };
        rows.iter().map(edit).collect()
    }

    /// Jobs whose schedule is due.
    pub async fn due_jobs(&self, now_ms: u64, limit: u32) -> Result<Vec<JobRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE next_ms <= ? AND is_deleted = 0 ORDER BY next_ms LIMIT ?"
        );
        self.pool.rows(sql, args![now_ms, limit]).await?.iter().map(read).collect()
    }

    /// Moves the schedule of a job from a due time to the next. One replica alone does it.
    pub async fn advance_schedule(
        &self,
        job: &JobRow,
        due_ms: u64,
        next_ms: Option<u64>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE job SET next_ms = ? WHERE id = ? AND version = ? AND next_ms = ?";
        Ok(self.pool.execute(sql, args![next_ms, job.id, job.version, due_ms]).await? > 0)
    }
}

const EDIT: &str = "INSERT INTO job_edit (job, version, at_ms, change_kind, actor, subject, definition, input) \
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)";

/// By which no two jobs of a folder have one name; none for a deleted one.
fn name_hash(job: &JobRow) -> Option<[u8; 16]> {
    let [hash @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        doorman_core::sha256(format!("{}\0{}", job.folder, job.name).as_bytes());
    (!job.is_deleted).then_some(hash)
}

/// The edit that made the job what it is.
fn edit<'a>(job: &'a JobRow, change: &'a str, actor: &'a str) -> [Value<'a>; 8] {
    [
        job.id.into(),
        job.version.into(),
        job.updated_ms.into(),
        change.into(),
        actor.into(),
        (&job.updated_by).into(),
        (&job.definition).into(),
        job.input.into(),
    ]
}

fn read(row: &Row) -> Result<JobRow, StoreError> {
    #[derive(serde::Deserialize)]
    struct Named {
        name: String,
    }
    let definition = row.text(3)?;
    let named: Named =
        serde_json::from_str(&definition).map_err(|_| StoreError::Corrupt("a job without a name"))?;
    Ok(JobRow {
        name: named.name,
        id: row.array(0)?,
        folder: row.text(1)?,
        version: row.uint(2)?,
        definition,
        input: row.opt_array(4)?,
        is_deleted: row.bool(5)?,
        created_ms: row.uint(6)?,
        created_by: row.text(7)?,
        updated_ms: row.uint(8)?,
        updated_by: row.text(9)?,
        run_as: row.opt_text(10)?,
        next_ms: row.opt_uint(11)?,
    })
}
