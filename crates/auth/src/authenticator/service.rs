//! Service accounts: made, changed, rotated; and their secrets, proven once by argon2id and then by a keyed hash.

use super::Authenticator;
use super::Inner;
use crate::session::{Origin, Session, SessionFacts};
use crate::settings::ms;
use crate::{AuthError, secrets};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use doorman_store::{SecretRow, ServiceAccountRow, SessionKind, StoreError};
use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A secret that was wrong is refused from memory for this long.
pub(super) const WRONG_MS: u64 = 60_000;

/// So many different wrong secrets are hashed for one account and address within [`WRONG_MS`]; each takes a core some
/// milliseconds. The secrets of services are random, so this is against exhaustion rather than against guessing.
const WRONG_AT_MOST: u32 = 100;

/// A secret of a person's choice must be this long.
const SHORTEST_SECRET: usize = 12;

/// A service account, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its name: 1–64 of `a-z`, `0-9`, `.`, `_`, `-`, beginning with a letter or digit.
    pub name: String,
    /// Who answers for it: `user:erin`.
    pub owner: String,
    /// What it is for.
    pub description: String,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    pub networks: Vec<String>,
    /// Whether its secrets are refused.
    pub disabled: bool,
    /// How many secrets are good: two between a rotation and its end.
    pub secrets: usize,
    /// When it was made (ms).
    pub created_ms: u64,
    /// When it was last used (ms), to a minute.
    pub last_used_ms: Option<u64>,
}

/// What [`Authenticator::create_service`] and [`Authenticator::update_service`] set; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct ServiceChange {
    /// Who answers for it: `user:erin`.
    pub owner: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The networks (CIDR) from which its secret is taken; empty: all.
    pub networks: Option<Vec<String>>,
    /// Whether its secrets are refused.
    pub disabled: Option<bool>,
}

/// A secret that argon2id has confirmed, with what must still hold each time.
pub(super) struct ProvenSecret {
    session: Arc<Session>,
    secret: [u8; 16],
    networks: Vec<IpNet>,
}

impl Authenticator {
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
        let secret = secret.unwrap_or_else(secrets::generate);
        if secret.expose().len() < SHORTEST_SECRET || secret.expose().contains('\0') {
            return Err(AuthError::new(
                Code::Invalid,
                format!("secret: at least {SHORTEST_SECRET} characters"),
            ));
        }
        if self.0.directory.lookup(name).await?.is_some() {
            return Err(AuthError::new(Code::Conflict, "name: a user of the directory has it"));
        }
        let created_ms = self.0.clock.now_ms();
        let mut row = ServiceAccountRow {
            name: name.to_owned(),
            description: String::new(),
            owner: String::new(),
            networks: Vec::new(),
            disabled: false,
            secrets: vec![new_secret(&secret, created_ms).await?],
            last_used_ms: None,
            created_ms,
        };
        set.apply(&mut row)?;
        match self.0.database.insert_service_account(&row).await {
            Ok(()) => Ok((shown(row, created_ms), secret)),
            Err(StoreError::Conflict) => {
                Err(AuthError::new(Code::Conflict, "name: a service account has it"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// A new secret, shown here once. The present one stays good for `overlap`, an older one ends now. Without any overlap,
    /// as when the secret has leaked, all sessions that it began end, too.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn rotate_service(&self, name: &str, overlap: Duration) -> Result<Secret, AuthError> {
        let now_ms = self.0.clock.now_ms();
        let secret = secrets::generate();
        let row = new_secret(&secret, now_ms).await?;
        let others_expire_ms = now_ms.saturating_add(ms(overlap));
        if !self.0.database.rotate_service_secret(name, &row, others_expire_ms).await? {
            return Err(unknown());
        }
        if overlap.is_zero() {
            self.end_service_sessions(name).await?;
        }
        Ok(secret)
    }

    /// Changes a service account. Disabling it, or narrowing its networks, ends its sessions.
    ///
    /// # Errors
    /// [`Code::NotFound`], [`Code::Invalid`].
    pub async fn update_service(&self, name: &str, set: ServiceChange) -> Result<ServiceAccount, AuthError> {
        let mut row = self.0.database.service_account(name).await?.ok_or_else(unknown)?;
        let before = (row.disabled, row.networks.clone());
        set.apply(&mut row)?;
        if !self.0.database.update_service_account(&row).await? {
            return Err(unknown());
        }
        if before != (row.disabled, row.networks.clone()) {
            self.end_service_sessions(name).await?;
        }
        Ok(shown(row, self.0.clock.now_ms()))
    }

    /// Deletes a service account and ends its sessions.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn delete_service(&self, name: &str) -> Result<(), AuthError> {
        if !self.0.database.delete_service_account(name).await? {
            return Err(unknown());
        }
        self.end_service_sessions(name).await
    }

    /// One service account.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn service(&self, name: &str) -> Result<ServiceAccount, AuthError> {
        let row = self.0.database.service_account(name).await?.ok_or_else(unknown)?;
        Ok(shown(row, self.0.clock.now_ms()))
    }

    /// A page of service accounts by name, and the cursor of the next.
    ///
    /// # Errors
    /// [`Code::AuditUnavailable`] when the database does not answer.
    pub async fn list_services(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<ServiceAccount>, Option<String>), AuthError> {
        let (rows, next) = self.0.database.service_accounts_page(cursor, limit).await?;
        let now_ms = self.0.clock.now_ms();
        Ok((rows.into_iter().map(|row| shown(row, now_ms)).collect(), next))
    }

    /// The session of a secret that was proven before.
    pub(super) async fn proven_service(
        &self,
        name: &str,
        secret: &Secret,
        client_ip: IpAddr,
    ) -> Result<Option<Arc<Session>>, AuthError> {
        let inner = &*self.0;
        let fingerprint = inner.keyed.of(&[name.as_bytes(), secret.expose().as_bytes()]);
        let Some(mut proven) = inner.service_secrets.get(&fingerprint).await else { return Ok(None) };
        if !inner.is_good(&proven.session) {
            inner.service_secrets.invalidate(&fingerprint).await;
            let again = inner
                .service_secrets
                .optionally_get_with(fingerprint, async {
                    inner.prove_again(name, &proven).await.ok().flatten()
                })
                .await;
            let Some(again) = again else { return Ok(None) };
            proven = again;
        }
        check_network(&proven.networks, client_ip).map_err(|error| error.claimed_by(name))?;
        Ok(Some(proven.session.clone()))
    }

    /// The session of a service account's secret, or `None` when no account has this name.
    pub(super) async fn verify_service(
        &self,
        name: &str,
        secret: &Secret,
        client_ip: IpAddr,
    ) -> Result<Option<Arc<Session>>, AuthError> {
        let inner = &*self.0;
        if check_name(name).is_err() {
            return Ok(None);
        }
        let Some(row) = inner.database.service_account(name).await? else { return Ok(None) };
        let fingerprint = inner.keyed.of(&[name.as_bytes(), secret.expose().as_bytes()]);
        let proven = inner.service_secrets.try_get_with(fingerprint, async {
            let proven = self.prove(row, secret, &fingerprint, client_ip).await?;
            Ok::<_, AuthError>(Arc::new(proven))
        });
        let proven = proven.await.map_err(|error| (*error).clone().claimed_by(name))?;
        check_network(&proven.networks, client_ip).map_err(|error| error.claimed_by(name))?;
        inner.unless_revoked(proven.session.clone()).map(Some)
    }

    async fn prove(
        &self,
        row: ServiceAccountRow,
        secret: &Secret,
        fingerprint: &[u8; 32],
        client_ip: IpAddr,
    ) -> Result<ProvenSecret, AuthError> {
        let inner = &*self.0;
        let now_ms = inner.clock.now_ms();
        let wrong = || AuthError::new(Code::BadCredentials, "wrong secret of a service account");
        if inner.wrong_secrets.get(fingerprint).is_some_and(|until_ms| now_ms < until_ms) {
            return Err(wrong());
        }
        let address = client_ip.to_canonical().to_string();
        let origin = inner.keyed.of(&[row.name.as_bytes(), address.as_bytes()]);
        let tries = inner.wrong_by_origin.get_with(origin, Arc::default);
        if tries.load(Relaxed) >= WRONG_AT_MOST {
            let error =
                AuthError::new(Code::Throttled, "too many wrong secrets of this service account from here");
            return Err(error.retry_in(Duration::from_millis(WRONG_MS)));
        }
        let live: Vec<_> = row.secrets.iter().filter(|secret| is_live(secret, now_ms)).collect();
        let hashes = live.iter().map(|secret| secret.hash.clone()).collect();
        let found = secrets::find(secret.clone(), hashes).await?.and_then(|index| live.get(index));
        let Some(found) = found else {
            tries.fetch_add(1, Relaxed);
            inner.wrong_secrets.insert(*fingerprint, now_ms + WRONG_MS);
            return Err(wrong());
        };
        if row.disabled {
            return Err(AuthError::new(Code::BadCredentials, "the service account is disabled"));
        }
        let networks = parse_networks(&row.networks)?;
        check_network(&networks, client_ip)?;
        let expires_ms = now_ms.saturating_add(ms(inner.settings.service_ttl));
        let facts = SessionFacts {
            id: crate::random::bytes(),
            principal: Principal::Service(row.name.as_str().into()),
            actor: None,
            kind: SessionKind::Service,
            directory_id: None,
            groups: Arc::default(),
            display_name: row.name.as_str().into(),
            email: None,
            scopes: None,
            created_ms: now_ms,
            expires_ms: found.expires_ms.map_or(expires_ms, |end| end.min(expires_ms)),
            groups_checked_ms: now_ms,
        };
        let recheck_ms = inner.service_recheck_ms();
        let begun = Origin { client_ip: Some(client_ip), ..Origin::default() };
        let session = self.begin(facts, recheck_ms, None, &begun).await?;
        // Whoever disabled the account in between did not see this session.
        self.check_still_enabled(&session).await?;
        inner.upkeep.note_service(&row.name, now_ms);
        Ok(ProvenSecret { session, secret: found.id, networks })
    }

    /// Ends a session that was begun while its account was being disabled or deleted.
    pub(super) async fn check_still_enabled(&self, session: &Session) -> Result<(), AuthError> {
        match self.0.check_service_enabled(session.principal.name()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.revoke(&[session.id]).await?;
                Err(error)
            }
        }
    }

    async fn end_service_sessions(&self, name: &str) -> Result<(), AuthError> {
        let service = Principal::Service(name.into());
        self.revoke_all_of(&service).await?;
        self.revoke_acted_by(&service).await
    }
}

impl Inner {
    /// Until when a service account that is enabled now may be relied on.
    ///
    /// # Errors
    /// [`Code::TokenRevoked`] when it is disabled or gone.
    pub(super) async fn check_service_enabled(&self, name: &str) -> Result<u64, AuthError> {
        match self.database.service_account(name).await? {
            Some(row) if !row.disabled => {
                self.upkeep.note_service(name, self.clock.now_ms());
                Ok(self.service_recheck_ms())
            }
            Some(_) => Err(AuthError::new(Code::TokenRevoked, "the service account is disabled")),
            None => Err(AuthError::new(Code::TokenRevoked, "the service account is gone")),
        }
    }

    /// Reads the account again, without hashing. `None` when the secret must be proven afresh.
    async fn prove_again(
        &self,
        name: &str,
        proven: &ProvenSecret,
    ) -> Result<Option<Arc<ProvenSecret>>, AuthError> {
        let now_ms = self.clock.now_ms();
        let session = &proven.session;
        if session.expires_ms <= now_ms || session.recheck_ms() == 0 || self.revocations.contains(&session.id)
        {
            return Ok(None);
        }
        let Some(row) = self.database.service_account(name).await? else { return Ok(None) };
        let is_good = row.secrets.iter().any(|secret| secret.id == proven.secret && is_live(secret, now_ms));
        if row.disabled || !is_good {
            return Ok(None);
        }
        session.confirm_until(self.service_recheck_ms());
        self.upkeep.note_service(name, now_ms);
        let networks = parse_networks(&row.networks)?;
        Ok(Some(Arc::new(ProvenSecret { session: session.clone(), secret: proven.secret, networks })))
    }

    fn service_recheck_ms(&self) -> u64 {
        self.clock.now_ms().saturating_add(ms(self.settings.groups_max_age))
    }
}

impl ServiceChange {
    fn apply(self, row: &mut ServiceAccountRow) -> Result<(), AuthError> {
        let invalid = |why: &str| Err(AuthError::new(Code::Invalid, why));
        if let Some(owner) = self.owner {
            if !owner.is_empty() && owner.parse::<Principal>().is_err() {
                return invalid("owner: a principal such as user:erin");
            }
            row.owner = owner;
        }
        if let Some(description) = self.description {
            if description.len() > 1_000 || description.chars().any(char::is_control) {
                return invalid("description: at most 1000 bytes, no control characters");
            }
            row.description = description;
        }
        if let Some(networks) = self.networks {
            parse_networks(&networks)?;
            row.networks = networks;
        }
        row.disabled = self.disabled.unwrap_or(row.disabled);
        Ok(())
    }
}

fn shown(row: ServiceAccountRow, now_ms: u64) -> ServiceAccount {
    ServiceAccount {
        secrets: row.secrets.iter().filter(|secret| is_live(secret, now_ms)).count(),
        name: row.name,
        owner: row.owner,
        description: row.description,
        networks: row.networks,
        disabled: row.disabled,
        created_ms: row.created_ms,
        last_used_ms: row.last_used_ms,
    }
}

async fn new_secret(secret: &Secret, now_ms: u64) -> Result<SecretRow, AuthError> {
    let hash = secrets::hash(secret.clone()).await?;
    Ok(SecretRow { id: crate::random::bytes(), hash, created_ms: now_ms, expires_ms: None })
}

fn is_live(secret: &SecretRow, now_ms: u64) -> bool {
    secret.expires_ms.is_none_or(|end| now_ms < end)
}

fn check_name(name: &str) -> Result<(), AuthError> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let mut bytes = name.bytes();
    let good = bytes.next().is_some_and(is_plain) && bytes.all(|b| is_plain(b) || b"._-".contains(&b));
    if good && name.len() <= 64 {
        return Ok(());
    }
    Err(AuthError::new(
        Code::Invalid,
        "name: 1 to 64 of a-z, 0-9, '.', '_', '-', beginning with a letter or digit",
    ))
}

fn parse_networks(networks: &[String]) -> Result<Vec<IpNet>, AuthError> {
    let parse = |text: &String| {
        let network =
            text.parse::<IpNet>().or_else(|error| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| error));
        network.map_err(|_| {
            AuthError::new(Code::Invalid, format!("networks: {text:?} is no CIDR such as 10.0.0.0/8"))
        })
    };
    networks.iter().map(parse).collect()
}

fn check_network(networks: &[IpNet], client_ip: IpAddr) -> Result<(), AuthError> {
    let client_ip = client_ip.to_canonical();
    if networks.is_empty() || networks.iter().any(|network| network.contains(&client_ip)) {
        return Ok(());
    }
    Err(AuthError::new(Code::BadCredentials, format!("the service account may not come from {client_ip}")))
}

fn unknown() -> AuthError {
    AuthError::new(Code::NotFound, "there is no such service account")
}
