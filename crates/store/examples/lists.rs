//! Measures the audit index: `lists URL ENTRIES` commits and indexes that many attempts with their outcomes, then times
//! every documented filter alone, common and rare, and a few together.

#![allow(clippy::indexing_slicing, reason = "a measurement, not the product")]

use doorman_core::id::{AuditId, IdSequence};
use doorman_core::record::{Kind, OutcomeState, Record};
use doorman_core::statement::WriterId;
use doorman_store::{AuditFilter, Batch, Database, DatabaseConfig, Entry, StatusFilter};
use std::time::{Duration, Instant};

const SERVICES: [&str; 4] = ["echo", "companies", "billing", "search"];
const BUDGET: Duration = Duration::from_millis(40);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, url, entries] = args.as_slice() else { return Err("usage: lists URL ENTRIES".into()) };
    let database = Database::connect(&DatabaseConfig::new(url)).await?;
    database.migrate().await?;
    if database.writers().await?.is_empty() {
        fill(&database, entries.parse()?).await?;
    }
    let start = Instant::now();
    let mut indexed = 0;
    loop {
        match database.index_step(10_000).await? {
            0 => break,
            taken => indexed += taken,
        }
    }
    println!("indexed {indexed} entries, {:.0}/s", indexed as f64 / start.elapsed().as_secs_f64());
    let all = AuditFilter::default;
    let text = |value: &str| Some(value.to_owned());
    let filters = [
        ("all", all()),
        ("actor, common", AuditFilter { actor: text("user:person-1"), ..all() }),
        ("actor, rare and old", AuditFilter { actor: text("user:rare"), ..all() }),
        ("actor, unknown", AuditFilter { actor: text("user:nobody"), ..all() }),
        ("subject", AuditFilter { subject: text("user:person-3"), ..all() }),
        ("own", AuditFilter { own_of: text("user:person-5"), ..all() }),
        ("own, rare", AuditFilter { own_of: text("user:rare"), ..all() }),
        ("region", AuditFilter { region: text("eu"), ..all() }),
        ("service", AuditFilter { service: text("billing"), ..all() }),
        ("instance", AuditFilter { instance: text("i-7"), ..all() }),
        ("method, common", AuditFilter { method: text("GET"), ..all() }),
        ("method, rare", AuditFilter { method: text("DELETE"), ..all() }),
        ("status 404", AuditFilter { status: Some(StatusFilter::Exact(404)), ..all() }),
        ("status 5xx", AuditFilter { status: Some(StatusFilter::Class(5)), ..all() }),
        ("outcome unknown", AuditFilter { outcome: Some(OutcomeState::Unknown), ..all() }),
        ("outcome done", AuditFilter { outcome: Some(OutcomeState::Done), ..all() }),
        ("kind login", AuditFilter { kind: Some(Kind::Login), ..all() }),
        ("run", AuditFilter { run: text("run-17"), ..all() }),
        ("path, common", AuditFilter { path: text("/companies/1"), ..all() }),
        ("path, nowhere", AuditFilter { path: text("/nowhere"), ..all() }),
        ("q, common", AuditFilter { q: text("TICKET"), ..all() }),
        ("q, nowhere", AuditFilter { q: text("nowhere"), ..all() }),
        (
            "actor and 5xx",
            AuditFilter { actor: text("user:person-1"), status: Some(StatusFilter::Class(5)), ..all() },
        ),
        ("service and rare method", AuditFilter { service: text("echo"), method: text("DELETE"), ..all() }),
    ];
    for (name, filter) in filters {
        let mut times = Vec::new();
        let mut found = (0, false);
        for _ in 0..5 {
            let start = Instant::now();
            let page = database.audit_page(&filter, None, 50, BUDGET).await?;
            times.push(start.elapsed());
            found = (page.items.len(), page.next_cursor.is_some());
        }
        times.sort();
        println!(
            "{name:24} {:>8.2?} median {:>8.2?} slowest, {} found, more: {}",
            times[2], times[4], found.0, found.1
        );
    }
    Ok(())
}

async fn fill(database: &Database, entries: u64) -> Result<()> {
    let now = 1_800_000_000_000;
    let writer = WriterId([7; 16]);
    let mut journal = database.open_journal().await?;
    journal.register_writer(writer, now, 60_000).await?;
    let mut ids = IdSequence::new(7);
    let start = Instant::now();
    let (mut index, mut number) = (0u64, 0);
    while index < entries {
        let mut batch: Vec<(AuditId, Vec<u8>)> = Vec::new();
        for n in index / 2..index / 2 + 100 {
            let (attempt, outcome) = pair(n, now + number, &mut ids);
            batch.extend([attempt, outcome]);
        }
        let entries: Vec<Entry<'_>> =
            batch.iter().map(|(id, record)| Entry { id: *id, claims: &[1; 150], record }).collect();
        let statement = [3; 150];
        let batch = Batch {
            writer,
            epoch: 0,
            number,
            statement: &statement,
            first_index: index,
            entries: &entries,
            signatures: &[],
            sending: &[],
            ended: &[],
        };
        journal.commit(&batch).await?;
        number += 1;
        index += 200;
    }
    println!("committed {index} entries in {:.1?}", start.elapsed());
    Ok(())
}

fn pair(n: u64, now: u64, ids: &mut IdSequence) -> ((AuditId, Vec<u8>), (AuditId, Vec<u8>)) {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let one_in = |rate: u64| mixed.is_multiple_of(rate);
    let id = ids.next_id(now);
    let mut record = Record::new(if one_in(500) { Kind::Login } else { Kind::Request }, id, now);
    let actor = if n < 20 { "user:rare".to_owned() } else { format!("user:person-{}", mixed % 40) };
    record.subject = Some(actor.clone().into());
    record.actor = Some(actor.into());
    record.channel = Some("http".into());
    record.region = Some(if one_in(3) { "us" } else { "eu" }.into());
    record.service = Some(SERVICES[(mixed % 4) as usize].into());
    record.instance = Some("any".into());
    record.method = Some(if one_in(100_003) { "DELETE" } else { "GET" }.into());
    record.path = Some(format!("/companies/{n}").into());
    record.reason = one_in(7).then(|| format!("ticket {n}").into());
    record.run = (n % 1000 < 50).then(|| format!("run-{}", n / 1000).into());
    record.decision = Some("permit".into());
    record.body_sha256 = Some("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".into());
    let of = ids.next_id(now);
    let mut outcome = Record::new(Kind::Outcome, of, now);
    outcome.attempt = Some(id);
    outcome.instance = Some(format!("i-{}", mixed % 12).into());
    outcome.state = Some(if one_in(50_021) { OutcomeState::Unknown } else { OutcomeState::Done });
    outcome.status = Some(if one_in(997) {
        404
    } else if one_in(30_011) {
        503
    } else {
        200
    });
    let bytes = |record: &Record<'_>| serde_json::to_vec(record).unwrap_or_default();
    ((id, bytes(&record)), (of, bytes(&outcome)))
}
