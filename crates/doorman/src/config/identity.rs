//! `[auth]` and `[directory]`: who may log in, where, and for how long.

use super::checks::Checks;
use super::path::Path;
use super::units::{duration, is_loopback, name, optional_origin};
use doorman_auth::AuthSettings;
use doorman_auth::directory::{LdapConfig, LdapConfigError, LdapDirectory};
use serde::Deserialize;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// `[auth]` as written.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSection {
    #[serde(deserialize_with = "optional_origin::deserialize")]
    url: Option<Url>,
    ca_file: Option<PathBuf>,
    #[serde(deserialize_with = "duration::deserialize")]
    outage_grace: Duration,
    issuer: Option<String>,
    #[serde(deserialize_with = "name::deserialize")]
    audience: String,
    #[serde(deserialize_with = "duration::deserialize")]
    token_ttl: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    longest_token_ttl: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    basic_ttl: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    service_ttl: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    group_refresh: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    directory_grace: Duration,
    throttle: ThrottleSection,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ThrottleSection {
    failures: NonZeroU32,
    #[serde(deserialize_with = "duration::deserialize")]
    window: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    known_address_for: Duration,
}

impl Default for AuthSection {
    fn default() -> Self {
        let settings = AuthSettings::default();
        Self {
            url: None,
            ca_file: None,
            outage_grace: Duration::from_secs(15 * 60),
            issuer: None,
            audience: settings.audience,
            token_ttl: Duration::from_secs(8 * 3_600),
            longest_token_ttl: settings.longest_login_ttl,
            basic_ttl: settings.basic_ttl,
            service_ttl: settings.service_ttl,
            group_refresh: settings.groups_max_age,
            directory_grace: settings.outage_grace,
            throttle: ThrottleSection::default(),
        }
    }
}

impl Default for ThrottleSection {
    fn default() -> Self {
        let settings = AuthSettings::default();
        Self {
            failures: NonZeroU32::new(settings.throttle_limit).unwrap_or(NonZeroU32::MIN),
            window: settings.throttle_window,
            known_address_for: settings.known_address_for,
        }
    }
}

/// The keys of `[auth]` where another process checks credentials.
const ELSEWHERE: [&str; 3] = ["url", "ca_file", "outage_grace"];

/// Where credentials are checked.
pub enum AuthSource {
    /// In this process.
    Embedded(Box<AuthConfig>),
    /// By a `doorman auth` process.
    Remote {
        /// Its origin.
        url: Url,
        /// The authority that vouches for it.
        ca_file: Option<PathBuf>,
        /// How long sessions that it confirmed go on while it is down.
        outage_grace: Duration,
    },
}

/// How credentials are checked.
pub struct AuthConfig {
    /// The directory.
    pub directory: LdapConfig,
    /// Logins and sessions.
    pub settings: AuthSettings,
}

impl AuthSection {
    /// For `api`, which can leave this to another process.
    pub(super) fn validate_source(
        self,
        directory: Option<LdapConfig>,
        public_url: &str,
        checks: &mut Checks<'_>,
    ) -> Option<AuthSource> {
        let here = Path::of("auth");
        let Some(url) = self.url.clone() else {
            for key in ["ca_file", "outage_grace"] {
                checks.refuse_key(&here.key(key), "it goes with auth.url");
            }
            return self
                .validate(directory, public_url, checks)
                .map(|auth| AuthSource::Embedded(Box::new(auth)));
        };
        let help = "it belongs into the file of the auth process that auth.url names";
        checks.refuse_key(&Path::of("directory"), help);
        for key in checks.keys(&here).iter().filter(|key| !ELSEWHERE.contains(&key.as_str())) {
            checks.refuse_key(&here.key(key), help);
        }
        if url.scheme() == "http" && !is_loopback(&url) {
            checks.refuse(
                &here.key("url"),
                "plain HTTP is accepted to loopback addresses only",
                "use https and ca_file",
            );
        }
        if url.scheme() == "https" {
            let help = "name the authority (PEM) that vouches for the auth process";
            checks.require(&here.key("ca_file"), self.ca_file.is_some(), help);
        }
        Some(AuthSource::Remote { url, ca_file: self.ca_file, outage_grace: self.outage_grace })
    }

    /// For a process that checks credentials itself.
    pub(super) fn validate(
        self,
        directory: Option<LdapConfig>,
        public_url: &str,
        checks: &mut Checks<'_>,
    ) -> Option<AuthConfig> {
        let here = Path::of("auth");
        for (key, value) in [
            ("token_ttl", self.token_ttl),
            ("basic_ttl", self.basic_ttl),
            ("service_ttl", self.service_ttl),
            ("group_refresh", self.group_refresh),
        ] {
            if value.is_zero() {
                checks.refuse(&here.key(key), "must be longer than nothing", "leave it out for the default");
            }
        }
        if self.token_ttl > self.longest_token_ttl {
            checks.refuse(&here.key("token_ttl"), "is longer than longest_token_ttl", "raise that too");
        }
        if self.throttle.window.is_zero() {
            let help = "choose the directory's own lockout window";
            checks.refuse(&here.key("throttle").key("window"), "must be longer than nothing", help);
        }
        let help = "add [directory] with kind, urls and base_dns";
        checks.require(&Path::of("directory"), directory.is_some(), help);
        let directory = directory?;
        validate_directory(&directory, checks);
        let settings = AuthSettings {
            issuer: self.issuer.unwrap_or_else(|| public_url.to_owned()),
            audience: self.audience,
            login_ttl: self.token_ttl,
            longest_login_ttl: self.longest_token_ttl,
            basic_ttl: self.basic_ttl,
            service_ttl: self.service_ttl,
            groups_max_age: self.group_refresh,
            outage_grace: self.directory_grace,
            throttle_limit: self.throttle.failures.get(),
            throttle_window: self.throttle.window,
            known_address_for: self.throttle.known_address_for,
        };
        Some(AuthConfig { directory, settings })
    }
}

fn validate_directory(config: &LdapConfig, checks: &mut Checks<'_>) {
    let here = Path::of("directory");
    if config.bind_password.is_some() {
        let help = "put it into a file and name that in `bind_password_file`";
        checks.refuse(&here.key("bind_password"), "a password does not belong into this file", help);
    }
    // Files are looked at by themselves, so that a file can be checked on another machine.
    let without_files = LdapConfig { ca_file: None, ..config.clone() };
    if let Err(error) = LdapDirectory::new(without_files) {
        match error {
            LdapConfigError::Invalid { key, problem } => {
                checks.refuse(&here.key(key), problem, "docs/configuration.md, [directory]");
            }
            LdapConfigError::Filter { key, source } => {
                checks.refuse(&here.key(key), source.to_string(), "RFC 4515 says how filters are written");
            }
            LdapConfigError::Authorities(problem) => {
                checks.refuse(&here.key("ca_file"), problem, "name a PEM file")
            }
        }
    }
}
