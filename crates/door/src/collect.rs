//! Collects receipts: asks every proxy for what it wrote down of the passes that it honoured, and stores that. Like all
//! traffic it flows from here to the regions. One replica does it.

use crate::catalog::Catalog;
use crate::poll::{self, ControlToken};
use doorman_core::receipt::{Frame, Frames, ProxyId};
use doorman_egress::{Peer, Pool};
use doorman_store::{Collected, Database, ReceiptPiece, ReceiptSource, StoreError};
use serde::Deserialize;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

const RECEIPTS_PATH: &str = "/control/v1/receipts";
/// Between two visits to a proxy.
const INTERVAL: Duration = Duration::from_secs(1);
/// Between two visits to a busy one, whose receipts would make a long transaction if they were left to gather.
const BUSY_INTERVAL: Duration = Duration::from_millis(250);
/// A visit that brings so many bytes was to a busy one.
const BUSY: usize = 32 << 10;
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const MAX_ANSWER: usize = 4 << 20;
const LEASE: &str = "receipts";
const LEASE_MS: u64 = 10_000;
const RENEW: Duration = Duration::from_secs(3);
/// That there is nothing new is stored this often.
const SETTLED_MS: u64 = 10_000;

/// What collecting needs of its surroundings.
#[derive(Clone)]
pub struct Collecting {
    /// The proxies.
    pub catalog: Arc<Catalog>,
    /// Control tokens for them.
    pub token: ControlToken,
    /// Where receipts are stored.
    pub database: Database,
    /// The time.
    pub now_ms: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Tells this replica from others.
    pub holder: String,
}

/// The first line of a proxy's answer.
#[derive(Deserialize)]
struct Head {
    proxy: String,
    cursor: String,
    complete: bool,
    pieces: Vec<PieceHead>,
}

#[derive(Deserialize)]
struct PieceHead {
    segment: u64,
    start: u64,
    length: usize,
}

#[derive(Debug, thiserror::Error)]
enum CollectError {
    #[error("{0}")]
    Proxy(String),
    #[error("what it sent is no log of receipts")]
    Malformed,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Collects on a thread of its own, until the process ends.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(around: Collecting) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("receipts".into()).spawn(move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let is_ours = Rc::new(Cell::new(false));
            for (region, state) in &around.catalog.load().regions {
                for (index, proxy) in state.proxies.iter().enumerate() {
                    let visitor = Visitor {
                        around: around.clone(),
                        pool: Pool::new(TIMEOUT),
                        region: region.clone(),
                        index,
                        peer: proxy.peer.clone(),
                        source: None,
                    };
                    tokio::task::spawn_local(visitor.run(is_ours.clone()));
                }
            }
            loop {
                let lease = around.database.try_lease(LEASE, &around.holder, (around.now_ms)(), LEASE_MS);
                is_ours.set(lease.await.unwrap_or(false));
                tokio::time::sleep(RENEW).await;
            }
        });
    })?;
    Ok(())
}

/// Visits one proxy again and again.
struct Visitor {
    around: Collecting,
    pool: Pool<crate::body::OutBody>,
    region: String,
    index: usize,
    peer: Arc<Peer>,
    /// The installation there, and how far it was read; `None` to ask anew.
    source: Option<ReceiptSource>,
}

impl Visitor {
    async fn run(mut self, is_ours: Rc<Cell<bool>>) {
        let mut well = true;
        let mut interval = INTERVAL;
        loop {
            tokio::time::sleep(interval).await;
            interval = INTERVAL;
            if !is_ours.get() {
                // Another replica moves on from where we were.
                self.source = None;
                continue;
            }
            if !self.is_live() {
                continue;
            }
            let collected = self.collect().await;
            if let Err(error) = &collected {
                self.source = None;
                if well {
                    let proxy = self.peer.authority();
                    tracing::warn!(region = self.region, proxy, %error, "receipts are not collected");
                }
            }
            well = collected.is_ok();
            if collected.is_ok_and(|bytes| bytes >= BUSY) {
                interval = BUSY_INTERVAL;
            }
        }
    }

    fn is_live(&self) -> bool {
        let snapshot = self.around.catalog.load();
        let proxy = snapshot.regions.get(&self.region).and_then(|region| region.proxies.get(self.index));
        proxy.is_some_and(|proxy| proxy.live.is_some())
    }

    /// Takes all there is, and gives how many bytes of receipts it was.
    async fn collect(&mut self) -> Result<usize, CollectError> {
        let mut source = match self.source.take() {
            Some(source) => source,
            None => self.begin().await?,
        };
        let mut total = 0;
        loop {
            let asked_ms = (self.around.now_ms)();
            let path = format!("{RECEIPTS_PATH}?after={}", source.cursor);
            let (head, bytes) = self.ask(&path).await?;
            if head.proxy != source.proxy.to_string() {
                return Err(CollectError::Proxy("another proxy stands there now".into()));
            }
            let complete = head.complete;
            let is_news = head.cursor != source.cursor;
            let mut collected = take(head, &bytes, source, (self.around.now_ms)())?;
            let is_due = asked_ms >= collected.source.complete_ms + SETTLED_MS;
            if complete && (is_news || is_due) {
                collected.source.complete_ms = asked_ms;
            }
            if is_news || complete && is_due {
                self.around.database.store_receipts(&collected).await?;
                let bytes: usize = collected.pieces.iter().map(|piece| piece.frames.len()).sum();
                metrics::counter!("doorman_receipt_bytes_collected_total", "region" => self.region.clone())
                    .increment(bytes as u64);
                total += bytes;
            }
            source = collected.source;
            if complete {
                self.source = Some(source);
                return Ok(total);
            }
        }
    }

    /// Asks who is there, and where to go on.
    async fn begin(&self) -> Result<ReceiptSource, CollectError> {
        let (head, _) = self.ask(RECEIPTS_PATH).await?;
        let proxy: ProxyId = head.proxy.parse().map_err(|_| CollectError::Malformed)?;
        let known = self.around.database.receipt_sources().await?;
        let region = self.region.clone();
        let fresh = ReceiptSource { proxy, region, cursor: head.cursor, complete_ms: 0, gap_ms: 0 };
        Ok(known.into_iter().find(|source| source.proxy == proxy).unwrap_or(fresh))
    }

    async fn ask(&self, path: &str) -> Result<(Head, Vec<u8>), CollectError> {
        let asked = poll::get(&self.pool, &self.around.token, &self.region, &self.peer, path, MAX_ANSWER);
        let answer = tokio::time::timeout(TIMEOUT, asked).await;
        let answer =
            answer.unwrap_or_else(|_| Err("no answer in time".into())).map_err(CollectError::Proxy)?;
        let line = memchr::memchr(b'\n', &answer).ok_or(CollectError::Malformed)?;
        let (head, bytes) = answer.split_at(line + 1);
        Ok((serde_json::from_slice(head).map_err(|_| CollectError::Malformed)?, bytes.to_vec()))
    }
}

/// What an answer brings. Proxies are not believed more than they must be: only whole frames are taken.
fn take(
    head: Head,
    mut bytes: &[u8],
    mut source: ReceiptSource,
    now_ms: u64,
) -> Result<Collected, CollectError> {
    let (mut pieces, mut boots) = (Vec::new(), Vec::new());
    for PieceHead { segment, start, length } in head.pieces {
        let (piece, rest) = bytes.split_at_checked(length).ok_or(CollectError::Malformed)?;
        bytes = rest;
        let mut span: Option<(u64, u64)> = None;
        let mut frames = Frames::new(piece);
        for frame in frames.by_ref() {
            if let Some(at) = frame.at_ms() {
                let (from, to) = span.unwrap_or((at, at));
                span = Some((from.min(at), to.max(at)));
            }
            match frame {
                Frame::Started(log) if log.proxy != source.proxy || *log.region != *source.region => {
                    return Err(CollectError::Malformed);
                }
                Frame::Started(log) => boots.push((log.boot, log.at_ms)),
                Frame::Gap { .. } => source.gap_ms = now_ms,
                _ => {}
            }
        }
        if frames.read_bytes() != length {
            return Err(CollectError::Malformed);
        }
        // What has no time hangs on what has: a statement is written with its first receipt.
        let span_ms = span.unwrap_or((now_ms, now_ms));
        pieces.push(ReceiptPiece { segment, start, span_ms, frames: piece.to_vec() });
    }
    source.cursor = head.cursor;
    Ok(Collected { source, pieces, boots })
}
