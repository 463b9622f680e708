//! Runs: what was asked for at their start, and how far they are. Every change of state goes by the version that it was
//! decided upon, so that of two replicas or people one wins and the other looks again.

use crate::driver::{Row, args};
use crate::{Database, StoreError};

/// One execution of a job. Times are milliseconds since the Unix epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunRow {
    /// Its id, which sorts by the time of its start.
    pub id: [u8; 16],
    /// The job.
    pub job: [u8; 16],
    /// `queued`, `running`, `paused`, `waiting`, `stopped`, `cancelled`, `done`.
    pub state: String,
    /// Whether anything is left to be done for it.
    pub is_open: bool,
    /// Grows with each change.
    pub version: u64,
    /// What was decided at the start, as JSON.
    pub spec: String,
    /// Where the rollout stands, as JSON.
    pub progress: String,
    /// The rows; none for a request without columns.
    pub input: Option<[u8; 16]>,
    /// How many items it has.
    pub total: u64,
    /// Items before it have been claimed.
    pub next_item: u64,
    /// Items before it are released by the rollout.
    pub until_item: u64,
    /// `user:alice`
    pub started_by: String,
    /// When it was started.
    pub started_ms: u64,
    /// When it ended.
    pub ended_ms: Option<u64>,
}

/// Which runs to list; what is `None` does not matter.
#[derive(Clone, Copy, Default)]
pub struct RunFilter<'a> {
    /// Those of this job.
    pub job: Option<[u8; 16]>,
    /// Those in this state.
    pub state: Option<&'a str>,
}

/// A change of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunStep<'a> {
    /// The new state.
    pub state: &'a str,
    /// Whether anything is left to be done.
    pub is_open: bool,
    /// Where the rollout stands now.
    pub progress: &'a str,
    /// Up to which item it is released now.
    pub until_item: u64,
    /// When it ended, if it has.
    pub ended_ms: Option<u64>,
}

const COLUMNS: &str = "id, job, state, is_open, version, spec, progress, input, total, next_item, until_item, \
     started_by, started_ms, ended_ms";

impl Database {
    /// Adds a run.
    pub async fn insert_run(&self, run: &RunRow) -> Result<(), StoreError> {
        let sql = format!("INSERT INTO run ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
        let args = args![
            run.id,
            run.job,
            &run.state,
            run.is_open,
            run.version,
            &run.spec,
            &run.progress,
            run.input,
            run.total,
            run.next_item,
            run.until_item,
            &run.started_by,
            run.started_ms,
            run.ended_ms,
        ];
        self.pool.execute(sql, args).await.map(drop)
    }

    /// The run of that id.
    pub async fn run(&self, id: &[u8; 16]) -> Result<Option<RunRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM run WHERE id = ?");
        self.pool.row(sql, args![id]).await?.map(|row| read(&row)).transpose()
    }

    /// Runs after `after` in the order of their ids, newest first.
    pub async fn runs_page(
        &self,
        filter: &RunFilter<'_>,
        after: Option<[u8; 16]>,
        limit: u32,
    ) -> Result<Vec<RunRow>, StoreError> {
        let mut sql = format!("SELECT {COLUMNS} FROM run WHERE 1 = 1");
        let mut args = Vec::new();
        if let Some(job) = filter.job {
            sql.push_str(" AND job = ?");
            args.push(job.into());
        }
        if let Some(state) = filter.state {
            sql.push_str(" AND state = ?");
            args.push(state.into());
        }
        if let Some(after) = after {
            sql.push_str(" AND id < ?");
            args.push(after.into());
        }
        sql.push_str(" ORDER BY id DESC LIMIT ?");
        args.push(limit.into());
        self.pool.rows(sql, &args).await?.iter().map(read).collect()
    }

    /// Runs with something left to do, oldest first: id and version.
    pub async fn open_runs(&self) -> Result<Vec<([u8; 16], u64)>, StoreError> {
        let sql = "SELECT id, version FROM run WHERE is_open = 1 ORDER BY id";
        self.pool.rows(sql, &[]).await?.iter().map(|row| Ok((row.array(0)?, row.uint(1)?))).collect()
    }

    /// Whether a job has another run under way than `but`.
    pub async fn has_other_open_run(&self, job: &[u8; 16], but: &[u8; 16]) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM run WHERE job = ? AND id < ? AND state IN ('running', 'waiting', 'paused', 'queued') LIMIT 1";
        Ok(self.pool.row(sql, args![job, but]).await?.is_some())
    }

    /// Whether runs of a job are under way, and whether one waits to begin.
    pub async fn unfinished_runs(&self, job: &[u8; 16]) -> Result<(bool, bool), StoreError> {
        let sql = "SELECT DISTINCT state FROM run WHERE job = ? AND is_open = 1";
        let rows = self.pool.rows(sql, args![job]).await?;
        let states = rows.iter().map(|row| row.text(0)).collect::<Result<Vec<_>, _>>()?;
        let is_under_way = |state: &String| matches!(state.as_str(), "running" | "waiting" | "paused");
        Ok((states.iter().any(is_under_way), states.iter().any(|state| state == "queued")))
    }

    /// Changes a run, if its version is still `version`.
    pub async fn step_run(
        &self,
        id: &[u8; 16],
        version: u64,
        step: &RunStep<'_>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE run SET state = ?, is_open = ?, progress = ?, until_item = ?, ended_ms = ?, \
             version = version + 1 WHERE id = ? AND version = ?";
        let args =
            args![step.state, step.is_open, step.progress, step.until_item, step.ended_ms, id, version];
        Ok(self.pool.execute(sql, args).await? > 0)
    }
}

fn read(row: &Row) -> Result<RunRow, StoreError> {
    Ok(RunRow {
        id: row.array(0)?,
        job: row.array(1)?,
        state: row.text(2)?,
        is_open: row.bool(3)?,
        version: row.uint(4)?,
        spec: row.text(5)?,
        progress: row.text(6)?,
        input: row.opt_array(7)?,
        total: row.uint(8)?,
        next_item: row.uint(9)?,
        until_item: row.uint(10)?,
        started_by: row.text(11)?,
        started_ms: row.uint(12)?,
        ended_ms: row.opt_uint(13)?,
    })
}
