//! Measures the journal alone: `commits URL BATCHES ROWS_PER_BATCH`. Run it under `perf stat -e instructions:u,instructions:k`.

#![allow(clippy::indexing_slicing, reason = "a measurement, not the product")]

use doorman_core::id::{AuditId, IdSequence};
use doorman_core::statement::WriterId;
use doorman_store::{Batch, Database, DatabaseConfig, Entry};
use std::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, url, batches, rows] = args.as_slice() else {
        return Err("usage: commits URL BATCHES ROWS".into());
    };
    let (batches, rows): (u64, usize) = (batches.parse()?, rows.parse()?);
    let database = Database::connect(&DatabaseConfig::new(url)).await?;
    database.migrate().await?;
    let now = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_millis())?;
    let node = now ^ u64::from(std::process::id());
    let mut writer = [7; 16];
    writer[..8].copy_from_slice(&node.to_be_bytes());
    let writer = WriterId(writer);
    let mut journal = database.open_journal().await?;
    journal.register_writer(writer, now, 60_000).await?;
    let mut ids = IdSequence::new(node);
    // Half attempts, half outcomes, of usual size.
    let (claims, attempt, outcome) = (vec![1; 300], vec![b'{'; 800], vec![b'{'; 400]);
    let statement = [3; 150];
    let start = Instant::now();
    let mut slowest = 0;
    for number in 0..batches {
        let at = Instant::now();
        let entries: Vec<Entry<'_>> = (0..rows)
            .map(|row| {
                let id: AuditId = ids.next_id(now + number);
                let is_attempt = row % 2 == 0;
                Entry {
                    id,
                    claims: if is_attempt { &claims } else { &[] },
                    record: if is_attempt { &attempt } else { &outcome },
                }
            })
            .collect();
        let signatures: Vec<_> = number.checked_sub(1).map(|last| (last, [5; 64])).into_iter().collect();
        let first_index = number * rows as u64;
        let batch = Batch {
            writer,
            epoch: 0,
            number,
            statement: &statement,
            first_index,
            entries: &entries,
            signatures: &signatures,
            sending: &[],
            ended: &[],
        };
        journal.commit(&batch).await?;
        slowest = slowest.max(at.elapsed().as_micros());
    }
    let took = start.elapsed();
    println!(
        "{batches} batches of {rows}: {:.0} commits/s, {:.0} rows/s, mean {:.0} us, slowest {slowest} us",
        batches as f64 / took.as_secs_f64(),
        batches as f64 * rows as f64 / took.as_secs_f64(),
        took.as_micros() as f64 / batches as f64,
    );
    Ok(())
}
