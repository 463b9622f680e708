//! Grants: what a run of a job acts by. A grant is a session without a token. It outlives the login that it came from,
//! ends when somebody ends that login, its token or the grant itself by hand, and is checked against the directory as
//! every other session is.

use super::Authenticator;
use crate::AuthError;
use crate::session::{Origin, Session, SessionFacts, SessionId};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_store::SessionKind;
use std::net::IpAddr;
use std::sync::Arc;

/// The longest that a run may take.
const GRANT_MS: u64 = 366 * 86_400_000;

/// On whose behalf a schedule acts, and which service does it for them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Granted {
    /// Whose rights decide.
    pub subject: Principal,
    /// The service that acts for them.
    pub actor: Option<Principal>,
}

impl Authenticator {
    /// A grant that comes from a live session; `actor` is the service that acts in it, if another does.
    ///
    /// # Errors
    /// [`Code::TokenRevoked`] when the session was ended meanwhile, [`Code::AuditUnavailable`].
    pub async fn grant(
        &self,
        subject: &Session,
        actor: Option<&Principal>,
        client_ip: IpAddr,
    ) -> Result<Arc<Session>, AuthError> {
        let now_ms = self.0.clock.now_ms();
        let facts = SessionFacts {
            id: crate::random::bytes(),
            kind: SessionKind::Grant,
            actor: actor.cloned().or_else(|| subject.actor.clone()),
            created_ms: now_ms,
            expires_ms: now_ms + GRANT_MS,
            ..(**subject).clone()
        };
        let origin = Origin { client_ip: Some(client_ip), user_agent: None, parent: Some(subject.id) };
        let session = self.begin(facts, subject.recheck_ms(), None, &origin).await?;
        // Whoever ended the session in between did not see this one.
        let parent = self.0.database.session(&subject.id).await?;
        if parent.is_none_or(|parent| parent.revoked_ms.is_some()) {
            self.revoke(&[session.id]).await?;
            return Err(AuthError::new(Code::TokenRevoked, "the session was ended"));
        }
        Ok(session)
    }

    /// A grant that comes from nobody's session: that of a schedule. The principal must be there and enabled now.
    ///
    /// # Errors
    /// [`Code::TokenRevoked`] when it is not, [`Code::DirectoryUnavailable`], [`Code::AuditUnavailable`].
    pub async fn grant_to(&self, granted: &Granted) -> Result<Arc<Session>, AuthError> {
        let inner = &*self.0;
        let now_ms = inner.clock.now_ms();
        if let Some(actor) = &granted.actor {
            inner.check_service_enabled(actor.name()).await?;
        }
        let mut facts = SessionFacts {
            id: crate::random::bytes(),
            principal: granted.subject.clone(),
            actor: granted.actor.clone(),
            kind: SessionKind::Grant,
            directory_id: None,
            groups: Arc::from([]),
            display_name: granted.subject.name().into(),
            email: None,
            scopes: None,
            created_ms: now_ms,
            expires_ms: now_ms + GRANT_MS,
            groups_checked_ms: now_ms,
        };
        let recheck_ms = match &granted.subject {
            Principal::Service(name) => inner.check_service_enabled(name).await?,
            Principal::User(name) => {
                let nobody = || (crate::directory::DirectoryUser::default(), 0);
                let person = inner.people.ask(name, nobody).await?;
                let user = &*person.user;
                facts.directory_id = Some(user.id.as_str().into());
                facts.groups = user.groups.as_slice().into();
                facts.display_name = user.display_name.as_str().into();
                facts.email = user.email.as_deref().map(Into::into);
                facts.groups_checked_ms = person.checked_ms;
                person.recheck_ms
            }
        };
        self.begin(facts, recheck_ms, None, &Origin::default()).await
    }

    /// The live session of a grant, with what the directory says now.
    ///
    /// # Errors
    /// [`Code::TokenRevoked`], [`Code::TokenExpired`] or [`Code::Unauthenticated`] when it has ended;
    /// [`Code::DirectoryUnavailable`] and [`Code::AuditUnavailable`] when that cannot be known.
    pub async fn granted(&self, id: SessionId) -> Result<Arc<Session>, AuthError> {
        self.0.session(id).await
    }
}
