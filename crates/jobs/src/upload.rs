//! Rows on their way into the database: read as a stream, stored in parts, kept whole or not at all.

use crate::definition::check_row;
use crate::input::{InputRow, Options, ReadError, Reader, Report, open_inline};
use crate::run::{Jobs, new_id};
use crate::template::Template;
use doorman_core::rollout::{InputSpec, Problem};
use doorman_store::{InputAbout, StoreError};
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Rows that are stored in one go.
const AT_ONCE: usize = 500;
/// Parts that may wait for the database.
const WAITING: usize = 4;

/// Why an input was not kept. There is nothing of it then.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// Rows that cannot be sent, or columns that are missing.
    #[error("the input cannot be used")]
    Rejected(Box<Report>),
    /// It is not what it should be.
    #[error("the input cannot be used")]
    Invalid(Vec<Problem>),
    /// It broke off, or cannot be read any further.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The database does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Doorman itself failed.
    #[error("reading the input failed")]
    Failed,
}

/// What was read, when all of it was.
struct Outcome {
    columns: Vec<String>,
    report: Report,
}

impl Jobs {
    /// Stores the rows of an upload and gives their input's id.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn store_upload(
        &self,
        source: impl Read + Send + 'static,
        options: Options,
        template: Arc<Template>,
    ) -> Result<[u8; 16], UploadError> {
        let digest = Arc::new(Mutex::new((0u64, Sha256::new())));
        let source = Digesting { source, digest: digest.clone() };
        let read = move |rows: mpsc::Sender<Vec<InputRow>>| {
            let reader = Reader::open(source, &options)?;
            pump(reader, &template, &rows)
        };
        let digested = move || {
            let digest = digest.lock().unwrap_or_else(PoisonError::into_inner);
            (digest.0, hex::encode(digest.1.clone().finalize()))
        };
        self.store(read, digested).await
    }

    /// Stores the rows inside a job; `None` when there are none. They were checked before.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn store_inline(
        &self,
        spec: &InputSpec,
        template: Arc<Template>,
    ) -> Result<Option<[u8; 16]>, UploadError> {
        if !spec.has_rows() {
            return Ok(None);
        }
        let text = serde_json::to_vec(spec).unwrap_or_default();
        let (size, sha256) = (text.len() as u64, hex::encode(Sha256::digest(&text)));
        let (spec, limits) = (spec.clone(), self.config.limits);
        let read = move |rows: mpsc::Sender<Vec<InputRow>>| match open_inline(&spec, limits) {
            Ok(Some(reader)) => pump(reader, &template, &rows),
            Ok(None) => Ok(Outcome { columns: Vec::new(), report: Report::default() }),
            Err(problems) => Err(UploadError::Invalid(problems)),
        };
        self.store(read, move || (size, sha256)).await.map(Some)
    }

    async fn store(
        &self,
        read: impl FnOnce(mpsc::Sender<Vec<InputRow>>) -> Result<Outcome, UploadError> + Send + 'static,
        digested: impl FnOnce() -> (u64, String),
    ) -> Result<[u8; 16], UploadError> {
        let id = new_id();
        self.database.begin_input(&id, self.now_ms()).await?;
        let stored = self.store_rows(&id, read).await;
        let finished = match stored {
            Ok(Outcome { columns, report }) => {
                let (bytes, sha256) = digested();
                let (rows, duplicates) = (report.rows, report.duplicates);
                let about = InputAbout { columns, rows, duplicates, bytes, sha256 };
                self.database.finish_input(&id, &about).await.map_err(UploadError::from)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = finished {
            if let Err(left) = self.database.drop_input(&id).await {
                tracing::warn!(error = %left, "rows of a refused input are deleted later");
            }
            return Err(error);
        }
        Ok(id)
    }

    async fn store_rows(
        &self,
        id: &[u8; 16],
        read: impl FnOnce(mpsc::Sender<Vec<InputRow>>) -> Result<Outcome, UploadError> + Send + 'static,
    ) -> Result<Outcome, UploadError> {
        let (sender, mut parts) = mpsc::channel(WAITING);
        let reading = tokio::task::spawn_blocking(move || read(sender));
        let mut number = 0;
        while let Some(part) = parts.recv().await {
            let mut rows = Vec::with_capacity(part.len());
            for InputRow { line, values } in part {
                let content = serde_json::to_string(&values).map_err(|_| UploadError::Failed)?;
                rows.push(doorman_store::InputRow { number, line, content });
                number += 1;
            }
            self.database.add_input_rows(id, &rows).await?;
        }
        reading.await.map_err(|_| UploadError::Failed)?
    }
}

/// Reads all there is; good rows go on as long as none is bad.
fn pump(
    mut reader: Reader<'_>,
    template: &Template,
    rows: &mpsc::Sender<Vec<InputRow>>,
) -> Result<Outcome, UploadError> {
    let mut part = Vec::with_capacity(AT_ONCE);
    let mut are_columns_checked = false;
    loop {
        let row = match reader.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            // Told with what was bad before.
            Err(ReadError::Broken(problem)) if reader.report().problem_count > 0 => {
                reader.reject(problem);
                break;
            }
            Err(error) => return Err(error.into()),
        };
        if !are_columns_checked {
            template.check_columns(reader.columns()).map_err(UploadError::Invalid)?;
            are_columns_checked = true;
        }
        if let Some(problem) = check_row(template, row.line, &row.values) {
            reader.reject_given(problem);
        }
        if reader.report().problem_count > 0 {
            part.clear();
            continue;
        }
        part.push(row);
        if part.len() >= AT_ONCE && rows.blocking_send(std::mem::take(&mut part)).is_err() {
            return Err(UploadError::Failed);
        }
    }
    let (columns, report) = (reader.columns().to_vec(), reader.report().clone());
    if report.problem_count > 0 {
        return Err(UploadError::Rejected(Box::new(report)));
    }
    if report.rows == 0 {
        let detail = "has no rows".to_owned();
        return Err(UploadError::Invalid(vec![Problem { field: "input".to_owned(), detail }]));
    }
    if !part.is_empty() && rows.blocking_send(part).is_err() {
        return Err(UploadError::Failed);
    }
    Ok(Outcome { columns, report })
}

/// Counts and hashes what is read.
struct Digesting<R> {
    source: R,
    digest: Arc<Mutex<(u64, Sha256)>>,
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.source.read(buffer)?;
        let mut digest = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        digest.0 += read as u64;
        digest.1.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}
