//! When the next batch is begun: while attempts come fast, bigger batches are cheaper requests.

use std::time::{Duration, Instant};

/// How fast attempts have come lately.
#[derive(Default)]
pub(super) struct Pace {
    /// When the last batch with attempts was begun.
    begun: Option<Instant>,
    per_second: f64,
}

impl Pace {
    /// The time over which it is an average.
    const WINDOW: Duration = Duration::from_millis(20);
    /// Waiting is worth it when it brings so many attempts into one batch.
    const WORTH: f64 = 4.0;

    pub(super) fn note(&mut self, attempts: usize, now: Instant) {
        if attempts == 0 {
            return;
        }
        if let Some(begun) = self.begun.replace(now) {
            let seconds = (now - begun).as_secs_f64().max(1e-6);
            let weight = (seconds / Self::WINDOW.as_secs_f64()).min(1.0);
            self.per_second += (attempts as f64 / seconds - self.per_second) * weight;
        }
    }

    /// How long to wait before the next batch is begun.
    pub(super) fn gather(&self, least: Duration, now: Instant) -> Duration {
        match self.begun {
            Some(begun) if self.per_second * least.as_secs_f64() >= Self::WORTH => {
                least.saturating_sub(now.saturating_duration_since(begun))
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Duration = Duration::from_micros(600);

    /// What the writer would wait after `batches` batches of `attempts` each, one every `apart`.
    fn wait(attempts: usize, apart: Duration, batches: u32) -> Duration {
        let begin = Instant::now();
        let mut pace = Pace::default();
        for batch in 0..batches {
            pace.note(attempts, begin + apart * batch);
        }
        pace.gather(LEAST, begin + apart * (batches - 1) + Duration::from_micros(100))
    }

    #[test]
    fn only_attempts_that_come_fast_are_waited_for() {
        let micros = Duration::from_micros;
        assert_eq!(wait(1, micros(526), 1_000), Duration::ZERO, "1,900 a second");
        assert_eq!(wait(20, micros(1_000), 1_000), micros(500), "20,000 a second");
        assert_eq!(wait(20, micros(1_000), 1), Duration::ZERO, "one batch is no pace yet");
        assert_eq!(wait(0, micros(1), 10), Duration::ZERO, "outcomes alone");
    }

    #[test]
    fn a_flush_that_took_long_is_time_enough() {
        let (begin, mut pace) = (Instant::now(), Pace::default());
        for batch in 0..100 {
            pace.note(64, begin + Duration::from_millis(2) * batch);
        }
        assert_eq!(pace.gather(LEAST, begin + Duration::from_millis(200)), Duration::ZERO);
    }
}
