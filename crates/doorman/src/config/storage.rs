//! What a process keeps: `[database]`, `[keys]`, `[policy]`, `[journal]`, and what of a request is not to be kept.

use super::checks::Checks;
use super::path::Path;
use super::units::{duration, size};
use doorman_core::secret::Secret;
use serde::{Deserialize, Deserializer};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// `[database]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `sqlite:PATH`, `mysql://…`, `mariadb://…`, `postgres://…`.
    #[serde(deserialize_with = "secret")]
    url: Secret,
    /// A file with the password for `url`, where that has none.
    password_file: Option<PathBuf>,
    /// Connections beside the journal's own.
    pub max_connections: NonZeroU32,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: Secret::new("sqlite:doorman-data/doorman.db".to_owned()),
            password_file: None,
            max_connections: NonZeroU32::MIN.saturating_add(7),
        }
    }
}

/// The database's password cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("database.password_file: {path} cannot be read: {source}", path = path.display())]
pub struct PasswordError {
    path: PathBuf,
    source: std::io::Error,
}

impl DatabaseConfig {
    /// The URL with the password of `password_file` in it, read now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_url(&self) -> Result<Secret, PasswordError> {
        let Some(path) = &self.password_file else { return Ok(self.url.clone()) };
        let Ok(mut url) = url::Url::parse(self.url.expose()) else { return Ok(self.url.clone()) };
        if url.password().is_some() {
            return Ok(self.url.clone());
        }
        let password = std::fs::read_to_string(path)
            .map(Secret::new)
            .map_err(|source| PasswordError { path: path.clone(), source })?;
        // Only a URL without a host cannot have a password, and `validate` refuses that.
        let _ = url.set_password(Some(password.expose().trim_end_matches(['\r', '\n'])));
        Ok(Secret::new(url.into()))
    }

    pub(super) fn validate(&self, checks: &mut Checks<'_>) {
        let here = Path::of("database");
        let (at, url) = (here.key("url"), self.url.expose());
        const FORMS: &str = "write sqlite:PATH, mysql://user@host/name, mariadb://… or postgres://…";
        let Some((scheme, _)) = url.split_once(':') else {
            return checks.refuse(&at, "this is no database URL", FORMS);
        };
        match scheme {
            "sqlite" if self.password_file.is_some() => {
                checks.refuse(&here.key("password_file"), "SQLite has no password", "leave it out");
            }
            "sqlite" => {}
            "mysql" | "mariadb" | "postgres" | "postgresql" => match url::Url::parse(url) {
                Ok(parsed) if parsed.has_host() => {
                    if parsed.password().is_some() && !checks.is_from_environment(&at) {
                        let help = "put the password into a file and name it in `password_file`";
                        checks.refuse(&at, "a password does not belong into this file", help);
                    }
                    if self.password_file.is_some() && parsed.username().is_empty() {
                        checks.refuse(&at, "there is a password_file, but no user name", FORMS);
                    }
                }
                _ => checks.refuse(&at, "this URL names no host", FORMS),
            },
            other => checks.refuse(&at, format!("`{other}` is no database that Doorman knows"), FORMS),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// `[keys]` of `api` and `auth`.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// Private and public keys; made at the first start.
    pub dir: PathBuf,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { dir: "doorman-data/keys".into() }
    }
}

/// `[policy]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyConfig {
    /// Holds `*.cedar`.
    pub dir: PathBuf,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { dir: "doorman-data/policies".into() }
    }
}

/// `[journal]`
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// The directory of the signed batch statements.
    pub statements: PathBuf,
    /// How much of a body is kept, and read before anything is sent.
    #[serde(deserialize_with = "size::deserialize")]
    pub body_limit: usize,
    /// How long a commit waits for others to join it.
    #[serde(deserialize_with = "duration::deserialize")]
    pub gather: Duration,
    /// Entries in one commit at most.
    pub max_batch: NonZeroUsize,
    /// Attempts of a process that has been silent for so long get the outcome `unknown`.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease: Duration,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            statements: "doorman-data/statements".into(),
            body_limit: 64 << 10,
            gather: Duration::from_micros(600),
            max_batch: NonZeroUsize::MIN.saturating_add(511),
            lease: Duration::from_secs(15),
        }
    }
}

impl JournalConfig {
    pub(super) fn validate(&self, checks: &mut Checks<'_>) {
        let here = Path::of("journal");
        if self.gather > Duration::from_millis(100) {
            checks.refuse(
                &here.key("gather"),
                "every request would wait this long",
                "choose at most \"100ms\"",
            );
        }
        if !(Duration::from_secs(1)..=Duration::from_secs(300)).contains(&self.lease) {
            let message = "a process is busy for longer, or its attempts stay open for long";
            checks.refuse(&here.key("lease"), message, "choose between \"1s\" and \"5m\"");
        }
        if self.body_limit > 16 << 20 {
            let message = "bodies up to this size would be held in memory and in the database";
            checks.refuse(
                &here.key("body_limit"),
                message,
                "choose at most \"16MiB\"; longer bodies are streamed",
            );
        }
        if self.max_batch.get() > 16_384 {
            checks.refuse(&here.key("max_batch"), "no commit is that large", "choose at most 16384");
        }
    }
}

/// `[redact]`: what is masked in the log besides credentials and cookies.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedactConfig {
    /// Names of headers, in any case.
    pub headers: Vec<String>,
    /// Keys in the query.
    pub query_keys: Vec<String>,
    /// Names of fields in JSON bodies, at any depth.
    pub json_fields: Vec<String>,
}

/// `[rate]`: how much one principal may ask for; without the section, any amount.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// Requests each second, kept up.
    pub per_second: NonZeroU32,
    /// Requests at once; default: as many as `per_second`.
    pub burst: Option<NonZeroU32>,
}

/// `[jobs]`: how runs of jobs are carried out.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// A process that has been silent for so long loses the items that it had claimed.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease: Duration,
    /// Rows of one input at most.
    pub max_rows: u64,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self { lease: Duration::from_secs(45), max_rows: 1_000_000 }
    }
}

impl JobsConfig {
    pub(super) fn validate(&self, checks: &mut Checks<'_>) {
        let here = Path::of("jobs");
        if !(Duration::from_secs(20)..=Duration::from_secs(600)).contains(&self.lease) {
            let message = "a lease must be longer than a pass is good for, and not for ever";
            checks.refuse(&here.key("lease"), message, "choose between \"20s\" and \"10m\"");
        }
        if !(1..=10_000_000).contains(&self.max_rows) {
            checks.refuse(&here.key("max_rows"), "no input has so many rows", "choose up to 10000000");
        }
    }
}
