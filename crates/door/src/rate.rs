//! A principal beyond its rate waits, so that one script cannot take the door from everybody else.

use crate::config::Rate;
use doorman_core::principal::Principal;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};
use std::time::Duration;

/// Counts the requests of each principal (GCRA).
pub struct RateGate {
    limiter: Option<DefaultKeyedRateLimiter<Principal>>,
    clock: DefaultClock,
}

impl RateGate {
    /// Without a rate everybody passes.
    pub fn new(rate: Option<Rate>) -> Self {
        let quota = |rate: Rate| Quota::per_second(rate.per_second).allow_burst(rate.burst);
        Self {
            limiter: rate.map(|rate| DefaultKeyedRateLimiter::keyed(quota(rate))),
            clock: DefaultClock::default(),
        }
    }

    /// Counts one request; on refusal, how long to wait.
    pub(crate) fn admit(&self, principal: &Principal) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check_key(principal).map_err(|until| until.wait_time_from(self.clock.now()))
    }

    /// Forgets principals that have been silent. To be called now and then.
    pub fn forget_silent(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    #[test]
    fn one_principal_beyond_its_rate_does_not_slow_another() {
        let two = NonZeroU32::new(2).unwrap();
        let gate = RateGate::new(Some(Rate { per_second: two, burst: two }));
        let (alice, bob) = (Principal::User("alice".into()), Principal::User("bob".into()));
        assert!(gate.admit(&alice).is_ok() && gate.admit(&alice).is_ok());
        assert!(gate.admit(&alice).is_err_and(|wait| wait <= Duration::from_secs(1)));
        assert!(gate.admit(&bob).is_ok());
        gate.forget_silent();
        assert!(RateGate::new(None).admit(&alice).is_ok());
    }
}
