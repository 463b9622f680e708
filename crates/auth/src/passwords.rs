//! Checks of directory passwords, so few that nobody's account is ever locked by them.
//!
//! A bind is reserved in the database before it is made and counts as failed until it has succeeded: replicas together
//! stay below the limit. A password that has just failed is refused without a bind. Names that mean nobody have an
//! account key, too, and are treated alike in every step.

use crate::directory::{Directory, DirectoryError, DirectoryUser, RefusedReason};
use crate::keyed::{Fingerprint, KeyedHash};
use crate::settings::{AuthSettings, ms};
use crate::{AuthError, Clock};
use doorman_core::code::Code;
use doorman_core::secret::Secret;
use doorman_store::{Database, LoginEnd, LoginTry, LoginVerdict, ThrottleRule};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

/// How many refused passwords, accounts being checked and known addresses are remembered, each.
const CAPACITY: u64 = 100_000;

/// An address that is known is noted again only after this long.
const NOTE_EVERY: Duration = Duration::from_secs(3_600);

/// How often an account may fail beyond its limit from addresses where it lately succeeded.
const KNOWN_ADDRESS_EXTRA: u32 = 1;

pub(crate) struct Passwords {
    directory: Arc<dyn Directory>,
    database: Database,
    clock: Clock,
    keyed: Arc<KeyedHash>,
    rule: ThrottleRule,
    /// Passwords that just failed, by account: why, and until when (ms) they are refused from memory.
    refused: moka::sync::Cache<Fingerprint, (RefusedReason, u64)>,
    /// One bind at a time for each account in this process, so that several good logins do not use up its tries.
    turns: moka::sync::Cache<Fingerprint, Arc<tokio::sync::Mutex<()>>>,
    /// Successes by account and address that the database has lately been told of.
    noted: moka::sync::Cache<Fingerprint, ()>,
}

impl Passwords {
    pub fn new(
        directory: Arc<dyn Directory>,
        database: Database,
        settings: &AuthSettings,
        clock: Clock,
        keyed: Arc<KeyedHash>,
    ) -> Self {
        let refused = moka::sync::Cache::builder().max_capacity(CAPACITY);
        Self {
            directory,
            database,
            clock,
            keyed,
            rule: ThrottleRule {
                window_ms: ms(settings.throttle_window),
                limit: settings.throttle_limit,
                trusted_ms: ms(settings.known_address_for),
                trusted_limit: settings.throttle_limit.saturating_add(KNOWN_ADDRESS_EXTRA),
            },
            refused: refused.time_to_live(settings.throttle_window).build(),
            turns: moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_idle(NOTE_EVERY).build(),
            noted: moka::sync::Cache::builder().max_capacity(CAPACITY).time_to_live(NOTE_EVERY).build(),
        }
    }

    /// Checks a password. A check that was begun is ended even if nobody waits for it any more: a bind must be settled.
    pub async fn check(
        self: &Arc<Self>,
        name: &str,
        password: &Secret,
        client_ip: IpAddr,
    ) -> Result<DirectoryUser, AuthError> {
        let (this, claimed, password) = (self.clone(), name.to_owned(), password.clone());
        let check = tokio::spawn(async move { this.check_to_the_end(&claimed, &password, client_ip).await });
        let result = check.await.unwrap_or_else(|_| {
            Err(AuthError::new(Code::DirectoryUnavailable, "the check of the password ended early"))
        });
        result.map_err(|error| error.claimed_by(name))
    }

    async fn check_to_the_end(
        &self,
        name: &str,
        password: &Secret,
        client_ip: IpAddr,
    ) -> Result<DirectoryUser, AuthError> {
        if password.expose().is_empty() || password.expose().contains('\0') {
            return Err(DirectoryError::BadCredentials { reason: RefusedReason::EmptyPassword }.into());
        }
        let account = self.directory.account_key(name).await?;
        let turn = self.turns.get_with(self.keyed.of(&[account.as_bytes()]), Arc::default);
        let _turn = turn.lock().await;

        let now_ms = self.clock.now_ms();
        let fingerprint = self.keyed.of(&[account.as_bytes(), password.expose().as_bytes()]);
        if let Some((reason, until_ms)) = self.refused.get(&fingerprint)
            && now_ms < until_ms
        {
            let reason = format!("{reason} (the same password failed before)");
            return Err(AuthError::new(Code::BadCredentials, reason));
        }
        let address = address_key(client_ip);
        // Hashed, since an unknown name is of any length and content.
        let account = hex::encode(doorman_core::sha256(account.as_bytes()));
        let id = crate::random::bytes::<16>();
        let login = LoginTry { id, account: &account, address: &address, now_ms };
        if let LoginVerdict::Refused { until_ms } = self.database.reserve_login(&login, &self.rule).await? {
            let wait = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1_000));
            let error = AuthError::new(Code::Throttled, "too many failed logins of this account");
            return Err(error.retry_in(wait));
        }
        let checked = self.directory.authenticate(name, password).await;
        let noted = self.keyed.of(&[account.as_bytes(), address.as_bytes()]);
        let end = match &checked {
            Ok(_) if self.noted.contains_key(&noted) => LoginEnd::Withdrawn,
            Ok(_) => LoginEnd::Succeeded,
            // After an error it is unknown whether the directory counted a failure, so it is counted here.
            Err(_) => LoginEnd::Failed,
        };
        self.database.settle_login(&id, end).await?;
        if end == LoginEnd::Succeeded {
            self.noted.insert(noted, ());
        }
        if let Err(DirectoryError::BadCredentials {
            reason: reason @ (RefusedReason::WrongPassword | RefusedReason::UnknownUser),
        }) = &checked
        {
            self.refused.insert(fingerprint, (*reason, now_ms.saturating_add(self.rule.window_ms)));
        }
        Ok(checked?)
    }

    /// Forgets what no longer counts.
    pub async fn prune(&self, now_ms: u64) -> Result<(), AuthError> {
        self.database.prune_logins(now_ms, &self.rule).await?;
        Ok(())
    }
}

/// What counts as one address: an IPv4 address, or the /64 that a single IPv6 host can roam in.
fn address_key(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let network = u128::from(ip) & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_is_one_address_however_it_roams_and_a_mapped_ipv4_is_the_ipv4() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("2001:db8:1:2:3::4"), key("2001:db8:1:2:ffff::1"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
