//! Feeds sinks from the journal: committed batches in order, from a position that is stored behind what was taken. One
//! replica feeds each sink.

use crate::{Line, Sink, SinkError, SinkState, SinkStates};
use doorman_core::export;
use doorman_core::statement::{Statement, StatementLine, WriterId};
use doorman_core::verify::StoredEntry;
use doorman_store::{Database, StoreError, StoredBatch, WriterRow};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks at the journal.
const INTERVAL: Duration = Duration::from_millis(500);
const LEASE_MS: u64 = 30_000;
/// Between tries of a sink that fails: twice as long each time, up to the last.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A sink that takes so long is said to be stuck, and waited for.
const STUCK: Duration = Duration::from_secs(5);
/// Bytes that are handed over at once, unless one batch has more.
const AT_ONCE: usize = 512 << 10;

/// What feeding needs of its surroundings.
#[derive(Clone)]
pub struct Feed {
    /// The journal.
    pub database: Database,
    /// The time.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Tells this replica from others.
    pub holder: String,
    /// Where it says how sinks do.
    pub states: SinkStates,
}

/// Feeds a sink of this name until the process ends. A sink that is new gets the whole log.
pub fn start(feed: Feed, name: String, sink: Box<dyn Sink>) {
    tokio::spawn(async move {
        let mut feeder = Feeder { feed, lease: lease_of(&name), name, sink };
        let mut wait = BACK_OFF.0;
        loop {
            let error = match feeder.feed().await {
                Ok(()) => None,
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = &error {
                tracing::warn!(sink = feeder.name, error, "a sink does not take the log; it is tried again");
            }
            let failed = error.is_some();
            feeder.feed.states.set(&feeder.name, SinkState { error });
            tokio::time::sleep(if failed { wait } else { INTERVAL }).await;
            wait = if failed { (wait * 2).min(BACK_OFF.1) } else { BACK_OFF.0 };
        }
    });
}

/// Lets another process feed these sinks at once, for one that ends.
pub async fn release(feed: &Feed, names: &[String]) {
    for name in names {
        if let Err(error) = feed.database.release_lease(&lease_of(name), &feed.holder).await {
            tracing::warn!(sink = name, %error, "a sink is not given back; it rests until the lease ends");
        }
    }
}

fn lease_of(name: &str) -> String {
    format!("sink:{name}")
}

#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("the journal cannot be read: {0}")]
    Store(#[from] StoreError),
}

struct Feeder {
    feed: Feed,
    lease: String,
    name: String,
    sink: Box<dyn Sink>,
}

/// The next batch of each writer.
type Position = BTreeMap<String, u64>;

impl Feeder {
    /// Hands over all that there is.
    async fn feed(&mut self) -> Result<(), FeedError> {
        if !self.holds().await? {
            return Ok(());
        }
        let stored = self.feed.database.stored_value(&self.lease).await?;
        let mut position: Position =
            stored.and_then(|stored| serde_json::from_slice(&stored).ok()).unwrap_or_default();
        let mut behind_ms = 0;
        for writer in self.feed.database.writers().await? {
            if let Some(oldest_ms) = self.feed_writer(&writer, &mut position).await? {
                behind_ms = behind_ms.max((self.feed.now_ms)().saturating_sub(oldest_ms));
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        metrics::gauge!("doorman_sink_lag_seconds", "sink" => self.name.clone()).set(behind_ms as f64 / 1e3);
        Ok(())
    }

    async fn holds(&self) -> Result<bool, StoreError> {
        let Feed { database, now_ms, holder, .. } = &self.feed;
        database.try_lease(&self.lease, holder, now_ms(), LEASE_MS).await
    }

    /// Hands over what is new of one writer; gives the time of the first batch that is not ripe yet.
    async fn feed_writer(
        &mut self,
        writer: &WriterRow,
        position: &mut Position,
    ) -> Result<Option<u64>, FeedError> {
        let key = writer.id.to_string();
        let from = position.get(&key).copied().unwrap_or_default();
        let mut batches = self.feed.database.read_batches(writer.id, from).await?;
        let mut lines = Vec::new();
        let (mut next, mut bytes) = (from, 0);
        loop {
            let batch = batches.next().await?;
            let unripe =
                batch.as_ref().filter(|batch| !self.is_ripe(batch, writer)).map(|batch| batch.span.0);
            let batch = batch.filter(|_| unripe.is_none());
            if !lines.is_empty() && (batch.is_none() || bytes >= AT_ONCE) {
                self.send(&lines).await?;
                metrics::counter!("doorman_sink_lines_total", "sink" => self.name.clone())
                    .increment(lines.len() as u64);
                position.insert(key.clone(), next);
                let stored = serde_json::to_vec(position).unwrap_or_default();
                self.feed.database.store_value(&self.lease, &stored).await?;
                (lines, bytes) = (Vec::new(), 0);
                if !self.holds().await? {
                    return Ok(None);
                }
            }
            let Some(batch) = batch else { return Ok(unripe.map(|id| id.unix_ms())) };
            if batch.number == 0 {
                lines.push(writer_line(writer));
            }
            next = batch.number + 1;
            let more = lines_of(writer.id, batch);
            bytes += more.iter().map(|line| line.json.len()).sum::<usize>();
            lines.extend(more);
        }
    }

    /// Hands lines over, and tells when that takes too long: a pipe that nobody reads fails never.
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let mut sending = self.sink.send(lines);
        if let Ok(sent) = tokio::time::timeout(STUCK, &mut sending).await {
            return sent;
        }
        tracing::warn!(sink = self.name, "a sink is stuck; it is waited for");
        self.feed.states.set(&self.name, SinkState { error: Some("stuck".to_owned()) });
        sending.await
    }

    /// Whether the batch goes on with its signature: a writer stores it a moment after the commit, unless it is gone.
    fn is_ripe(&self, batch: &StoredBatch, writer: &WriterRow) -> bool {
        batch.signature.is_some() || writer.closed_ms.is_some() || writer.lease_ms < (self.feed.now_ms)()
    }
}

fn writer_line(writer: &WriterRow) -> Line {
    Line {
        key: writer.id.to_string(),
        what: "writer",
        id: None,
        time_ms: writer.started_ms,
        json: export::writer(writer.id, &writer.peers).trim_end().to_owned(),
    }
}

/// A statement and its entries, as an export has them.
fn lines_of(writer: WriterId, batch: StoredBatch) -> Vec<Line> {
    let StoredBatch { number, statement: body, first_index, signature, entries, .. } = batch;
    let signature = signature.map(|signature| <[u8; 64]>::try_from(signature).unwrap_or([0; 64]));
    let time_ms = Statement::from_bytes(&body).map_or(0, |statement| statement.time_ms);
    let line = StatementLine { writer, number, body, signature, leaves: Vec::new() };
    let stored = entries.iter().map(|entry| StoredEntry {
        id: entry.id,
        claims: &entry.claims,
        record: &entry.record,
    });
    let text = export::batch(&line, first_index, stored);
    let ids = std::iter::once(None).chain(entries.iter().map(|entry| Some(entry.id)));
    text.lines()
        .zip(ids)
        .map(|(json, id)| Line {
            key: id.map_or_else(|| format!("{writer}/{number}"), |id| id.to_string()),
            what: if id.is_some() { "entry" } else { "statement" },
            id,
            time_ms: id.map_or(time_ms, |id| id.unix_ms()),
            json: json.to_owned(),
        })
        .collect()
}

#[cfg(test)]
mod tests;
