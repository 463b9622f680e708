//! Access tokens and the sessions behind them.

use super::{Authenticator, Inner};
use crate::AuthError;
use crate::directory::DirectoryUser;
use crate::people::Person;
use crate::session::{Session, SessionFacts, SessionId};
use doorman_core::code::Code;
use doorman_core::jws;
use doorman_core::keys::{KeyId, KeyUse};
use doorman_core::principal::Principal;
use doorman_core::token::{TokenError, verify_access};
use doorman_store::SessionRow;
use std::sync::Arc;

/// What remains of a token once it has been verified.
pub(super) struct VerifiedToken {
    session: SessionId,
    principal: Principal,
    /// Which key signed it: no longer good once that has retired.
    key: KeyId,
    expires_ms: u64,
}

impl Authenticator {
    /// The session of an access token. Callers on a hot path keep the answer while [`Session::is_live`] and
    /// [`Revocations::epoch`](crate::Revocations::epoch) stand; `token_expires_ms` of the answer ends before.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`], [`Code::TokenExpired`], [`Code::TokenRevoked`], [`Code::DirectoryUnavailable`],
    /// [`Code::AuditUnavailable`].
    pub async fn verify_bearer(&self, token: &str) -> Result<Verified, AuthError> {
        let inner = &*self.0;
        let verified = inner.verify_signature(token)?;
        let claimed = |error: AuthError| error.claimed_by(verified.principal.name());
        let session = inner.session(verified.session).await.map_err(claimed)?;
        if session.principal != verified.principal {
            return Err(claimed(AuthError::new(Code::Unauthenticated, "the session is somebody else's")));
        }
        Ok(Verified { session, token_expires_ms: verified.expires_ms })
    }
}

/// A verified token.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Its session.
    pub session: Arc<Session>,
    /// When the token ends; its session may last longer.
    pub token_expires_ms: u64,
}

impl Inner {
    fn verify_signature(&self, token: &str) -> Result<Arc<VerifiedToken>, AuthError> {
        let expired = || AuthError::new(Code::TokenExpired, "the token has expired");
        let invalid = |why: &str| AuthError::new(Code::Unauthenticated, why);
        if token.len() > jws::MAX_LEN {
            return Err(invalid("the token is too long"));
        }
        let now_ms = self.store.clock.now_ms();
        let keys = self.keys.public_keys();
        let digest = doorman_core::sha256(token.as_bytes());
        if let Some(known) = self.tokens.get(&digest)
            && keys.find(KeyUse::Token, known.key).is_some()
        {
            return if now_ms < known.expires_ms { Ok(known) } else { Err(expired()) };
        }
        let settings = &self.settings;
        let claims =
            verify_access(&keys, &settings.issuer, &settings.audience, token, now_ms).map_err(|error| {
                match error {
                    TokenError::Expired => expired(),
                    TokenError::Invalid | TokenError::NotYet => invalid(&error.to_string()),
                }
            })?;
        let incomplete = || invalid("the token names no session");
        let verified = Arc::new(VerifiedToken {
            session: claims.session().ok_or_else(incomplete)?,
            principal: claims.sub.parse().map_err(|_| incomplete())?,
            key: jws::key_id(token).ok_or_else(incomplete)?,
            expires_ms: claims.exp.saturating_mul(1000),
        });
        self.tokens.insert(digest, verified.clone());
        Ok(verified)
    }

    /// The live session of that id.
    pub(super) async fn session(&self, id: SessionId) -> Result<Arc<Session>, AuthError> {
        if let Some(session) = self.store.sessions.get(&id).await {
            if self.store.is_good(&session) {
                return Ok(session);
            }
            // Whoever still holds the object must come here, too.
            session.mark_stale();
            self.store.sessions.invalidate(&id).await;
        }
        let loaded = self.store.sessions.try_get_with(id, self.load_session(&id)).await;
        self.store.unless_revoked(loaded.map_err(|error: Arc<AuthError>| (*error).clone())?)
    }

    /// As [`Inner::session`], for what a session began: its end by time is no matter. Read anew each time.
    pub(super) async fn standing(&self, id: &SessionId) -> Result<Arc<Session>, AuthError> {
        let row = self.row(id).await?;
        self.confirm(id, SessionFacts { expires_ms: u64::MAX, ..SessionFacts::from_row(row)? }).await
    }

    async fn load_session(&self, id: &SessionId) -> Result<Arc<Session>, AuthError> {
        let row = self.row(id).await?;
        if row.expires_ms <= self.store.clock.now_ms() {
            return Err(AuthError::new(Code::TokenExpired, "the session has expired"));
        }
        self.confirm(id, SessionFacts::from_row(row)?).await
    }

    /// The row of a session that nobody has ended.
    async fn row(&self, id: &SessionId) -> Result<SessionRow, AuthError> {
        let row = self.store.database.session(id).await?;
        let row = row.ok_or_else(|| AuthError::new(Code::Unauthenticated, "there is no such session"))?;
        if row.revoked_ms.is_some() {
            return Err(AuthError::new(Code::TokenRevoked, "the session was ended"));
        }
        Ok(row)
    }

    /// The session with what the directory says now.
    async fn confirm(&self, id: &SessionId, stored: SessionFacts) -> Result<Arc<Session>, AuthError> {
        let session = match &stored.principal {
            Principal::User(name) => {
                let person = self.people.current(name, || seed_of(&stored)).await?;
                let facts = facts_of(&stored, &person)?;
                if facts.groups != stored.groups {
                    self.store.database.update_session_groups(id, &facts.groups).await?;
                }
                Session::new(facts, person.recheck_ms)
            }
            Principal::Service(name) => {
                let recheck_ms = self.check_service_enabled(name).await?;
                Session::new(stored, recheck_ms)
            }
        };
        if let Some(actor) = &session.actor {
            let recheck_ms = self.check_service_enabled(actor.name()).await?;
            session.limit_to(recheck_ms);
        }
        Ok(Arc::new(session))
    }
}

/// A session's facts with what the directory says now.
///
/// # Errors
/// [`Code::TokenRevoked`] when the name belongs to somebody else now.
pub(super) fn facts_of(stored: &SessionFacts, person: &Person) -> Result<SessionFacts, AuthError> {
    let user = &*person.user;
    if stored.directory_id.as_deref() != Some(&user.id) {
        return Err(AuthError::new(Code::TokenRevoked, "the name belongs to another directory entry now"));
    }
    let groups =
        if *stored.groups == *user.groups { stored.groups.clone() } else { user.groups.as_slice().into() };
    Ok(SessionFacts {
        groups,
        display_name: user.display_name.as_str().into(),
        email: user.email.as_deref().map(Into::into),
        groups_checked_ms: person.checked_ms,
        ..stored.clone()
    })
}

pub(super) fn seed_of(stored: &SessionFacts) -> (DirectoryUser, u64) {
    let user = DirectoryUser {
        id: stored.directory_id.as_deref().unwrap_or_default().to_owned(),
        name: stored.principal.name().to_owned(),
        display_name: stored.display_name.to_string(),
        email: stored.email.as_deref().map(str::to_owned),
        groups: stored.groups.to_vec(),
    };
    (user, stored.groups_checked_ms)
}
