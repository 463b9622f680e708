//! Secrets of service accounts: proven once by argon2id and then by a keyed hash.

use super::{Authenticator, Inner};
use crate::AuthError;
use crate::directory::DirectoryUser;
use crate::secrets;
use crate::session::{Origin, Session, SessionFacts};
use crate::settings::ms;
use crate::store::{check_name, check_network, directory_id, parse_networks, secret_is_live};
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use doorman_store::{ServiceAccountRow, SessionKind};
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

/// A secret that argon2id has confirmed, with what must still hold each time.
pub(super) struct ProvenSecret {
    session: Arc<Session>,
    secret: [u8; 16],
    networks: Vec<IpNet>,
}

impl Authenticator {
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
        if !inner.store.is_good(&proven.session) {
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
        let Some(row) = inner.store.database.service_account(name).await? else { return Ok(None) };
        let fingerprint = inner.keyed.of(&[name.as_bytes(), secret.expose().as_bytes()]);
        let proven = inner.service_secrets.try_get_with(fingerprint, async {
            let proven = self.prove(row, secret, &fingerprint, client_ip).await?;
            Ok::<_, AuthError>(Arc::new(proven))
        });
        let proven = proven.await.map_err(|error| (*error).clone().claimed_by(name))?;
        check_network(&proven.networks, client_ip).map_err(|error| error.claimed_by(name))?;
        inner.store.unless_revoked(proven.session.clone()).map(Some)
    }

    async fn prove(
        &self,
        row: ServiceAccountRow,
        secret: &Secret,
        fingerprint: &[u8; 32],
        client_ip: IpAddr,
    ) -> Result<ProvenSecret, AuthError> {
        let inner = &*self.0;
        let now_ms = inner.store.clock.now_ms();
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
        if directory_id(&row).is_some() {
            return self.prove_by_directory(row, secret, client_ip).await;
        }
        let live: Vec<_> = row.secrets.iter().filter(|secret| secret_is_live(secret, now_ms)).collect();
        let hashes = live.iter().map(|secret| secret.hash.clone()).collect();
        let found = secrets::find(secret.clone(), hashes).await?.and_then(|index| live.get(index));
        let Some(found) = found else {
            tries.fetch_add(1, Relaxed);
            inner.wrong_secrets.insert(*fingerprint, now_ms + WRONG_MS);
            return Err(wrong());
        };
        let expires_ms = now_ms.saturating_add(ms(inner.settings.service_ttl));
        let expires_ms = found.expires_ms.map_or(expires_ms, |end| end.min(expires_ms));
        let id = found.id;
        self.begin_service(&row, id, expires_ms, client_ip).await
    }

    /// An account of the directory: its password is asked about as often as a user's.
    async fn prove_by_directory(
        &self,
        row: ServiceAccountRow,
        password: &Secret,
        client_ip: IpAddr,
    ) -> Result<ProvenSecret, AuthError> {
        let inner = &*self.0;
        if row.disabled {
            return Err(AuthError::new(Code::BadCredentials, "the service account is disabled"));
        }
        check_network(&parse_networks(&row.networks)?, client_ip)?;
        let user = inner.passwords.check(&row.name, password, client_ip).await?;
        if user.name != row.name {
            return Err(AuthError::new(Code::BadCredentials, "the directory calls the account otherwise"));
        }
        check_same(&row, &user, Code::BadCredentials)?;
        inner.people.learn(user);
        let expires_ms = inner.store.clock.now_ms().saturating_add(ms(inner.settings.basic_ttl));
        let id = row.secrets.first().map(|secret| secret.id).unwrap_or_default();
        self.begin_service(&row, id, expires_ms, client_ip).await
    }

    async fn begin_service(
        &self,
        row: &ServiceAccountRow,
        secret: [u8; 16],
        expires_ms: u64,
        client_ip: IpAddr,
    ) -> Result<ProvenSecret, AuthError> {
        let inner = &*self.0;
        let now_ms = inner.store.clock.now_ms();
        if row.disabled {
            return Err(AuthError::new(Code::BadCredentials, "the service account is disabled"));
        }
        let networks = parse_networks(&row.networks)?;
        check_network(&networks, client_ip)?;
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
            expires_ms,
            groups_checked_ms: now_ms,
        };
        let recheck_ms = inner.service_recheck_ms();
        let begun = Origin { client_ip: Some(client_ip), ..Origin::default() };
        let session = self.begin(facts, recheck_ms, None, &begun).await?;
        // Whoever disabled the account in between did not see this session.
        self.check_still_enabled(&session).await?;
        inner.upkeep.note_service(&row.name, now_ms);
        Ok(ProvenSecret { session, secret, networks })
    }

    /// Ends a session that was begun while its account was being disabled or deleted.
    pub(super) async fn check_still_enabled(&self, session: &Session) -> Result<(), AuthError> {
        match self.0.check_service_enabled(session.principal.name()).await {
            Ok(_) => Ok(()),
            Err(error) => {
                self.0.store.revoke(&[session.id]).await?;
                Err(error)
            }
        }
    }
}

impl Inner {
    /// Until when a service account that is enabled now may be relied on.
    ///
    /// # Errors
    /// [`Code::TokenRevoked`] when it is disabled or gone.
    pub(super) async fn check_service_enabled(&self, name: &str) -> Result<u64, AuthError> {
        match self.store.database.service_account(name).await? {
            Some(row) if !row.disabled => {
                self.upkeep.note_service(name, self.store.clock.now_ms());
                if directory_id(&row).is_some() {
                    let person = self.people.current(name, || unknown_user(name)).await?;
                    check_same(&row, &person.user, Code::TokenRevoked)?;
                    return Ok(person.recheck_ms);
                }
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
        let now_ms = self.store.clock.now_ms();
        let session = &proven.session;
        if session.expires_ms <= now_ms
            || session.recheck_ms() == 0
            || self.store.revocations.contains(&session.id)
        {
            return Ok(None);
        }
        let Some(row) = self.store.database.service_account(name).await? else { return Ok(None) };
        let is_good =
            row.secrets.iter().any(|secret| secret.id == proven.secret && secret_is_live(secret, now_ms));
        if row.disabled || !is_good {
            return Ok(None);
        }
        session.confirm_until(self.service_recheck_ms());
        self.upkeep.note_service(name, now_ms);
        let networks = parse_networks(&row.networks)?;
        Ok(Some(Arc::new(ProvenSecret { session: session.clone(), secret: proven.secret, networks })))
    }

    fn service_recheck_ms(&self) -> u64 {
        self.store.clock.now_ms().saturating_add(ms(self.settings.groups_max_age))
    }
}

/// A name can come to be another's, the directory's own id cannot.
fn check_same(row: &ServiceAccountRow, user: &DirectoryUser, code: Code) -> Result<(), AuthError> {
    if directory_id(row) == Some(&user.id) {
        return Ok(());
    }
    Err(AuthError::new(code, "the service account's name belongs to another directory entry now"))
}

/// What is remembered of an account that this process has never looked up: nothing that could outlast an outage.
fn unknown_user(name: &str) -> (DirectoryUser, u64) {
    let (id, display_name) = (String::new(), name.to_owned());
    (DirectoryUser { id, name: name.to_owned(), display_name, email: None, groups: Vec::new() }, 0)
}
