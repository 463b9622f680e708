//! Fills a log through the store's own journal: the same transactions, statements and signatures as in a running `api`, with
//! a new writer now and then, as restarts make them.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use doorman_core::keys::SigningKey;
use doorman_core::merkle::{self, Tree};
use doorman_core::statement::{self, Statement, WriterId, peers_digest};
use doorman_core::{Digest, sha256};
use doorman_store::{Batch, Database, Entry, Journal};
use serde::{Deserialize, Serialize};

use super::entries::{Made, Maker};

/// Entries of one batch, about what a busy door gathers in one.
const BATCH: u64 = 64;
const WRITERS: u64 = 6;
/// The log reaches so far back.
pub const SPAN_MS: u64 = 90 * 24 * 3_600_000;
const LEASE_MS: u64 = 15_000;

/// What filling took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Filled {
    /// As lists count: a request and its outcome are one.
    pub entries: u64,
    /// As the journal counts: an outcome is an entry of its own.
    pub rows: u64,
    pub commit_seconds: f64,
    pub index_seconds: f64,
}

/// One writer of a log.
pub struct Log {
    journal: Journal,
    writer: WriterId,
    number: u64,
    previous: Digest,
    first_index: u64,
    peers: Option<Digest>,
    unsaved: Option<(u64, [u8; 64])>,
}

impl Log {
    /// Registers a new writer.
    pub async fn open(database: &Database, writer: WriterId, now_ms: u64) -> Result<Self> {
        let mut journal = database.open_journal().await?;
        let peers = journal.register_writer(writer, now_ms, LEASE_MS).await?;
        let peers = Some(peers_digest(&peers));
        Ok(Self {
            journal,
            writer,
            number: 0,
            previous: Digest::default(),
            first_index: 0,
            peers,
            unsaved: None,
        })
    }

    /// Commits one batch, as `door`'s writer does.
    pub async fn commit(&mut self, key: &SigningKey, made: &[Made], now_ms: u64) -> Result<()> {
        let leaf = |made: &Made| merkle::leaf_hash(&sha256(&made.claims), &sha256(&made.record));
        let statement = Statement {
            writer: self.writer,
            kid: key.id(),
            number: self.number,
            previous: self.previous,
            root: Tree::new(made.iter().map(leaf).collect()).root(),
            first_index: self.first_index,
            count: u32::try_from(made.len())?,
            time_ms: now_ms,
            peers: self.peers.take(),
        };
        let body = statement.to_bytes();
        let entries: Vec<Entry<'_>> = made
            .iter()
            .map(|made| Entry { id: made.id, claims: &made.claims, record: &made.record })
            .collect();
        self.journal
            .commit(&Batch {
                writer: self.writer,
                epoch: 0,
                number: self.number,
                statement: &body,
                first_index: self.first_index,
                entries: &entries,
                signatures: self.unsaved.as_slice(),
                sending: &[],
                ended: &[],
            })
            .await?;
        self.unsaved = Some((self.number, statement::sign(key, &body)));
        self.previous = sha256(&body);
        self.number += 1;
        self.first_index += made.len() as u64;
        Ok(())
    }

    /// Stores the last signature, and ends the writer.
    pub async fn close(mut self, now_ms: u64) -> Result<()> {
        self.journal.store_signatures(self.writer, self.unsaved.as_slice()).await?;
        Ok(self.journal.close_writer(self.writer, now_ms).await?)
    }
}

/// A writer's id for the bench, by number.
pub fn writer_id(number: u64) -> WriterId {
    WriterId((u128::from(number) << 64 | 0xbe7c).to_be_bytes())
}

/// Fills `database` with about `wanted` rows whose times end at `now_ms`, and its index.
pub async fn fill(database: &Database, key: &SigningKey, wanted: u64, now_ms: u64) -> Result<Filled> {
    let (send, batches) = sync_channel(16);
    let maker = thread::spawn(move || {
        let began = now_ms - SPAN_MS;
        let mut maker = Maker::new(0xbe7c);
        let mut outcomes = Vec::new();
        let (mut number, mut rows) = (0, 0);
        while rows < wanted {
            let at = began + u64::try_from(u128::from(rows) * u128::from(SPAN_MS) / u128::from(wanted))?;
            let mut batch = Vec::with_capacity(2 * BATCH as usize);
            // Outcomes come behind the attempts of the next batch, as the door's writer places them.
            let ended = std::mem::take(&mut outcomes);
            for _ in 0..BATCH {
                let (made, outcome) = maker.entry(number, at);
                batch.push(made);
                outcomes.extend(outcome);
                number += 1;
            }
            batch.extend(ended.into_iter().map(|outcome| maker.finish(outcome, at)));
            rows += batch.len() as u64;
            if send.send((at, batch)).is_err() {
                break;
            }
        }
        let last = outcomes.into_iter().map(|outcome| maker.finish(outcome, now_ms)).collect();
        let _ = send.send((now_ms, last));
        anyhow::Ok(number)
    });
    let start = Instant::now();
    let rows = commit_all(database, key, &batches, wanted).await?;
    drop(batches);
    let entries = maker.join().map_err(|_| anyhow!("the maker of entries died"))??;
    let commit_seconds = start.elapsed().as_secs_f64();
    println!("{rows} rows in {commit_seconds:.0} s ({:.0}/s)", rows as f64 / commit_seconds);
    let start = Instant::now();
    index(database, rows).await?;
    let index_seconds = start.elapsed().as_secs_f64();
    println!("indexed in {index_seconds:.0} s ({:.0}/s)", rows as f64 / index_seconds);
    Ok(Filled { entries, rows, commit_seconds, index_seconds })
}

async fn commit_all(
    database: &Database,
    key: &SigningKey,
    batches: &Receiver<(u64, Vec<Made>)>,
    wanted: u64,
) -> Result<u64> {
    let each = wanted.div_ceil(2 * BATCH).div_ceil(WRITERS).max(1);
    let mut log: Option<Log> = None;
    let (mut rows, mut count) = (0, 0);
    while let Ok((at, batch)) = batches.recv() {
        if count % each == 0 {
            if let Some(ended) = log.take() {
                ended.close(at).await?;
            }
            log = Some(Log::open(database, writer_id(1 + count / each), at).await?);
        }
        log.as_mut().context("no writer")?.commit(key, &batch, at).await?;
        rows += batch.len() as u64;
        count += 1;
        if count % (each / 2).max(1) == 0 {
            println!("  {rows} rows");
        }
    }
    if let Some(log) = log {
        log.close(super::now_ms()?).await?;
    }
    Ok(rows)
}

/// Brings the index up to the log's end, by the product's own steps.
async fn index(database: &Database, rows: u64) -> Result<()> {
    let (mut done, mut told) = (0u64, 0);
    loop {
        match database.index_step(10_000).await? {
            0 => return Ok(()),
            taken => done += taken as u64,
        }
        if done * 10 / rows.max(1) > told {
            told = done * 10 / rows.max(1);
            println!("  {done} rows indexed");
        }
    }
}
