//! How far the log has been verified. Looking is cheap and may be repeated: each look goes on where the last one stopped,
//! for a bounded time, so that a long log is verified little by little while somebody watches.
//!
//! This holds the database against the signatures in it. `doorman audit verify` also holds it against the statements
//! files, which whoever can write to the database cannot change.

use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_core::keys::PublicKeys;
use doorman_core::peers::{PeerBook, PeerList};
use doorman_core::statement::{Statement, StatementLine, WriterId};
use doorman_core::time::format_rfc3339;
use doorman_core::verify::{LogVerifier, Report, StoredEntry, StoredStatement};
use doorman_store::{Database, StatementHead, StoreError, StoredBatch};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use utoipa::ToSchema;

/// One look works for so long, and the next one so much later at the earliest.
const BUDGET: Duration = Duration::from_millis(200);
const REST: Duration = Duration::from_millis(800);
/// What was verified is verified again when so much time has gone by, and so many times what it took.
const AGAIN: Duration = Duration::from_secs(60);
const AGAIN_TIMES: u32 = 10;
/// Writers that are named, those heard of last.
const NAMED: usize = 20;

/// Whether the log is as its writers signed it, as far as was looked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChainStatus {
    /// `whole`; `checking` while there is more to look at; `broken`.
    state: &'static str,
    /// When this was found; RFC 3339.
    #[schema(format = DateTime)]
    checked_at: String,
    /// With `whole`: every entry committed until then is as it was signed; RFC 3339.
    #[schema(format = DateTime)]
    verified_up_to: Option<String>,
    /// Entries that are as they were signed.
    verified_entries: u64,
    /// Entries that are covered by statements.
    entries: u64,
    /// Statements whose entries are all as signed.
    verified_statements: u64,
    /// Entries of last batches whose signature is not stored yet: they rest on the database alone.
    unsigned_entries: u64,
    /// What is wrong.
    faults: Vec<ChainFault>,
    /// How many writers there are: one for each start of an `api` process.
    writers: u64,
    /// The writers that were heard of last.
    latest: Vec<ChainWriter>,
}

/// Something that is wrong with the log.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChainFault {
    /// `edited`, `dropped`, `inserted`, …
    kind: String,
    /// For people.
    detail: String,
    /// Whose entries these are.
    writer: String,
    /// The first bad entry, where it is known.
    entry: Option<String>,
}

/// One start of an `api` process and its last statement.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChainWriter {
    /// Its id.
    id: String,
    /// The number of its last statement.
    statement: u64,
    /// When that was made; RFC 3339.
    #[schema(format = DateTime)]
    time: Option<String>,
    /// The entries that it has committed.
    entries: u64,
    /// Whether the signature of the last statement is stored.
    signed: bool,
}

/// Where the verification stands. One for each process.
pub struct ChainWatch {
    /// The public keys of all time.
    keys: PathBuf,
    watch: Mutex<Option<Watch>>,
}

/// A verification that goes on.
struct Watch {
    verifier: LogVerifier,
    writers: BTreeSet<WriterId>,
    next: BTreeMap<WriterId, u64>,
    status: ChainStatus,
    begun: Instant,
    /// How long it took until everything was looked at for the first time.
    took: Option<Duration>,
    ended: Instant,
}

impl ChainWatch {
    /// With the keys in this file (`history.json` beside the keys), which is read anew whenever the verification begins.
    pub fn new(keys: PathBuf) -> Self {
        Self { keys, watch: Mutex::new(None) }
    }

    async fn look(&self, database: &Database, now_ms: u64) -> ApiResult<ChainStatus> {
        let mut watch = self.watch.lock().await;
        if let Some(last) = &*watch
            && last.ended.elapsed() < REST
        {
            return Ok(last.status.clone());
        }
        let heads = database.statement_heads().await?;
        let mut current = match watch.take() {
            Some(last) if last.knows(&heads) && !last.is_over() => last,
            _ => self.begin(database, &heads).await?,
        };
        let (done, waiting) = current.advance(database, &heads).await?;
        current.status = status(current.report(waiting), &heads, done, now_ms);
        if done {
            current.took.get_or_insert(current.begun.elapsed());
        }
        current.ended = Instant::now();
        Ok(watch.insert(current).status.clone())
    }

    async fn begin(&self, database: &Database, heads: &[StatementHead]) -> ApiResult<Watch> {
        let text = tokio::fs::read_to_string(&self.keys).await;
        let keys = text.map(|text| PublicKeys::from_jwks(&text));
        let Ok(Ok(keys)) = keys else {
            return Err(ApiError::internal(format!("no public keys in {}", self.keys.display())));
        };
        let mut book = PeerBook::default();
        for row in database.writers().await? {
            book.insert(row.id, PeerList::from_bytes(&row.peers).unwrap_or_default());
        }
        let mut verifier = LogVerifier::new(keys, book);
        for (body, signature) in database.tombstones().await? {
            verifier.tombstone(&body, &signature);
        }
        Ok(Watch {
            verifier,
            writers: heads.iter().map(|head| head.writer).collect(),
            next: BTreeMap::new(),
            status: status(Report::default(), heads, false, 0),
            begun: Instant::now(),
            took: None,
            ended: Instant::now(),
        })
    }
}

impl Watch {
    /// What is broken is looked at anew, since somebody may have put it right; what was whole now and then, since somebody
    /// may have changed it.
    fn is_over(&self) -> bool {
        let again = self.took.map(|took| AGAIN.max(took * AGAIN_TIMES));
        !self.status.faults.is_empty() || again.is_some_and(|again| self.begun.elapsed() > again)
    }

    /// Later writers vouch for what earlier ones signed last, so they must be known from the beginning.
    fn knows(&self, heads: &[StatementHead]) -> bool {
        heads.len() == self.writers.len() && heads.iter().all(|head| self.writers.contains(&head.writer))
    }

    /// Goes on until the heads or until time is up. Whether the heads were reached, and last batches without signature.
    async fn advance(
        &mut self,
        database: &Database,
        heads: &[StatementHead],
    ) -> Result<(bool, Vec<(WriterId, StoredBatch)>), StoreError> {
        let begun = Instant::now();
        let mut waiting = Vec::new();
        for head in heads {
            let next = self.next.entry(head.writer).or_default();
            if *next > head.number {
                continue;
            }
            let mut batches = database.read_batches(head.writer, *next).await?;
            while let Some(batch) = batches.next().await? {
                // A signature is stored with the next batch at the latest: only the last may lack it, and only for now.
                if batch.number >= head.number && batch.signature.is_none() {
                    waiting.push((head.writer, batch));
                    break;
                }
                *next = batch.number.saturating_add(1);
                feed(&mut self.verifier, head.writer, batch);
                if *next > head.number {
                    break;
                }
                if begun.elapsed() > BUDGET {
                    return Ok((false, waiting));
                }
            }
        }
        if let Some((writer, id)) = database.stray_entry().await? {
            self.verifier.stray(writer, id);
        }
        Ok((true, waiting))
    }

    fn report(&self, waiting: Vec<(WriterId, StoredBatch)>) -> Report {
        let mut verifier = self.verifier.clone();
        waiting.into_iter().for_each(|(writer, batch)| feed(&mut verifier, writer, batch));
        verifier.finish()
    }
}

fn feed(verifier: &mut LogVerifier, writer: WriterId, batch: StoredBatch) {
    let StoredBatch { number, statement: body, span, signature, entries, .. } = batch;
    let signature = signature.map(|signature| <[u8; 64]>::try_from(signature).unwrap_or([0; 64]));
    let line = StatementLine { writer, number, body, signature, leaves: Vec::new() };
    verifier.statement(writer, StoredStatement { line, span: Some(span) }, None);
    for entry in &entries {
        verifier.entry(writer, &StoredEntry { id: entry.id, claims: &entry.claims, record: &entry.record });
    }
}

/// `done`: all was looked at. Before that, that somebody is missing may only mean that nobody looked yet.
fn status(report: Report, heads: &[StatementHead], done: bool, now_ms: u64) -> ChainStatus {
    let named = |fault: &&doorman_core::verify::Fault| done || fault.entry.is_some();
    let faults: Vec<_> = report.faults.iter().filter(named).map(fault).collect();
    let mut latest: Vec<_> = heads.iter().map(writer).collect();
    latest.sort_by(|a, b| b.time.cmp(&a.time));
    let verified_up_to = latest.first().and_then(|writer| writer.time.clone());
    let writers = latest.len() as u64;
    latest.truncate(NAMED);
    ChainStatus {
        state: match (faults.is_empty(), done) {
            (false, _) => "broken",
            (true, true) => "whole",
            (true, false) => "checking",
        },
        checked_at: format_rfc3339(now_ms),
        verified_up_to: verified_up_to.filter(|_| done && faults.is_empty()),
        verified_entries: report.entries,
        entries: heads.iter().map(|head| head.entries).sum(),
        verified_statements: report.statements,
        unsigned_entries: report.unsigned.iter().map(|last| u64::from(last.entries)).sum(),
        faults,
        writers,
        latest,
    }
}

fn fault(fault: &doorman_core::verify::Fault) -> ChainFault {
    let kind = serde_json::to_value(fault.kind).unwrap_or_default();
    ChainFault {
        kind: kind.as_str().unwrap_or_default().to_owned(),
        detail: fault.to_string(),
        writer: fault.writer.to_string(),
        entry: fault.entry.map(|id| id.to_string()),
    }
}

fn writer(head: &StatementHead) -> ChainWriter {
    ChainWriter {
        id: head.writer.to_string(),
        statement: head.number,
        time: Statement::from_bytes(&head.statement).map(|statement| format_rfc3339(statement.time_ms)),
        entries: head.entries,
        signed: head.signed,
    }
}

/// Whether the log is whole
///
/// How far the log has been verified: each call goes on where the last one stopped. It holds the database against the
/// signatures in it; `doorman audit verify` also holds it against the statements files.
#[utoipa::path(get, path = "/api/v1/audit/chain", tag = "audit",
    responses((status = 200, description = "What is known.", body = ChainStatus)))]
pub(crate) async fn show_chain(
    State(state): State<Arc<ApiState>>,
    _caller: Authorized,
) -> ApiResult<Json<ChainStatus>> {
    Ok(Json(state.chain.look(&state.database, state.now_ms()).await?))
}
