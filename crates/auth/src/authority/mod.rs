//! Who answers for identities: this process, or a `doorman auth` that it asks.
//!
//! Whatever needs the directory or a token key is an [`Ask`]; there is one way to have one answered, [`Authority::ask`],
//! and the rest of Doorman does not know where the answer is made. What needs neither is done on [`Authority::store`].

mod remote;
mod wire;

pub use remote::{Link, REMOTE_PATHS, Remote, RemoteSettings, Unreachable};
pub use wire::{AuthState, Reply, answer};

use crate::people::DirectoryState;
use crate::session::{Scopes, Session, SessionId};
use crate::store::{IdentityStore, ServiceAccount, ServiceChange, check_name};
use crate::{AuthError, Authenticator, Granted, Verified};
use async_trait::async_trait;
use doorman_core::code::Code;
use doorman_core::keys::PublicKeys;
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization as _;

/// A question that only the directory or a token key can answer. Sessions are named by id: whoever answers reads them anew.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// Begin a session for a directory password.
    Login {
        /// As typed.
        username: String,
        /// As typed.
        #[serde(with = "wire::secret")]
        password: Secret,
        /// Where it came from.
        client_ip: IpAddr,
        /// With what program.
        user_agent: String,
        /// How long it shall last; the usual time without it.
        ttl: Option<Duration>,
    },
    /// Whose session a token is.
    Bearer {
        /// The token.
        #[serde(with = "wire::secret")]
        token: Secret,
    },
    /// Whose name and password these are.
    Basic {
        /// As sent.
        name: String,
        /// As sent.
        #[serde(with = "wire::secret")]
        password: Secret,
        /// Where they came from.
        client_ip: IpAddr,
    },
    /// A five-minute token of a session.
    SessionToken {
        /// The session.
        session: SessionId,
    },
    /// A personal access token.
    Personal {
        /// The login that issues it.
        owner: SessionId,
        /// Its name.
        name: String,
        /// To what it is narrowed.
        scopes: Option<Scopes>,
        /// When it ends.
        expires_ms: u64,
        /// Where that was asked from.
        client_ip: IpAddr,
    },
    /// A token of a service account's own.
    Service {
        /// The session of its secret.
        account: SessionId,
        /// Where that was asked from.
        client_ip: IpAddr,
    },
    /// A token with which a service acts for a user.
    Exchange {
        /// The session of the service's secret.
        actor: SessionId,
        /// The user's own login.
        subject: SessionId,
        /// Where that was asked from.
        client_ip: IpAddr,
    },
    /// What stands behind a session now, though its credential is not shown again and may have run out: for what it
    /// began and is still in progress. A session that was ended by hand stands for nothing.
    Standing {
        /// The session.
        session: SessionId,
    },
    /// A session for a schedule to act by: its principal must be there and enabled.
    Grant {
        /// As whom.
        granted: Granted,
    },
    /// Whether the directory knows a name.
    Knows {
        /// The name.
        name: String,
    },
}

/// What an [`Ask`] is answered with.
pub enum Answer {
    /// A live session.
    Proven(Proven),
    /// The directory's own id of whoever has the name there.
    Known(Option<String>),
}

/// A live session, and the token that was asked for.
#[derive(Clone)]
pub struct Proven {
    /// The session.
    pub session: Arc<Session>,
    /// When the token ends; its session may last longer. [`u64::MAX`] without one.
    pub token_expires_ms: u64,
    /// A new token.
    pub token: Option<Secret>,
}

/// Whether credentials can be checked, for `/readyz`.
#[derive(Clone, Copy, Debug)]
pub struct AuthorityState {
    /// The directory, as far as it was asked lately.
    pub directory: DirectoryState,
    /// The `doorman auth` that is asked; `None` where this process checks credentials itself.
    pub link: Option<LinkState>,
}

/// Whether a `doorman auth` answers.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkState {
    /// Since when it does not.
    pub down_since_ms: Option<u64>,
    /// Until when a session that was confirmed just before goes on without it.
    pub sessions_until_ms: Option<u64>,
}

/// Answers for identities.
#[async_trait]
pub trait Authority: Send + Sync + 'static {
    /// Sessions, tokens and service accounts as stored.
    fn store(&self) -> &IdentityStore;
    /// `iss` of tokens.
    fn issuer(&self) -> &str;
    /// `aud` of access tokens.
    fn audience(&self) -> &str;
    /// The keys that verify tokens and assertions.
    fn public_keys(&self) -> Arc<PublicKeys>;
    /// Whether it can answer now.
    fn state(&self) -> AuthorityState;
    /// Answers. What is known already is answered from memory.
    async fn ask(&self, ask: Ask) -> Result<Answer, AuthError>;
    /// To be called every second.
    async fn tick(&self);
}

impl dyn Authority {
    /// The live session of a token, and when the token ends.
    ///
    /// # Errors
    /// [`Code::Unauthenticated`], [`Code::TokenExpired`], [`Code::TokenRevoked`], [`Code::DirectoryUnavailable`],
    /// [`Code::AuditUnavailable`].
    pub async fn verify_bearer(&self, token: &str) -> Result<Verified, AuthError> {
        let Proven { session, token_expires_ms, .. } =
            self.prove(Ask::Bearer { token: Secret::new(token.to_owned()) }).await?;
        Ok(Verified { session, token_expires_ms })
    }

    /// The session of a user or service account with a password.
    ///
    /// # Errors
    /// As `login`.
    pub async fn verify_basic(
        &self,
        name: &str,
        password: &Secret,
        client_ip: IpAddr,
    ) -> Result<Arc<Session>, AuthError> {
        let ask = Ask::Basic { name: name.to_owned(), password: password.clone(), client_ip };
        Ok(self.prove(ask).await?.session)
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
        let session = match self.verify_bearer(token).await {
            Ok(verified) => verified.session,
            Err(error) if matches!(error.code, Code::DirectoryUnavailable | Code::AuditUnavailable) => {
                return Err(error);
            }
            Err(_) => return Ok(None),
        };
        let is_named = matches!(&session.principal, Principal::User(name) if **name == *fold(username));
        Ok(is_named.then_some(session))
    }

    /// What stands behind a session now: [`Ask::Standing`].
    ///
    /// # Errors
    /// As `verify_bearer`.
    pub async fn standing(&self, session: SessionId) -> Result<Arc<Session>, AuthError> {
        Ok(self.prove(Ask::Standing { session }).await?.session)
    }

    /// A grant that comes from nobody's session: [`Ask::Grant`].
    ///
    /// # Errors
    /// [`Code::TokenRevoked`] when the principal is not there or disabled; [`Code::DirectoryUnavailable`],
    /// [`Code::AuditUnavailable`] when that cannot be known.
    pub async fn grant_to(&self, granted: Granted) -> Result<Arc<Session>, AuthError> {
        Ok(self.prove(Ask::Grant { granted }).await?.session)
    }

    /// Does what makes a token: the token and its session.
    ///
    /// # Errors
    /// By the question: see the methods of [`Authenticator`].
    pub async fn issue(&self, ask: Ask) -> Result<(Secret, Proven), AuthError> {
        let mut proven = self.prove(ask).await?;
        let token = proven.token.take();
        Ok((token.ok_or_else(|| AuthError::new(Code::AuditUnavailable, "no token came back"))?, proven))
    }

    /// Makes a service account. The secret, `secret` or a random one, is shown here once.
    ///
    /// # Errors
    /// [`Code::Invalid`], [`Code::Conflict`] when an account or a directory user has the name already,
    /// [`Code::DirectoryUnavailable`] when that cannot be known.
    pub async fn create_service(
        &self,
        name: &str,
        set: ServiceChange,
        secret: Option<Secret>,
    ) -> Result<(ServiceAccount, Secret), AuthError> {
        check_name(name)?;
        if !matches!(self.ask(Ask::Knows { name: name.to_owned() }).await?, Answer::Known(None)) {
            return Err(AuthError::new(Code::Conflict, "name: a user of the directory has it"));
        }
        self.store().create_service(name, set, secret).await
    }

    /// Makes an account of the directory a service account: its password there is its secret, and no user has the name
    /// any more. Another account that comes by the name one day is not it.
    ///
    /// # Errors
    /// [`Code::Invalid`] when the directory does not know the name; otherwise as `create_service`.
    pub async fn adopt_service(&self, name: &str, set: ServiceChange) -> Result<ServiceAccount, AuthError> {
        check_name(name)?;
        let Answer::Known(Some(id)) = self.ask(Ask::Knows { name: name.to_owned() }).await? else {
            return Err(AuthError::new(Code::Invalid, "name: the directory knows no such account"));
        };
        self.store().adopt_service(name, &id, set).await
    }

    async fn prove(&self, ask: Ask) -> Result<Proven, AuthError> {
        match self.ask(ask).await? {
            Answer::Proven(proven) => Ok(proven),
            Answer::Known(_) => Err(AuthError::new(Code::AuditUnavailable, "another question was answered")),
        }
    }
}

/// A typed name in the form of canonical names: compatibility forms and case folded, no spaces around.
fn fold(name: &str) -> String {
    name.trim().nfkc().collect::<String>().to_lowercase()
}

#[async_trait]
impl Authority for Authenticator {
    fn store(&self) -> &IdentityStore {
        self.store()
    }

    fn issuer(&self) -> &str {
        &self.settings().issuer
    }

    fn audience(&self) -> &str {
        &self.settings().audience
    }

    fn public_keys(&self) -> Arc<PublicKeys> {
        self.keys().public_keys()
    }

    fn state(&self) -> AuthorityState {
        AuthorityState { directory: self.directory_state(), link: None }
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, AuthError> {
        let proven = |session: Arc<Session>, token_expires_ms, token| {
            Answer::Proven(Proven { session, token_expires_ms, token })
        };
        let issued = |(token, session): (Secret, Arc<Session>)| {
            let expires_ms = session.expires_ms;
            proven(session, expires_ms, Some(token))
        };
        Ok(match ask {
            Ask::Login { username, password, client_ip, user_agent, ttl } => {
                issued(self.login(&username, &password, client_ip, &user_agent, ttl).await?)
            }
            Ask::Bearer { token } => {
                let verified = self.verify_bearer(token.expose()).await?;
                proven(verified.session, verified.token_expires_ms, None)
            }
            Ask::Basic { name, password, client_ip } => {
                proven(self.verify_basic(&name, &password, client_ip).await?, u64::MAX, None)
            }
            Ask::Grant { granted } => proven(self.grant_to(&granted).await?, u64::MAX, None),
            Ask::Standing { session } => proven(self.standing(session).await?, u64::MAX, None),
            Ask::SessionToken { session } => {
                let session = self.session(session).await?;
                let (token, expires_ms) = self.session_token(&session)?;
                proven(session, expires_ms, Some(token))
            }
            Ask::Personal { owner, name, scopes, expires_ms, client_ip } => {
                let owner = self.session(owner).await?;
                issued(self.issue_personal(&owner, &name, scopes, expires_ms, client_ip).await?)
            }
            Ask::Service { account, client_ip } => {
                let account = self.session(account).await?;
                issued(self.issue_service(&account, client_ip).await?)
            }
            Ask::Exchange { actor, subject, client_ip } => {
                let (actor, subject) = (self.session(actor).await?, self.session(subject).await?);
                issued(self.exchange(&actor, &subject, client_ip).await?)
            }
            Ask::Knows { name } => Answer::Known(self.knows(&name).await?),
        })
    }

    async fn tick(&self) {
        self.tick().await;
    }
}
