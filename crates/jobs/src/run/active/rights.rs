//! Whether whoever started the run may still act, and what happens when not.

use super::Active;
use crate::run::show_id;
use doorman_auth::SessionId;
use doorman_core::code::Code;
use doorman_core::rollout::RunState;
use doorman_door::Caller;
use doorman_door::caller::by_session;
use doorman_door::journal::Draft;
use doorman_policy::{Resource, action};
use doorman_store::{HolderShare, StoreError};
use std::sync::Arc;

impl Active {
    /// Whether whoever started the run may still act, and how many replicas share it.
    pub(super) async fn look_around(&mut self) -> Result<(), StoreError> {
        let share = match self.layout.spec.dry_run {
            true => HolderShare { holders: 1, place: 0 },
            false => self.jobs.database.share_of(&self.row.id, &self.holder, self.jobs.now_ms()).await?,
        };
        self.pace.adapt(self.layout.rollout.plan_of(self.progress.run.wave), share);
        // What a dead replica was sending is settled also when nothing more is sent.
        if self.progress.run.state != RunState::Running && self.claiming.is_none() {
            self.claim(0);
        }
        if !matches!(self.progress.run.state, RunState::Running | RunState::Waiting | RunState::Queued) {
            return Ok(());
        }
        let caller = self.find_caller().await;
        match caller.and_then(|caller| self.check_right(&caller).map(|()| caller).map_err(Some)) {
            Ok(caller) => self.caller = Some(caller),
            Err(Some(why)) => {
                self.caller = None;
                self.halt(&why);
            }
            // It cannot be known now: what is claimed waits.
            Err(None) => self.caller = None,
        }
        if self.progress.run.state == RunState::Queued
            && !self.jobs.database.has_other_open_run(&self.row.job, &self.row.id).await?
            && let Some(run) = self.progress.run.start()
        {
            self.progress.run = run;
            self.save().await?;
        }
        Ok(())
    }

    /// The caller that the run acts as; `Err(Some)`: why they may not any more.
    async fn find_caller(&self) -> Result<Arc<Caller>, Option<String>> {
        let spec = &self.layout.spec;
        let mut grant = SessionId::default();
        hex::decode_to_slice(&spec.grant, &mut grant).map_err(|error| Some(error.to_string()))?;
        let session = match self.jobs.authenticator.standing(grant).await {
            Ok(session) => session,
            Err(error) if matches!(error.code, Code::DirectoryUnavailable | Code::AuditUnavailable) => {
                return Err(None);
            }
            Err(error) => {
                return Err(Some(format!(
                    "{} may not go on: {}; start a new run, or retry, with a fresh login",
                    spec.subject, error.audit_reason
                )));
            }
        };
        // A service's right to act for a user is asked for anew each time.
        if let Some(known) = &self.caller
            && Arc::ptr_eq(known.session(), &session)
            && !known.is_delegated()
        {
            return Ok(known.clone());
        }
        let policies = self.jobs.door.policies.current();
        let caller = by_session(&policies, session, spec.client_ip);
        caller.map(Arc::new).map_err(|refusal| Some(refusal.audit_reason))
    }

    /// Whether the run could be started as it is now: who lost that right sends nothing more by what was begun with it.
    fn check_right(&self, caller: &Caller) -> Result<(), String> {
        let (id, folder) = (show_id(&self.row.job), &*self.layout.spec.job.folder);
        let policies = self.jobs.door.policies.current();
        let resource = Resource::Job { id: &id, folder };
        match policies.decide(caller.policy_subject(), action::JOB_RUN, resource).permit {
            true => Ok(()),
            false => Err(format!(
                "policy does not permit {} to run jobs in {folder} any more",
                caller.subject_text()
            )),
        }
    }

    /// Halts the run for a reason that no person gave.
    pub(super) fn halt(&mut self, why: &str) {
        if let Some(run) = self.progress.run.halt(why) {
            tracing::warn!(run = %show_id(&self.row.id), why, "a run is paused");
            self.progress.run = run;
            let mut record = self.entry("deny", "pause");
            record.detail.insert("why".into(), why.to_owned().into());
            self.jobs.door.journal.write_later(Draft::new(record));
            self.jobs.news.notify_one();
        }
    }
}
