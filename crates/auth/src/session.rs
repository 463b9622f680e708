//! What a proven credential stands for: one principal, with groups, for a limited time.

use doorman_core::principal::Principal;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// A session's id: random, and `sid` in tokens as 32 hexadecimal digits.
pub type SessionId = [u8; 16];

/// By which credential a session came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// A user's own login; the only kind that may be delegated.
    Login,
    /// A user's directory password sent with the request.
    Basic,
    /// A personal access token.
    Personal,
    /// A service account's secret.
    Service,
    /// An exchanged token (RFC 8693).
    Exchanged,
}

impl SessionKind {
    /// The name in the database and in listings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Basic => "basic",
            Self::Personal => "personal",
            Self::Service => "service",
            Self::Exchanged => "exchanged",
        }
    }

    /// Reads [`SessionKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Login, Self::Basic, Self::Personal, Self::Service, Self::Exchanged]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

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
    /// Whether a request lies within.
    pub fn contain(&self, region: &str, service: &str, method: &str) -> bool {
        let within = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref().is_none_or(|list| list.iter().any(|item| item == value))
        };
        within(&self.regions, region) && within(&self.services, service) && within(&self.methods, method)
    }
}

/// What is known of a session. Times are milliseconds since the Unix epoch.
#[derive(Clone, Debug)]
pub struct SessionFacts {
    /// The session's id.
    pub id: SessionId,
    /// Whose it is.
    pub principal: Principal,
    /// The service that exchanged a user's token for this session, and acts in it (RFC 8693 `act`).
    pub actor: Option<Principal>,
    /// By which credential.
    pub kind: SessionKind,
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
    /// Until when this object may be used without asking the [`Authenticator`](crate::Authenticator) again.
    pub recheck_ms: u64,
}

/// A live session as of its last check. Immutable: what changes makes a new object, and the old one is marked stale.
pub struct Session {
    facts: SessionFacts,
    id_text: String,
    groups_version: u64,
    stale: AtomicBool,
}

impl Session {
    /// A session with these facts.
    pub fn new(facts: SessionFacts) -> Self {
        let groups_version = version_of(&facts.groups);
        Self { id_text: hex::encode(facts.id), facts, groups_version, stale: AtomicBool::new(false) }
    }

    /// The id as 32 hexadecimal digits, as in tokens and audit entries.
    pub fn id_text(&self) -> &str {
        &self.id_text
    }

    /// Tells apart sets of groups, over replicas and restarts.
    pub fn groups_version(&self) -> u64 {
        self.groups_version
    }

    /// Whether a hot cache may use this object without asking again. Revocation is told by
    /// [`Revocations`](crate::Revocations), not here.
    pub fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.facts.expires_ms && now_ms < self.facts.recheck_ms && !self.stale.load(Relaxed)
    }

    /// Tells every holder to ask again.
    pub fn mark_stale(&self) {
        self.stale.store(true, Relaxed);
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

fn version_of(groups: &[String]) -> u64 {
    let mut text = Vec::new();
    for group in groups {
        text.extend_from_slice(&(group.len() as u64).to_be_bytes());
        text.extend_from_slice(group.as_bytes());
    }
    let [a, b, c, d, e, f, g, h, ..] = doorman_core::sha256(&text);
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
