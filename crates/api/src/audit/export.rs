//! Exports: the log as JSON lines or CSV, streamed in memory that does not grow with it.
//!
//! All of the log as JSON lines is the provable export (`core::export`); what a filter or the caller's rights narrow is a
//! list of entries, in either format.

use super::{csv, filter, own_only_for, shape};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::input::Params;
use crate::state::ApiState;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use doorman_client::wire::{AuditExportQuery, ExportFormat};
use doorman_core::code::Code;
use doorman_core::export;
use doorman_core::statement::{StatementLine, WriterId};
use doorman_core::verify::StoredEntry;
use doorman_door::Problem;
use doorman_door::problem::{AUDIT_ID, id_value};
use doorman_policy::action;
use doorman_store::{AuditFilter, BatchReader, Database, StoredBatch};
use futures_util::stream;
use http::{HeaderValue, header};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Exports that run at once in one process.
static EXPORTS: Semaphore = Semaphore::const_new(8);
/// What is handed to the connection at once.
const CHUNK: usize = 64 * 1024;
/// Entries read at once, if they are small; large ones are read in fewer.
const MAX_PAGE: u32 = 500;
const PAGE_BYTES: usize = 4 << 20;
/// How long one page of a filter that no index answers may take.
const BUDGET: Duration = Duration::from_millis(500);
/// The caller's rights are looked at again so often.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Export the log
///
/// Streams all matching entries, newest first: as JSON lines, one entry as `GET /api/v1/audit/{id}` shows it in each, or
/// as CSV that is safe to open in a spreadsheet. Without a filter, JSON lines are the whole log with its statements in the
/// order of writing, which `doorman audit verify --export` proves complete. The export is one entry, written before its
/// first byte. An answer that breaks off is not complete.
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(AuditExportQuery),
    responses((status = 200, description = "The entries.", content((String = "application/jsonl"), (String = "text/csv")))))]
pub(crate) async fn export_entries(
    State(state): State<Arc<ApiState>>,
    caller: Authorized,
    Params(query): Params<AuditExportQuery>,
) -> ApiResult<Response> {
    let format = query.format;
    let query = query.filters();
    let mut filter = filter::parse(&query)?;
    filter.own_of =
        own_only_for(&caller, action::AUDIT_EXPORT).then(|| caller.caller.subject_text().to_owned());
    let slot = EXPORTS.try_acquire().map_err(|_| busy("exports"))?;
    let is_complete = format == ExportFormat::Jsonl && filter.is_everything();
    let (name, kind) = match format {
        ExportFormat::Jsonl => ("jsonl", "application/jsonl"),
        ExportFormat::Csv => ("csv", "text/csv; charset=utf-8"),
    };
    let asked = filter::canonical(&query);
    let noted = state.note_reading(&caller, &[("export", name), ("filter", &asked)]).await?;
    let source = if is_complete {
        Source::Complete(Complete::begin(&state).await?)
    } else {
        Source::Listed(Listed { filter, format, cursor: None, page: MAX_PAGE / 5, has_begun: false })
    };
    let export = Export { state, caller, source, checked: Instant::now(), _slot: slot };
    let mut response = Response::new(Body::from_stream(stream::try_unfold(export, Export::next)));
    let disposition = format!("attachment; filename=\"doorman-audit-{noted}.{name}\"");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.extend(HeaderValue::try_from(disposition).map(|value| (header::CONTENT_DISPOSITION, value)));
    headers.insert(AUDIT_ID, id_value(noted));
    Ok(response)
}

/// Too many at once.
pub(super) fn busy(what: &str) -> ApiError {
    let mut problem = Problem::new(Code::Throttled, format!("Too many {what} run at once."))
        .hint("Try again when one of them has ended.");
    problem.retry_after = Some(Duration::from_secs(5));
    problem.into()
}

/// An export on its way.
struct Export {
    state: Arc<ApiState>,
    caller: Authorized,
    source: Source,
    checked: Instant,
    _slot: SemaphorePermit<'static>,
}

enum Source {
    Complete(Complete),
    Listed(Listed),
}

/// Why an answer broke off; the client sees only that it did.
#[derive(Debug, thiserror::Error)]
#[error("the export ended before its end")]
struct BrokenOff;

impl Export {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, BrokenOff> {
        if self.checked.elapsed() >= CHECK_EVERY {
            if let Err(problem) = self.caller.check_again(&self.state).await {
                tracing::warn!(caller = self.caller.caller.subject_text(), why = %problem.code.as_str(), "an export was cut");
                return Err(BrokenOff);
            }
            self.checked = Instant::now();
        }
        let text = match &mut self.source {
            Source::Complete(complete) => complete.next().await,
            Source::Listed(listed) => listed.next(&self.state.database).await,
        };
        match text {
            Ok(text) => Ok(text.map(|text| (text.into(), self))),
            Err(error) => {
                tracing::error!(?error, "an export broke off");
                Err(BrokenOff)
            }
        }
    }
}

/// All of the log, with what is needed to verify it.
struct Complete {
    database: Database,
    /// Goes out first.
    head: Option<String>,
    /// The writers to come, each with its last statement by the time that the export began.
    writers: VecDeque<(WriterId, u64)>,
    reader: Option<(WriterId, u64, BatchReader)>,
    entries: u64,
    has_ended: bool,
}

impl Complete {
    async fn begin(state: &ApiState) -> ApiResult<Self> {
        let database = state.database.clone();
        // First who has statements, then the lists, then how far each has come: what a list names is then in the export,
        // and an export of a log that is being written ends.
        let mut known: BTreeSet<WriterId> = database.statement_writers().await?.into_iter().collect();
        let mut head = export::begin(state.now_ms());
        for row in database.writers().await? {
            head.push_str(&export::writer(row.id, &row.peers));
            known.insert(row.id);
        }
        for (body, signature) in database.tombstones().await? {
            head.push_str(&export::retention(&body, &signature));
        }
        let heads = database.statement_heads().await?;
        let heads = heads.iter().filter(|head| known.contains(&head.writer));
        let writers = heads.map(|head| (head.writer, head.number)).collect();
        Ok(Self { database, head: Some(head), writers, reader: None, entries: 0, has_ended: false })
    }

    async fn next(&mut self) -> ApiResult<Option<String>> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        let mut text = String::new();
        while text.len() < CHUNK && !self.has_ended {
            match self.batch().await? {
                Some((writer, batch)) => text.push_str(&self.lines(writer, batch)),
                None => {
                    text.push_str(&export::end(self.entries));
                    self.has_ended = true;
                }
            }
        }
        Ok((!text.is_empty()).then_some(text))
    }

    async fn batch(&mut self) -> ApiResult<Option<(WriterId, StoredBatch)>> {
        loop {
            if let Some((writer, last, reader)) = &mut self.reader
                && let Some(batch) = reader.next().await?
                && batch.number <= *last
            {
                return Ok(Some((*writer, batch)));
            }
            let Some((writer, last)) = self.writers.pop_front() else { return Ok(None) };
            self.reader = Some((writer, last, self.database.read_batches(writer, 0).await?));
        }
    }

    fn lines(&mut self, writer: WriterId, batch: StoredBatch) -> String {
        let StoredBatch { number, statement: body, first_index, signature, entries, .. } = batch;
        let signature = signature.map(|signature| <[u8; 64]>::try_from(signature).unwrap_or([0; 64]));
        let line = StatementLine { writer, number, body, signature, leaves: Vec::new() };
        self.entries += entries.len() as u64;
        let stored = entries.iter().map(|entry| StoredEntry {
            id: entry.id,
            claims: &entry.claims,
            record: &entry.record,
        });
        export::batch(&line, first_index, stored)
    }
}

/// The entries that a filter leaves, newest first.
struct Listed {
    filter: AuditFilter,
    format: ExportFormat,
    cursor: Option<String>,
    page: u32,
    has_begun: bool,
}

impl Listed {
    async fn next(&mut self, database: &Database) -> ApiResult<Option<String>> {
        let mut text = String::new();
        if !self.has_begun && self.format == ExportFormat::Csv {
            text.push_str(&csv::header());
        }
        while !self.has_begun || text.is_empty() {
            if self.has_begun && self.cursor.is_none() {
                return Ok(None);
            }
            let page = database.audit_page(&self.filter, self.cursor.as_deref(), self.page, BUDGET).await?;
            self.has_begun = true;
            self.cursor = page.next_cursor;
            for item in &page.items {
                let entry = shape::entry(item)?;
                match self.format {
                    ExportFormat::Csv => text.push_str(&csv::row(&entry)),
                    ExportFormat::Jsonl => {
                        let line =
                            serde_json::to_string(&entry).map_err(|error| super::unreadable(item, &error))?;
                        text.push_str(&line);
                        text.push('\n');
                    }
                }
            }
            self.page = next_page(self.page, text.len());
        }
        Ok(Some(text))
    }
}

/// How many entries to read next, when `page` of them came to so many bytes.
fn next_page(page: u32, bytes: usize) -> u32 {
    let fit = u64::from(page) * PAGE_BYTES as u64 / bytes.max(1) as u64;
    u32::try_from(fit).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE).min(page.saturating_mul(2))
}
