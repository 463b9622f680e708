//! The runner of one replica: looks for runs with something left to do, and carries them out beside each other.

use super::active::Active;
use super::{Jobs, show_id};
use doorman_store::StoreError;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const LOOK: Duration = Duration::from_millis(400);
/// Schedules are looked at so often.
const SCHEDULES: Duration = Duration::from_secs(1);
/// Inputs that were begun so long ago and belong to nothing are deleted.
const STRAY_MS: u64 = 6 * 3_600_000;
const TIDY: Duration = Duration::from_secs(600);

/// A running runner.
pub struct Runner {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Runner {
    /// Starts on the present runtime. `holder` tells this process from every other.
    pub fn start(jobs: Arc<Jobs>, holder: &str) -> Self {
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(run(jobs, holder.into(), stopping));
        Self { stop, task }
    }

    /// Sends nothing more, waits for what is in flight at most `patience`, and gives back what is claimed.
    pub async fn stop(self, patience: Duration) {
        let _ = self.stop.send(true);
        if tokio::time::timeout(patience, self.task).await.is_err() {
            tracing::warn!("items are in flight at the end; another replica looks after them");
        }
    }
}

async fn run(jobs: Arc<Jobs>, holder: Arc<str>, mut stopping: watch::Receiver<bool>) {
    let mut active: HashMap<[u8; 16], JoinHandle<()>> = HashMap::new();
    let mut due = tokio::time::interval(LOOK);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut schedules = tokio::time::interval(SCHEDULES);
    schedules.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut tidy = tokio::time::interval(TIDY);
    let mut well = true;
    loop {
        tokio::select! {
            _ = due.tick() => {}
            () = jobs.news.notified() => {}
            _ = schedules.tick() => {
                if let Err(error) = jobs.fire_schedules().await {
                    tracing::warn!(%error, "schedules are not looked at");
                }
                continue;
            }
            _ = tidy.tick() => {
                if let Err(error) = drop_strays(&jobs).await {
                    tracing::warn!(%error, "inputs that belong to nothing are not deleted");
                }
                continue;
            }
            _ = stopping.changed() => break,
        }
        active.retain(|_, task| !task.is_finished());
        let looked = look(&jobs, &holder, &stopping, &mut active).await;
        if let Err(error) = &looked
            && well
        {
            tracing::warn!(%error, "runs are not looked for");
        }
        well = looked.is_ok();
    }
    for (_, task) in active {
        let _ = task.await;
    }
}

async fn look(
    jobs: &Arc<Jobs>,
    holder: &Arc<str>,
    stopping: &watch::Receiver<bool>,
    active: &mut HashMap<[u8; 16], JoinHandle<()>>,
) -> Result<(), StoreError> {
    for (id, _) in jobs.database.open_runs().await? {
        if active.contains_key(&id) {
            continue;
        }
        let Some(row) = jobs.database.run(&id).await? else { continue };
        match Active::new(jobs.clone(), holder.clone(), stopping.clone(), row) {
            Ok(run) => {
                active.insert(id, tokio::spawn(run.carry_out()));
            }
            Err(error) => tracing::error!(run = %show_id(&id), %error, "a run cannot be read"),
        }
    }
    Ok(())
}

async fn drop_strays(jobs: &Jobs) -> Result<(), StoreError> {
    for input in jobs.database.stray_inputs(jobs.now_ms().saturating_sub(STRAY_MS)).await? {
        jobs.database.drop_input(&input).await?;
    }
    Ok(())
}
