//! When a rollout stops by itself.

use super::{Counts, Problems, StopSpec};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

const DEFAULT_WINDOW: u32 = 100;
const LARGEST_WINDOW: u32 = 10_000;

/// Stop conditions. Unknown items count as failures: nobody can say that they went well.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StopRule {
    /// At so many failures.
    pub failures: Option<u64>,
    /// When failures among the last `window` results reach this share of the window.
    pub failure_rate: Option<f64>,
    /// How many results the rate looks back upon.
    pub window: u32,
}

impl StopRule {
    pub(super) fn check(field: &str, spec: Option<&StopSpec>, problems: &mut Problems) -> Self {
        let spec = spec.cloned().unwrap_or_default();
        if spec.failures == Some(0) {
            problems.add(format!("{field}.failures"), "is not 1 or more");
        }
        if spec.failure_rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1.0)) {
            problems.add(format!("{field}.failure_rate"), "is not above 0 and at most 1");
        }
        let window = spec.window.unwrap_or(DEFAULT_WINDOW);
        if !(1..=LARGEST_WINDOW).contains(&window) {
            problems.add(format!("{field}.window"), format!("is not between 1 and {LARGEST_WINDOW}"));
        } else if spec.window.is_some() && spec.failure_rate.is_none() {
            problems.add(format!("{field}.window"), "means something only with failure_rate");
        }
        Self { failures: spec.failures, failure_rate: spec.failure_rate, window }
    }

    /// Why to stop, while items are being sent. The rate is measured against the whole window even while it fills, so
    /// that one failure at the very beginning stops nothing, and many stop it before the window is full.
    pub fn judge(&self, counts: &Counts, forgiven: u64, recent: &Recent) -> Option<String> {
        self.judge_against(counts, forgiven, recent, self.window)
    }

    /// Why not to open the next wave. The rate is measured against what was really seen: a first wave of ten with five
    /// failures is a rate of a half, however large the window is.
    pub fn judge_at_gate(&self, counts: &Counts, forgiven: u64, recent: &Recent) -> Option<String> {
        self.judge_against(counts, forgiven, recent, self.window.min(recent.len()))
    }

    fn judge_against(&self, counts: &Counts, forgiven: u64, recent: &Recent, of: u32) -> Option<String> {
        let failures = (counts.failed + counts.unknown).saturating_sub(forgiven);
        if let Some(limit) = self.failures.filter(|limit| failures >= *limit) {
            return Some(format!("{failures} items failed, and stop_when.failures is {limit}"));
        }
        let rate = self.failure_rate?;
        let failed = recent.failed(self.window);
        let is_reached = failed > 0 && f64::from(failed) >= rate * f64::from(of);
        is_reached.then(|| {
            let seen = self.window.min(recent.len());
            format!(
                "{failed} of the last {seen} items failed, and stop_when.failure_rate is {rate} over {}",
                self.window
            )
        })
    }
}

/// The last results, oldest first: what a failure rate is measured on. Stored as text, `.` for a success and `x` for a
/// failure.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Recent(VecDeque<bool>);

impl Recent {
    /// Adds a result; forgets what is older than `window`.
    pub fn push(&mut self, is_failure: bool, window: u32) {
        self.0.push_back(is_failure);
        while self.0.len() > window as usize {
            self.0.pop_front();
        }
    }

    /// Results that are remembered.
    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    /// Whether nothing has ended yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Failures among the last `window`.
    pub fn failed(&self, window: u32) -> u32 {
        let failed = self.0.iter().rev().take(window as usize).filter(|is_failure| **is_failure).count();
        u32::try_from(failed).unwrap_or(u32::MAX)
    }
}

impl From<String> for Recent {
    fn from(text: String) -> Self {
        Self(text.bytes().map(|byte| byte == b'x').collect())
    }
}

impl From<Recent> for String {
    fn from(recent: Recent) -> Self {
        recent.0.into_iter().map(|is_failure| if is_failure { 'x' } else { '.' }).collect()
    }
}
