//! When an item is tried again, and after how long.

use super::plan::check_duration;
use super::{Problems, RetrySpec};
use std::time::Duration;

const MOST_RETRIES: u32 = 20;
const DEFAULT_BACKOFF: Duration = Duration::from_secs(1);
const DEFAULT_LONGEST: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3_600);

/// How often, and after how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RetryRule {
    /// Attempts after the first.
    pub max: u32,
    /// The first wait.
    pub backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

/// How one attempt ended, as far as repeating it is concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttemptEnd {
    /// It was a success.
    Succeeded,
    /// Policy, or the run's own credential, refused it; trying again changes nothing.
    Denied,
    /// Provably nothing was sent (`unsent`, `audit_unavailable`, `region_unavailable`, connecting failed).
    NotSent,
    /// The service answered, and it was no success.
    Answered {
        /// The HTTP status.
        status: u16,
    },
    /// The request may have left; nobody knows how it ended (`unknown`, `timeout`).
    Unknown,
}

impl AttemptEnd {
    /// Whether trying again does no harm, and could help. Nothing that may have arrived is repeated unless the job is
    /// idempotent.
    pub fn is_repeatable(self, is_idempotent: bool) -> bool {
        match self {
            Self::Succeeded | Self::Denied => false,
            Self::NotSent => true,
            Self::Answered { status } => {
                is_idempotent && (matches!(status, 408 | 425 | 429) || status >= 500)
            }
            Self::Unknown => is_idempotent,
        }
    }
}

impl RetryRule {
    pub(super) fn check(field: &str, spec: Option<&RetrySpec>, problems: &mut Problems) -> Self {
        let Some(spec) = spec else {
            return Self { max: 0, backoff: DEFAULT_BACKOFF, max_backoff: DEFAULT_LONGEST };
        };
        if !(1..=MOST_RETRIES).contains(&spec.max) {
            problems.add(format!("{field}.max"), format!("is not between 1 and {MOST_RETRIES}"));
        }
        let mut read = |name: &str, text: Option<&str>, default| match text {
            Some(text) => check_duration(&format!("{field}.{name}"), text, LONGEST, problems),
            None => default,
        };
        let backoff = read("backoff", spec.backoff.as_deref(), DEFAULT_BACKOFF);
        let max_backoff = read("max_backoff", spec.max_backoff.as_deref(), DEFAULT_LONGEST.max(backoff));
        if max_backoff < backoff {
            problems.add(format!("{field}.max_backoff"), "is shorter than backoff");
        }
        Self { max: spec.max, backoff, max_backoff }
    }

    /// How long to wait before trying again; `None`: that was the last time. `attempts` counts those made so far, this one
    /// included. `random` is anything between 0 and 1: waits are spread over the upper half, so that items which failed
    /// together do not come back together.
    pub fn wait(&self, is_idempotent: bool, attempts: u32, end: AttemptEnd, random: f64) -> Option<Duration> {
        if attempts > self.max || !end.is_repeatable(is_idempotent) {
            return None;
        }
        let doublings = attempts.saturating_sub(1).min(30);
        let full = self.backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        Some(full.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0))
    }
}
