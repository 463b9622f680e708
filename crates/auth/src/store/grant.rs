//! Grants: what a run of a job acts by. A grant is a session without a token. It outlives the login that it came from,
//! ends when somebody ends that login, its token or the grant itself by hand, and is checked against the directory as
//! every other session is.

use super::IdentityStore;
use crate::AuthError;
use crate::session::{Origin, Session, SessionFacts, SessionId};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_store::SessionKind;
use std::net::IpAddr;

/// The longest that a run may take.
pub(crate) const GRANT_MS: u64 = 366 * 86_400_000;

impl IdentityStore {
    /// A grant that comes from a live session; `actor` is the service that acts in it, if another does. What stands
    /// behind it is told by [`Ask::Standing`](crate::Ask::Standing).
    ///
    /// # Errors
    /// [`Code::TokenRevoked`] when the session was ended meanwhile, [`Code::AuditUnavailable`].
    pub async fn grant(
        &self,
        subject: &Session,
        actor: Option<&Principal>,
        client_ip: IpAddr,
    ) -> Result<SessionId, AuthError> {
        let now_ms = self.clock.now_ms();
        let facts = SessionFacts {
            id: crate::random::bytes(),
            kind: SessionKind::Grant,
            actor: actor.cloned().or_else(|| subject.actor.clone()),
            created_ms: now_ms,
            expires_ms: now_ms + GRANT_MS,
            ..(**subject).clone()
        };
        let origin = Origin { client_ip: Some(client_ip), user_agent: None, parent: Some(subject.id) };
        self.database.insert_session(&facts.to_row(None, &origin)).await?;
        // Whoever ended the session in between did not see this one.
        let parent = self.database.session(&subject.id).await?;
        if parent.is_none_or(|parent| parent.revoked_ms.is_some()) {
            self.revoke(&[facts.id]).await?;
            return Err(AuthError::new(Code::TokenRevoked, "the session was ended"));
        }
        Ok(facts.id)
    }

    /// Ends one's own session for good: with all that hangs on it but the grants of runs, which go on.
    ///
    /// # Errors
    /// As [`IdentityStore::logout`].
    pub async fn log_out_oneself(&self, session: SessionId) -> Result<(), AuthError> {
        let children = self.database.session_children_but_grants(&session).await?;
        self.revoke_exactly([vec![session], children].concat()).await.map(drop)
    }
}
