//! Schedules: at its time a job runs as whoever saved the schedule, if they still may.

use super::start::{StartError, StartRequest, Starter};
use super::{Jobs, show_id};
use crate::schedule::{Action, Schedule, Unfinished};
use doorman_auth::{Granted, Session};
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, Record};
use doorman_core::rollout::JobSpec;
use doorman_door::caller::by_session;
use doorman_door::journal::Draft;
use doorman_policy::{Resource, action};
use doorman_store::{JobRow, StoreError};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Schedules that are looked at in one round.
const AT_ONCE: u32 = 100;
/// A schedule calls from nowhere else.
const FROM: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Jobs {
    /// Starts the runs whose time has come. Of several replicas one does each.
    pub(crate) async fn fire_schedules(&self) -> Result<(), StoreError> {
        for job in self.database.due_jobs(self.now_ms(), AT_ONCE).await? {
            if let Err(error) = self.fire(&job).await {
                tracing::error!(job = %show_id(&job.id), %error, "a scheduled run was not started");
            }
        }
        Ok(())
    }

    async fn fire(&self, job: &JobRow) -> Result<(), StartError> {
        let spec: JobSpec = serde_json::from_str(&job.definition)
            .map_err(|error| StartError::Unreadable(error.to_string()))?;
        let Some(due_ms) = job.next_ms else { return Ok(()) };
        let Some(schedule) = spec.schedule.as_ref().and_then(|spec| Schedule::check(spec).ok()) else {
            self.database.advance_schedule(job, due_ms, None).await?;
            return Ok(());
        };
        let (running, queued) = self.database.unfinished_runs(&job.id).await?;
        let Some(due) = schedule.due(due_ms, self.now_ms(), Unfinished { running, queued }) else {
            return Ok(());
        };
        // Only then is it this replica's to do. A crash here leaves the run out, as a missed one.
        if !self.database.advance_schedule(job, due_ms, due.next_ms).await? {
            return Ok(());
        }
        let request = StartRequest {
            dry_run: false,
            reason: None,
            scheduled_ms: Some(due.at_ms),
            is_queued: due.action == Action::Queue,
        };
        let why = match due.action {
            Action::SkipOverlap => "skipped: the run before has not ended",
            Action::SkipMissed => "skipped: nobody was there in time",
            Action::Start | Action::Queue => match self.start_scheduled(job, request).await {
                Ok(run) => {
                    self.tell(job, "permit", Some(&run), "started by its schedule");
                    return Ok(());
                }
                Err(why) => &*format!("refused: {why}"),
            },
        };
        self.tell(job, "deny", None, why);
        Ok(())
    }

    /// Starts a run as whoever saved the schedule; or why they may not.
    async fn start_scheduled(&self, job: &JobRow, request: StartRequest) -> Result<[u8; 16], String> {
        let granted: Granted = serde_json::from_str(job.run_as.as_deref().unwrap_or("{}"))
            .map_err(|_| "nobody is named to run it as".to_owned())?;
        let subject = granted.subject.clone();
        let checked = self.check_start(job).await.map_err(|error| error.to_string())?;
        let grant = self.authenticator.grant_to(granted).await;
        let grant = grant.map_err(|error| format!("{subject}: {}", error.audit_reason))?;
        let started = self.start_granted(job, checked, &grant, request).await;
        if started.is_err()
            && let Err(error) = self.authenticator.store().logout(grant.id).await
        {
            tracing::warn!(%error, "a grant that nobody uses was not ended");
        }
        started
    }

    async fn start_granted(
        &self,
        job: &JobRow,
        checked: (JobSpec, u64, Vec<super::Share>),
        grant: &Arc<Session>,
        request: StartRequest,
    ) -> Result<[u8; 16], String> {
        let policies = self.door.policies.current();
        let caller = by_session(&policies, grant.clone(), FROM).map_err(|refusal| refusal.audit_reason)?;
        let id = show_id(&job.id);
        let resource = Resource::Job { id: &id, folder: &job.folder };
        if !policies.decide(caller.policy_subject(), action::JOB_RUN, resource).permit {
            return Err(format!("policy does not permit {} to run it any more", caller.subject_text()));
        }
        let starter = Starter {
            grant: &grant.id,
            actor: caller.actor_text(),
            subject: caller.subject_text(),
            client_ip: FROM,
        };
        let run = self.insert(job, checked, &starter, request).await;
        run.map(|run| run.id).map_err(|error| error.to_string())
    }

    fn tell(&self, job: &JobRow, decision: &'static str, run: Option<&[u8; 16]>, why: &str) {
        let run_as: Option<Granted> = job.run_as.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let mut record = Record::new(Kind::Run, AuditId::default(), self.now_ms());
        if let Some(run_as) = run_as {
            record.actor = Some(run_as.actor.unwrap_or_else(|| run_as.subject.clone()).into());
            record.subject = Some(run_as.subject.into());
        }
        record.job = Some(show_id(&job.id).into());
        record.run = run.map(|run| show_id(run).into());
        record.channel = Some("bulk".into());
        record.decision = Some(decision.into());
        record.detail.insert("change".into(), "schedule".into());
        record.detail.insert("why".into(), why.to_owned().into());
        self.door.journal.write_later(Draft::new(record));
    }
}
