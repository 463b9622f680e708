//! A job as people write it and as it is stored: the JSON of `POST /api/v1/jobs`. Nothing here is checked beyond its type;
//! every field may be absent, so that all that is missing can be told at once.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// One row of an input: values by column. Text, numbers, `true`, `false` or `null`; never lists or objects.
pub type Row = serde_json::Map<String, Value>;

/// A job: one request over many rows, as a controlled rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JobSpec {
    /// What people call it; unique within its folder.
    pub name: String,
    /// Where it is kept; policy judges by it. Parts are separated by `/`.
    pub folder: String,
    /// For people.
    pub description: String,
    /// What is sent for each row.
    pub request: RequestSpec,
    /// The rows; absent when they are uploaded with `PUT /api/v1/jobs/{id}/input`, or when the request has no placeholder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<InputSpec>,
    /// How the rollout goes.
    pub plan: PlanSpec,
    /// When it runs by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<ScheduleSpec>,
}

/// What is sent for each row. `{{column}}` stands for the row's value, escaped for the place it stands in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestSpec {
    /// The region; may be or hold a placeholder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Instead of `region`: every row is sent to each of these, one region after the other, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<String>,
    /// The service.
    pub service: String,
    /// `any` (the default), `all`, or an id; may hold a placeholder. `all` makes an item of each row and each instance that
    /// is known when the run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path, with placeholders; no query.
    pub path: String,
    /// Query parameters; placeholders in values only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers; placeholders in values only.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Any JSON value, sent as JSON; or text, sent as it stands. Placeholders in values only, never in keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub body: Option<Value>,
    /// Why this is done, for the audit log, where whoever starts the run gives no reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The rows of a job: one of `rows`, `csv` and `jsonl`; or none of them, and how rows are read that are uploaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InputSpec {
    /// Rows as flat objects, all with the same keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<BTreeMap<String, String>>>)]
    pub rows: Option<Vec<Row>>,
    /// CSV with a header line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv: Option<String>,
    /// JSON Lines: one flat object a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jsonl: Option<String>,
    /// Names the columns of a CSV without a header line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// The column by which rows are told apart; absent: the whole row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What becomes of a row that was there before.
    pub duplicates: Duplicates,
}

impl InputSpec {
    /// Whether rows stand in it.
    pub fn has_rows(&self) -> bool {
        self.rows.is_some() || self.csv.is_some() || self.jsonl.is_some()
    }

    /// How rows are read, without them; `None` when nothing is said about it.
    pub fn without_rows(&self) -> Option<Self> {
        let kept = Self { rows: None, csv: None, jsonl: None, ..self.clone() };
        (kept != Self::default()).then_some(kept)
    }
}

/// What becomes of a row that was there before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Duplicates {
    /// The input is refused, with the lines of the duplicates.
    #[default]
    Refuse,
    /// The first one counts; the others are left out, and counted.
    Skip,
    /// Every one is sent.
    Allow,
}

/// How a rollout goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PlanSpec {
    /// The waves in their order; what they leave over is a last wave. None: everything in one wave.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waves: Vec<WaveSpec>,
    /// Items in flight at once, over all replicas; 10 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// Items a second, over all replicas; absent: as fast as they go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_second: Option<f64>,
    /// How long one attempt may take: `"30s"`, which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// When the rollout stops by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_when: Option<StopSpec>,
    /// What counts as a success; absent: status 2xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success: Option<SuccessSpec>,
    /// Whether sending an item twice does no harm. Only then is an item repeated whose request may have arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotent: Option<bool>,
    /// How often an item is tried again where that is safe; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetrySpec>,
    /// With `request.regions`: what differs in a region. What is absent there is as it is here.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(no_recursion)]
    pub regions: BTreeMap<String, PlanSpec>,
}

/// One wave: exactly one of `count` and `percent`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WaveSpec {
    /// So many items more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Until this share of all items (of the region) was sent, earlier waves included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// What opens the wave after this one; `auto` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateSpec>,
    /// With gate `auto`: how long to watch before the next wave opens: `"5m"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake: Option<String>,
}

/// What opens the next wave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateSpec {
    /// Time, if the stop conditions do not hold.
    Auto,
    /// A person who may run the job.
    Manual,
    /// A person who may approve, and is not the one who started the run.
    Approval,
}

/// When a rollout stops by itself; unknown items count as failures. Either holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopSpec {
    /// At so many failures in the whole run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<u64>,
    /// When failures among the last `window` items reach this share of the window: `0.05`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_rate: Option<f64>,
    /// Items that `failure_rate` looks back upon; 100 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
}

/// What counts as a success: both must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SuccessSpec {
    /// `"2xx"`, `"409"` or `"200-204"`; any of them. Empty: `2xx`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<String>,
    /// JSON pointers (RFC 6901) into the answer's body, and what must be there: a value, or an object of `eq`, `ne`, `lt`,
    /// `lte`, `gt`, `gte`, `in`, `exists`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, Value>)]
    pub body: BTreeMap<String, Value>,
}

/// How often, and after how long, an item is tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySpec {
    /// Attempts after the first.
    pub max: u32,
    /// The first wait, doubled each time: `"1s"`, which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<String>,
    /// The longest wait: `"1m"`, which is also the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<String>,
}

/// When a job runs by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Five fields (minute, hour, day of month, month, day of week), or six with seconds first.
    pub cron: String,
    /// A zone of the IANA database, such as `Europe/Berlin`; `UTC` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What becomes of a time at which nobody was there to start the run.
    pub missed: Missed,
    /// What becomes of a time at which the run before has not ended.
    pub overlap: Overlap,
    /// As whom it runs: whoever saved the schedule last. Doorman fills it in; it can't be somebody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as: Option<String>,
    /// Whether the schedule rests.
    pub paused: bool,
}

/// What becomes of times that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// They are left out.
    #[default]
    Skip,
    /// One run for all of them, as soon as somebody is there.
    RunOnce,
}

/// What becomes of a time at which the run before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// The run waits as `queued` until the one before has ended; at most one waits.
    Queue,
}
