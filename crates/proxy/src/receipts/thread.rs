//! The receipts of one server thread: gathered in memory, written once a loop turn, before anything is forwarded.

use super::Shelf;
use doorman_core::Digest;
use doorman_core::pass::Pass;
use doorman_core::receipt::{End, Ended, Frame, put_receipt};
use doorman_core::statement::{Statement, WriterId};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// A file that has grown this long, or old, is followed by a new one.
const MAX_BYTES: u64 = 16 << 20;
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// Ends that cannot be written are kept up to this size, and dropped beyond.
const MAX_BUFFER: usize = 1 << 20;
/// Statements whose frames are remembered as written: a thread sees the passes of few batches at once.
const RECENT: usize = 32;

/// The log of one thread.
pub(crate) struct ThreadLog {
    shelf: Arc<Shelf>,
    /// Of this thread alone, and never waited for: hyper wants what a connection holds to be `Send`.
    state: Mutex<State>,
    /// A receipt waits to be written.
    is_due: AtomicBool,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    file: Option<Segment>,
    /// Statements in this file, the oldest replaced first.
    recent: Vec<(WriterId, u64)>,
    next: usize,
    /// The last write failed: no pass is honoured before one succeeds.
    failed: bool,
}

struct Segment {
    number: u64,
    file: File,
    written: u64,
    begun: Instant,
}

impl ThreadLog {
    pub(crate) fn new(shelf: Arc<Shelf>) -> Self {
        Self { shelf, state: Mutex::default(), is_due: AtomicBool::new(false) }
    }

    /// Notes that a pass is honoured. The request may be handed to a connection: [`ThreadLog::flush_due`] comes before
    /// the first byte.
    ///
    /// # Errors
    /// When receipts cannot be written now: the request must not be forwarded.
    pub(crate) fn honoured(
        &self,
        pass: &Pass,
        statement: &Statement,
        claims: &Digest,
        now_ms: u64,
        method: &str,
        service: &str,
    ) -> io::Result<()> {
        let mut state = self.state.lock();
        if state.failed {
            state.flush()?;
        }
        state.begin(&self.shelf, now_ms)?;
        let name = (statement.writer, statement.number);
        if !state.recent.contains(&name) {
            state.remember(name);
            let body = statement.to_bytes();
            Frame::Statement { body: &body, signature: pass.signature }.put(&mut state.buffer);
        }
        put_receipt(&mut state.buffer, pass, claims, now_ms, method, service);
        self.is_due.store(true, Relaxed);
        Ok(())
    }

    /// Notes how the request of an honoured pass ended. It is written with what comes next, or a moment later.
    pub(crate) fn ended(&self, ended: &Ended<'_>) {
        let mut state = self.state.lock();
        if state.buffer.len() < MAX_BUFFER {
            Frame::Ended(ended.clone()).put(&mut state.buffer);
        }
    }

    /// Hands what was gathered to the operating system.
    ///
    /// # Errors
    /// When that fails; it is tried again, and until it succeeds no pass is honoured.
    pub(crate) fn flush(&self) -> io::Result<()> {
        self.state.lock().flush()?;
        self.is_due.store(false, Relaxed);
        Ok(())
    }

    /// As [`ThreadLog::flush`], if there is a receipt that waits. Asked before each write to an instance.
    pub(crate) fn flush_due(&self) -> io::Result<()> {
        if self.is_due.load(Relaxed) { self.flush() } else { Ok(()) }
    }
}

impl Drop for ThreadLog {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if let Err(error) = state.flush() {
            tracing::error!(%error, "the last receipts could not be written");
        }
        state.end(&self.shelf);
    }
}

impl State {
    /// Makes sure that there is a file to write to. Between two files nothing waits to be written, so that receipts and
    /// the statement that they hang on stand in one.
    fn begin(&mut self, shelf: &Shelf, now_ms: u64) -> io::Result<()> {
        if self.buffer.is_empty()
            && self
                .file
                .as_ref()
                .is_some_and(|file| file.written >= MAX_BYTES || file.begun.elapsed() >= MAX_AGE)
        {
            self.end(shelf);
        }
        if self.file.is_none() {
            let (number, file) = shelf.begin()?;
            self.file = Some(Segment { number, file, written: 0, begun: Instant::now() });
            // Ends that came while there was no file stand behind the start, like everything.
            let ends = std::mem::take(&mut self.buffer);
            shelf.start_frame(now_ms).put(&mut self.buffer);
            self.buffer.extend_from_slice(&ends);
        }
        Ok(())
    }

    fn end(&mut self, shelf: &Shelf) {
        if let Some(file) = self.file.take() {
            shelf.end(file.number);
        }
        self.recent.clear();
    }

    fn remember(&mut self, name: (WriterId, u64)) {
        if self.recent.len() < RECENT {
            self.recent.push(name);
        } else if let Some(oldest) = self.recent.get_mut(self.next % RECENT) {
            *oldest = name;
            self.next += 1;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.file else { return Ok(()) };
        if self.buffer.is_empty() {
            return Ok(());
        }
        match segment.file.write_all(&self.buffer) {
            Ok(()) => {
                segment.written += self.buffer.len() as u64;
                self.buffer.clear();
                if std::mem::take(&mut self.failed) {
                    tracing::info!("receipts can be written again");
                }
                Ok(())
            }
            Err(error) => {
                // Half a frame would end the file for its readers.
                let _ = segment.file.set_len(segment.written);
                if !std::mem::replace(&mut self.failed, true) {
                    tracing::error!(%error, "receipts cannot be written: nothing is forwarded until they can");
                }
                Err(error)
            }
        }
    }
}

/// How an answer tells that a request ended.
pub(crate) fn end_of(response: &http::Response<crate::answer::AnswerBody>) -> (End, &str) {
    use crate::answer::{ERROR, INSTANCE, SENT};
    let text = |name: &http::HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    match (text(&ERROR), text(&SENT)) {
        ("", _) => (End::Answered(response.status().as_u16()), text(&INSTANCE)),
        (code, "no" | "denied") => (End::Unsent, code),
        (code, _) => (End::Unknown, code),
    }
}

#[cfg(test)]
mod tests;
