//! Grants of schedules: what a run of a job acts by when nobody is there to start it.

use super::Authenticator;
use crate::AuthError;
use crate::session::{Origin, Session, SessionFacts};
use crate::store::GRANT_MS;
use doorman_core::principal::Principal;
use doorman_store::SessionKind;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// On whose behalf a schedule acts, and which service does it for them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// Whose rights decide: `user:dave`.
    pub subject: String,
    /// The service that acts for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

impl Authenticator {
    /// A grant that comes from nobody's session: that of a schedule. The principal must be there and enabled now.
    ///
    /// # Errors
    /// `token_revoked` when it is not, `directory_unavailable`, `audit_unavailable`.
    pub async fn grant_to(&self, granted: &Granted) -> Result<Arc<Session>, AuthError> {
        let inner = &*self.0;
        let now_ms = inner.store.clock.now_ms();
        let parse = |text: &str| {
            let named = text.parse::<Principal>();
            named.map_err(|error| AuthError::new(doorman_core::code::Code::TokenRevoked, error.to_string()))
        };
        let subject = parse(&granted.subject)?;
        let actor = granted.actor.as_deref().map(parse).transpose()?;
        if let Some(actor) = &actor {
            inner.check_service_enabled(actor.name()).await?;
        }
        let mut facts = SessionFacts {
            id: crate::random::bytes(),
            display_name: subject.name().into(),
            principal: subject.clone(),
            actor,
            kind: SessionKind::Grant,
            directory_id: None,
            groups: Arc::from([]),
            email: None,
            scopes: None,
            created_ms: now_ms,
            expires_ms: now_ms + GRANT_MS,
            groups_checked_ms: now_ms,
        };
        let recheck_ms = match &subject {
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
}
