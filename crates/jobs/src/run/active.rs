//! A run as one replica carries it out: it claims chunks, keeps as many items in flight as its share allows, and brings the
//! rollout forward. All it knows may be lost: what counts is in the database.

mod progress;
mod rights;

use super::item::{Errand, Landed, Landing, Ready, unavailable_until};
use super::pace::Pace;
use super::spec::{Layout, Progress};
use super::{Jobs, show_id};
use doorman_core::id::AuditId;
use doorman_core::rollout::{Counts, ItemState, RunState};
use doorman_door::{Caller, ItemVerdict};
use doorman_store::{Chunk, ItemEnd, RunRow, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

const TICK: Duration = Duration::from_millis(200);
/// Counts are taken, and the rollout brought forward, so often at least.
const COUNT: Duration = Duration::from_millis(400);
/// Rights and shares are looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// An outcome stands in the database so long after its answer, unless the journal says that it waits.
const OUTCOME_LAG: Duration = Duration::from_secs(2);
/// Ends that are stored in one transaction.
const SETTLE_AT_ONCE: usize = 256;

/// A chunk that this replica holds.
struct Held {
    first: u64,
    fence: u64,
    /// Items of it that are here: to be sent, waiting, or in flight.
    left: u64,
    is_dirty: bool,
}

/// A claim under way: the chunk, and its rows by number.
type Claimed = Result<Option<(Chunk, BTreeMap<u64, Arc<str>>)>, StoreError>;
type Claiming = JoinHandle<Claimed>;

/// What has happened since the run's row was last written.
#[derive(Default)]
struct Unsaved {
    failures: Vec<bool>,
    errors: BTreeMap<String, u64>,
}

pub(crate) struct Active {
    jobs: Arc<Jobs>,
    holder: Arc<str>,
    stopping: watch::Receiver<bool>,
    layout: Arc<Layout>,
    row: RunRow,
    progress: Progress,
    unsaved: Unsaved,
    counts: Counts,
    caller: Option<Arc<Caller>>,
    pace: Pace,
    held: Vec<Held>,
    /// Chunks that others hold by now, of which something may have ended here, and when that was last so.
    foreign: BTreeMap<u64, Instant>,
    ready: VecDeque<Ready>,
    delayed: Vec<(u64, Ready)>,
    /// Items whose place in the database must be looked at.
    fenced: Vec<Ready>,
    flying: JoinSet<Landed>,
    claiming: Option<Claiming>,
    settling: Vec<(u64, ItemEnd)>,
    wait_until: Option<Instant>,
    counted: Instant,
    looked: Instant,
    renewed: Instant,
    sampled_ms: u64,
    is_closing: bool,
}

impl Active {
    pub fn new(
        jobs: Arc<Jobs>,
        holder: Arc<str>,
        stopping: watch::Receiver<bool>,
        row: RunRow,
    ) -> Result<Self, String> {
        let layout = Arc::new(Layout::open(&row.spec)?);
        let progress = serde_json::from_str(&row.progress).map_err(|error| error.to_string())?;
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).unwrap_or_else(Instant::now);
        Ok(Self {
            jobs,
            holder,
            stopping,
            layout,
            row,
            progress,
            unsaved: Unsaved::default(),
            counts: Counts::default(),
            caller: None,
            pace: Pace::new(),
            held: Vec::new(),
            foreign: BTreeMap::new(),
            ready: VecDeque::new(),
            delayed: Vec::new(),
            fenced: Vec::new(),
            flying: JoinSet::new(),
            claiming: None,
            settling: Vec::new(),
            wait_until: None,
            counted: long_ago,
            looked: long_ago,
            renewed: Instant::now(),
            sampled_ms: 0,
            is_closing: false,
        })
    }

    /// Carries the run out until nothing is left of it, or this process stops.
    pub async fn carry_out(mut self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let jobs = self.jobs.clone();
            let wait = self.wait_until.map(tokio::time::Instant::from_std);
            let mut is_due = false;
            tokio::select! {
                _ = ticks.tick() => is_due = true,
                () = jobs.news.notified() => is_due = true,
                Some(landed) = self.flying.join_next() => self.note(landed),
                claimed = async { self.claiming.as_mut()?.await.ok() }, if self.claiming.is_some() => {
                    self.claiming = None;
                    self.take_claim(claimed);
                }
                () = async { tokio::time::sleep_until(wait.unwrap_or_else(tokio::time::Instant::now)).await },
                    if wait.is_some() => self.wait_until = None,
            }
            while let Some(landed) = self.flying.try_join_next() {
                self.note(landed);
            }
            let stepped = if is_due { self.tick().await } else { self.flush_if_many().await.map(|()| true) };
            match stepped {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(run = %show_id(&self.row.id), %error, "a run waits for the database");
                    tokio::time::sleep(TICK).await;
                }
            }
            self.fill();
        }
    }

    fn is_running(&self) -> bool {
        self.progress.run.state == RunState::Running && !self.is_closing && !*self.stopping.borrow()
    }

    /// Sends what may be sent now, and claims more in time.
    fn fill(&mut self) {
        if !self.is_running() {
            return;
        }
        let now_ms = self.jobs.now_ms();
        let Some(caller) = self.caller.clone() else { return };
        if !caller.is_live(now_ms) {
            // What the directory says of them is to be asked anew.
            return self.look_soon();
        }
        for at in (0..self.delayed.len()).rev() {
            if self.delayed.get(at).is_some_and(|(due, _)| *due <= now_ms) {
                let (_, ready) = self.delayed.swap_remove(at);
                self.ready.push_front(ready);
            }
        }
        let errand = Errand {
            layout: self.layout.clone(),
            job: self.row.job,
            run: self.row.id,
            wave: self.progress.run.wave,
            caller,
            is_approved: self.progress.approved_by.is_some(),
            now_ms,
        };
        if self.layout.spec.dry_run {
            self.rehearse(&errand);
        } else {
            self.send(&errand);
        }
        let low = self.pace.concurrency.min(usize::try_from(self.jobs.config.chunk).unwrap_or(256));
        if self.claiming.is_none() && self.ready.len() < low.max(1) && self.delayed.len() < 10_000 {
            self.claim(self.jobs.config.chunk);
        }
    }

    fn send(&mut self, errand: &Errand) {
        while self.flying.len() < self.pace.concurrency && self.wait_until.is_none() {
            if self.ready.is_empty() {
                return;
            }
            if let Err(wait) = self.pace.take() {
                self.wait_until = Some(Instant::now() + wait);
                return;
            }
            let Some(ready) = self.ready.pop_front() else { return };
            let (errand, jobs) = (errand.clone(), self.jobs.clone());
            self.flying
                .spawn(async move { errand.send(&jobs.door.courier, &jobs.door.catalog, ready).await });
        }
    }

    /// A dry run: a part at a time, so that others get their turn.
    fn rehearse(&mut self, errand: &Errand) {
        let policies = self.jobs.door.policies.current();
        for _ in 0..SETTLE_AT_ONCE.saturating_sub(self.settling.len()) {
            let Some(ready) = self.ready.pop_front() else { return };
            let verdict = errand.rehearse(&ready, &self.jobs.door.catalog, &policies);
            self.observe(&verdict);
            self.settle(&ready, verdict, None);
            self.leave(&ready);
        }
        self.wait_until = Some(Instant::now());
    }

    fn claim(&mut self, size: u64) {
        let mut random = [0; 8];
        if aws_lc_rs::rand::fill(&mut random).is_err() {
            return;
        }
        // 42 bits name the chunk; a fencing number must stay below 2⁶³.
        let lease = u64::from_be_bytes(random) >> 22;
        let (jobs, holder, layout) = (self.jobs.clone(), self.holder.clone(), self.layout.clone());
        let (run, input) = (self.row.id, self.row.input);
        self.claiming = Some(tokio::spawn(async move {
            let now_ms = jobs.now_ms();
            let until_ms = now_ms + lease_ms(&jobs);
            let claimed = jobs.database.claim_chunk(&run, &holder, (now_ms, until_ms), size, lease).await?;
            let Some(chunk) = claimed else { return Ok(None) };
            let rows = rows_of(&jobs, &layout, input, &chunk).await?;
            Ok(Some((chunk, rows)))
        }));
    }

    fn take_claim(&mut self, claimed: Option<Claimed>) {
        let (chunk, rows) = match claimed {
            Some(Ok(Some(claimed))) => claimed,
            Some(Ok(None)) | None => return,
            Some(Err(error)) => return tracing::warn!(%error, "items could not be claimed"),
        };
        // It may have lapsed here.
        self.drop_chunk(chunk.first_item);
        let is_idempotent = self.layout.rollout.plan().is_idempotent;
        let mut held = Held { first: chunk.first_item, fence: chunk.fence, left: 0, is_dirty: true };
        let none: Arc<str> = "{}".into();
        for item in &chunk.items {
            let row = self.layout.rollout.place(item.item).and_then(|place| rows.get(&place.row));
            let ready = Ready {
                chunk: chunk.first_item,
                fence: chunk.fence,
                item: item.item,
                attempts: item.attempts,
                row: row.unwrap_or(&none).clone(),
            };
            if item.state == ItemState::Sending && !is_idempotent {
                // Whoever sent it is gone; its request may have arrived.
                let audit = item.audit.map(AuditId);
                let error = Some("the replica that sent it is gone".to_owned());
                let verdict = ItemVerdict { state: ItemState::Unknown, error, due_ms: None };
                self.observe(&verdict);
                self.settle(&ready, verdict, audit);
                continue;
            }
            if item.state == ItemState::Sending {
                let again = ItemVerdict { state: ItemState::Pending, error: None, due_ms: None };
                self.settle(&ready, again, None);
                self.fenced.push(ready);
            } else if let Some(due_ms) = item.due_ms {
                self.delayed.push((due_ms, ready));
            } else {
                self.ready.push_back(ready);
            }
            held.left += 1;
        }
        self.held.push(held);
    }

    /// An item has come down.
    fn note(&mut self, landed: Result<Landed, tokio::task::JoinError>) {
        let Ok(Landed { ready, end }) = landed else {
            // Which one it was is in the database: all is given up here, and begun anew.
            tracing::error!(run = %show_id(&self.row.id), "sending an item failed; its chunk is looked at when the lease has lapsed");
            self.is_closing = true;
            return;
        };
        let now_ms = self.jobs.now_ms();
        match end {
            Landing::Judged(verdict) => self.conclude(ready, verdict),
            Landing::Settle(verdict, audit) => {
                self.settle(&ready, verdict.clone(), audit);
                self.conclude(ready, verdict);
            }
            Landing::Unavailable => self.delayed.push((unavailable_until(now_ms), ready)),
            Landing::Fenced => self.fenced.push(ready),
            Landing::Ended => {
                // Nothing was sent. Who looks finds out why, or that it was but time to look.
                self.ready.push_front(ready);
                self.look_soon();
            }
            Landing::Closing => {
                self.is_closing = true;
                self.leave(&ready);
            }
        }
    }

    /// Sends nothing more before it is known by whose right.
    fn look_soon(&mut self) {
        self.caller = None;
        self.looked = self.looked.checked_sub(LOOK).unwrap_or(self.looked);
    }

    fn conclude(&mut self, mut ready: Ready, verdict: ItemVerdict) {
        if verdict.state == ItemState::Pending {
            ready.attempts += 1;
            self.delayed.push((verdict.due_ms.unwrap_or_default(), ready));
            return;
        }
        self.observe(&verdict);
        self.leave(&ready);
    }

    /// Remembers how an item ended, for the stop conditions and for whoever watches.
    fn observe(&mut self, verdict: &ItemVerdict) {
        let is_failure = matches!(verdict.state, ItemState::Failed | ItemState::Unknown);
        self.unsaved.failures.push(is_failure);
        if let Some(error) = verdict.error.as_ref().filter(|_| is_failure) {
            let kind = error.split(':').next().unwrap_or_default().trim().to_owned();
            *self.unsaved.errors.entry(kind).or_default() += 1;
            self.counted = self.counted.checked_sub(COUNT).unwrap_or(self.counted);
        }
        match verdict.state {
            ItemState::Done => self.counts.done += 1,
            ItemState::Unknown => self.counts.unknown += 1,
            _ => self.counts.failed += 1,
        }
        if is_failure {
            self.stop_if_it_must();
        }
    }

    /// Judges the stop conditions at once, before anything more is sent.
    fn stop_if_it_must(&mut self) {
        let mut run = self.progress.run.clone();
        for is_failure in &self.unsaved.failures {
            run.observe(&self.layout.rollout, *is_failure);
        }
        if run.state == RunState::Running
            && let Some(next) = run.tick(&self.layout.rollout, &self.counts, self.jobs.now_ms())
            && next.state == RunState::Stopped
        {
            // Written down at the next tick, which comes at once.
            self.progress.run.state = RunState::Stopped;
            self.progress.run.why = next.why;
            self.jobs.news.notify_one();
        }
    }

    fn settle(&mut self, ready: &Ready, verdict: ItemVerdict, audit: Option<AuditId>) {
        let end = ItemEnd {
            run: self.row.id,
            item: ready.item,
            audit: audit.unwrap_or_default(),
            state: verdict.state,
            status: None,
            error: verdict.error,
            due_ms: verdict.due_ms,
        };
        self.settling.push((ready.fence, end));
    }

    fn leave(&mut self, ready: &Ready) {
        match self.held.iter_mut().find(|held| held.fence == ready.fence) {
            Some(held) => {
                held.left = held.left.saturating_sub(1);
                held.is_dirty = true;
            }
            // What was in flight when the lease lapsed has ended, and may have been counted as unknown.
            None => drop(self.foreign.insert(ready.chunk, Instant::now())),
        }
    }

    async fn flush_if_many(&mut self) -> Result<(), StoreError> {
        if self.settling.len() >= SETTLE_AT_ONCE { self.flush().await } else { Ok(()) }
    }

    /// Stores the ends of items of which nothing was sent.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut by_fence: BTreeMap<u64, Vec<ItemEnd>> = BTreeMap::new();
        for (fence, end) in &self.settling {
            by_fence.entry(*fence).or_default().push(end.clone());
        }
        for (fence, ends) in by_fence {
            self.jobs.database.settle_items(fence, &ends).await?;
        }
        self.settling.clear();
        Ok(())
    }

    /// What is to be done now and then; `false` when nothing is left to do here.
    async fn tick(&mut self) -> Result<bool, StoreError> {
        self.sync().await?;
        self.flush().await?;
        self.look_at_fenced().await?;
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.look_around().await?;
        }
        if self.renewed.elapsed() >= self.jobs.config.lease / 4 {
            self.renewed = Instant::now();
            self.renew().await?;
        }
        let is_stopping = *self.stopping.borrow() || self.is_closing;
        if !self.is_running() {
            self.drop_unsent();
        }
        if self.counted.elapsed() >= COUNT || is_stopping || self.progress.run.state == RunState::Stopped {
            self.counted = Instant::now();
            self.count().await?;
            self.bring_forward().await?;
        }
        if is_stopping {
            return Ok(!(self.held.is_empty() || (self.is_closing && self.flying.is_empty())));
        }
        let is_idle = self.held.is_empty() && self.flying.is_empty() && self.foreign.is_empty();
        Ok(self.row.is_open || !is_idle)
    }

    /// Takes over what others made of the run.
    async fn sync(&mut self) -> Result<(), StoreError> {
        let Some(row) = self.jobs.database.run(&self.row.id).await? else {
            self.row.is_open = false;
            return Ok(());
        };
        if row.version == self.row.version {
            return Ok(());
        }
        match serde_json::from_str(&row.progress) {
            Ok(progress) => self.progress = progress,
            Err(error) => tracing::error!(run = %show_id(&row.id), %error, "a run's progress cannot be read"),
        }
        self.row = row;
        Ok(())
    }

    async fn renew(&mut self) -> Result<(), StoreError> {
        let until_ms = self.jobs.now_ms() + lease_ms(&self.jobs);
        let held: Vec<u64> = self.held.iter().map(|held| held.first).collect();
        let kept = self.jobs.database.renew_chunks(&self.row.id, &self.holder, &held, until_ms).await?;
        for first in held.into_iter().filter(|first| !kept.contains(first)) {
            self.drop_chunk(first);
            self.foreign.insert(first, Instant::now());
        }
        Ok(())
    }

    /// A chunk's items cannot be sent under the fence by which they are here.
    fn drop_chunk(&mut self, first: u64) {
        self.ready.retain(|ready| ready.chunk != first);
        self.delayed.retain(|(_, ready)| ready.chunk != first);
        self.held.retain(|held| held.first != first);
    }

    /// Items that the journal refused as not this replica's: looked up.
    async fn look_at_fenced(&mut self) -> Result<(), StoreError> {
        let mut fenced = std::mem::take(&mut self.fenced).into_iter();
        while let Some(ready) = fenced.next() {
            let found = match self.jobs.database.item_fence(&self.row.id, ready.item).await {
                Ok(found) => found,
                Err(error) => {
                    self.fenced.push(ready);
                    self.fenced.extend(fenced);
                    return Err(error);
                }
            };
            let Some((item, fence)) = found else { continue };
            let is_mine = fence == ready.fence;
            match item.state {
                ItemState::Pending if is_mine => self.ready.push_back(ready),
                // Committed when nobody waited for it any more: it was not sent.
                ItemState::Sending if is_mine => {
                    let again = ItemVerdict { state: ItemState::Pending, error: None, due_ms: None };
                    self.settle(&ready, again, None);
                    self.fenced.push(ready);
                }
                _ => self.leave(&ready),
            }
        }
        Ok(())
    }

    /// While the run does not run, what was not sent goes back.
    fn drop_unsent(&mut self) {
        let unsent = self.ready.drain(..).chain(self.delayed.drain(..).map(|(_, ready)| ready));
        for ready in unsent.collect::<Vec<_>>() {
            self.leave(&ready);
        }
    }
}

fn lease_ms(jobs: &Jobs) -> u64 {
    u64::try_from(jobs.config.lease.as_millis()).unwrap_or(u64::MAX)
}

/// The rows that a chunk's items are made of.
async fn rows_of(
    jobs: &Jobs,
    layout: &Layout,
    input: Option<[u8; 16]>,
    chunk: &Chunk,
) -> Result<BTreeMap<u64, Arc<str>>, StoreError> {
    let mut rows = BTreeMap::new();
    let Some(input) = input else { return Ok(rows) };
    // In each region the rows stand in one stretch.
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for item in &chunk.items {
        let Some(place) = layout.rollout.place(item.item) else { continue };
        match stretches.last_mut() {
            Some((_, last)) if place.row >= *last && place.row - *last <= 1_000 => *last = place.row,
            _ => stretches.push((place.row, place.row)),
        }
    }
    for (first, last) in stretches {
        for row in jobs.database.input_rows(&input, first, last + 1).await? {
            rows.insert(row.number, row.content.into());
        }
    }
    Ok(rows)
}
