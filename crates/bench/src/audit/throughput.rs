//! Rows a second into an empty log and into the full one, in turns: the journal must not feel how long the log is.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use doorman_core::keys::SigningKey;
use doorman_store::{Database, DatabaseConfig};
use serde::Serialize;

use super::entries::{Made, Maker};
use super::fill::{Log, writer_id};
use super::{Place, now_ms};

const WINDOW: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_millis(200);
/// Attempts of a batch; their outcomes are as many rows again.
const BATCH: u64 = 32;

/// Medians over the rounds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Throughput {
    /// Rows a second.
    pub empty: f64,
    pub full: f64,
    /// `full ÷ empty`: the median of the rounds' own.
    pub ratio: f64,
    /// The same while the indexer works beside.
    pub indexed_ratio: f64,
}

/// Measures `rounds` times, an empty log of its own each time.
pub async fn measure(place: &Place, full: &Database, key: &SigningKey, rounds: usize) -> Result<Throughput> {
    let mut found = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
    for round in 0..rounds {
        let (url, directory) = place.empty()?;
        let empty = Database::connect(&DatabaseConfig::new(url)).await?;
        empty.migrate().await?;
        for (slot, indexes) in [(0, false), (2, true)] {
            let mut pair = [(0, &empty), (1, full)];
            if round % 2 == 1 {
                pair.reverse();
            }
            for (side, database) in pair {
                // Unlike those of a run before on the same log.
                let writer = now_ms()? * 100 + (round * 4 + slot + side) as u64;
                let rate = rows_per_second(database, key, writer, indexes).await?;
                if let Some(rates) = found.get_mut(slot + side) {
                    rates.push(rate);
                }
            }
        }
        empty.close().await;
        drop(directory);
    }
    let [empty, full, empty_indexed, full_indexed] = found;
    let ratio = |over: &[f64], under: &[f64]| median(over.iter().zip(under).map(|(a, b)| a / b).collect());
    Ok(Throughput {
        ratio: ratio(&full, &empty),
        indexed_ratio: ratio(&full_indexed, &empty_indexed),
        empty: median(empty),
        full: median(full),
    })
}

/// One window of a writer of its own.
async fn rows_per_second(database: &Database, key: &SigningKey, writer: u64, indexes: bool) -> Result<f64> {
    // Made before: what is measured is the journal.
    let now = now_ms()?;
    let mut maker = Maker::new(writer);
    let mut log = Log::open(database, writer_id(writer), now).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let indexer = indexes.then(|| {
        let (database, stop) = (database.clone(), stop.clone());
        thread::spawn(move || keep_indexed(&database, &stop))
    });
    let rate = commit_for_a_while(&mut log, key, &mut maker, now).await;
    stop.store(true, Ordering::Relaxed);
    if let Some(indexer) = indexer {
        indexer.join().map_err(|_| anyhow!("the indexer died"))??;
    }
    let rate = rate?;
    log.close(now_ms()?).await?;
    Ok(rate)
}

async fn commit_for_a_while(log: &mut Log, key: &SigningKey, maker: &mut Maker, now: u64) -> Result<f64> {
    let (mut rows, mut took) = (0, Duration::ZERO);
    // Not the first entries of all, which have a person of their own.
    let mut number = 1_000;
    let began = Instant::now();
    while took < WINDOW {
        let mut batch: Vec<Made> = Vec::with_capacity(2 * BATCH as usize);
        let mut ended = Vec::new();
        for _ in 0..BATCH {
            let (made, outcome) = maker.entry(number, now);
            batch.push(made);
            ended.extend(outcome);
            number += 1;
        }
        batch.extend(ended.into_iter().map(|outcome| maker.finish(outcome, now)));
        let start = Instant::now();
        log.commit(key, &batch, now).await?;
        if began.elapsed() > WARM_UP {
            took += start.elapsed();
            rows += batch.len();
        }
    }
    Ok(rows as f64 / took.as_secs_f64())
}

/// The product's own indexer, until it is told to stop.
fn keep_indexed(database: &Database, stop: &AtomicBool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        while !stop.load(Ordering::Relaxed) {
            if database.index_step(2_000).await? == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        Ok(())
    })
}

/// The size of the log's files, in bytes; 0 where they are a server's.
pub fn size_of(directory: Option<&Path>) -> Result<u64> {
    let Some(directory) = directory else { return Ok(0) };
    let mut bytes = 0;
    for file in std::fs::read_dir(directory)? {
        let file = file?;
        if file.file_name().to_string_lossy().starts_with("doorman.db") {
            bytes += file.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
