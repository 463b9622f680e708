//! What a run does next: which wave is open, what waits, what stops. Pure: whoever stores the run hands in the counts of
//! its items, which it counts in the same transaction, and the time.
//!
//! ```text
//! queued ─► running ─► done        every item has ended
//!             │  ▲
//!             ▼  │ the gate opens
//!           waiting                the wave has ended; its gate is closed
//!   running, waiting ─► paused     a person, or the run's credential has ended
//!   running, waiting ─► stopped    a stop condition holds
//!   paused, stopped ─► running     a person
//!   any but done ─► cancelled      a person
//!   done, stopped, … ─► running    a person tries the failed items again
//! ```

use super::{Gate, Recent, RegionPlan, Rollout};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a run is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It has not begun.
    Queued,
    /// Items of the open waves are sent.
    Running,
    /// A person, or the end of the credential it runs on, halted it; what is in flight ends.
    Paused,
    /// The open wave has ended; the next waits for its gate.
    Waiting,
    /// A stop condition held; what is in flight ends. A person can go on with it.
    Stopped,
    /// A person ended it; what was not sent is skipped.
    Cancelled,
    /// Every item has ended.
    Done,
}

impl RunState {
    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Done => "done",
        }
    }

    /// Whether nothing more happens by itself, ever.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Cancelled | Self::Done)
    }
}

/// Where one item is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// Not sent, or to be tried again.
    Pending,
    /// Its attempt is in the log; it may have left.
    Sending,
    /// A success.
    Done,
    /// No success; or refused, with nothing sent.
    Failed,
    /// It may have been sent, and nobody knows how it ended. A person decides.
    Unknown,
    /// Left out, because the run was cancelled.
    Skipped,
}

impl ItemState {
    /// Every state there is.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Sending, Self::Done, Self::Failed, Self::Unknown, Self::Skipped];

    /// The name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

/// Items by state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Not sent, or to be tried again.
    pub pending: u64,
    /// In flight.
    pub sending: u64,
    /// Successes.
    pub done: u64,
    /// No successes.
    pub failed: u64,
    /// Nobody knows.
    pub unknown: u64,
    /// Left out.
    pub skipped: u64,
}

impl Counts {
    /// A run that has not begun.
    pub fn of(total: u64) -> Self {
        Self { pending: total, ..Self::default() }
    }

    /// All items.
    pub fn total(&self) -> u64 {
        self.pending + self.sending + self.done + self.failed + self.unknown + self.skipped
    }

    /// Those that have ended.
    pub fn ended(&self) -> u64 {
        self.done + self.failed + self.unknown + self.skipped
    }

    /// The count of one state.
    pub fn get_mut(&mut self, state: ItemState) -> &mut u64 {
        match state {
            ItemState::Pending => &mut self.pending,
            ItemState::Sending => &mut self.sending,
            ItemState::Done => &mut self.done,
            ItemState::Failed => &mut self.failed,
            ItemState::Unknown => &mut self.unknown,
            ItemState::Skipped => &mut self.skipped,
        }
    }
}

/// A run as it is stored. Items are elsewhere; see [`Counts`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Where it is.
    pub state: RunState,
    /// The last wave that is open, from 0.
    pub wave: u32,
    /// Since when the gate behind that wave waits, in milliseconds since the Unix epoch.
    pub waiting_since_ms: Option<u64>,
    /// Why it is paused, stopped or cancelled, for people.
    pub why: Option<String>,
    /// Failures that a person has seen and gone on from; they stop nothing again.
    pub forgiven: u64,
    /// The last results.
    pub recent: Recent,
}

/// What a person wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Send nothing more for now.
    Pause,
    /// Go on; also from `stopped`, which forgives the failures so far.
    Resume,
    /// End it.
    Cancel,
    /// Open the next wave.
    Advance,
    /// Send failed items again.
    RetryFailed {
        /// Unknown ones too, which may have arrived.
        with_unknown: bool,
    },
}

impl Command {
    /// As in paths and in the audit log: `retry-failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Cancel => "cancel",
            Self::Advance => "advance",
            Self::RetryFailed { .. } => "retry-failed",
        }
    }
}

/// Who gives a command. Policy was asked before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// Whoever started the run.
    Starter,
    /// Somebody else.
    Another,
}

/// What a command does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The run afterwards.
    pub run: Run,
    /// What becomes of its items, in the same transaction.
    pub items: ItemChange,
}

/// What becomes of items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemChange {
    /// Nothing.
    None,
    /// Pending ones are skipped.
    SkipPending,
    /// Failed ones are pending again.
    ReopenFailed {
        /// Unknown ones too.
        with_unknown: bool,
    },
}

/// Why a command does nothing (409 `conflict`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// It ended.
    #[error("the run has ended: it is {}", .0.as_str())]
    Over(RunState),
    /// It is there already.
    #[error("the run is {} already", .0.as_str())]
    Already(RunState),
    /// There is no gate that waits.
    #[error("no gate waits: the run is {}", .0.as_str())]
    NoGate(RunState),
    /// The gate is for somebody else.
    #[error("this gate must be opened by somebody else than who started the run")]
    AnotherPerson,
    /// Nothing to try again.
    #[error("no item has failed")]
    NothingFailed,
    /// Items are still in flight.
    #[error("{0} items are still being sent")]
    InFlight(u64),
}

/// What may be sent now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowance {
    /// Only items with a smaller index.
    pub before: u64,
    /// So many more at once; the rate may allow less.
    pub count: u64,
}

impl Run {
    /// A run that has not begun.
    pub fn new() -> Self {
        Self {
            state: RunState::Queued,
            wave: 0,
            waiting_since_ms: None,
            why: None,
            forgiven: 0,
            recent: Recent::default(),
        }
    }

    /// Begins; `None` if it has begun before.
    pub fn start(&self) -> Option<Self> {
        (self.state == RunState::Queued).then(|| Self { state: RunState::Running, ..self.clone() })
    }

    /// What may be sent now; nothing unless it is running.
    pub fn allowance(&self, rollout: &Rollout, counts: &Counts) -> Allowance {
        if self.state != RunState::Running {
            return Allowance::default();
        }
        let before = self.bound(rollout);
        let concurrency = u64::from(self.plan(rollout).concurrency);
        let count = concurrency.saturating_sub(counts.sending).min(self.pending_below(before, counts));
        Allowance { before, count }
    }

    /// Remembers how an item ended; failed and unknown ones are failures.
    pub fn observe(&mut self, rollout: &Rollout, is_failure: bool) {
        let window = self.plan(rollout).stop.window;
        self.recent.push(is_failure, window);
    }

    /// What becomes of an item that was being sent, of which provably nothing left, or that is to be tried again.
    pub fn returned(&self) -> ItemState {
        if self.state == RunState::Cancelled { ItemState::Skipped } else { ItemState::Pending }
    }

    /// What time and the items' ends bring about; `None`: nothing. Call it whenever counts have changed, and when a gate's
    /// time has come. `counts` must not be older than the items seen by [`Run::observe`].
    pub fn tick(&self, rollout: &Rollout, counts: &Counts, now_ms: u64) -> Option<Self> {
        let mut run = self.clone();
        // Each round opens a wave or comes to rest; empty waves pass at once.
        for _ in 0..=rollout.waves().len() {
            if !run.step(rollout, counts, now_ms) {
                break;
            }
        }
        (run != *self).then_some(run)
    }

    /// When [`Run::tick`] should be called though nothing has changed, in milliseconds since the Unix epoch.
    pub fn wakes_at_ms(&self, rollout: &Rollout) -> Option<u64> {
        match (self.state, self.gate(rollout), self.waiting_since_ms) {
            (RunState::Waiting, Gate::Auto { bake }, Some(since)) => {
                Some(since.saturating_add(u64::try_from(bake.as_millis()).unwrap_or(u64::MAX)))
            }
            _ => None,
        }
    }

    /// Halts it for a reason that no person gave: the credential it runs on has ended, its job is gone. `None`: it does not
    /// run anyway.
    pub fn halt(&self, why: &str) -> Option<Self> {
        matches!(self.state, RunState::Queued | RunState::Running | RunState::Waiting).then(|| Self {
            state: RunState::Paused,
            why: Some(why.to_owned()),
            ..self.clone()
        })
    }

    /// Does what a person wants.
    ///
    /// # Errors
    /// [`Refusal`]: nothing changes.
    pub fn command(
        &self,
        rollout: &Rollout,
        counts: &Counts,
        command: Command,
        by: By,
        now_ms: u64,
    ) -> Result<Change, Refusal> {
        let mut run = self.clone();
        let items = match command {
            Command::RetryFailed { with_unknown } => run.retry_failed(counts, with_unknown)?,
            _ if self.state.is_over() => return Err(Refusal::Over(self.state)),
            Command::Pause => run.pause()?,
            Command::Resume => run.resume(counts)?,
            Command::Cancel => {
                run.enter(RunState::Cancelled, None);
                ItemChange::SkipPending
            }
            Command::Advance => run.advance(rollout, counts, by)?,
        };
        if items == ItemChange::None
            && let Some(next) = run.tick(rollout, counts, now_ms)
        {
            run = next;
        }
        Ok(Change { run, items })
    }

    /// One step; `true` if there may be another.
    fn step(&mut self, rollout: &Rollout, counts: &Counts, now_ms: u64) -> bool {
        if !matches!(self.state, RunState::Running | RunState::Waiting) {
            return false;
        }
        if let Some(why) = self.plan(rollout).stop.judge(counts, self.forgiven, &self.recent) {
            self.enter(RunState::Stopped, Some(why));
            return false;
        }
        if counts.pending == 0 && counts.sending == 0 {
            self.enter(RunState::Done, None);
            return false;
        }
        if counts.sending > 0 || self.pending_below(self.bound(rollout), counts) > 0 {
            // Items that were reopened behind a gate are sent first.
            self.state = RunState::Running;
            return false;
        }
        let since = *self.waiting_since_ms.get_or_insert(now_ms);
        self.state = RunState::Waiting;
        let Gate::Auto { bake } = self.gate(rollout) else { return false };
        if u128::from(now_ms.saturating_sub(since)) < bake.as_millis() {
            return false;
        }
        if let Some(why) = self.plan(rollout).stop.judge_at_gate(counts, self.forgiven, &self.recent) {
            self.enter(RunState::Stopped, Some(why));
            return false;
        }
        self.open_next();
        true
    }

    fn pause(&mut self) -> Result<ItemChange, Refusal> {
        match self.state {
            RunState::Queued | RunState::Running | RunState::Waiting => {
                self.state = RunState::Paused;
                self.why = Some("paused by a person".to_owned());
                Ok(ItemChange::None)
            }
            state => Err(Refusal::Already(state)),
        }
    }

    fn resume(&mut self, counts: &Counts) -> Result<ItemChange, Refusal> {
        match self.state {
            RunState::Stopped => {
                self.forgive(counts);
                self.enter(RunState::Running, None);
            }
            RunState::Paused => self.enter(RunState::Running, None),
            state => return Err(Refusal::Already(state)),
        }
        Ok(ItemChange::None)
    }

    fn advance(&mut self, rollout: &Rollout, counts: &Counts, by: By) -> Result<ItemChange, Refusal> {
        if self.state != RunState::Waiting {
            return Err(Refusal::NoGate(self.state));
        }
        if self.gate(rollout) == Gate::Approval && by == By::Starter {
            return Err(Refusal::AnotherPerson);
        }
        // Whoever opens the gate has seen what failed before it.
        self.forgive(counts);
        self.open_next();
        Ok(ItemChange::None)
    }

    fn retry_failed(&mut self, counts: &Counts, with_unknown: bool) -> Result<ItemChange, Refusal> {
        if self.state == RunState::Cancelled {
            return Err(Refusal::Over(self.state));
        }
        let again = counts.failed + if with_unknown { counts.unknown } else { 0 };
        if again == 0 {
            return Err(Refusal::NothingFailed);
        }
        self.forgiven = if with_unknown { 0 } else { counts.unknown };
        self.recent = Recent::default();
        if matches!(self.state, RunState::Done | RunState::Stopped | RunState::Waiting) {
            self.enter(RunState::Running, None);
        }
        Ok(ItemChange::ReopenFailed { with_unknown })
    }

    fn forgive(&mut self, counts: &Counts) {
        self.forgiven = counts.failed + counts.unknown;
        self.recent = Recent::default();
    }

    fn open_next(&mut self) {
        self.wave += 1;
        self.waiting_since_ms = None;
        self.enter(RunState::Running, None);
    }

    fn enter(&mut self, state: RunState, why: Option<String>) {
        self.state = state;
        self.why = why;
    }

    fn plan<'a>(&self, rollout: &'a Rollout) -> &'a RegionPlan {
        rollout.plan_of(self.wave)
    }

    fn gate(&self, rollout: &Rollout) -> Gate {
        rollout.wave(self.wave).map_or(Gate::Manual, |wave| wave.gate)
    }

    /// The first item that must not be sent yet.
    fn bound(&self, rollout: &Rollout) -> u64 {
        rollout.wave(self.wave).map_or_else(|| rollout.total(), |wave| wave.until)
    }

    /// Pending items of open waves: nothing beyond them was ever anything but pending.
    fn pending_below(&self, bound: u64, counts: &Counts) -> u64 {
        counts.pending.saturating_sub(counts.total().saturating_sub(bound))
    }
}

impl Default for Run {
    fn default() -> Self {
        Self::new()
    }
}
