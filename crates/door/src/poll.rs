//! Polls every proxy for what it is and reaches. Traffic flows from here to the regions only.

use crate::body::OutBody;
use crate::catalog::{Catalog, ProxyStatus};
use bytes::Bytes;
use doorman_egress::{Peer, Pool, Protocol};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Limited};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two polls of a proxy that answers.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two polls of one that was there a moment ago and may be restarting.
const HASTE: Duration = Duration::from_millis(50);
/// How long such haste lasts.
const HASTE_FOR: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(2);
/// Largest answer that is read.
const MAX_STATUS: usize = 8 * 1024 * 1024;
const STATUS_PATH: &str = "/control/v1/status";

/// Makes the control token for a region.
pub type ControlToken = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Polls the catalog's proxies on a thread of its own, until the process ends.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(catalog: Arc<Catalog>, token: ControlToken) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("catalog".into()).spawn(move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let proxies: Vec<_> = catalog
                .load()
                .regions
                .iter()
                .flat_map(|(name, region)| {
                    region
                        .proxies
                        .iter()
                        .enumerate()
                        .map(|(index, proxy)| (name.clone(), index, proxy.peer.clone()))
                })
                .collect();
            for (region, index, peer) in proxies {
                tokio::task::spawn_local(poll(catalog.clone(), token.clone(), region, index, peer));
            }
            std::future::pending::<()>().await;
        });
    })?;
    Ok(())
}

async fn poll(catalog: Arc<Catalog>, token: ControlToken, region: String, index: usize, peer: Arc<Peer>) {
    let pool = Pool::new(TIMEOUT);
    let mut seen: Option<Instant> = None;
    let mut told = None;
    loop {
        let poked = catalog.poke.notified();
        let asked = tokio::time::timeout(TIMEOUT, ask(&pool, &token, &region, &peer)).await;
        let status = match asked {
            Ok(Ok(status)) if status.region == region => Ok(status),
            Ok(Ok(status)) => Err(format!("it stands in region {}", status.region)),
            Ok(Err(error)) => Err(error),
            Err(_) => Err("no answer in time".to_owned()),
        };
        if told.as_ref() != Some(&status.is_ok()) {
            match &status {
                Ok(status) => tracing::info!(
                    region,
                    proxy = peer.authority(),
                    boot_id = status.boot_id,
                    "a proxy answers"
                ),
                Err(error) => {
                    tracing::warn!(region, proxy = peer.authority(), error, "a proxy does not answer")
                }
            }
            told = Some(status.is_ok());
        }
        if status.is_ok() {
            seen = Some(Instant::now());
        }
        let is_settled = status.as_ref().is_ok_and(|status| !status.draining);
        catalog.update(&region, index, status.ok());
        let in_haste = !is_settled && seen.is_some_and(|seen| seen.elapsed() < HASTE_FOR);
        if in_haste {
            tokio::time::sleep(HASTE).await;
        } else {
            let _ = tokio::time::timeout(INTERVAL, poked).await;
            tokio::time::sleep(HASTE / 5).await;
        }
    }
}

async fn ask(
    pool: &Pool<OutBody>,
    token: &ControlToken,
    region: &str,
    peer: &Peer,
) -> Result<ProxyStatus, String> {
    let body = get(pool, token, region, peer, STATUS_PATH, MAX_STATUS).await?;
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

/// What a proxy answers to a control request.
pub(crate) async fn get(
    pool: &Pool<OutBody>,
    token: &ControlToken,
    region: &str,
    peer: &Peer,
    path: &str,
    max: usize,
) -> Result<Bytes, String> {
    let token = token(region).ok_or("there is no control key")?;
    let mut request = Request::new(OutBody::empty());
    *request.uri_mut() = path.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, HeaderValue::try_from(peer.authority()).map_err(|error| error.to_string())?);
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| error.to_string())?;
    headers.insert(header::AUTHORIZATION, bearer);
    let response =
        pool.send(0, peer, Protocol::Http1, request, None).await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()));
    }
    let body = Limited::new(response.into_body(), max).collect().await.map_err(|error| error.to_string())?;
    Ok(body.to_bytes())
}
