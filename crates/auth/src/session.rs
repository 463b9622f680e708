//! What a proven credential stands for: one principal, with groups, for a limited time.

use doorman_core::principal::Principal;
use doorman_store::{SessionKind, SessionRow, StoreError};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A session's id: random, and `sid` in tokens as 32 hexadecimal digits.
pub type SessionId = [u8; 16];

/// To what a personal token is narrowed. A list that is absent narrows nothing; an empty list is refused at issue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// Region names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// Service names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
    /// HTTP methods, upper-case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub methods: Option<Vec<String>>,
}

impl Scopes {
    /// Whether they can be meant: no list is empty, and methods are as they stand on the wire.
    pub(crate) fn is_void(&self) -> bool {
        let lists = [&self.regions, &self.services, &self.methods];
        let lower_case = |method: &String| method.bytes().any(|b| !b.is_ascii_uppercase());
        lists.into_iter().flatten().any(Vec::is_empty) || self.methods.iter().flatten().any(lower_case)
    }

    /// Whether a request lies within.
    pub fn contain(&self, region: &str, service: &str, method: &str) -> bool {
        let within = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|item| item == value))
        };
        within(&self.regions, region) && within(&self.services, service) && within(&self.methods, method)
    }
}

/// What is known of a session. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionFacts {
    /// The session's id.
    pub id: SessionId,
    /// Whose it is.
    pub principal: Principal,
    /// The service that exchanged a user's token for this session, and acts in it (RFC 8693 `act`).
    pub actor: Option<Principal>,
    /// By which credential.
    pub kind: SessionKind,
    /// The directory's own id of the user: a name may be given to somebody else one day, the id never.
    pub directory_id: Option<Arc<str>>,
    /// The directory's groups, nested ones included, sorted. Empty for service accounts.
    pub groups: Arc<[String]>,
    /// The name to show.
    pub display_name: Arc<str>,
    /// The mail address, if the directory has one.
    pub email: Option<Arc<str>>,
    /// To what a personal token is narrowed.
    pub scopes: Option<Arc<Scopes>>,
    /// When it began.
    pub created_ms: u64,
    /// When it ends by itself.
    pub expires_ms: u64,
    /// When the directory last confirmed the user and the groups.
    pub groups_checked_ms: u64,
}

/// A live session as of its last check. The facts never change: other facts make a new object and the old one stale.
pub struct Session {
    facts: SessionFacts,
    id_text: String,
    groups_version: u64,
    /// Until when this object may be used without asking again; 0 for good once it is stale.
    recheck_ms: AtomicU64,
    used: AtomicBool,
}

impl Session {
    /// A session with these facts, confirmed until `recheck_ms`.
    pub fn new(facts: SessionFacts, recheck_ms: u64) -> Self {
        Self {
            id_text: hex::encode(facts.id),
            groups_version: version_of(&facts.groups),
            facts,
            recheck_ms: AtomicU64::new(recheck_ms),
            used: AtomicBool::new(true),
        }
    }

    /// The id as 32 hexadecimal digits, as in tokens and audit entries.
    pub fn id_text(&self) -> &str {
        &self.id_text
    }

    /// Tells apart sets of groups, over replicas and restarts.
    pub fn groups_version(&self) -> u64 {
        self.groups_version
    }

    /// Whether a hot cache may use this object without asking the [`Authenticator`](crate::Authenticator) again.
    /// Revocation is told by [`Revocations`](crate::Revocations), not here.
    pub fn is_live(&self, now_ms: u64) -> bool {
        // Written once in a while only, so that threads do not fight over the cache line.
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
        now_ms < self.facts.expires_ms && now_ms < self.recheck_ms.load(Relaxed)
    }

    /// Whether its facts are confirmed, be the credential's own time over or not. Counts as use, as [`Session::is_live`].
    pub fn is_confirmed(&self, now_ms: u64) -> bool {
        if !self.used.load(Relaxed) {
            self.used.store(true, Relaxed);
        }
        now_ms < self.recheck_ms.load(Relaxed)
    }

    /// Tells every holder to ask again, for good.
    pub fn mark_stale(&self) {
        self.recheck_ms.store(0, Relaxed);
    }

    /// Confirms the same facts until `recheck_ms`, unless the object is stale.
    pub(crate) fn confirm_until(&self, recheck_ms: u64) {
        let _ =
            self.recheck_ms.fetch_update(Relaxed, Relaxed, |now| (now != 0).then_some(now.max(recheck_ms)));
    }

    /// Whether other facts differ in nothing that anybody decides or shows by.
    pub(crate) fn says_the_same_as(&self, other: &SessionFacts) -> bool {
        let own = &self.facts;
        own.groups == other.groups && own.display_name == other.display_name && own.email == other.email
    }

    /// Confirms them no longer than until `recheck_ms`.
    pub(crate) fn limit_to(&self, recheck_ms: u64) {
        self.recheck_ms.fetch_min(recheck_ms, Relaxed);
    }

    /// Until when the facts are confirmed.
    pub(crate) fn recheck_ms(&self) -> u64 {
        self.recheck_ms.load(Relaxed)
    }

    /// Whether anybody asked [`Session::is_live`] since the last call of this.
    pub(crate) fn take_used(&self) -> bool {
        self.used.swap(false, Relaxed)
    }

    /// Whether this is a user's own login, which alone may be delegated.
    pub fn is_own_login(&self) -> bool {
        self.facts.kind == SessionKind::Login && matches!(self.facts.principal, Principal::User(_))
    }
}

impl Deref for Session {
    type Target = SessionFacts;

    fn deref(&self) -> &SessionFacts {
        &self.facts
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.facts.fmt(f)
    }
}

impl SessionFacts {
    /// What the database knows. The groups are those of the last look into the directory before the row was written.
    pub(crate) fn from_row(row: SessionRow) -> Result<Self, StoreError> {
        let principal: Principal =
            row.principal.parse().map_err(|_| StoreError::Corrupt("not a principal"))?;
        let scopes = row.scopes.as_deref().map(serde_json::from_str).transpose();
        let scopes: Option<Scopes> = scopes.map_err(|_| StoreError::Corrupt("not the scopes of a token"))?;
        let actor = match (row.kind, &row.name) {
            (SessionKind::Exchanged | SessionKind::Grant, Some(name)) => Some(name.parse()),
            (SessionKind::Exchanged, None) => Some(Err(doorman_core::principal::InvalidPrincipal)),
            _ => None,
        };
        let actor = actor.transpose().map_err(|_| StoreError::Corrupt("not a principal"))?;
        Ok(Self {
            id: row.id,
            display_name: row.display_name.unwrap_or_else(|| principal.name().to_owned()).into(),
            principal,
            actor,
            kind: row.kind,
            directory_id: row.directory_id.map(Into::into),
            groups: row.groups.into(),
            email: row.email.map(Into::into),
            scopes: scopes.map(Arc::new),
            created_ms: row.created_ms,
            expires_ms: row.expires_ms,
            // Use is noted only while the directory answers, so it dates the groups as well.
            groups_checked_ms: row.last_used_ms.unwrap_or_default().max(row.created_ms),
        })
    }

    /// The row of a new session. An exchanged one, and a grant of one, bears its actor as its name.
    pub(crate) fn to_row(&self, name: Option<&str>, origin: &Origin<'_>) -> SessionRow {
        let cut = |text: &str| text.chars().filter(|c| !c.is_control()).take(256).collect::<String>();
        SessionRow {
            id: self.id,
            kind: self.kind,
            principal: self.principal.to_string(),
            directory_id: self.directory_id.as_deref().map(str::to_owned),
            display_name: Some(self.display_name.to_string()),
            email: self.email.as_deref().map(str::to_owned),
            groups: self.groups.to_vec(),
            name: self.actor.as_ref().map(Principal::to_string).or(name.map(str::to_owned)),
            scopes: self.scopes.as_ref().and_then(|scopes| serde_json::to_string(scopes).ok()),
            created_ms: self.created_ms,
            expires_ms: self.expires_ms,
            revoked_ms: None,
            last_used_ms: None,
            client_ip: origin.client_ip.map(|ip| ip.to_canonical().to_string()),
            user_agent: origin.user_agent.map(cut),
            parent: origin.parent,
        }
    }
}

/// From where a session is begun.
#[derive(Default)]
pub(crate) struct Origin<'a> {
    pub client_ip: Option<IpAddr>,
    pub user_agent: Option<&'a str>,
    /// The session that it ends with.
    pub parent: Option<SessionId>,
}

fn version_of(groups: &[String]) -> u64 {
    let mut text = Vec::new();
    for group in groups {
        text.extend_from_slice(&(group.len() as u64).to_be_bytes());
        text.extend_from_slice(group.as_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = doorman_core::sha256(&text);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
