//! The writer: one thread, one connection, one batch after the other.

mod late;
mod seal;

use super::CommitFailure;
use super::pace::Pace;
use super::queue::{Ack, Attempt, JournalHandle, Plain, Queue, Waiting, Wakes};
use super::statements::StatementFile;
use doorman_auth::Revocations;
use doorman_core::Digest;
use doorman_core::id::{AuditId, IdSequence};
use doorman_core::keys::SigningKey;
use doorman_core::statement::{WriterId, peers_digest};
use doorman_store::{Batch, CommitError, Database, Entry, ItemEnd, ItemMark, Journal, StoreError};
use late::Late;
use seal::Sealed;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Outcomes wait at most this long for an attempt to ride along with.
const OUTCOME_WAIT: Duration = Duration::from_millis(10);
/// After this long without entries, what is unwritten of signatures and statement lines is written.
const IDLE: Duration = Duration::from_millis(200);

/// A writer that closes while its database is away tries for this long.
const LAST_TRIES: Duration = Duration::from_secs(10);

/// How the journal is written.
#[derive(Clone)]
pub struct JournalConfig {
    /// Directory of the statements files.
    pub statements: PathBuf,
    /// Least time from the beginning of one commit to the next while attempts come fast: bigger batches are cheaper
    /// requests.
    pub gather: Duration,
    /// Most entries of one batch.
    pub max_batch: usize,
    /// After this long an attempt is given up and nothing is sent.
    pub commit_timeout: Duration,
    /// A writer that has not renewed its lease for so long is taken for dead; it renews it four times as often.
    pub lease: Duration,
}

impl JournalConfig {
    fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            statements: PathBuf::from("doorman-data/statements"),
            gather: Duration::from_micros(600),
            max_batch: 2_048,
            commit_timeout: Duration::from_secs(5),
            lease: Duration::from_secs(15),
        }
    }
}

/// A writer that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database refuses.
    #[error("the journal cannot be opened: {0}")]
    Store(#[from] StoreError),
    /// The statements file or the thread cannot be made.
    #[error("the statements file cannot be written: {0}")]
    Io(#[from] std::io::Error),
    /// There is no randomness.
    #[error("the system gave no randomness")]
    Random,
    /// There is no key to sign statements with.
    #[error("there is no active statement key; `doorman keys rotate` makes one")]
    NoKey,
}

/// What the writer asks of the rest of the process.
pub struct Surroundings {
    /// Wall time in milliseconds.
    pub now_ms: Box<dyn Fn() -> u64 + Send>,
    /// The key that statements are signed with now.
    pub signing_key: Box<dyn Fn() -> Option<Arc<SigningKey>> + Send>,
    /// What has been revoked.
    pub revocations: Arc<Revocations>,
    /// Version of the policy set in force.
    pub policy_version: Box<dyn Fn() -> u64 + Send>,
}

/// The running writer.
pub struct Writer {
    handle: JournalHandle,
    id: WriterId,
    thread: std::thread::JoinHandle<()>,
}

impl Writer {
    /// Registers a new writer and starts its thread.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        database: Database,
        config: JournalConfig,
        around: Surroundings,
    ) -> Result<Self, StartError> {
        let mut random = [0u8; 24];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| StartError::Random)?;
        let (id, node) = random.split_at(16);
        let id = WriterId(id.try_into().unwrap_or_default());
        let node = u64::from_be_bytes(node.try_into().unwrap_or_default());
        if (around.signing_key)().is_none() {
            return Err(StartError::NoKey);
        }
        let queue = Arc::new(Queue::default());
        let handle = JournalHandle { queue: queue.clone(), commit_timeout: config.commit_timeout };
        let file = StatementFile::create(&config.statements, id)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (started, has_started) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("journal".into()).spawn(move || {
            let open = async {
                let mut journal = database.open_journal().await?;
                let peers = journal.register_writer(id, (around.now_ms)(), config.lease_ms()).await?;
                Ok::<_, StoreError>((journal, peers))
            };
            let (journal, peers) = match runtime.block_on(open) {
                Ok(opened) => opened,
                Err(error) => {
                    let _ = started.send(Err(StartError::Store(error)));
                    return;
                }
            };
            let chain = Chain {
                writer: id,
                number: 0,
                previous: Digest::default(),
                first_index: 0,
                peers: Some(peers_digest(&peers)),
            };
            let _ = started.send(Ok(()));
            let state = State {
                database,
                journal: Some(journal),
                config,
                around,
                queue,
                chain,
                ids: IdSequence::new(node),
                unsaved: Vec::new(),
                file,
                lease_renewed: Instant::now(),
                pace: Pace::default(),
                late: Vec::new(),
            };
            state.run(&runtime);
        })?;
        has_started.await.map_err(|_| StartError::Random)??;
        Ok(Self { handle, id, thread })
    }

    /// This process's writer id.
    pub fn id(&self) -> WriterId {
        self.id
    }

    /// The way to the writer.
    pub fn handle(&self) -> JournalHandle {
        self.handle.clone()
    }

    /// Writes what waits, stores the last signatures and ends. Blocks.
    pub fn close(self) {
        self.handle.queue.waiting.lock().closing = true;
        self.handle.queue.wake.notify_one();
        if self.thread.join().is_err() {
            tracing::error!("the journal's thread panicked");
        }
    }
}

/// Where the writer's chain of statements stands.
struct Chain {
    writer: WriterId,
    number: u64,
    previous: Digest,
    first_index: u64,
    peers: Option<Digest>,
}

struct State {
    database: Database,
    /// `None` after an error, until a new connection is made.
    journal: Option<Journal>,
    config: JournalConfig,
    around: Surroundings,
    queue: Arc<Queue>,
    chain: Chain,
    ids: IdSequence,
    /// Signatures that go with the next batch.
    unsaved: Vec<(u64, [u8; 64])>,
    file: StatementFile,
    lease_renewed: Instant,
    pace: Pace,
    /// Batches that were given up and may still come under the number that the writer is at.
    late: Vec<Late>,
}

/// The entries of one batch: attempts first, then outcomes and the rest.
#[derive(Default)]
struct Taken {
    attempts: Vec<Attempt>,
    plain: Vec<Plain>,
}

enum Round {
    Batch(Taken),
    Idle,
    Closing,
}

impl State {
    fn run(mut self, runtime: &tokio::runtime::Runtime) {
        let mut closing_since = None;
        loop {
            let round = self.next_round();
            let is_last = matches!(round, Round::Closing);
            runtime.block_on(async {
                match round {
                    Round::Batch(taken) => {
                        self.pace.note(taken.attempts.len(), Instant::now());
                        self.commit(taken).await;
                        if self.is_renewal_due() {
                            self.idle().await;
                        }
                    }
                    Round::Idle => self.idle().await,
                    Round::Closing => {
                        self.idle().await;
                        if let Some(journal) = &mut self.journal
                            && let Err(error) =
                                journal.close_writer(self.chain.writer, (self.around.now_ms)()).await
                        {
                            tracing::warn!(%error, "cannot close the journal's writer; its lease will lapse");
                        }
                    }
                }
            });
            if is_last {
                return;
            }
            let waiting = self.queue.waiting.lock();
            if waiting.closing && closing_since.get_or_insert_with(Instant::now).elapsed() > LAST_TRIES {
                let left = waiting.outcomes.len();
                return tracing::error!(left, "the journal ends without its database; outcomes are lost");
            }
        }
    }

    /// Waits for entries, leaving room for more to gather, and takes them.
    fn next_round(&mut self) -> Round {
        let rest = self.pace.gather(self.config.gather, Instant::now());
        if !rest.is_zero() {
            std::thread::sleep(rest);
        }
        let idle_from = Instant::now();
        let mut waiting = self.queue.waiting.lock();
        loop {
            let urgent = !waiting.attempts.is_empty() || !waiting.refusals.is_empty();
            let waited = idle_from.elapsed();
            if urgent || waiting.closing || (!waiting.outcomes.is_empty() && waited >= OUTCOME_WAIT) {
                if waiting.is_empty() {
                    return Round::Closing;
                }
                return Round::Batch(take(&mut waiting, self.config.max_batch));
            }
            if waiting.is_empty() && waited >= IDLE {
                return Round::Idle;
            }
            waiting.sleeping = true;
            let limit = if waiting.outcomes.is_empty() { OUTCOME_WAIT.max(IDLE / 8) } else { OUTCOME_WAIT };
            self.queue.wake.wait_for(&mut waiting, limit);
            waiting.sleeping = false;
        }
    }

    fn is_renewal_due(&self) -> bool {
        self.lease_renewed.elapsed() >= self.config.lease / 4
    }

    /// Stores what the send path left behind.
    async fn idle(&mut self) {
        if let Err(error) = self.file.flush() {
            tracing::error!(%error, "the statements file cannot be written");
        }
        let renew = self.is_renewal_due();
        if self.unsaved.is_empty() && !renew {
            return;
        }
        let Some(journal) = self.connected().await else { return };
        let mut result = Ok(());
        let unsaved = std::mem::take(&mut self.unsaved);
        let writer = self.chain.writer;
        let now_ms = (self.around.now_ms)();
        let mut journal = journal;
        if !unsaved.is_empty() {
            result = journal.store_signatures(writer, &unsaved).await;
        }
        if result.is_ok() && renew {
            result = journal.renew_lease(writer, now_ms, self.config.lease_ms()).await;
            self.lease_renewed = Instant::now();
        }
        match result {
            Ok(()) => self.journal = Some(journal),
            Err(error) => {
                tracing::warn!(%error, "the journal cannot store its statements' signatures now");
                self.unsaved = unsaved;
                self.queue.unavailable.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Takes the connection out, or makes a new one.
    async fn connected(&mut self) -> Option<Journal> {
        if let Some(journal) = self.journal.take() {
            return Some(journal);
        }
        match tokio::time::timeout(self.config.commit_timeout, self.database.open_journal()).await {
            Ok(Ok(journal)) => Some(journal),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the journal's database cannot be reached");
                None
            }
            Err(_) => None,
        }
    }

    async fn commit(&mut self, mut taken: Taken) {
        let mut wakes = Wakes::default();
        let epoch = self.screen(&mut taken, &mut wakes);
        let Some(key) = (self.around.signing_key)() else {
            tracing::error!("no statement key is active");
            return self.give_up(taken, &mut wakes);
        };
        let Some(mut journal) = self.connected().await else {
            return self.give_up(taken, &mut wakes);
        };
        let mut epoch = epoch;
        loop {
            if taken.attempts.is_empty() && taken.plain.is_empty() {
                self.journal = Some(journal);
                return;
            }
            let sealed = self.seal(&mut taken, &key);
            match self.write(&mut journal, epoch, &taken, &sealed).await {
                Ok(()) => {
                    self.journal = Some(journal);
                    return self.publish(taken, sealed, &key, &mut wakes);
                }
                Err(CommitError::EpochMoved { epoch: moved, revoked }) => {
                    self.around.revocations.apply(moved, revoked);
                    epoch = self.screen(&mut taken, &mut wakes).max(moved);
                }
                Err(CommitError::ItemsLost(lost)) => {
                    turn_away(&mut taken, &sealed.ids, &lost, &mut wakes);
                    epoch = self.screen(&mut taken, &mut wakes).max(epoch);
                }
                // A batch that was given up came after all and has the number: this one gets the next.
                Err(CommitError::NotCommitted(StoreError::Conflict)) if self.adopt_late().await.is_some() => {
                    epoch = self.screen(&mut taken, &mut wakes).max(epoch);
                }
                Err(CommitError::NotCommitted(error)) => {
                    tracing::error!(%error, "a batch could not be committed; nothing of it was sent");
                    return self.give_up(taken, &mut wakes);
                }
                Err(CommitError::Unknown(error)) => {
                    tracing::error!(%error, "nobody knows whether a batch was committed; nothing of it is sent");
                    drop(journal);
                    return self.settle_unknown(taken, sealed, key, &mut wakes).await;
                }
            }
        }
    }

    async fn write(
        &mut self,
        journal: &mut Journal,
        epoch: u64,
        taken: &Taken,
        sealed: &Sealed,
    ) -> Result<(), CommitError> {
        if cfg!(bench_unaudited) {
            return Ok(());
        }
        let attempts =
            taken.attempts.iter().map(|attempt| (attempt.draft.claims.as_slice(), &attempt.draft.record));
        let plain = taken.plain.iter().map(|plain| ([].as_slice(), &plain.record));
        let entries: Vec<Entry<'_>> = attempts
            .chain(plain)
            .zip(&sealed.ids)
            .map(|((claims, record), id)| Entry { id: *id, claims, record: record.bytes() })
            .collect();
        let (sending, ended) = moved_items(taken, &sealed.ids);
        let batch = Batch {
            writer: self.chain.writer,
            epoch,
            number: self.chain.number,
            statement: &sealed.body,
            first_index: self.chain.first_index,
            entries: &entries,
            signatures: &self.unsaved,
            sending: &sending,
            ended: &ended,
        };
        match tokio::time::timeout(self.config.commit_timeout, journal.commit(&batch)).await {
            Ok(result) => result,
            Err(_) => Err(CommitError::Unknown(StoreError::TimedOut)),
        }
    }

    /// Turns away attempts that must not be written any more: too late, revoked, or judged by a replaced policy set.
    /// Gives the epoch up to which the rest is known to be good.
    fn screen(&self, taken: &mut Taken, wakes: &mut Wakes) -> u64 {
        let revocations = &self.around.revocations;
        let epoch = revocations.epoch();
        let policy_version = (self.around.policy_version)();
        let now = Instant::now();
        let verdict = |attempt: &Attempt| {
            if attempt.deadline < now {
                return Some(CommitFailure::Unavailable);
            }
            if attempt.draft.policy_version != policy_version {
                return Some(CommitFailure::PolicyChanged);
            }
            let revoked =
                attempt.draft.sessions.iter().flatten().any(|session| revocations.contains(session));
            revoked.then_some(CommitFailure::Revoked)
        };
        for index in (0..taken.attempts.len()).rev() {
            if let Some(failure) = taken.attempts.get(index).and_then(verdict) {
                taken.attempts.remove(index).ack.refuse(failure, wakes);
            }
        }
        epoch
    }

    /// Tells callers that nothing was sent, and keeps what must not be lost for the next batch.
    fn give_up(&mut self, taken: Taken, wakes: &mut Wakes) {
        self.queue.unavailable.store(true, Ordering::Relaxed);
        for attempt in taken.attempts {
            attempt.ack.refuse(CommitFailure::Unavailable, wakes);
        }
        self.keep_outcomes(taken.plain, wakes);
        // The connection, if any is left, is in an unknown state.
        self.journal = None;
        std::thread::sleep(Duration::from_millis(20));
    }

    fn keep_outcomes(&self, plain: Vec<Plain>, wakes: &mut Wakes) {
        let mut kept = Vec::new();
        for entry in plain {
            match entry.ack {
                Ack::None => kept.push(entry),
                ack => ack.refuse(CommitFailure::Unavailable, wakes),
            }
        }
        let mut waiting = self.queue.waiting.lock();
        kept.append(&mut waiting.outcomes);
        waiting.outcomes = kept;
    }
}

/// The items of runs that a batch moves. Both are empty, and nothing is allocated, where there are none.
fn moved_items(taken: &Taken, ids: &[AuditId]) -> (Vec<(ItemMark, AuditId)>, Vec<ItemEnd>) {
    let sending = taken.attempts.iter().zip(ids).filter_map(|(attempt, id)| Some((attempt.draft.item?, *id)));
    let ended = taken.plain.iter().filter_map(|plain| plain.item.as_deref().cloned());
    (sending.collect(), ended.collect())
}

/// Turns away the attempts of these ids, alone: their items are not theirs to send.
fn turn_away(taken: &mut Taken, ids: &[AuditId], lost: &[AuditId], wakes: &mut Wakes) {
    let attempts = std::mem::take(&mut taken.attempts);
    for (attempt, id) in attempts.into_iter().zip(ids) {
        if lost.contains(id) {
            attempt.ack.refuse(CommitFailure::Fenced, wakes);
        } else {
            taken.attempts.push(attempt);
        }
    }
}

/// Takes what goes into one batch, attempts before the rest.
fn take(waiting: &mut Waiting, max: usize) -> Taken {
    let attempts = if waiting.attempts.len() <= max {
        std::mem::take(&mut waiting.attempts)
    } else {
        waiting.attempts.drain(..max).collect()
    };
    let mut room = max - attempts.len().min(max);
    let outcomes = waiting.outcomes.len().min(room);
    let mut plain: Vec<Plain> = if outcomes == waiting.outcomes.len() {
        std::mem::take(&mut waiting.outcomes)
    } else {
        waiting.outcomes.drain(..outcomes).collect()
    };
    room -= outcomes;
    let refusals = waiting.refusals.len().min(room);
    plain.extend(waiting.refusals.drain(..refusals));
    Taken { attempts, plain }
}

#[cfg(test)]
mod tests;
