//! Runs: started, controlled, and carried out by every replica together.
//!
//! A run's state is one row, changed by the version that the change was decided upon; its items are claimed in chunks, under
//! leases with fencing numbers. Whatever a replica knows besides may be lost at any time.

mod active;
mod control;
mod item;
mod pace;
mod runner;
mod settle;
mod spec;
mod start;
mod timetable;

pub use control::{CommandError, Commander};
pub use runner::Runner;
pub use settle::LateEnd;
pub use spec::{Layout, Progress, RunSpec, Share};
pub use start::{StartError, StartRequest};

use crate::input::Limits;
use doorman_auth::Authority;
use doorman_core::rollout::Counts;
use doorman_door::DoorShared;
use doorman_store::{Database, RunRow, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How runs are carried out.
#[derive(Clone, Debug)]
pub struct JobsConfig {
    /// How long a replica that does not answer any more keeps its items. Longer than a pass is good for.
    pub lease: Duration,
    /// Items of one claim.
    pub chunk: u64,
    /// What an input may hold.
    pub limits: Limits,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { lease: Duration::from_secs(45), chunk: 256, limits: Limits::default() }
    }
}

/// What jobs and runs need of the rest of the process.
pub struct Jobs {
    /// Where they are kept.
    pub database: Database,
    /// The door that items go through.
    pub door: Arc<DoorShared>,
    /// Proves that whoever started a run may still act.
    pub authenticator: Arc<dyn Authority>,
    /// Settings.
    pub config: JobsConfig,
    /// A run was started or controlled on this replica.
    pub(crate) news: Notify,
}

impl Jobs {
    /// Over these.
    pub fn new(
        database: Database,
        door: Arc<DoorShared>,
        authenticator: Arc<dyn Authority>,
        config: JobsConfig,
    ) -> Arc<Self> {
        Arc::new(Self { database, door, authenticator, config, news: Notify::new() })
    }

    /// Wall time in milliseconds.
    pub fn now_ms(&self) -> u64 {
        (self.door.now_ms)()
    }

    /// The items of a run by state, those that nobody has claimed included.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn counts(&self, run: &RunRow) -> Result<Counts, StoreError> {
        let mut counts = self.database.count_items(&run.id, 0, run.total).await?;
        let unclaimed = run.total.saturating_sub(counts.total());
        if run.state == "cancelled" {
            counts.skipped += unclaimed;
        } else {
            counts.pending += unclaimed;
        }
        Ok(counts)
    }
}

/// A new id, which sorts by time.
pub fn new_id() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}

/// As text.
pub fn show_id(id: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*id).hyphenated().to_string()
}

/// From text; `None` when it is no id.
pub fn parse_id(text: &str) -> Option<[u8; 16]> {
    uuid::Uuid::try_parse(text).ok().map(uuid::Uuid::into_bytes)
}
