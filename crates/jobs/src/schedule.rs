//! When a job runs by itself: cron in a time zone.
//!
//! Daylight saving, as people expect it of a clock: a job at a fixed time that the clock skips runs as soon as the clock
//! goes on; one at a time that comes twice runs once. Jobs that come again and again (`*/5 * * * *`) keep their distance.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use doorman_core::rollout::{Missed, Overlap, Problem, Problems, ScheduleSpec};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The shortest time between two runs.
const SHORTEST_SECONDS: i64 = 60;

/// A schedule that was checked.
#[derive(Clone, Debug)]
pub struct Schedule {
    cron: Cron,
    zone: TimeZone,
    missed: Missed,
    overlap: Overlap,
    is_paused: bool,
}

/// What to do at a time of the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// The time it was due, in milliseconds since the Unix epoch: start one run for it, or none if `is_skipped`.
    pub at_ms: u64,
    /// Times before it that were missed and get no run of their own.
    pub missed: u64,
    /// Whether to start a run at all.
    pub action: Action,
    /// When to look again.
    pub next_ms: Option<u64>,
}

/// Whether a run is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Start a run.
    Start,
    /// Make a run that waits for the one before to end.
    Queue,
    /// No run, because the one before has not ended.
    SkipOverlap,
    /// No run, because nobody was there in time.
    SkipMissed,
}

/// The run before, if there is one that has not ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Unfinished {
    /// One runs.
    pub running: bool,
    /// One waits.
    pub queued: bool,
}

impl Schedule {
    /// How late a run may start and still be in time.
    pub const GRACE_MS: u64 = 60_000;

    /// Checks a schedule.
    ///
    /// # Errors
    /// Everything that is wrong, such as `schedule.time_zone`.
    pub fn check(spec: &ScheduleSpec) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        let name = spec.time_zone.as_deref().unwrap_or("UTC");
        let zone = match TimeZone::get(name) {
            Ok(zone) => zone,
            Err(_) => {
                problems.add(
                    "schedule.time_zone",
                    format!("`{name}` is no time zone: write one such as Europe/Berlin"),
                );
                TimeZone::UTC
            }
        };
        if spec.cron.trim().is_empty() {
            problems.add("schedule.cron", "is missing");
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = match parser.parse(&spec.cron) {
            Ok(cron) => Some(cron),
            Err(_) if spec.cron.trim().is_empty() => None,
            Err(error) => {
                let fields = "minute, hour, day of month, month, day of week";
                problems.add("schedule.cron", format!("{error}; it has five fields: {fields}"));
                None
            }
        };
        let Some(cron) = cron else { return Err(problems.into_vec()) };
        let schedule =
            Self { cron, zone, missed: spec.missed, overlap: spec.overlap, is_paused: spec.paused };
        schedule.check_times(&mut problems);
        problems.into_result(schedule)
    }

    /// When it runs next after `after_ms`, in milliseconds since the Unix epoch; `None`: never, or it rests.
    pub fn next_after(&self, after_ms: u64) -> Option<u64> {
        if self.is_paused { None } else { self.find_after(after_ms) }
    }

    /// The next `count` times after `after_ms`.
    pub fn next_times(&self, after_ms: u64, count: usize) -> Vec<u64> {
        std::iter::successors(self.next_after(after_ms), |at| self.next_after(*at)).take(count).collect()
    }

    /// What is due: `due_ms` is the time that was waited for, `now_ms` is now. `None` when it is not due yet.
    pub fn due(&self, due_ms: u64, now_ms: u64, before: Unfinished) -> Option<Due> {
        if due_ms > now_ms || self.is_paused {
            return None;
        }
        // Times that passed unseen are counted, but not for ever.
        let (mut at_ms, mut missed) = (due_ms, 0);
        while let Some(next) = self.find_after(at_ms).filter(|next| *next <= now_ms && missed < 100_000) {
            at_ms = next;
            missed += 1;
        }
        let is_late = now_ms - at_ms > Self::GRACE_MS;
        let action = match (is_late, self.missed, before.running || before.queued, self.overlap) {
            (true, Missed::Skip, ..) => Action::SkipMissed,
            (_, _, false, _) => Action::Start,
            (_, _, true, Overlap::Queue) if !before.queued => Action::Queue,
            (_, _, true, _) => Action::SkipOverlap,
        };
        Some(Due { at_ms, missed, action, next_ms: self.find_after(now_ms) })
    }

    fn find_after(&self, after_ms: u64) -> Option<u64> {
        let after = Timestamp::from_millisecond(i64::try_from(after_ms).ok()?).ok()?;
        let next: Zoned = self.cron.find_next_occurrence(&after.to_zoned(self.zone.clone()), false).ok()?;
        u64::try_from(next.timestamp().as_millisecond()).ok()
    }

    fn check_times(&self, problems: &mut Problems) {
        // Any day will do: what never comes within the calendar's four hundred years never comes.
        let times: Vec<u64> =
            std::iter::successors(self.find_after(1_700_000_000_000), |at| self.find_after(*at))
                .take(61)
                .collect();
        if times.is_empty() {
            problems.add("schedule.cron", "never comes, like the 30th of February");
        }
        let is_too_dense = times.windows(2).any(|pair| match pair {
            [one, other] => i64::try_from(other - one).is_ok_and(|apart| apart < SHORTEST_SECONDS * 1_000),
            _ => false,
        });
        if is_too_dense {
            problems.add("schedule.cron", "comes more often than once a minute");
        }
    }
}

#[cfg(test)]
mod tests;
