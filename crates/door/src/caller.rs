//! Who is asking: credentials out of headers, sessions behind them, remembered for each thread.

use crate::problem::Problem;
use ahash::AHashMap;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use doorman_auth::{AuthError, Authority, Revocations, Session, Verified};
use doorman_core::code::Code;
use doorman_core::principal::{Identity, Principal};
use doorman_core::secret::Secret;
use doorman_policy::{PolicySet, Subject};
use http::{HeaderMap, HeaderName, header};
use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;

const TOKEN: HeaderName = HeaderName::from_static("doorman-token");
const ON_BEHALF_OF: HeaderName = HeaderName::from_static("doorman-on-behalf-of");
const USER_TOKEN: HeaderName = HeaderName::from_static("doorman-user-token");
/// Callers remembered by one thread.
const MAX_CALLERS: usize = 10_000;

/// A verified caller: whose credential, on whose behalf, and what policy must know of them.
pub struct Caller {
    identity: Identity,
    /// When the first of the tokens ends that prove it.
    proof_ends_ms: u64,
    /// The session of the credential that opened the connection.
    actor: Arc<Session>,
    /// The session whose rights decide; the same without delegation.
    subject: Arc<Session>,
    policy_subject: Subject,
    actor_text: Box<str>,
    subject_text: Box<str>,
}

impl Caller {
    /// A caller that acts for itself.
    pub fn direct(session: Arc<Session>, proof_ends_ms: u64) -> Self {
        Self::new(Identity::Direct(session.principal.clone()), session.clone(), session, proof_ends_ms)
    }

    /// A service that goes on acting for a user whose login was proven when the run began that they act in.
    pub fn granted(actor: Arc<Session>, subject: Arc<Session>, proof_ends_ms: u64) -> Self {
        let identity =
            Identity::Delegated { actor: actor.principal.clone(), subject: subject.principal.clone() };
        Self::new(identity, actor, subject, proof_ends_ms)
    }

    fn new(identity: Identity, actor: Arc<Session>, subject: Arc<Session>, proof_ends_ms: u64) -> Self {
        let policy_subject = match &subject.principal {
            Principal::User(name) => Subject::user(name, &subject.groups),
            Principal::Service(name) => Subject::service(name),
        };
        Self {
            actor_text: identity.actor().to_string().into(),
            subject_text: identity.subject().to_string().into(),
            identity,
            actor,
            subject,
            policy_subject,
            proof_ends_ms,
        }
    }

    /// Actor and subject.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Whether a service acts for a user.
    pub fn is_delegated(&self) -> bool {
        matches!(self.identity, Identity::Delegated { .. })
    }

    /// The session of the credential itself.
    pub fn actor_session(&self) -> &Arc<Session> {
        &self.actor
    }

    /// The session whose rights decide.
    pub fn session(&self) -> &Arc<Session> {
        &self.subject
    }

    /// As policy sees them.
    pub fn policy_subject(&self) -> &Subject {
        &self.policy_subject
    }

    /// `service:reports-ui`
    pub fn actor_text(&self) -> &str {
        &self.actor_text
    }

    /// `user:alice`
    pub fn subject_text(&self) -> &str {
        &self.subject_text
    }

    /// The service account that acts on the subject's behalf, for policy.
    pub fn on_behalf(&self) -> Option<&str> {
        self.is_delegated().then(|| self.identity.actor().name())
    }

    /// The ids of the sessions that all this rests on.
    pub(crate) fn session_ids(&self) -> [Option<[u8; 16]>; 2] {
        [Some(self.actor.id), self.is_delegated().then_some(self.subject.id)]
    }

    /// Whether it still proves who calls: nothing of it has run out, and what the directory says is not to be asked anew.
    pub fn is_live(&self, now_ms: u64) -> bool {
        now_ms < self.proof_ends_ms
            && self.actor.is_live(now_ms)
            && (!self.is_delegated() || self.subject.is_live(now_ms))
    }

    /// Whether the facts of both sessions are confirmed, though the credential may have run out since.
    pub(crate) fn is_confirmed(&self, now_ms: u64) -> bool {
        self.actor.is_confirmed(now_ms) && (!self.is_delegated() || self.subject.is_confirmed(now_ms))
    }

    /// The same caller with what stands behind the sessions now.
    pub(crate) async fn renewed(&self, authority: &dyn Authority) -> Result<Self, AuthError> {
        let actor = authority.standing(self.actor.id).await?;
        let is_one = self.actor.id == self.subject.id;
        let subject = if is_one { actor.clone() } else { authority.standing(self.subject.id).await? };
        Ok(Self::new(self.identity.clone(), actor, subject, self.proof_ends_ms))
    }

    /// Whether policy lets the service act for the user; true without delegation.
    pub(crate) fn may_delegate(&self, policies: &PolicySet, client_ip: IpAddr) -> bool {
        let service = self.identity.actor().name();
        !self.is_delegated() || policies.decide_delegate(service, client_ip, &self.policy_subject).permit
    }

    pub(crate) fn is_revoked(&self, revocations: &Revocations) -> bool {
        self.session_ids().iter().flatten().any(|session| revocations.contains(session))
    }
}

/// A credential as it came, and whether it is to be taken off what is forwarded.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Credential {
    Bearer(Box<str>),
    Basic(Box<str>),
}

/// A credential with the delegation headers beside it: what a thread remembers a caller by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// As it came.
    pub credential: Credential,
    /// What the delegation headers say.
    pub delegation: Option<Delegation>,
    /// Set for passwords, which are throttled by address.
    pub client_ip: Option<IpAddr>,
}

/// Why no caller could be made of the headers.
pub struct Refusal {
    /// What the caller is told.
    pub problem: Problem,
    /// For the log only.
    pub audit_reason: String,
    /// Claimed, unproven.
    pub claimed: Option<String>,
    /// Whose own credential was good, where one was: `service:reports-ui`.
    pub actor: Option<String>,
}

impl Refusal {
    pub fn new(problem: Problem, audit_reason: impl Into<String>) -> Self {
        Self { problem, audit_reason: audit_reason.into(), claimed: None, actor: None }
    }
}

impl From<AuthError> for Refusal {
    fn from(error: AuthError) -> Self {
        let (detail, hint) = match error.code {
            Code::BadCredentials => (
                "User name or password is wrong.",
                "Check them and try again; repeated failures are slowed down.",
            ),
            Code::TokenExpired => {
                ("The token has expired.", "Log in again: `doorman login`, or POST /auth/v1/login.")
            }
            Code::TokenRevoked => {
                ("The session has ended.", "Log in again: `doorman login`, or POST /auth/v1/login.")
            }
            Code::Throttled => (
                "Too many failed logins for this account.",
                "Wait, or log in from an address where it worked lately.",
            ),
            Code::DirectoryUnavailable => {
                ("The directory does not answer.", "Try again shortly; sessions that are already open go on.")
            }
            Code::AuditUnavailable => {
                ("The session store cannot be reached. Nothing was sent.", "Try again.")
            }
            _ => (
                "No valid credential was given.",
                "Send `Authorization: Bearer <token>`; get a token from POST /auth/v1/login.",
            ),
        };
        let mut problem = Problem::new(error.code, detail).hint(hint);
        problem.retry_after = error.retry_after;
        Self { problem, audit_reason: error.audit_reason, claimed: error.principal_hint, actor: None }
    }
}

fn unauthenticated(audit_reason: &str) -> Refusal {
    let problem = Problem::new(Code::Unauthenticated, "No valid credential was given.").hint(
        "Send `Authorization: Bearer <token>`; get a token from POST /auth/v1/login, or run `doorman login`.",
    );
    Refusal::new(problem, audit_reason)
}

/// Also counted, since somebody should be told: few of these are mistakes.
pub fn delegation_refused(detail: &str, audit_reason: impl Into<String>) -> Refusal {
    metrics::counter!("doorman_delegations_refused_total").increment(1);
    let problem = Problem::new(Code::DelegationRefused, detail).hint(
        "Send both `Doorman-On-Behalf-Of: <username>` and `Doorman-User-Token: <that user's own login token>`, once each.",
    );
    Refusal::new(problem, audit_reason)
}

/// The one value of a header; refused when it is there twice or is not plain text.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(());
    }
    first.to_str().map(Some).map_err(|_| ())
}

impl Credentials {
    /// Takes the credential and the delegation headers from a request.
    ///
    /// `Doorman-Token` wins over `Authorization`, which then belongs to the service; `subprotocol` is the token that a
    /// browser's WebSocket offered.
    pub fn from_headers(
        headers: &HeaderMap,
        subprotocol: Option<&str>,
        client_ip: IpAddr,
    ) -> Result<(Self, bool), Refusal> {
        let mut consumes_authorization = false;
        let credential = if let Some(token) =
            single(headers, &TOKEN).map_err(|()| unauthenticated("Doorman-Token is there twice"))?
        {
            Credential::Bearer(token.trim().into())
        } else if let Some(token) = subprotocol {
            Credential::Bearer(token.into())
        } else {
            consumes_authorization = true;
            let value = single(headers, &header::AUTHORIZATION)
                .map_err(|()| unauthenticated("Authorization is there twice or is no text"))?
                .ok_or_else(|| unauthenticated("no credential"))?;
            let (scheme, rest) = value.split_once(' ').unwrap_or((value, ""));
            let rest = rest.trim();
            if scheme.eq_ignore_ascii_case("bearer") {
                Credential::Bearer(rest.into())
            } else if scheme.eq_ignore_ascii_case("basic") {
                if is_from_browser(headers) {
                    return Err(unauthenticated("Basic from a browser"));
                }
                Credential::Basic(rest.into())
            } else {
                return Err(unauthenticated("unknown scheme in Authorization"));
            }
        };
        let client_ip = matches!(credential, Credential::Basic(_)).then_some(client_ip);
        Ok((Self { credential, delegation: delegation_of(headers), client_ip }, consumes_authorization))
    }
}

/// What the delegation headers say. What is wrong with them is told once it is known who sent them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Delegation {
    /// The service acts for this user, and shows their token.
    For {
        /// The user's name.
        name: Box<str>,
        /// The user's token.
        token: Box<str>,
    },
    /// One is missing, doubled, joined or no text.
    Malformed {
        /// What the caller is told.
        detail: &'static str,
        /// The first name that was claimed.
        claimed: Option<Box<str>>,
    },
}

impl Delegation {
    fn claimed(&self) -> Option<String> {
        let name = match self {
            Self::For { name, .. } => Some(name),
            Self::Malformed { claimed, .. } => claimed.as_ref(),
        };
        name.map(|name| name.chars().take(256).collect())
    }
}

fn delegation_of(headers: &HeaderMap) -> Option<Delegation> {
    if !headers.contains_key(ON_BEHALF_OF) && !headers.contains_key(USER_TOKEN) {
        return None;
    }
    let first = headers.get(ON_BEHALF_OF);
    let claimed = match first {
        Some(name) => Some(String::from_utf8_lossy(name.as_bytes()).into_owned().into_boxed_str()),
        None => headers.get(USER_TOKEN).and_then(|token| claimed_by_token(token.to_str().ok()?)),
    };
    let malformed = |detail| Some(Delegation::Malformed { detail, claimed: claimed.clone() });
    let (Ok(name), Ok(token)) = (single(headers, &ON_BEHALF_OF), single(headers, &USER_TOKEN)) else {
        return malformed("A delegation header is there twice or is no text.");
    };
    let is_odd = |value: &str| value.contains(',') || value.trim().is_empty();
    if name.is_some_and(is_odd) || token.is_some_and(is_odd) {
        return malformed("A delegation header has several values or none.");
    }
    match (name, token) {
        (Some(name), Some(token)) => {
            Some(Delegation::For { name: name.trim().into(), token: token.trim().into() })
        }
        (Some(_), None) => malformed("Doorman-User-Token is missing."),
        _ => malformed("Doorman-On-Behalf-Of is missing."),
    }
}

/// Whom a token is about, by its own unproven word: for the log.
fn claimed_by_token(token: &str) -> Option<Box<str>> {
    let payload = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&payload).ok()?;
    let subject = claims.get("sub")?.as_str()?;
    Some(subject.strip_prefix("user:").unwrap_or(subject).into())
}

/// Whether a browser made the request: it then must not carry Basic, which browsers send by themselves.
fn is_from_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ORIGIN) || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"))
}

/// The name and password in a Basic credential.
fn basic_parts(encoded: &str) -> Option<(String, Secret)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Secret::new(password.to_owned())))
}

/// Makes a caller of credentials that no thread remembers.
pub async fn verify(
    authenticate: &dyn Authority,
    policies: &PolicySet,
    credentials: &Credentials,
    client_ip: IpAddr,
) -> Result<Caller, Refusal> {
    let (actor, ends_ms) = match &credentials.credential {
        Credential::Bearer(token) => {
            let Verified { session, token_expires_ms } = authenticate.verify_bearer(token).await?;
            (session, token_expires_ms)
        }
        Credential::Basic(encoded) => {
            let (name, password) =
                basic_parts(encoded).ok_or_else(|| unauthenticated("malformed Basic credential"))?;
            (authenticate.verify_basic(&name, &password, client_ip).await?, u64::MAX)
        }
    };
    let Some(delegation) = &credentials.delegation else {
        return undelegated(policies, actor, ends_ms, client_ip);
    };
    let by = actor.actor.as_ref().unwrap_or(&actor.principal).to_string();
    let result = match delegation {
        Delegation::For { name, token } => {
            delegated(authenticate, policies, (actor, ends_ms), name, token, client_ip).await
        }
        Delegation::Malformed { detail, .. } => Err(delegation_refused(detail, *detail)),
    };
    result.map_err(|refusal| Refusal { claimed: delegation.claimed(), actor: Some(by), ..refusal })
}

/// A caller without delegation headers: itself or, with an exchanged token (RFC 8693), a service that acts for a user.
fn undelegated(
    policies: &PolicySet,
    session: Arc<Session>,
    ends_ms: u64,
    client_ip: IpAddr,
) -> Result<Caller, Refusal> {
    let Some(service) = session.actor.clone() else { return Ok(Caller::direct(session, ends_ms)) };
    let why = format!("{service} for {}: policy does not permit it any more", session.principal);
    let identity = Identity::Delegated { actor: service.clone(), subject: session.principal.clone() };
    let caller = Caller::new(identity, session.clone(), session, ends_ms);
    if caller.may_delegate(policies, client_ip) {
        return Ok(caller);
    }
    let claimed = caller.subject.principal.name().into();
    Err(Refusal {
        actor: Some(service.to_string()),
        claimed: Some(claimed),
        ..delegation_refused("Policy does not let this service act for this user.", why)
    })
}

/// A caller that acts by a session that was proven before: a run's grant, or a retrier's login.
///
/// # Errors
/// When policy does not let the session's service act for its user any more.
pub fn by_session(policies: &PolicySet, session: Arc<Session>, client_ip: IpAddr) -> Result<Caller, Refusal> {
    undelegated(policies, session, u64::MAX, client_ip)
}

async fn delegated(
    authenticate: &dyn Authority,
    policies: &PolicySet,
    (actor, actor_ends_ms): (Arc<Session>, u64),
    name: &str,
    token: &str,
    client_ip: IpAddr,
) -> Result<Caller, Refusal> {
    let service = match &actor.principal {
        Principal::Service(service) => service.clone(),
        Principal::User(user) => {
            return Err(delegation_refused(
                "Only a service account may act for a user.",
                format!("user:{user} sent delegation headers"),
            ));
        }
    };
    let by = |why: &str| format!("service:{service} for {name}: {why}");
    let Verified { session: subject, token_expires_ms: ends_ms } = match authenticate
        .verify_bearer(token)
        .await
    {
        Ok(proven) => proven,
        Err(error) if error.code == Code::DirectoryUnavailable || error.code == Code::AuditUnavailable => {
            return Err(error.into());
        }
        Err(error) => {
            return Err(delegation_refused("The user's token is not valid.", by(&error.to_string())));
        }
    };
    let Principal::User(user) = &subject.principal else {
        return Err(delegation_refused("A service cannot be acted for.", by("the token is a service's")));
    };
    if !subject.is_own_login() {
        return Err(delegation_refused("The user's token must be their own login.", by("not a login token")));
    }
    if **user != *name {
        return Err(delegation_refused(
            "The user's token is another user's.",
            by("the token is another user's"),
        ));
    }
    let identity = Identity::Delegated { actor: actor.principal.clone(), subject: subject.principal.clone() };
    let caller = Caller::new(identity, actor, subject.clone(), ends_ms.min(actor_ends_ms));
    if !caller.may_delegate(policies, client_ip) {
        return Err(delegation_refused(
            "Policy does not let this service act for this user.",
            by("policy does not permit"),
        ));
    }
    Ok(caller)
}

/// What one thread remembers: a hit costs a hash of the credential and no lock.
pub(crate) struct Callers {
    known: RefCell<AHashMap<Credentials, Known>>,
}

struct Known {
    caller: Arc<Caller>,
    /// The revocation epoch at which the sessions were last looked up.
    epoch: u64,
    /// The policy set that allowed the delegation.
    policy_version: u64,
}

impl Callers {
    pub(crate) fn new() -> Self {
        Self { known: RefCell::default() }
    }

    /// The caller, if remembered and still good.
    pub(crate) fn find(
        &self,
        credentials: &Credentials,
        revocations: &Revocations,
        policy_version: u64,
        now_ms: u64,
    ) -> Option<Arc<Caller>> {
        let mut known = self.known.borrow_mut();
        let entry = known.get_mut(credentials)?;
        let epoch = revocations.epoch();
        let is_good = entry.caller.is_live(now_ms)
            && (entry.epoch == epoch || !entry.caller.is_revoked(revocations))
            && (!entry.caller.is_delegated() || entry.policy_version == policy_version);
        if is_good {
            entry.epoch = epoch;
            Some(entry.caller.clone())
        } else {
            known.remove(credentials);
            None
        }
    }

    pub(crate) fn remember(
        &self,
        credentials: Credentials,
        caller: Arc<Caller>,
        epoch: u64,
        policy_version: u64,
    ) {
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_CALLERS {
            known.clear();
        }
        known.insert(credentials, Known { caller, epoch, policy_version });
    }
}
