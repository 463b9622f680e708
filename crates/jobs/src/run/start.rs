//! The start of a run: what it sends, where to, and by whose grant is decided once.

use super::spec::{Layout, Progress, RunSpec, Share};
use super::{Jobs, new_id};
use crate::template::Template;
use doorman_auth::{AuthError, SessionId};
use doorman_core::rollout::{Counts, JobSpec, Problem, Run};
use doorman_core::time::format_rfc3339;
use doorman_door::Caller;
use doorman_store::{JobRow, RunRow, StoreError};
use std::net::IpAddr;

/// How a run is to be started.
#[derive(Clone, Debug, Default)]
pub struct StartRequest {
    /// Render and judge everything, send nothing.
    pub dry_run: bool,
    /// Why; instead of the job's own reason.
    pub reason: Option<String>,
    /// The time of the schedule that starts it.
    pub scheduled_ms: Option<u64>,
    /// It waits until the job's other runs have ended.
    pub is_queued: bool,
}

/// Why a run was not started. There is nothing of it then.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What is missing or wrong.
    #[error("the job cannot run: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// Whoever starts it may not act any more.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The database cannot be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is stored cannot be read.
    #[error("the stored job cannot be read: {0}")]
    Unreadable(String),
}

/// Who starts a run.
pub(crate) struct Starter<'a> {
    pub grant: &'a SessionId,
    pub actor: &'a str,
    pub subject: &'a str,
    pub client_ip: IpAddr,
}

impl Jobs {
    /// Checks whether a job could run now, and what of. Nothing is changed.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn check_start(&self, job: &JobRow) -> Result<(JobSpec, u64, Vec<Share>), StartError> {
        let mut spec: JobSpec = serde_json::from_str(&job.definition)
            .map_err(|error| StartError::Unreadable(error.to_string()))?;
        spec.input = None;
        let template = Template::compile(&spec.request).map_err(StartError::Invalid)?;
        let input = match &job.input {
            Some(input) => self.database.input(input).await?,
            None => None,
        };
        let rows = match &input {
            Some(about) => {
                template.check_columns(&about.columns).map_err(StartError::Invalid)?;
                about.rows
            }
            None if template.columns().next().is_none() => 1,
            None => {
                let detail = "has no rows: put them into the job, or upload them with PUT …/input";
                return Err(StartError::Invalid(vec![problem("input", detail)]));
            }
        };
        let shares = self.shares(&template).map_err(|problem| StartError::Invalid(vec![problem]))?;
        Ok((spec, rows, shares))
    }

    /// Starts a run as `caller`, who may have it started: policy was asked.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_run(
        &self,
        job: &JobRow,
        caller: &Caller,
        client_ip: IpAddr,
        request: StartRequest,
    ) -> Result<RunRow, StartError> {
        let checked = self.check_start(job).await?;
        let actor = caller.is_delegated().then(|| caller.identity().actor());
        let grant = self.authenticator.store().grant(caller.session(), actor, client_ip).await?;
        let starter =
            Starter { grant: &grant, actor: caller.actor_text(), subject: caller.subject_text(), client_ip };
        self.insert(job, checked, &starter, request).await
    }

    pub(crate) async fn insert(
        &self,
        job: &JobRow,
        (spec, rows, shares): (JobSpec, u64, Vec<Share>),
        starter: &Starter<'_>,
        request: StartRequest,
    ) -> Result<RunRow, StartError> {
        let reason = request.reason.or_else(|| spec.request.reason.clone());
        let spec = RunSpec {
            job: spec,
            dry_run: request.dry_run,
            reason,
            grant: hex::encode(starter.grant),
            client_ip: starter.client_ip,
            rows,
            shares,
            actor: starter.actor.to_owned(),
            subject: starter.subject.to_owned(),
            scheduled_ms: request.scheduled_ms,
        };
        let layout = Layout::of(spec).map_err(StartError::Unreadable)?;
        let (now_ms, total) = (self.now_ms(), layout.rollout.total());
        let mut run = Run::new();
        if !request.is_queued {
            let begun = run.start().unwrap_or_default();
            run = begun.tick(&layout.rollout, &Counts::of(total), now_ms).unwrap_or(begun);
        }
        let row = RunRow {
            id: new_id(),
            job: job.id,
            state: run.state.as_str().to_owned(),
            is_open: !run.state.is_over(),
            version: 1,
            spec: stored(&layout.spec)?,
            until_item: layout.bound(&run),
            ended_ms: run.state.is_over().then_some(now_ms),
            progress: stored(&Progress { run, ..Progress::default() })?,
            input: job.input,
            total,
            next_item: 0,
            started_by: starter.subject.to_owned(),
            started_ms: now_ms,
        };
        self.database.insert_run(&row).await?;
        self.news.notify_waiters();
        tracing::info!(run = %super::show_id(&row.id), at = %format_rfc3339(now_ms), total, "a run starts");
        Ok(row)
    }

    /// Where each row goes: regions, and instances where the job names all of them.
    fn shares(&self, template: &Template) -> Result<Vec<Share>, Problem> {
        let regions: Vec<Option<String>> = match template.regions() {
            [] => vec![None],
            regions => regions.iter().map(|region| Some(region.to_string())).collect(),
        };
        let instances = |region: &Option<String>| {
            if !template.fans_out_over_instances() {
                return Ok(Vec::new());
            }
            let name = region.clone().or_else(|| template.fixed_region()).unwrap_or_default();
            let catalog = self.door.catalog.load();
            let found = catalog.regions.get(&name).and_then(|region| region.services.get(template.service()));
            let known = found.map(|service| service.instances.iter().map(|one| one.id.clone()).collect());
            known.filter(|known: &Vec<String>| !known.is_empty()).ok_or_else(|| {
                problem(
                    "request.instance",
                    &format!("no instance of {} is known in region {name} now", template.service()),
                )
            })
        };
        let share = |region| Ok(Share { instances: instances(&region)?, region });
        regions.into_iter().map(share).collect()
    }
}

fn problem(field: &str, detail: &str) -> Problem {
    Problem { field: field.to_owned(), detail: detail.to_owned() }
}

pub(crate) fn stored(value: &impl serde::Serialize) -> Result<String, StartError> {
    serde_json::to_string(value).map_err(|error| StartError::Unreadable(error.to_string()))
}
