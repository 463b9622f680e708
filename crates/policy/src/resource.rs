//! What is acted on, apart from services: names in, Cedar entities out.

use std::collections::HashSet;

use cedar_policy::{Entity, EntityUid};

use crate::schema::{VOCABULARY, entity_uid};

/// The actions that [`crate::PolicySet::decide`] judges. `request` and `delegate` have functions of their own.
pub mod action {
    pub const JOB_CREATE: &str = "job:create";
    pub const JOB_READ: &str = "job:read";
    pub const JOB_UPDATE: &str = "job:update";
    pub const JOB_DELETE: &str = "job:delete";
    pub const JOB_RUN: &str = "job:run";
    pub const JOB_APPROVE: &str = "job:approve";
    pub const AUDIT_READ: &str = "audit:read";
    pub const AUDIT_EXPORT: &str = "audit:export";
    pub const SQL_READ: &str = "sql:read";
    pub const SQL_WRITE: &str = "sql:write";
    pub const TOKEN_ISSUE: &str = "token:issue";
    pub const SESSION_MANAGE: &str = "session:manage";
    pub const SERVICE_ACCOUNT_MANAGE: &str = "service_account:manage";
    pub const KEY_MANAGE: &str = "key:manage";
    pub const POLICY_READ: &str = "policy:read";

    /// All of the above.
    pub const ALL: &[&str] = &[
        JOB_CREATE,
        JOB_READ,
        JOB_UPDATE,
        JOB_DELETE,
        JOB_RUN,
        JOB_APPROVE,
        AUDIT_READ,
        AUDIT_EXPORT,
        SQL_READ,
        SQL_WRITE,
        TOKEN_ISSUE,
        SESSION_MANAGE,
        SERVICE_ACCOUNT_MANAGE,
        KEY_MANAGE,
        POLICY_READ,
    ];
}

/// The resource of an action of [`action`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource<'a> {
    /// `job:create`, or any other job action for all jobs of the folder.
    Folder(&'a str),
    /// Any job action except `job:create`.
    Job { id: &'a str, folder: &'a str },
    /// Entries whose actor or subject is the caller: `audit:read`, `audit:export`.
    AuditOwn,
    /// Everybody's entries.
    AuditAll,
    /// The caller's sessions: `session:manage`.
    SessionsOwn,
    /// Everybody's sessions.
    SessionsAll,
    /// `sql:read`, `sql:write`. Neither name may contain `/`.
    Database { region: &'a str, name: &'a str },
    /// `token:issue`.
    Tokens,
    /// `service_account:manage`.
    ServiceAccounts,
    /// `key:manage`.
    Keys,
    /// `policy:read`.
    Policies,
}

impl Resource<'_> {
    pub(crate) fn uid(&self) -> Option<EntityUid> {
        let words = &*VOCABULARY;
        Some(match *self {
            Resource::Folder(name) => entity_uid(&words.folder, name),
            Resource::Job { id, .. } => entity_uid(&words.job, id),
            Resource::AuditOwn => entity_uid(&words.audit, "own"),
            Resource::AuditAll => entity_uid(&words.audit, "all"),
            Resource::SessionsOwn => entity_uid(&words.sessions, "own"),
            Resource::SessionsAll => entity_uid(&words.sessions, "all"),
            Resource::Database { region, name } => entity_uid(&words.database, &joined(region, name)?),
            Resource::Tokens => entity_uid(&words.system, "tokens"),
            Resource::ServiceAccounts => entity_uid(&words.system, "service_accounts"),
            Resource::Keys => entity_uid(&words.system, "keys"),
            Resource::Policies => entity_uid(&words.system, "policies"),
        })
    }

    /// The entity that places the resource in what contains it; none where nothing does.
    pub(crate) fn entity(&self, uid: &EntityUid) -> Option<Entity> {
        let parent = match *self {
            Resource::Job { folder, .. } => entity_uid(&VOCABULARY.folder, folder),
            Resource::Database { region, .. } => entity_uid(&VOCABULARY.region, region),
            _ => return None,
        };
        Some(Entity::new_no_attrs(uid.clone(), HashSet::from([parent])))
    }
}

/// `region/name`, or none if either holds a `/`: two pairs must never make the same id.
pub(crate) fn joined(region: &str, name: &str) -> Option<String> {
    (!region.contains('/') && !name.contains('/')).then(|| format!("{region}/{name}"))
}
