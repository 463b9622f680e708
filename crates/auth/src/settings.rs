//! What an operator can set about logins and sessions. Defaults are those of the public contract.

use std::time::Duration;

/// Settings of an [`Authenticator`](crate::Authenticator).
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// `iss` of every token: the installation's public URL.
    pub issuer: String,
    /// `aud` of access tokens.
    pub audience: String,
    /// How long a login lasts.
    pub login_ttl: Duration,
    /// The longest that a caller may ask a login to last.
    pub longest_login_ttl: Duration,
    /// How long a verified Basic password is taken without asking the directory.
    pub basic_ttl: Duration,
    /// How long a service account's session lasts before its secret is looked up anew.
    pub service_ttl: Duration,
    /// How old a user's groups may be while the directory answers.
    pub groups_max_age: Duration,
    /// How old they may be while it does not.
    pub outage_grace: Duration,
    /// How many failed binds an account may have within [`AuthSettings::throttle_window`]. An address where the account
    /// lately succeeded may fail once more, so the directory's own lockout must lie at least two above.
    pub throttle_limit: u32,
    /// The window; as long as the directory's own.
    pub throttle_window: Duration,
    /// How long an address counts as known after the account last succeeded there.
    pub known_address_for: Duration,
}

impl Default for AuthSettings {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3_600);
        Self {
            issuer: "http://127.0.0.1:8440".into(),
            audience: "doorman".into(),
            login_ttl: 12 * HOUR,
            longest_login_ttl: 24 * HOUR,
            basic_ttl: Duration::from_secs(60),
            service_ttl: HOUR,
            groups_max_age: Duration::from_secs(60),
            outage_grace: HOUR,
            throttle_limit: 3,
            throttle_window: HOUR / 4,
            known_address_for: 24 * 30 * HOUR,
        }
    }
}

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
