//! Bulk work as a controlled rollout: what a job says, what is wrong with it, and what a run of it does next.
//!
//! A run's items stand in one line: region after region in the order that the job lists them, within a region row after
//! row. Waves are stretches of that line, so that opening a wave moves one bound and nothing else. [`Rollout`] is that line;
//! [`Run`] says how far it is open. Both are plain values: whoever stores and sends hands in counts and the time.

mod decode;
mod line;
mod plan;
mod problem;
mod retry;
mod run;
mod spec;
mod stop;
mod success;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use line::{Place, RegionShare, Rollout, Wave};
pub use plan::{Gate, Plan, RegionPlan, Size, WaveRule};
pub use problem::{Problem, Problems};
pub use retry::{AttemptEnd, RetryRule};
pub use run::{Allowance, By, Change, Command, Counts, ItemChange, ItemState, Refusal, Run, RunState};
pub use spec::{
    Duplicates, GateSpec, InputSpec, JobSpec, Missed, Overlap, PlanSpec, RequestSpec, RetrySpec, Row,
    ScheduleSpec, StopSpec, SuccessSpec, WaveSpec,
};
pub use stop::{Recent, StopRule};
pub use success::SuccessRule;
