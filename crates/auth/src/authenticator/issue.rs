//! New sessions and their tokens: logins, personal tokens, tokens of service accounts, exchanged tokens.

use super::Authenticator;
use crate::AuthError;
use crate::directory::DirectoryUser;
use crate::session::{Origin, Scopes, Session, SessionFacts};
use crate::settings::ms;
use doorman_core::code::Code;
use doorman_core::keys::KeyUse;
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use doorman_core::token::{AccessClaims, Actor, LONGEST_TOKEN_MS, sign_access};
use doorman_store::SessionKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

/// How long the UI may hold a token of its cookie's session.
const SESSION_TOKEN_MS: u64 = 5 * 60_000;

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
        let settings = &self.0.settings;
        let user = self.0.passwords.check(username, password, client_ip).await?;
        let ttl = ttl.unwrap_or(settings.login_ttl).min(settings.longest_login_ttl);
        let origin = Origin { client_ip: Some(client_ip), user_agent: Some(user_agent), parent: None };
        let session = self.begin_user_session(user, SessionKind::Login, ms(ttl), &origin).await?;
        let token = self.sign(&session, session.expires_ms)?;
        Ok((token, session))
    }

    /// A five-minute token of the same session.
    ///
    /// # Errors
    /// [`Code::AuditUnavailable`] when there is no key to sign with.
    pub fn session_token(&self, session: &Session) -> Result<(Secret, u64), AuthError> {
        let expires_ms = session.expires_ms.min(self.0.store.clock.now_ms() + SESSION_TOKEN_MS);
        Ok((self.sign(session, expires_ms)?, expires_ms))
    }

    /// A personal access token: shown once, narrowed to `scopes`, good until `expires_ms`.
    ///
    /// # Errors
    /// [`Code::Forbidden`] when `owner` is not a user's own login or password, [`Code::Invalid`] with the reason.
    pub async fn issue_personal(
        &self,
        owner: &Session,
        name: &str,
        scopes: Option<Scopes>,
        expires_ms: u64,
        client_ip: IpAddr,
    ) -> Result<(Secret, Arc<Session>), AuthError> {
        let now_ms = self.0.store.clock.now_ms();
        if !matches!(owner.kind, SessionKind::Login | SessionKind::Basic) {
            return Err(AuthError::new(Code::Forbidden, "only a user's own login issues personal tokens"));
        }
        let invalid = |why: &str| Err(AuthError::new(Code::Invalid, why));
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return invalid("name: 1 to 100 characters, none of them control characters");
        }
        if expires_ms <= now_ms || expires_ms > now_ms + LONGEST_TOKEN_MS {
            return invalid("expires_at: in the future, at most 366 days from now");
        }
        if scopes.as_ref().is_some_and(Scopes::is_void) {
            return invalid("scopes: a list that is there must not be empty, and methods are upper-case");
        }
        let facts = SessionFacts {
            id: crate::random::bytes(),
            kind: SessionKind::Personal,
            scopes: scopes.map(Arc::new),
            created_ms: now_ms,
            expires_ms,
            ..(**owner).clone()
        };
        let origin = Origin { client_ip: Some(client_ip), ..Origin::default() };
        let session = self.begin(facts, owner.recheck_ms(), Some(name), &origin).await?;
        Ok((self.sign(&session, expires_ms)?, session))
    }

    /// A token for a service account whose secret was just verified (OAuth 2 `client_credentials`).
    ///
    /// # Errors
    /// [`Code::Forbidden`] when `account` is no service account's session.
    pub async fn issue_service(
        &self,
        account: &Session,
        client_ip: IpAddr,
    ) -> Result<(Secret, Arc<Session>), AuthError> {
        if account.kind != SessionKind::Service {
            return Err(AuthError::new(Code::Forbidden, "only service accounts get tokens for a secret"));
        }
        let now_ms = self.0.store.clock.now_ms();
        let facts = SessionFacts {
            id: crate::random::bytes(),
            created_ms: now_ms,
            expires_ms: now_ms + ms(self.0.settings.service_ttl),
            ..(**account).clone()
        };
        let origin = Origin { client_ip: Some(client_ip), ..Origin::default() };
        let session = self.begin(facts, account.recheck_ms(), None, &origin).await?;
        // Whoever disabled the account in between did not see this session.
        self.check_still_enabled(&session).await?;
        Ok((self.sign(&session, session.expires_ms)?, session))
    }

    /// A token with which `actor` acts for the user of `subject` (RFC 8693). It ends with the user's session. Whether
    /// policy lets the service act for this user is the caller's question.
    ///
    /// # Errors
    /// [`Code::DelegationRefused`] when `subject` is not a user's own login or `actor` no service account.
    pub async fn exchange(
        &self,
        actor: &Session,
        subject: &Session,
        client_ip: IpAddr,
    ) -> Result<(Secret, Arc<Session>), AuthError> {
        if actor.kind != SessionKind::Service || !subject.is_own_login() {
            let why = "only a service account acts, and only for a user's own login";
            return Err(AuthError::new(Code::DelegationRefused, why));
        }
        let now_ms = self.0.store.clock.now_ms();
        let facts = SessionFacts {
            id: crate::random::bytes(),
            actor: Some(actor.principal.clone()),
            kind: SessionKind::Exchanged,
            created_ms: now_ms,
            expires_ms: subject.expires_ms.min(now_ms + ms(self.0.settings.service_ttl)),
            ..(**subject).clone()
        };
        let origin = Origin { client_ip: Some(client_ip), user_agent: None, parent: Some(subject.id) };
        let recheck_ms = subject.recheck_ms().min(actor.recheck_ms());
        let session = self.begin(facts, recheck_ms, None, &origin).await?;
        // Whoever ended the user's session in between did not see this one.
        let parent = self.0.store.database.session(&subject.id).await?;
        if parent.is_none_or(|parent| parent.revoked_ms.is_some()) {
            self.0.store.revoke(&[session.id]).await?;
            return Err(AuthError::new(Code::TokenRevoked, "the user's session was ended"));
        }
        Ok((self.sign(&session, session.expires_ms)?, session))
    }

    /// A session of a user whom the directory has just confirmed.
    pub(super) async fn begin_user_session(
        &self,
        user: DirectoryUser,
        kind: SessionKind,
        ttl_ms: u64,
        origin: &Origin<'_>,
    ) -> Result<Arc<Session>, AuthError> {
        let person = self.0.people.learn(user);
        let user = &*person.user;
        let facts = SessionFacts {
            id: crate::random::bytes(),
            principal: Principal::User(user.name.as_str().into()),
            actor: None,
            kind,
            directory_id: Some(user.id.as_str().into()),
            groups: user.groups.as_slice().into(),
            display_name: user.display_name.as_str().into(),
            email: user.email.as_deref().map(Into::into),
            scopes: None,
            created_ms: person.checked_ms,
            expires_ms: person.checked_ms.saturating_add(ttl_ms),
            groups_checked_ms: person.checked_ms,
        };
        self.begin(facts, person.recheck_ms, None, origin).await
    }

    pub(super) async fn begin(
        &self,
        facts: SessionFacts,
        recheck_ms: u64,
        name: Option<&str>,
        origin: &Origin<'_>,
    ) -> Result<Arc<Session>, AuthError> {
        self.0.store.database.insert_session(&facts.to_row(name, origin)).await?;
        let session = Arc::new(Session::new(facts, recheck_ms));
        self.0.store.sessions.insert(session.id, session.clone()).await;
        Ok(session)
    }

    fn sign(&self, session: &Session, expires_ms: u64) -> Result<Secret, AuthError> {
        let now_ms = self.0.store.clock.now_ms();
        let key = self.0.keys.signing_key(KeyUse::Token, now_ms, |_| true);
        let key = key.ok_or_else(|| AuthError::new(Code::AuditUnavailable, "no key signs tokens now"))?;
        let client_id = match &session.principal {
            Principal::User(_) => "doorman",
            Principal::Service(name) => name,
        };
        let claims = AccessClaims {
            iss: self.0.settings.issuer.clone(),
            sub: session.principal.to_string(),
            aud: self.0.settings.audience.clone(),
            exp: expires_ms / 1000,
            iat: now_ms / 1000,
            nbf: None,
            jti: hex::encode(crate::random::bytes::<16>()),
            client_id: client_id.to_owned(),
            sid: session.id_text().to_owned(),
            act: session.actor.as_ref().map(|actor| Actor { sub: actor.to_string() }),
        };
        Ok(sign_access(&key, &claims).into())
    }
}
