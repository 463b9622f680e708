//! Entries in the journal about calls of this surface: refusals, denials, and changes with their outcome.

use crate::arrival::{Arrival, clip};
use crate::error::{ApiError, ApiResult};
use crate::gate::Authorized;
use crate::state::ApiState;
use doorman_core::id::AuditId;
use doorman_core::record::{Kind, OutcomeState, Record};
use doorman_door::caller::Refusal;
use doorman_door::journal::Draft;
use doorman_door::refusals::record as surplus_record;
use doorman_door::{Caller, Problem};
use std::borrow::Cow;
use std::sync::Arc;

/// Puts into a record who acts for whom.
pub(crate) fn put_caller<'a>(record: &mut Record<'a>, caller: &'a Caller) {
    record.actor = Some(caller.actor_text().into());
    record.subject = Some(caller.subject_text().into());
    record.session = Some(caller.session().id_text().into());
}

fn put_denial(record: &mut Record<'_>, problem: &Problem) {
    record.decision = Some("deny".into());
    record.error = Some(problem.code.as_str().into());
    record.status = Some(problem.status.as_u16());
}

impl ApiState {
    /// Refuses somebody who is not verified: an entry of its own up to a measure, a count beyond.
    pub(crate) async fn refuse(&self, arrival: &Arrival, kind: Kind, refusal: Refusal) -> ApiError {
        let Refusal { mut problem, audit_reason, claimed, actor } = refusal;
        let (admitted, surplus) = self.door.refusals.admit(arrival.client_ip, arrival.arrived_ms);
        for surplus in surplus {
            self.door.journal.write_later(surplus_record(&surplus, arrival.arrived_ms));
        }
        if !admitted {
            return problem.into();
        }
        let mut record = arrival.record(kind);
        put_denial(&mut record, &problem);
        record.detail.insert("why".into(), clip(&audit_reason).into());
        record.actor = actor.as_deref().map(Into::into);
        if let Some(claimed) = &claimed {
            record.detail.insert("claimed".into(), clip(claimed).into());
        }
        match self.door.journal.write(Draft::new(record)).await {
            Ok(id) => {
                problem.audit_id = Some(id);
                problem.into()
            }
            Err(failure) => failure.into(),
        }
    }

    /// Denies a verified caller, by policy or by rule.
    pub(crate) async fn deny(
        &self,
        arrival: &Arrival,
        kind: Kind,
        caller: &Caller,
        problem: Problem,
    ) -> ApiError {
        self.deny_because(arrival, kind, caller, Refusal::new(problem, "")).await
    }

    /// As [`ApiState::deny`], with more for the log: why, and whom the caller claimed to act for.
    pub(crate) async fn deny_because(
        &self,
        arrival: &Arrival,
        kind: Kind,
        caller: &Caller,
        refusal: Refusal,
    ) -> ApiError {
        let Refusal { mut problem, audit_reason, claimed, .. } = refusal;
        let mut record = arrival.record(kind);
        put_caller(&mut record, caller);
        put_denial(&mut record, &problem);
        record.policies = problem.policies.iter().map(|name| Cow::Owned(name.clone())).collect();
        let claimed = claimed.as_deref().unwrap_or_default();
        for (name, text) in [("why", &*audit_reason), ("claimed", claimed)] {
            if !text.is_empty() {
                record.detail.insert(name.into(), clip(text).into());
            }
        }
        match self.door.journal.write(Draft::new(record)).await {
            Ok(id) => {
                problem.audit_id = Some(id);
                problem.into()
            }
            Err(failure) => failure.into(),
        }
    }

    /// Writes down what is about to be done. Only then may it be.
    pub(crate) async fn begin(
        &self,
        authorized: &Authorized,
        detail: &[(&'static str, &str)],
    ) -> ApiResult<Change> {
        let draft = Draft::new(permitted(authorized, detail));
        Ok(Change {
            audit_id: self.door.journal.write(draft).await?,
            arrived_ms: authorized.arrival.arrived_ms,
        })
    }

    /// Writes down a reading that is about to be answered.
    pub(crate) async fn note_reading(
        &self,
        authorized: &Authorized,
        detail: &[(&'static str, &str)],
    ) -> ApiResult<AuditId> {
        let mut record = permitted(authorized, detail);
        record.state = Some(OutcomeState::Done);
        Ok(self.door.journal.write(Draft::new(record)).await?)
    }

    /// Writes down how a change ended, and hands its result on.
    pub(crate) fn end<T>(
        &self,
        change: Change,
        detail: &[(&'static str, &str)],
        result: ApiResult<T>,
    ) -> ApiResult<T> {
        let now_ms = self.now_ms();
        let mut record = Record::new(Kind::Outcome, AuditId::default(), now_ms);
        record.attempt = Some(change.audit_id);
        record.duration_ms = Some(now_ms.saturating_sub(change.arrived_ms));
        record.state = Some(if result.is_ok() { OutcomeState::Done } else { OutcomeState::Unsent });
        if let Err(error) = &result {
            let (code, status) = error.code_and_status();
            record.error = Some(code.map_or("internal", |code| code.as_str()).into());
            record.status = Some(status.as_u16());
        }
        for (name, value) in detail {
            record.detail.insert((*name).into(), clip(value).into());
        }
        self.door.journal.write_later(Draft::new(record));
        result.map_err(|error| match error {
            ApiError::Problem(mut problem) => {
                problem.audit_id = Some(change.audit_id);
                ApiError::Problem(problem)
            }
            internal @ ApiError::Internal(_) => internal,
        })
    }
}

/// A change that is written down and not yet done.
pub(crate) struct Change {
    audit_id: AuditId,
    arrived_ms: u64,
}

fn permitted<'a>(authorized: &'a Authorized, detail: &[(&'static str, &'a str)]) -> Record<'a> {
    let mut record = authorized.arrival.record(authorized.kind);
    put_caller(&mut record, &authorized.caller);
    record.decision = Some("permit".into());
    record.policies =
        authorized.permits.policies.iter().map(|name: &Arc<str>| Cow::Borrowed(&**name)).collect();
    for (name, value) in detail {
        record.detail.insert((*name).into(), clip(value).into());
    }
    record
}
