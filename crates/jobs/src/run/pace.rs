//! How fast and how many at once: a replica's part of what the plan allows.

use doorman_core::rollout::RegionPlan;
use doorman_store::HolderShare;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use std::num::NonZeroU32;
use std::time::Duration;

/// Turns that were missed, since something else took its time, are made good up to so many seconds' worth.
const CATCH_UP: f64 = 0.5;

/// A replica's part. Replicas that share a run divide its rate and its concurrency among them.
pub(crate) struct Pace {
    /// Items in flight at once.
    pub concurrency: usize,
    rate: Option<f64>,
    limiter: Option<DefaultDirectRateLimiter>,
    clock: DefaultClock,
}

impl Pace {
    pub fn new() -> Self {
        Self { concurrency: 0, rate: None, limiter: None, clock: DefaultClock::default() }
    }

    /// Takes over the plan and this replica's share.
    pub fn adapt(&mut self, plan: &RegionPlan, share: HolderShare) {
        let (whole, rest) = (plan.concurrency / share.holders, plan.concurrency % share.holders);
        self.concurrency = (whole + u32::from(share.place < rest)) as usize;
        let rate = plan.rate_per_second.map(|rate| rate / f64::from(share.holders));
        if rate != self.rate {
            self.rate = rate;
            self.limiter = rate.and_then(limiter);
        }
    }

    /// Takes one item's turn; or how long to wait for it.
    pub fn take(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }
}

/// Lets so many pass in a second, and begins without any to make good.
fn limiter(rate: f64) -> Option<DefaultDirectRateLimiter> {
    let missed = (rate * CATCH_UP) as u32;
    let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate))?;
    let limiter = DefaultDirectRateLimiter::direct(quota.allow_burst(NonZeroU32::MIN.saturating_add(missed)));
    if let Some(missed) = NonZeroU32::new(missed) {
        // They are as many as there can be.
        let _ = limiter.check_n(missed);
    }
    Some(limiter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use doorman_core::rollout::{Plan, PlanSpec};

    #[test]
    fn replicas_share_what_the_plan_allows_and_no_more() {
        let spec = PlanSpec { concurrency: Some(10), rate_per_second: Some(4.0), ..PlanSpec::default() };
        let plan = Plan::check(&spec, &[]).unwrap();
        let parts = (0..3).map(|place| {
            let mut pace = Pace::new();
            pace.adapt(plan.region(None), HolderShare { holders: 3, place });
            assert!(pace.take().is_ok());
            assert!(pace.take().unwrap_err() <= Duration::from_millis(750));
            pace.concurrency
        });
        assert_eq!(parts.collect::<Vec<_>>(), [4, 3, 3]);
    }

    #[test]
    fn turns_that_were_missed_are_made_good_for_a_while() {
        let spec = PlanSpec { rate_per_second: Some(100.0), ..PlanSpec::default() };
        let plan = Plan::check(&spec, &[]).unwrap();
        let mut pace = Pace::new();
        pace.adapt(plan.region(None), HolderShare { holders: 1, place: 0 });
        let begun = std::time::Instant::now();
        let turns = || (0..200).take_while(|_| pace.take().is_ok()).count() as f64;
        let at_once = turns();
        assert!(at_once <= 1.0 + 100.0 * begun.elapsed().as_secs_f64(), "{at_once} at once");
        std::thread::sleep(Duration::from_millis(200));
        let later = turns();
        assert!(later >= 20.0, "{later} later");
        let all = at_once + later;
        assert!(all <= 1.0 + 100.0 * begun.elapsed().as_secs_f64(), "{all} in all");
    }
}
