//! Calls about jobs, their runs and one-off bulk work.

use crate::client::{Client, read_json, read_problem};
use crate::error::ClientError;
use crate::wire::{
    BulkRequest, Item, ItemQuery, Job, JobEdit, JobQuery, JobSpec, List, Preview, PreviewQuery,
    ResultsFormat, RetryFailed, Run, RunQuery, RunRequest, UploadQuery,
};
use bytes::Bytes;
use doorman_core::rollout::Command;
use futures_util::{Stream, StreamExt as _};
use reqwest::{Method, Response, header};
use serde::Serialize;
use std::fmt::Display;

const JOBS: [&str; 3] = ["api", "v1", "jobs"];
const RUNS: [&str; 3] = ["api", "v1", "runs"];

/// How an input is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputFormat {
    /// `text/csv`
    Csv,
    /// `application/jsonl`
    Jsonl,
}

impl InputFormat {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv",
            Self::Jsonl => "application/jsonl",
        }
    }
}

impl Client {
    /// One page of jobs.
    ///
    /// # Errors
    /// `invalid` names the filter.
    pub async fn jobs(&self, query: &JobQuery) -> Result<List<Job>, ClientError> {
        self.read(&JOBS, query).await
    }

    /// One job.
    ///
    /// # Errors
    /// `not_found`, also when it is not the caller's to see.
    pub async fn job(&self, id: &str) -> Result<Job, ClientError> {
        self.read(&with(&JOBS, &[id]), &()).await
    }

    /// Saves a new job.
    ///
    /// # Errors
    /// `invalid` with every problem; `forbidden`; `conflict` when the folder has one of this name.
    pub async fn create_job(&self, job: &JobSpec) -> Result<Job, ClientError> {
        self.write(Method::POST, &JOBS, job).await
    }

    /// Replaces a job, if it is still of `version`.
    ///
    /// # Errors
    /// As [`Client::create_job`]; `conflict` when somebody else has changed it.
    pub async fn update_job(&self, id: &str, version: u64, job: &JobSpec) -> Result<Job, ClientError> {
        let request = self.start(Method::PUT, self.url(&with(&JOBS, &[id]))?);
        read_json(request.header(header::IF_MATCH, etag(version)).json(job).send().await?).await
    }

    /// Deletes a job, if it is still of `version`.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `conflict`.
    pub async fn delete_job(&self, id: &str, version: u64) -> Result<(), ClientError> {
        let request = self.start(Method::DELETE, self.url(&with(&JOBS, &[id]))?);
        succeed(request.header(header::IF_MATCH, etag(version)).send().await?).await.map(drop)
    }

    /// The edits of a job, newest first.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn job_history(&self, id: &str) -> Result<List<JobEdit>, ClientError> {
        self.read(&with(&JOBS, &[id, "history"]), &()).await
    }

    /// The first requests that a job would send.
    ///
    /// # Errors
    /// `not_found`; `invalid` when there is no input yet.
    pub async fn preview_job(&self, id: &str, query: &PreviewQuery) -> Result<Preview, ClientError> {
        self.read(&with(&JOBS, &[id, "preview"]), query).await
    }

    /// Uploads the rows of a job as a stream.
    ///
    /// # Errors
    /// `invalid` with the bad rows, of which then none is kept; `too_large`.
    pub async fn upload_input<S, E>(
        &self,
        id: &str,
        format: InputFormat,
        query: &UploadQuery,
        rows: S,
    ) -> Result<Job, ClientError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let mut url = self.url(&with(&JOBS, &[id, "input"]))?;
        crate::client::add_query(&mut url, query);
        let request = self.start(Method::PUT, url).header(header::CONTENT_TYPE, format.media_type());
        read_json(request.body(reqwest::Body::wrap_stream(rows)).send().await?).await
    }

    /// Starts a run of a job.
    ///
    /// # Errors
    /// `forbidden`; `invalid` when it cannot run; `conflict`.
    pub async fn start_run(&self, job: &str, run: &RunRequest) -> Result<Run, ClientError> {
        self.write(Method::POST, &with(&JOBS, &[job, "runs"]), run).await
    }

    /// Makes a one-off job and starts a run of it.
    ///
    /// # Errors
    /// As [`Client::create_job`] and [`Client::start_run`].
    pub async fn bulk(&self, bulk: &BulkRequest) -> Result<Run, ClientError> {
        self.write(Method::POST, &["api", "v1", "bulk"], bulk).await
    }

    /// One page of runs, newest first.
    ///
    /// # Errors
    /// `invalid` names the filter.
    pub async fn runs(&self, query: &RunQuery) -> Result<List<Run>, ClientError> {
        self.read(&RUNS, query).await
    }

    /// One run.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn run(&self, id: &str) -> Result<Run, ClientError> {
        self.read(&with(&RUNS, &[id]), &()).await
    }

    /// One page of a run's items, by index.
    ///
    /// # Errors
    /// `not_found`; `invalid` names the filter.
    pub async fn run_items(&self, id: &str, query: &ItemQuery) -> Result<List<Item>, ClientError> {
        self.read(&with(&RUNS, &[id, "items"]), query).await
    }

    /// Does something to a run; gives the run as it is then.
    ///
    /// # Errors
    /// `forbidden`; `conflict` when it is not in a state for that.
    pub async fn control_run(&self, id: &str, command: Command) -> Result<Run, ClientError> {
        let path = with(&RUNS, &[id, command.as_str()]);
        match command {
            Command::RetryFailed { with_unknown } => {
                self.write(Method::POST, &path, &RetryFailed { with_unknown }).await
            }
            _ => self.write(Method::POST, &path, &serde_json::json!({})).await,
        }
    }

    /// All items with their input, as the body of a file.
    ///
    /// # Errors
    /// `not_found`; the stream's own when it breaks off.
    pub async fn run_results(
        &self,
        id: &str,
        format: ResultsFormat,
    ) -> Result<impl Stream<Item = Result<Bytes, ClientError>> + use<>, ClientError> {
        #[derive(Serialize)]
        struct Query {
            format: ResultsFormat,
        }
        let mut url = self.url(&with(&RUNS, &[id, "results"]))?;
        crate::client::add_query(&mut url, &Query { format });
        let response = succeed(self.start(Method::GET, url).send().await?).await?;
        Ok(response.bytes_stream().map(|piece| piece.map_err(ClientError::from)))
    }

    /// The run whenever something about it changes, until it has ended or the connection breaks.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn run_events(&self, id: &str) -> Result<RunEvents, ClientError> {
        let url = self.url(&with(&RUNS, &[id, "events"]))?;
        let request = self.start(Method::GET, url).header(header::ACCEPT, "text/event-stream");
        Ok(RunEvents { response: succeed(request.send().await?).await?, held: Vec::new() })
    }

    async fn write<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        read_json(self.start(method, self.url(path)?).json(body).send().await?).await
    }
}

/// The progress of a run (`event: progress`, WHATWG HTML §9.2).
pub struct RunEvents {
    response: Response,
    held: Vec<u8>,
}

/// More than this without an end is no event of ours.
const LONGEST_EVENT: usize = 1 << 20;

impl RunEvents {
    /// The next state; `None` when the stream has ended.
    ///
    /// # Errors
    /// When it breaks off, or is no stream of progress.
    pub async fn next(&mut self) -> Result<Option<Run>, ClientError> {
        loop {
            while let Some(event) = take_event(&mut self.held) {
                if let Some(data) = data_of(&event) {
                    return serde_json::from_str(&data).map(Some).map_err(not_progress);
                }
            }
            if self.held.len() > LONGEST_EVENT {
                return Err(not_progress("an event without an end"));
            }
            match self.response.chunk().await? {
                Some(chunk) => self.held.extend(chunk.iter().filter(|byte| **byte != b'\r')),
                None => return Ok(None),
            }
        }
    }
}

/// Takes the first whole event out of what has come.
fn take_event(held: &mut Vec<u8>) -> Option<String> {
    let end = held.windows(2).position(|pair| pair == b"\n\n")?;
    let event: Vec<u8> = held.drain(..end + 2).collect();
    Some(String::from_utf8_lossy(&event).into_owned())
}

/// The data of a `progress` event; comments and other events have none.
fn data_of(event: &str) -> Option<String> {
    let field = |line: &str, name: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(':')?;
        Some(value.strip_prefix(' ').unwrap_or(value).to_owned())
    };
    let kind = event.lines().find_map(|line| field(line, "event"));
    let data: Vec<String> = event.lines().filter_map(|line| field(line, "data")).collect();
    (kind.as_deref() == Some("progress") && !data.is_empty()).then(|| data.join("\n"))
}

fn not_progress(why: impl Display) -> ClientError {
    ClientError::Invalid(format!("the stream of progress cannot be read: {why}"))
}

async fn succeed(response: Response) -> Result<Response, ClientError> {
    if response.status().is_success() { Ok(response) } else { Err(read_problem(response).await) }
}

fn with<'a>(path: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [path, more].concat()
}

/// The `ETag` of a version of a job.
pub fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let mut held =
            b": hello\n\nevent: progress\ndata: {\"a\":\ndata: 1}\n\nevent: other\ndata: x\n\nevent: pro"
                .to_vec();
        let told: Vec<_> =
            std::iter::from_fn(|| take_event(&mut held)).map(|event| data_of(&event)).collect();
        assert_eq!(told, [None, Some("{\"a\":\n1}".to_owned()), None]);
        assert_eq!(held, b"event: pro");
    }
}
