//! Wall time that never goes back, not even over a restart, so that setting the clock back revives no token.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The high-water mark cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The file cannot be read, written or replaced.
    #[error("clock mark {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds something else than a number. Without it, whether time was set back cannot be known.
    #[error(
        "clock mark {path} is not a number of milliseconds; remove it only if this host's clock is right"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
    },
}

/// Milliseconds since the Unix epoch, never earlier than the persisted mark nor than what was handed out before.
///
/// When the host's clock is behind the mark, time goes on from the mark at the monotonic clock's pace. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    /// `epoch_ms` is the greatest difference seen between wall time and `started`, so `epoch_ms + elapsed` only grows.
    Host {
        started: Instant,
        epoch_ms: AtomicU64,
        mark: Option<PathBuf>,
    },
    Manual(AtomicU64),
}

impl Clock {
    /// A clock whose high-water mark is kept in the file `mark`. Call [`Clock::persist`] every few seconds.
    ///
    /// # Errors
    /// When the file is there but cannot be read or understood.
    pub fn open(mark: &Path) -> Result<Self, ClockError> {
        let at = |source| ClockError::Io { path: mark.to_owned(), source };
        let high: u64 = match fs::read_to_string(mark) {
            Ok(text) => text.trim().parse().map_err(|_| ClockError::Corrupt { path: mark.to_owned() })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(at(error)),
        };
        if let Some(behind_s) =
            (high / 1000_u64).checked_sub(wall_ms() / 1000).filter(|behind_s| *behind_s > 60)
        {
            let mark = mark.display();
            tracing::warn!(%mark, behind_s, "the host's clock is behind the last time that Doorman saw; the mark counts");
        }
        let clock = Self::host(high, Some(mark.to_owned()));
        clock.persist()?;
        Ok(clock)
    }

    /// The host's clock without a mark over restarts: for clients and short commands.
    pub fn system() -> Self {
        Self::host(0, None)
    }

    /// A clock that stands still until [`Clock::advance`]: for tests.
    pub fn manual(now_ms: u64) -> Self {
        Self(Arc::new(Source::Manual(AtomicU64::new(now_ms))))
    }

    fn host(high_ms: u64, mark: Option<PathBuf>) -> Self {
        let (started, epoch_ms) = (Instant::now(), AtomicU64::new(high_ms));
        Self(Arc::new(Source::Host { started, epoch_ms, mark }))
    }

    /// The time now.
    pub fn now_ms(&self) -> u64 {
        match &*self.0 {
            Source::Host { started, epoch_ms, .. } => {
                let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let ahead = wall_ms().saturating_sub(elapsed);
                epoch_ms.fetch_max(ahead, Relaxed).max(ahead).saturating_add(elapsed)
            }
            Source::Manual(now) => now.load(Relaxed),
        }
    }

    /// Moves a manual clock on; no effect on a real one.
    pub fn advance(&self, ms: u64) {
        if let Source::Manual(now) = &*self.0 {
            now.fetch_add(ms, Relaxed);
        }
    }

    /// Writes the mark (temporary file, then rename).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn persist(&self) -> Result<(), ClockError> {
        let Source::Host { mark: Some(mark), .. } = &*self.0 else { return Ok(()) };
        let temporary = mark.with_extension("tmp");
        let write = || {
            let mut file = fs::File::create(&temporary)?;
            writeln!(file, "{}", self.now_ms())?;
            fs::rename(&temporary, mark)
        };
        write().map_err(|source| ClockError::Io { path: mark.clone(), source })
    }
}

fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_behind_its_mark_goes_on_from_the_mark() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("clock");
        let future = wall_ms() + 86_400_000;
        fs::write(&mark, future.to_string()).unwrap();
        let clock = Clock::open(&mark).unwrap();
        let first = clock.now_ms();
        assert!(first >= future);
        while clock.now_ms() == first {}
        clock.persist().unwrap();
        assert!(fs::read_to_string(&mark).unwrap().trim().parse::<u64>().unwrap() > first);
    }

    #[test]
    fn a_mark_that_cannot_be_read_stops_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("clock");
        fs::write(&mark, "soon").unwrap();
        assert!(matches!(Clock::open(&mark), Err(ClockError::Corrupt { .. })));
    }
}
