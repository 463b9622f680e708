//! The file of `doorman api`.

use super::checks::Checks;
use super::identity::{AuthSection, AuthSource};
use super::load::RoleConfig;
use super::path::Path;
use super::regions::{self, RegionConfig};
use super::server::{LogConfig, ServerConfig, ServerSection};
use super::sinks::{self, SinkConfig};
use super::storage::{
    DatabaseConfig, JobsConfig, JournalConfig, KeysConfig, PolicyConfig, RateConfig, RedactConfig,
};
use doorman_auth::directory::LdapConfig;
use serde::Deserialize;

/// Where `api` listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 8440;

/// The file as written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiFile {
    server: ServerSection,
    database: DatabaseConfig,
    keys: KeysConfig,
    policy: PolicyConfig,
    journal: JournalConfig,
    directory: Option<LdapConfig>,
    auth: AuthSection,
    regions: Vec<RegionConfig>,
    redact: RedactConfig,
    rate: Option<RateConfig>,
    jobs: JobsConfig,
    sinks: Vec<SinkConfig>,
    log: LogConfig,
}

/// How `doorman api` runs.
pub struct ApiConfig {
    /// How it listens.
    pub server: ServerConfig,
    /// Where the journal and everything else is kept.
    pub database: DatabaseConfig,
    /// Its private keys.
    pub keys: KeysConfig,
    /// Who may do what.
    pub policy: PolicyConfig,
    /// How the log is written.
    pub journal: JournalConfig,
    /// Where credentials are checked.
    pub auth: AuthSource,
    /// What it reaches; at least one.
    pub regions: Vec<RegionConfig>,
    /// What the log masks.
    pub redact: RedactConfig,
    /// What one principal may ask for.
    pub rate: Option<RateConfig>,
    /// How runs of jobs are carried out.
    pub jobs: JobsConfig,
    /// Where the log is carried on to.
    pub sinks: Vec<SinkConfig>,
    /// What the process tells.
    pub log: LogConfig,
}

impl RoleConfig for ApiConfig {
    type File = ApiFile;

    fn validate(file: ApiFile, checks: &mut Checks<'_>) -> Option<Self> {
        let help = "clients prove who they are by tokens; only proxies ask for certificates";
        checks.refuse_key(&Path::of("server").key("tls").key("client_ca_file"), help);
        let server = file.server.validate(DEFAULT_PORT, checks);
        file.database.validate(checks);
        file.journal.validate(checks);
        file.jobs.validate(checks);
        regions::validate(&file.regions, checks);
        sinks::validate(&file.sinks, checks);
        if server.public_url.ends_with(":0") {
            let help = "name a port, or add public_url";
            checks.refuse(&Path::of("server").key("listen"), "nobody would know the port", help);
        }
        let auth = file.auth.validate_source(file.directory, &server.public_url, checks)?;
        Some(Self {
            server,
            database: file.database,
            keys: file.keys,
            policy: file.policy,
            journal: file.journal,
            auth,
            regions: file.regions,
            redact: file.redact,
            rate: file.rate,
            jobs: file.jobs,
            sinks: file.sinks,
            log: file.log,
        })
    }
}
