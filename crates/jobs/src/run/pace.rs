//! How fast and how many at once: a replica's part of what the plan allows.

use doorman_core::rollout::RegionPlan;
use doorman_store::HolderShare;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use std::time::Duration;

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
            self.limiter = rate.and_then(|rate| {
                let quota = Quota::with_period(Duration::from_secs_f64(1.0 / rate))?;
                Some(DefaultDirectRateLimiter::direct(quota))
            });
        }
    }

    /// Takes one item's turn; or how long to wait for it.
    pub fn take(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check().map_err(|until| until.wait_time_from(self.clock.now()))
    }
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
}
