//! A plan that was checked: what a [`PlanSpec`] means, with defaults filled in.

use super::{GateSpec, PlanSpec, Problem, Problems, RetryRule, StopRule, SuccessRule, WaveSpec};
use crate::{duration, target};
use std::collections::BTreeMap;
use std::time::Duration;

const DEFAULT_CONCURRENCY: u32 = 10;
const MOST_CONCURRENCY: u32 = 1_000;
const MOST_RATE: f64 = 100_000.0;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3_600);
const LONGEST_BAKE: Duration = Duration::from_secs(30 * 86_400);
const MOST_WAVES: usize = 100;
const MOST_REGIONS: usize = 100;

/// How a rollout goes.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Whether an item may be sent again that may have arrived.
    pub is_idempotent: bool,
    /// Without `request.regions`, or for a region without a plan of its own.
    base: RegionPlan,
    /// By region.
    regions: BTreeMap<Box<str>, RegionPlan>,
}

/// How the rollout goes in one region.
#[derive(Clone, PartialEq, Debug)]
pub struct RegionPlan {
    /// Waves in their order; what they leave over is one more.
    pub waves: Vec<WaveRule>,
    /// Items in flight at once.
    pub concurrency: u32,
    /// Items a second.
    pub rate_per_second: Option<f64>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// When to stop.
    pub stop: StopRule,
    /// What counts as a success.
    pub success: SuccessRule,
    /// When to try again.
    pub retries: RetryRule,
}

/// One wave and the gate behind it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct WaveRule {
    /// How far it goes.
    pub size: Size,
    /// What opens the next one.
    pub gate: Gate,
}

/// How far a wave goes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Size {
    /// So many items more.
    Count(u64),
    /// Until this share of all items, in percent, earlier waves included.
    Percent(f64),
}

/// What opens the next wave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gate {
    /// Time, if the stop conditions do not hold then.
    Auto {
        /// How long to watch first.
        bake: Duration,
    },
    /// Whoever may run the job.
    Manual,
    /// Somebody else than the starter, who may approve.
    Approval,
}

impl Gate {
    /// Its kind, as jobs name it.
    pub fn kind(self) -> GateSpec {
        match self {
            Self::Auto { .. } => GateSpec::Auto,
            Self::Manual => GateSpec::Manual,
            Self::Approval => GateSpec::Approval,
        }
    }
}

impl Plan {
    /// Checks a plan. `regions` are those of `request.regions`.
    ///
    /// # Errors
    /// Everything that is wrong, with fields such as `plan.waves[1].percent`.
    pub fn check(spec: &PlanSpec, regions: &[String]) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        let base = check_region("plan", spec, &mut problems);
        let mut by_region = BTreeMap::new();
        if spec.regions.len() > MOST_REGIONS {
            problems.add("plan.regions", format!("has more than {MOST_REGIONS} regions"));
        }
        for (region, own) in spec.regions.iter().take(MOST_REGIONS) {
            let field = format!("plan.regions.{region}");
            if !regions.contains(region) {
                problems.add(&field, "is none of request.regions");
            } else if !target::is_region_name(region) {
                problems.add(&field, "is no name of a region");
            }
            if !own.regions.is_empty() {
                problems.add(format!("{field}.regions"), "a region has no regions");
            }
            if own.idempotent.is_some() {
                problems.add(format!("{field}.idempotent"), "is said once, in plan.idempotent");
            }
            let faults = problems.clone();
            let mut mine = Problems::new();
            let checked = check_region(&field, &inherit(own, spec), &mut mine);
            // What is inherited was told already, where it stands.
            let inherited: Vec<_> = faults.into_vec().into_iter().map(|problem| problem.detail).collect();
            problems.extend(mine.into_vec().into_iter().filter(|problem| {
                is_own(own, problem.field.strip_prefix(&field).unwrap_or_default())
                    || !inherited.contains(&problem.detail)
            }));
            by_region.insert(region.as_str().into(), checked);
        }
        problems.into_result(Self {
            is_idempotent: spec.idempotent.unwrap_or(false),
            base,
            regions: by_region,
        })
    }

    /// The plan of a region.
    pub fn region(&self, region: Option<&str>) -> &RegionPlan {
        region.and_then(|region| self.regions.get(region)).unwrap_or(&self.base)
    }
}

/// Whether a region's plan says this itself; `rest` is the field behind its own, such as `.waves[1].count`.
fn is_own(own: &PlanSpec, rest: &str) -> bool {
    match rest.trim_start_matches('.').split(['.', '[']).next().unwrap_or_default() {
        "waves" => !own.waves.is_empty(),
        "concurrency" => own.concurrency.is_some(),
        "rate_per_second" => own.rate_per_second.is_some(),
        "timeout" => own.timeout.is_some(),
        "stop_when" => own.stop_when.is_some(),
        "success" => own.success.is_some(),
        "retries" => own.retries.is_some(),
        _ => true,
    }
}

/// A region's plan with what it leaves unsaid.
fn inherit(own: &PlanSpec, base: &PlanSpec) -> PlanSpec {
    PlanSpec {
        waves: if own.waves.is_empty() { base.waves.clone() } else { own.waves.clone() },
        concurrency: own.concurrency.or(base.concurrency),
        rate_per_second: own.rate_per_second.or(base.rate_per_second),
        timeout: own.timeout.clone().or_else(|| base.timeout.clone()),
        stop_when: own.stop_when.clone().or_else(|| base.stop_when.clone()),
        success: own.success.clone().or_else(|| base.success.clone()),
        idempotent: base.idempotent,
        retries: own.retries.clone().or_else(|| base.retries.clone()),
        regions: BTreeMap::new(),
    }
}

fn check_region(field: &str, spec: &PlanSpec, problems: &mut Problems) -> RegionPlan {
    let concurrency = spec.concurrency.unwrap_or(DEFAULT_CONCURRENCY);
    if !(1..=MOST_CONCURRENCY).contains(&concurrency) {
        problems.add(format!("{field}.concurrency"), format!("is not between 1 and {MOST_CONCURRENCY}"));
    }
    if spec.rate_per_second.is_some_and(|rate| !(rate > 0.0 && rate <= MOST_RATE)) {
        problems.add(format!("{field}.rate_per_second"), format!("is not between 0 and {MOST_RATE}"));
    }
    let timeout = spec.timeout.as_deref().map_or(DEFAULT_TIMEOUT, |text| {
        check_duration(&format!("{field}.timeout"), text, LONGEST_TIMEOUT, problems)
    });
    if timeout.is_zero() {
        problems.add(format!("{field}.timeout"), "leaves no time at all");
    }
    RegionPlan {
        waves: check_waves(&format!("{field}.waves"), &spec.waves, problems),
        concurrency,
        rate_per_second: spec.rate_per_second,
        timeout,
        stop: StopRule::check(&format!("{field}.stop_when"), spec.stop_when.as_ref(), problems),
        success: SuccessRule::check(&format!("{field}.success"), spec.success.as_ref(), problems),
        retries: RetryRule::check(&format!("{field}.retries"), spec.retries.as_ref(), problems),
    }
}

fn check_waves(field: &str, specs: &[WaveSpec], problems: &mut Problems) -> Vec<WaveRule> {
    if specs.len() > MOST_WAVES {
        problems.add(field, format!("has more than {MOST_WAVES} waves"));
    }
    let mut reached = 0.0;
    let mut waves = Vec::new();
    for (number, spec) in specs.iter().take(MOST_WAVES).enumerate() {
        let field = format!("{field}[{number}]");
        if reached >= 100.0 {
            problems.add(&field, "comes after a wave that takes everything");
        }
        let size = match (spec.count, spec.percent) {
            (Some(0), None) => {
                problems.add(format!("{field}.count"), "is not 1 or more");
                None
            }
            (Some(count), None) => Some(Size::Count(count)),
            (None, Some(percent)) if !(percent > 0.0 && percent <= 100.0) => {
                problems.add(format!("{field}.percent"), "is not above 0 and at most 100");
                None
            }
            (None, Some(percent)) if percent <= reached && reached < 100.0 => {
                let why = format!(
                    "is not above the {reached} of a wave before: percents count all that was sent so far"
                );
                problems.add(format!("{field}.percent"), why);
                None
            }
            (None, Some(percent)) => {
                reached = percent;
                Some(Size::Percent(percent))
            }
            _ => {
                problems.add(&field, "needs either count or percent");
                None
            }
        };
        let gate = check_gate(&field, spec, problems);
        waves.extend(size.map(|size| WaveRule { size, gate }));
    }
    waves
}

fn check_gate(field: &str, spec: &WaveSpec, problems: &mut Problems) -> Gate {
    let bake = spec
        .bake
        .as_deref()
        .map(|text| check_duration(&format!("{field}.bake"), text, LONGEST_BAKE, problems));
    match (spec.gate.unwrap_or(GateSpec::Auto), bake) {
        (GateSpec::Auto, bake) => Gate::Auto { bake: bake.unwrap_or_default() },
        (gate, bake) => {
            if bake.is_some() {
                problems.add(
                    format!("{field}.bake"),
                    "means something only with gate `auto`: here a person decides when",
                );
            }
            if gate == GateSpec::Manual { Gate::Manual } else { Gate::Approval }
        }
    }
}

/// Reads a duration; zero when it is none, which was told then.
pub(super) fn check_duration(
    field: &str,
    text: &str,
    longest: Duration,
    problems: &mut Problems,
) -> Duration {
    match problems.take(field, duration::parse(text)) {
        Some(duration) if duration > longest => {
            problems.add(field, format!("is longer than {}", duration::format(longest)));
            longest
        }
        Some(duration) => duration,
        // Anything that is a duration, so that nothing else is told about it.
        None => longest,
    }
}
