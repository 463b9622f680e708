//! What is stored of a run: what was asked for at its start, and where it stands.

use crate::template::Template;
use doorman_core::rollout::{self, JobSpec, Plan, PlanSpec, RegionShare, Rollout};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// What was decided at the start of a run. Later edits of the job change nothing of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunSpec {
    /// The job as it was, without its rows.
    pub job: JobSpec,
    /// Whether it sends nothing.
    pub dry_run: bool,
    /// Why, for each item's entry.
    pub reason: Option<String>,
    /// The session that it acts by: 32 hexadecimal digits.
    pub grant: String,
    /// From where it was started.
    pub client_ip: IpAddr,
    /// Rows of the input; 1 for a request without columns.
    pub rows: u64,
    /// Where each row goes.
    pub shares: Vec<Share>,
    /// Whose credential started it.
    pub actor: String,
    /// Whose rights decide.
    pub subject: String,
    /// The time of the schedule that started it, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub scheduled_ms: Option<u64>,
}

/// One region of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Share {
    /// One of `request.regions`, where the job fans out.
    pub region: Option<String>,
    /// The instances that each row goes to; none: as the job says.
    #[serde(default)]
    pub instances: Vec<String>,
}

/// Where a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// The rollout.
    pub run: rollout::Run,
    /// Who opened a gate that another than the starter had to open. Policy sees what follows as approved.
    #[serde(default)]
    pub approved_by: Option<String>,
    /// How often items failed, by kind: a status or a code.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// How many items had ended at some times: what the rate is measured on.
    #[serde(default)]
    pub samples: VecDeque<(u64, u64)>,
}

/// Kinds of errors that are told apart.
const MOST_ERRORS: usize = 30;
/// Samples that are kept, one a second.
const MOST_SAMPLES: usize = 15;

impl Progress {
    /// Counts errors.
    pub fn add_errors(&mut self, errors: &BTreeMap<String, u64>) {
        for (error, count) in errors {
            let is_known = self.errors.contains_key(error) || self.errors.len() < MOST_ERRORS;
            let kind = if is_known { error } else { "other" };
            *self.errors.entry(kind.to_owned()).or_default() += count;
        }
    }

    /// Remembers how many items have ended by now.
    pub fn sample(&mut self, now_ms: u64, ended: u64) {
        self.samples.push_back((now_ms, ended));
        while self.samples.len() > MOST_SAMPLES {
            self.samples.pop_front();
        }
    }

    /// Items that ended in a second, lately.
    pub fn rate(&self) -> Option<f64> {
        let ((from_ms, from), (until_ms, until)) = (self.samples.front()?, self.samples.back()?);
        let seconds = until_ms.checked_sub(*from_ms).filter(|ms| *ms > 0)? as f64 / 1_000.0;
        Some(until.saturating_sub(*from) as f64 / seconds)
    }
}

/// A run's definition, read and laid out.
pub struct Layout {
    /// As stored.
    pub spec: RunSpec,
    /// What is sent.
    pub template: Template,
    /// How.
    pub rollout: Rollout,
}

impl Layout {
    /// Lays out what was stored.
    ///
    /// # Errors
    /// Why it cannot be read: it was written by another version, or by nobody of us.
    pub fn open(stored: &str) -> Result<Self, String> {
        let spec: RunSpec = serde_json::from_str(stored).map_err(|error| error.to_string())?;
        Self::of(spec)
    }

    pub(crate) fn of(spec: RunSpec) -> Result<Self, String> {
        let first =
            |problems: Vec<rollout::Problem>| problems.first().map(ToString::to_string).unwrap_or_default();
        let template = Template::compile(&spec.job.request).map_err(first)?;
        let plan = if spec.dry_run { rehearsal(&spec.job.plan) } else { spec.job.plan.clone() };
        let plan = Plan::check(&plan, &spec.job.request.regions).map_err(first)?;
        let shares = spec.shares.iter().map(|share| RegionShare {
            region: share.region.as_deref().map(Into::into),
            copies: u32::try_from(share.instances.len()).unwrap_or(u32::MAX).max(1),
        });
        let rollout = Rollout::new(plan, spec.rows, shares.collect());
        Ok(Self { spec, template, rollout })
    }

    /// Up to which item a run is released.
    pub fn bound(&self, run: &rollout::Run) -> u64 {
        self.rollout.wave(run.wave).map_or_else(|| self.rollout.total(), |wave| wave.until)
    }

    /// The instance of an item, where the job fans out over them.
    pub fn instance(&self, place: &rollout::Place<'_>) -> Option<&str> {
        let share = self.spec.shares.iter().find(|share| share.region.as_deref() == place.region)?;
        share.instances.get(place.copy as usize).map(String::as_str)
    }
}

/// The plan of a dry run: everything at once, to its end.
fn rehearsal(plan: &PlanSpec) -> PlanSpec {
    let regions = plan.regions.iter().map(|(region, plan)| (region.clone(), rehearsal(plan)));
    PlanSpec {
        waves: Vec::new(),
        rate_per_second: None,
        stop_when: None,
        regions: regions.collect(),
        ..plan.clone()
    }
}
