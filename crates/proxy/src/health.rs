//! Checks the instances, so that `any` goes to one that is well.

use crate::body::OutBody;
use crate::config::HealthSettings;
use crate::forward::probe;
use crate::registry::Instance;
use crate::server::Shared;
use doorman_egress::{Pool, Protocol};
use http_body_util::BodyExt as _;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;

/// A check reads no more than this of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// Which instances there are is looked at this often.
const LOOK: Duration = Duration::from_millis(500);

/// Checks every instance of every service, for ever. To be run in a local set.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut checked: HashMap<u64, AbortHandle> = HashMap::new();
    let mut due = tokio::time::interval(LOOK);
    loop {
        due.tick().await;
        let mut gone: HashSet<u64> = checked.keys().copied().collect();
        for service in shared.registry.services() {
            for instance in service.instances.load().iter() {
                gone.remove(&instance.key);
                checked.entry(instance.key).or_insert_with(|| {
                    let checks = keep_checking(
                        instance.clone(),
                        service.health.clone(),
                        service.protocol,
                        service.connect_timeout,
                    );
                    tokio::task::spawn_local(checks).abort_handle()
                });
            }
        }
        for key in gone {
            if let Some(checks) = checked.remove(&key) {
                checks.abort();
            }
        }
    }
}

async fn keep_checking(
    instance: Arc<Instance>,
    health: HealthSettings,
    protocol: Protocol,
    connect: Duration,
) {
    let pool = Pool::new(connect.min(health.timeout));
    let mut was_well = true;
    let mut due = tokio::time::interval(health.interval.max(Duration::from_millis(100)));
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        let checked = check(&pool, &instance, health.path.as_deref(), protocol);
        let well = tokio::time::timeout(health.timeout, checked).await.unwrap_or(false);
        instance.set_healthy(well);
        if std::mem::replace(&mut was_well, well) != well {
            tracing::info!(instance = instance.id, well, "an instance's health changed");
        }
    }
}

async fn check(pool: &Pool<OutBody>, instance: &Instance, path: Option<&str>, protocol: Protocol) -> bool {
    let Some(path) = path.filter(|_| protocol == Protocol::Http1) else {
        return instance.peer.connects().await;
    };
    let Some(request) = probe(path, instance.peer.host_header()) else { return false };
    match pool.send(instance.key, &instance.peer, protocol, request, None).await {
        Ok(response) => {
            let is_success = response.status().is_success();
            let body = http_body_util::Limited::new(response.into_body(), MAX_ANSWER);
            body.collect().await.is_ok() && is_success
        }
        Err(_) => false,
    }
}
