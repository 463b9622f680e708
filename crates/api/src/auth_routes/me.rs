//! Who the caller is and what they may do.

use crate::gate::Authorized;
use crate::shape::user_of;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use doorman_client::wire::{Allowed, Me};
use doorman_core::time::format_rfc3339;
use doorman_policy::{PolicySet, Resource, Subject, action};
use std::sync::Arc;

/// What is told about rights, with the names of the resources in answers. Rights on requests show in the catalog,
/// those on single jobs in the lists of jobs.
const ASKED: &[(&str, Resource<'static>, &str)] = &[
    (action::AUDIT_READ, Resource::AuditOwn, "audit:own"),
    (action::AUDIT_READ, Resource::AuditAll, "audit:all"),
    (action::AUDIT_EXPORT, Resource::AuditOwn, "audit:own"),
    (action::AUDIT_EXPORT, Resource::AuditAll, "audit:all"),
    (action::TOKEN_ISSUE, Resource::Tokens, "tokens"),
    (action::SESSION_MANAGE, Resource::SessionsOwn, "sessions:own"),
    (action::SESSION_MANAGE, Resource::SessionsAll, "sessions:all"),
    (action::SERVICE_ACCOUNT_MANAGE, Resource::ServiceAccounts, "service_accounts"),
    (action::KEY_MANAGE, Resource::Keys, "keys"),
    (action::POLICY_READ, Resource::Policies, "policies"),
];

/// Who am I
///
/// Actor and subject of the credential, the subject's groups, and what policy permits them.
#[utoipa::path(get, path = "/auth/v1/me", tag = "auth",
    responses((status = 200, description = "The caller.", body = Me)))]
pub(crate) async fn show_me(State(state): State<Arc<ApiState>>, caller: Authorized) -> Json<Me> {
    let session = caller.caller.session();
    Json(Me {
        actor: caller.caller.actor_text().to_owned(),
        subject: caller.caller.subject_text().to_owned(),
        groups: session.groups.to_vec(),
        user: user_of(session),
        session: Some(session.id_text().to_owned()),
        expires_at: Some(format_rfc3339(session.expires_ms)),
        may: rights_of(&state.door.policies.current(), caller.caller.policy_subject()),
    })
}

fn rights_of(set: &PolicySet, subject: &Subject) -> Vec<Allowed> {
    let permitted =
        ASKED.iter().filter(|(action, resource, _)| set.decide(subject, action, *resource).permit);
    let allowed = |action: &str, resource: String| Allowed { action: action.to_owned(), resource };
    let folders = set.job_folders(subject).into_iter();
    permitted
        .map(|(action, _, name)| allowed(action, (*name).to_owned()))
        .chain(folders.map(|folder| allowed(action::JOB_CREATE, format!("folder:{folder}"))))
        .collect()
}
