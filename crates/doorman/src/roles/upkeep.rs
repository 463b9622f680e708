//! What `api` does again and again beside answering requests.

use super::settle::Settled;
use doorman_auth::Authority;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, OutcomeState, Record};
use doorman_door::DoorShared;
use doorman_door::journal::Draft;
use doorman_jobs::run::Jobs;
use doorman_policy::ReloadOutcome;
use doorman_store::{Database, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Learns revocations and keys, reads groups anew. Ends with the process.
pub async fn tend_sessions(authenticator: Arc<dyn Authority>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        authenticator.tick().await;
    }
}

/// Takes in changed policy files, and writes down that it did or why not.
pub async fn watch_policies(shared: Arc<DoorShared>) {
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    seconds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let policies = shared.policies.clone();
        let Ok(outcome) = tokio::task::spawn_blocking(move || policies.reload_if_changed()).await else {
            continue;
        };
        let mut record = Record::new(Kind::Policy, AuditId::default(), (shared.now_ms)());
        match outcome {
            ReloadOutcome::Unchanged => continue,
            ReloadOutcome::Reloaded { version } => {
                tracing::info!(version, "policies changed");
                record.decision = Some("permit".into());
                record.detail.insert("digest".into(), shared.policies.current().digest().into());
            }
            ReloadOutcome::Refused(error) => {
                tracing::error!(%error, "the changed policies are refused; the old set stays in force");
                record.decision = Some("deny".into());
                record.error = Some("invalid".into());
                record.detail.insert("why".into(), error.to_string().into());
            }
        }
        shared.journal.write_later(Draft::new(record));
    }
}

/// Writes down what the last flood of refusals left uncounted.
pub async fn tell_refusals(shared: Arc<DoorShared>) {
    let mut due = tokio::time::interval(Duration::from_secs(5));
    loop {
        due.tick().await;
        shared.rate.forget_silent();
        let now_ms = (shared.now_ms)();
        for surplus in shared.refusals.collect(now_ms) {
            shared.journal.write_later(doorman_door::refusals::record(&surplus, now_ms));
        }
    }
}

/// The lease under which one replica does what all could do.
const LEASE_MS: u64 = 10_000;
/// How often the indexer takes a step: rarely enough to cost little, often enough that a step is short.
const INDEX_EVERY: Duration = Duration::from_millis(100);
/// Entries that one step takes of each writer. With the time between two it bounds what a door that is busy beyond 10,000
/// entries a second spends on its index; the rest is indexed later.
const INDEX_AT_ONCE: usize = 1_000;

/// Keeps the search index close behind the journal; one replica at a time.
pub async fn index(database: Database, shared: Arc<DoorShared>) {
    let holder = holder();
    let mut due = tokio::time::interval(INDEX_EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut well = true;
    loop {
        due.tick().await;
        let indexed = async {
            if database.try_lease("indexer", &holder, (shared.now_ms)(), LEASE_MS).await? {
                database.index_step(INDEX_AT_ONCE).await?;
            }
            Ok::<_, StoreError>(())
        };
        let result = indexed.await;
        if let Err(error) = &result
            && well
        {
            tracing::warn!(error = %chain(error), "the search index is not kept up");
        }
        well = result.is_ok();
    }
}

/// Writes `unknown` for attempts whose writer is gone; one replica at a time.
/// Then asks the receipts how `unknown` ones ended.
pub async fn sweep(jobs: Arc<Jobs>) {
    let holder = holder();
    let mut settled = Settled::default();
    let mut due = tokio::time::interval(Duration::from_secs(5));
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let swept = match sweep_once(&jobs.database, &jobs.door, &holder).await {
            Ok(true) => settled.settle(&jobs).await,
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = swept {
            tracing::warn!(error = %chain(&error), "attempts of writers that are gone are not settled");
        }
    }
}

/// `false` when another replica does it.
async fn sweep_once(database: &Database, shared: &DoorShared, holder: &str) -> Result<bool, StoreError> {
    let now_ms = (shared.now_ms)();
    if !database.try_lease("sweeper", holder, now_ms, LEASE_MS).await? {
        return Ok(false);
    }
    let mut after = Some(AuditId::default());
    while let Some(from) = after {
        let (open, next) = database.attempts_to_sweep(now_ms, from).await?;
        for attempt in open {
            let mut record = Record::new(Kind::Outcome, AuditId::default(), now_ms);
            record.attempt = Some(attempt.id);
            record.state = Some(OutcomeState::Unknown);
            record.error = Some("writer_gone".into());
            shared.journal.write_later(Draft::new(record));
        }
        after = next;
    }
    Ok(true)
}

/// Tells this replica's leases from others'.
pub fn holder() -> String {
    let mut bytes = [0; 8];
    // Two holders of one name would both do the work, which is wasteful and harmless.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    hex::encode(bytes)
}

/// An error with what caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
