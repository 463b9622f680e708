//! From a credential to a [`Session`], and everything that is done to sessions afterwards.

use crate::directory::Directory;
use crate::session::{Scopes, Session, SessionId};
use crate::settings::AuthSettings;
use crate::{AuthError, Clock, KeyRing, Revocations};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// Proves who is asking. Cheap to clone; all clones share their caches.
#[derive(Clone)]
pub struct Authenticator(Arc<Inner>);

struct Inner {
    settings: AuthSettings,
    keys: KeyRing,
    clock: Clock,
    directory: Arc<dyn Directory>,
    revocations: Arc<Revocations>,
}

/// A service account, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its name: 1–64 of `a-z`, `0-9`, `.`, `_`, `-`, beginning with a letter or digit.
    pub name: String,
    /// Who answers for it.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    pub networks: Vec<String>,
    /// Whether its secret is refused.
    pub disabled: bool,
    /// How many secrets are good: two between a rotation and its end.
    pub secrets: usize,
    /// When it was made (ms).
    pub created_ms: u64,
    /// When a secret was last verified (ms), to a minute.
    pub last_used_ms: Option<u64>,
}

/// What [`Authenticator::create_service`] and [`Authenticator::update_service`] set.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    pub networks: Option<Vec<String>>,
    /// Whether its secret is refused.
    pub disabled: Option<bool>,
}

/// A session as its owner and administrators see it.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// What is known of it; groups are those of its last check.
    pub session: Arc<Session>,
    /// The name of a personal token.
    pub name: Option<String>,
    /// From where it was begun.
    pub client_ip: Option<String>,
    /// By which program it was begun.
    pub user_agent: Option<String>,
}

fn unwritten<T>() -> Result<T, AuthError> {
    Err(AuthError::new(Code::DirectoryUnavailable, "not written yet"))
}

impl Authenticator {
    /// Checks a directory password and begins a session: the token (an RFC 9068 JWT) and the session.
    ///
    /// # Errors
    /// [`Code::BadCredentials`], [`Code::Throttled`], [`Code::DirectoryUnavailable`], [`Code::AuditUnavailable`].
    pub async fn login(
        &self,
        username: &str,
        password: &Secret,
        client_ip: IpAddr,
        user_agent: &str,
        ttl: Option<Duration>,
    ) -> Result<(Secret, Arc<Session>), AuthError> {
        unwritten()
    }

    /// Ends one session for good, everywhere. Ending an ended one is no error.
    pub async fn logout(&self, session: SessionId) -> Result<(), AuthError> {
        unwritten()
    }

    /// The session of an access token. Callers on a hot path keep the answer while [`Session::is_live`] and
    /// [`Revocations::epoch`] stand.
    pub async fn verify_bearer(&self, token: &str) -> Result<Arc<Session>, AuthError> {
        unwritten()
    }

    /// The session of a name and password: of the service account with exactly this name if there is one, even if it is
    /// disabled, otherwise of the directory's user.
    pub async fn verify_basic(
        &self,
        name: &str,
        password: &Secret,
        client_ip: IpAddr,
    ) -> Result<Arc<Session>, AuthError> {
        unwritten()
    }

    /// A five-minute token of the same session.
    pub fn session_token(&self, session: &Session) -> Result<Secret, AuthError> {
        unwritten()
    }

    /// A personal access token: shown once, narrowed to `scopes`, good until `expires_ms`.
    pub async fn issue_personal(
        &self,
        owner: &Session,
        name: &str,
        scopes: Option<Scopes>,
        expires_ms: u64,
        client_ip: IpAddr,
    ) -> Result<(Secret, Arc<Session>), AuthError> {
        unwritten()
    }

    /// The user's live session of this token, if `username` names that user. For `POST /auth/v1/verify`; delegation asks
    /// besides for [`Session::is_own_login`].
    ///
    /// # Errors
    /// Only when it cannot be known: a bad token is `None`.
    pub async fn verify_user_token(
        &self,
        username: &str,
        token: &str,
    ) -> Result<Option<Arc<Session>>, AuthError> {
        unwritten()
    }

    /// Live sessions (logins, Basic, services), of one principal or of all, newest first.
    pub async fn list_sessions(&self, of: Option<&Principal>) -> Result<Vec<SessionInfo>, AuthError> {
        unwritten()
    }

    /// Live personal tokens, of one principal or of all, newest first.
    pub async fn list_tokens(&self, of: Option<&Principal>) -> Result<Vec<SessionInfo>, AuthError> {
        unwritten()
    }

    /// Ends sessions and tokens for good, everywhere; returns the new revocation epoch.
    pub async fn revoke(&self, sessions: &[SessionId]) -> Result<u64, AuthError> {
        unwritten()
    }

    /// Reads the groups of users seen lately anew. To be called every ten seconds or so.
    pub async fn refresh_groups(&self) {}

    /// Makes a service account; the secret is shown here once.
    pub async fn create_service(
        &self,
        name: &str,
        set: ServiceChange,
        secret: Option<Secret>,
    ) -> Result<(ServiceAccount, Secret), AuthError> {
        unwritten()
    }

    /// A second secret beside the present one; the one before that ends.
    pub async fn rotate_service(&self, name: &str) -> Result<Secret, AuthError> {
        unwritten()
    }

    /// Changes a service account. Disabling ends its sessions.
    pub async fn update_service(&self, name: &str, set: ServiceChange) -> Result<ServiceAccount, AuthError> {
        unwritten()
    }

    /// Deletes a service account and ends its sessions.
    pub async fn delete_service(&self, name: &str) -> Result<(), AuthError> {
        unwritten()
    }

    /// All service accounts by name.
    pub async fn list_services(&self) -> Result<Vec<ServiceAccount>, AuthError> {
        unwritten()
    }

    /// What was revoked, for hot caches.
    pub fn revocations(&self) -> &Arc<Revocations> {
        &self.0.revocations
    }
}
