//! Service accounts as they are stored: changed, rotated, listed, deleted.

use super::IdentityStore;
use crate::AuthError;
use crate::secrets::{self, DIRECTORY};
use crate::settings::ms;
use doorman_core::code::Code;
use doorman_core::principal::Principal;
use doorman_core::secret::Secret;
use doorman_store::{SecretRow, ServiceAccountRow, StoreError};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

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
    /// Whether it is an account of the directory, whose password is its secret.
    pub directory: bool,
    /// How many secrets are good: two between a rotation and its end, none where the directory has the password.
    pub secrets: usize,
    /// When it was made (ms).
    pub created_ms: u64,
    /// When it was last used (ms), to a minute.
    pub last_used_ms: Option<u64>,
}

/// What [`Authority::create_service`](crate::Authority::create_service) and [`IdentityStore::update_service`] set; what is `None` stays.
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

/// A secret of a person's choice must be this long.
const SHORTEST_SECRET: usize = 12;

impl IdentityStore {
    /// Makes a service account. The secret, `secret` or a random one, is shown here once.
    /// Whether the directory knows the name must be known before: [`Authority::create_service`](crate::Authority::create_service).
    ///
    /// # Errors
    /// [`Code::Invalid`], [`Code::Conflict`] when an account has the name already.
    pub(crate) async fn create_service(
        &self,
        name: &str,
        set: ServiceChange,
        secret: Option<Secret>,
    ) -> Result<(ServiceAccount, Secret), AuthError> {
        let secret = secret.unwrap_or_else(secrets::generate);
        if secret.expose().len() < SHORTEST_SECRET || secret.expose().contains('\0') {
            let why = format!("secret: at least {SHORTEST_SECRET} characters");
            return Err(AuthError::new(Code::Invalid, why));
        }
        let row = new_secret(&secret, self.clock.now_ms()).await?;
        Ok((self.insert_service(name, set, row).await?, secret))
    }

    /// Makes the account of the directory with this id there a service account. That it has the name must be known before.
    ///
    /// # Errors
    /// As [`IdentityStore::create_service`].
    pub(crate) async fn adopt_service(
        &self,
        name: &str,
        id: &str,
        set: ServiceChange,
    ) -> Result<ServiceAccount, AuthError> {
        let created_ms = self.clock.now_ms();
        let hash = format!("{DIRECTORY}{id}");
        let row = SecretRow { id: crate::random::bytes(), hash, created_ms, expires_ms: None };
        self.insert_service(name, set, row).await
    }

    async fn insert_service(
        &self,
        name: &str,
        set: ServiceChange,
        secret: SecretRow,
    ) -> Result<ServiceAccount, AuthError> {
        let created_ms = secret.created_ms;
        let mut row = ServiceAccountRow {
            name: name.to_owned(),
            description: String::new(),
            owner: String::new(),
            networks: Vec::new(),
            disabled: false,
            secrets: vec![secret],
            last_used_ms: None,
            created_ms,
        };
        set.apply(&mut row)?;
        match self.database.insert_service_account(&row).await {
            Ok(()) => Ok(shown(row, created_ms)),
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
        let now_ms = self.clock.now_ms();
        if self.database.service_account(name).await?.is_some_and(|row| directory_id(&row).is_some()) {
            let why = "name: the account is the directory's; change its password there";
            return Err(AuthError::new(Code::Conflict, why));
        }
        let secret = secrets::generate();
        let row = new_secret(&secret, now_ms).await?;
        let others_expire_ms = now_ms.saturating_add(ms(overlap));
        if !self.database.rotate_service_secret(name, &row, others_expire_ms).await? {
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
        let mut row = self.database.service_account(name).await?.ok_or_else(unknown)?;
        let before = (row.disabled, row.networks.clone());
        set.apply(&mut row)?;
        if !self.database.update_service_account(&row).await? {
            return Err(unknown());
        }
        if before != (row.disabled, row.networks.clone()) {
            self.end_service_sessions(name).await?;
        }
        Ok(shown(row, self.clock.now_ms()))
    }

    /// Deletes a service account and ends its sessions.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn delete_service(&self, name: &str) -> Result<(), AuthError> {
        if !self.database.delete_service_account(name).await? {
            return Err(unknown());
        }
        self.end_service_sessions(name).await
    }

    /// One service account.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub async fn service(&self, name: &str) -> Result<ServiceAccount, AuthError> {
        let row = self.database.service_account(name).await?.ok_or_else(unknown)?;
        Ok(shown(row, self.clock.now_ms()))
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
        let (rows, next) = self.database.service_accounts_page(cursor, limit).await?;
        let now_ms = self.clock.now_ms();
        Ok((rows.into_iter().map(|row| shown(row, now_ms)).collect(), next))
    }

    async fn end_service_sessions(&self, name: &str) -> Result<(), AuthError> {
        let service = Principal::Service(name.into());
        self.revoke_all_of(&service).await?;
        self.revoke_acted_by(&service).await
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
        directory: directory_id(&row).is_some(),
        secrets: row
            .secrets
            .iter()
            .filter(|secret| !secret.hash.starts_with(DIRECTORY) && secret_is_live(secret, now_ms))
            .count(),
        name: row.name,
        owner: row.owner,
        description: row.description,
        networks: row.networks,
        disabled: row.disabled,
        created_ms: row.created_ms,
        last_used_ms: row.last_used_ms,
    }
}

/// The directory's own id of the account, where that has its password.
pub(crate) fn directory_id(row: &ServiceAccountRow) -> Option<&str> {
    row.secrets.iter().find_map(|secret| secret.hash.strip_prefix(DIRECTORY))
}

async fn new_secret(secret: &Secret, now_ms: u64) -> Result<SecretRow, AuthError> {
    let hash = secrets::hash(secret.clone()).await?;
    Ok(SecretRow { id: crate::random::bytes(), hash, created_ms: now_ms, expires_ms: None })
}

pub(crate) fn secret_is_live(secret: &SecretRow, now_ms: u64) -> bool {
    secret.expires_ms.is_none_or(|end| now_ms < end)
}

pub(crate) fn parse_networks(networks: &[String]) -> Result<Vec<IpNet>, AuthError> {
    let parse = |text: &String| {
        let network =
            text.parse::<IpNet>().or_else(|error| text.parse::<IpAddr>().map(IpNet::from).map_err(|_| error));
        network.map_err(|_| {
            AuthError::new(Code::Invalid, format!("networks: {text:?} is no CIDR such as 10.0.0.0/8"))
        })
    };
    networks.iter().map(parse).collect()
}

fn unknown() -> AuthError {
    AuthError::new(Code::NotFound, "there is no such service account")
}

pub(crate) fn check_name(name: &str) -> Result<(), AuthError> {
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

pub(crate) fn check_network(networks: &[IpNet], client_ip: IpAddr) -> Result<(), AuthError> {
    let client_ip = client_ip.to_canonical();
    if networks.is_empty() || networks.iter().any(|network| network.contains(&client_ip)) {
        return Ok(());
    }
    Err(AuthError::new(Code::BadCredentials, format!("the service account may not come from {client_ip}")))
}
