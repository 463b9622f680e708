//! How far the run is: its chunks counted, its waves opened, its row written.

use super::{Active, OUTCOME_LAG};
use crate::run::show_id;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, Record};
use doorman_core::rollout::RunState;
use doorman_door::journal::Draft;
use doorman_store::{RunStep, StoreError};

impl Active {
    /// Counts the chunks that have moved; those that have ended are let go.
    pub(super) async fn count(&mut self) -> Result<(), StoreError> {
        let run = self.row.id;
        // An outcome is written behind its answer: what ended here may move an item after this count, and is counted again.
        let journal = &self.jobs.door.journal;
        let is_written = journal.is_available() && journal.depths().1 == 0;
        for (first, since) in self.foreign.clone() {
            self.jobs.database.count_chunk(&run, first, None).await?;
            if is_written && since.elapsed() >= OUTCOME_LAG {
                self.foreign.remove(&first);
            }
        }
        if self.progress.run.state == RunState::Cancelled {
            self.jobs.database.skip_pending(&run).await?;
        }
        for at in (0..self.held.len()).rev() {
            let Some(held) = self.held.get_mut(at) else { continue };
            if !held.is_dirty && held.left > 0 {
                continue;
            }
            held.is_dirty = false;
            let (first, fence) = (held.first, held.fence);
            let is_left = held.left == 0;
            let counts = self.jobs.database.count_chunk(&run, first, None).await?;
            let has_ended = counts.pending + counts.sending == 0;
            // Nothing of it is here, and nothing of it is in flight: whoever wants may take it.
            if is_left && !has_ended && counts.sending == 0 {
                self.jobs.database.count_chunk(&run, first, Some(fence)).await?;
            }
            if is_left && (has_ended || counts.sending == 0) {
                self.held.swap_remove(at);
            }
        }
        Ok(())
    }

    /// Brings the rollout forward: opens waves, stops, ends.
    pub(super) async fn bring_forward(&mut self) -> Result<(), StoreError> {
        let now_ms = self.jobs.now_ms();
        self.counts = self.jobs.counts(&self.row).await?;
        let is_new = !self.unsaved.failures.is_empty() || now_ms >= self.sampled_ms + 1_000;
        if !self.row.is_open {
            return Ok(());
        }
        if is_new {
            self.sampled_ms = now_ms;
        }
        let before = self.progress.run.clone();
        let mut run = before.clone();
        for is_failure in std::mem::take(&mut self.unsaved.failures) {
            run.observe(&self.layout.rollout, is_failure);
        }
        if let Some(next) = run.tick(&self.layout.rollout, &self.counts, now_ms) {
            run = next;
        }
        self.progress.add_errors(&std::mem::take(&mut self.unsaved.errors));
        if is_new && self.progress.run.state == RunState::Running {
            self.progress.sample(now_ms, self.counts.ended());
        }
        self.progress.run = run;
        let is_over = self.progress.run.state.is_over();
        let has_changed = self.row.state != self.progress.run.state.as_str() || before != self.progress.run;
        if has_changed || is_new && self.progress.run.state == RunState::Running || is_over {
            self.save().await?;
        }
        Ok(())
    }

    /// Writes the run's row. When somebody else was first, theirs counts, and this is decided anew.
    pub(super) async fn save(&mut self) -> Result<(), StoreError> {
        let state = self.progress.run.state;
        let in_flight =
            self.counts.sending + if state == RunState::Cancelled { self.counts.pending } else { 0 };
        let has_ended = state.is_over() && in_flight == 0 && self.held.is_empty();
        let progress = serde_json::to_string(&self.progress).map_err(|_| StoreError::Corrupt("progress"))?;
        let step = RunStep {
            state: state.as_str(),
            is_open: !has_ended,
            progress: &progress,
            until_item: self.layout.bound(&self.progress.run),
            ended_ms: has_ended.then(|| self.jobs.now_ms()),
        };
        if self.jobs.database.step_run(&self.row.id, self.row.version, &step).await? {
            if has_ended {
                self.tell_end();
            }
            self.row.version += 1;
            self.row.is_open = !has_ended;
            self.row.state = state.as_str().to_owned();
        } else {
            self.sync().await?;
        }
        Ok(())
    }

    /// An entry about the run itself, in its starter's name.
    pub(super) fn entry(&self, decision: &'static str, change: &'static str) -> Record<'_> {
        let mut record = Record::new(Kind::Run, AuditId::default(), self.jobs.now_ms());
        record.subject = Some((&*self.layout.spec.subject).into());
        record.actor = Some((&*self.layout.spec.actor).into());
        record.run = Some(show_id(&self.row.id).into());
        record.job = Some(show_id(&self.row.job).into());
        record.channel = Some("bulk".into());
        record.decision = Some(decision.into());
        record.detail.insert("change".into(), change.into());
        record
    }

    fn tell_end(&self) {
        let mut record = self.entry("permit", "end");
        record.detail.insert("state".into(), self.progress.run.state.as_str().into());
        let counts = &self.counts;
        let said = [
            ("done", counts.done),
            ("failed", counts.failed),
            ("unknown", counts.unknown),
            ("skipped", counts.skipped),
        ];
        for (name, count) in said {
            record.detail.insert(name.into(), count.to_string().into());
        }
        self.jobs.door.journal.write_later(Draft::new(record));
        tracing::info!(run = %show_id(&self.row.id), state = self.progress.run.state.as_str(), "a run has ended");
    }
}
