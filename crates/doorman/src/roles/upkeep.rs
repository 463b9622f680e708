//! What `api` does again and again beside answering requests.

use doorman_auth::Authenticator;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, Record};
use doorman_door::DoorShared;
use doorman_door::journal::Draft;
use doorman_policy::ReloadOutcome;
use std::sync::Arc;
use std::time::Duration;

/// Learns revocations and keys, reads groups anew. Ends with the process.
pub async fn tend_sessions(authenticator: Authenticator) {
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
        let now_ms = (shared.now_ms)();
        for surplus in shared.refusals.collect(now_ms) {
            shared.journal.write_later(doorman_door::refusals::record(&surplus, now_ms));
        }
    }
}
