//! Pause, resume, cancel, advance, retry: a person changes a run, whichever replica carries it out.

use super::Jobs;
use super::spec::{Layout, Progress};
use super::start::stored;
use doorman_core::rollout::{By, Change, Command, ItemChange, Refusal, RunState};
use doorman_store::{RunRow, RunStep, StoreError};

/// Changes are tried again so often when another comes first.
const TRIES: usize = 50;

/// Who gives a command. Policy was asked.
#[derive(Clone, Copy, Debug)]
pub struct Commander<'a> {
    /// `user:carol`
    pub subject: &'a str,
}

/// Why a command did nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The run is not where the command makes sense.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Others changed it again and again.
    #[error("the run changes too fast; try again")]
    Contended,
    /// What is stored cannot be read.
    #[error("the stored run cannot be read: {0}")]
    Unreadable(String),
    /// The database cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Jobs {
    /// Does what a person wants of a run, and gives it as it is then.
    ///
    /// # Errors
    /// [`CommandError`].
    pub async fn command(
        &self,
        id: &[u8; 16],
        command: Command,
        by: Commander<'_>,
    ) -> Result<RunRow, CommandError> {
        let mut reopened = None;
        for _ in 0..TRIES {
            let row = self.database.run(id).await?.ok_or(StoreError::Corrupt("the run is gone"))?;
            let layout = Layout::open(&row.spec).map_err(CommandError::Unreadable)?;
            let mut progress: Progress = serde_json::from_str(&row.progress)
                .map_err(|error| CommandError::Unreadable(error.to_string()))?;
            let counts = match reopened {
                // Those that were opened have failed as far as the command is concerned.
                Some(counts) => counts,
                None => self.counts(&row).await?,
            };
            let who = if by.subject == layout.spec.subject { By::Starter } else { By::Another };
            let Change { run, items } =
                progress.run.command(&layout.rollout, &counts, command, who, self.now_ms())?;
            if let ItemChange::ReopenFailed { with_unknown } = items
                && reopened.is_none()
            {
                // Before the run goes on, which would otherwise find nothing to do and end.
                self.database.reopen_failed(id, with_unknown).await?;
                reopened = Some(counts);
            }
            if command == Command::Advance && who == By::Another {
                progress.approved_by = Some(by.subject.to_owned());
            }
            if command == Command::Cancel {
                progress.run.why = Some(format!("cancelled by {}", by.subject));
            }
            let why = progress.run.why.clone();
            progress.run = run;
            match command {
                Command::Pause => progress.run.why = Some(format!("paused by {}", by.subject)),
                Command::Cancel => progress.run.why = why,
                _ => {}
            }
            let state = progress.run.state;
            let step = RunStep {
                state: state.as_str(),
                // What was cancelled is still to be wound down.
                is_open: state != RunState::Done,
                progress: &stored(&progress).map_err(|error| CommandError::Unreadable(error.to_string()))?,
                until_item: layout.bound(&progress.run),
                ended_ms: None,
            };
            if self.database.step_run(id, row.version, &step).await? {
                self.news.notify_waiters();
                return Ok(self.database.run(id).await?.unwrap_or(row));
            }
        }
        Err(CommandError::Contended)
    }
}
