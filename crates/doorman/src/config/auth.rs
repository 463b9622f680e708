//! The file of `doorman auth`.

use super::checks::Checks;
use super::identity::{AuthConfig, AuthSection};
use super::load::RoleConfig;
use super::path::Path;
use super::server::{LogConfig, ServerConfig, ServerSection};
use super::storage::{DatabaseConfig, KeysConfig};
use doorman_auth::directory::LdapConfig;
use serde::Deserialize;

/// Where `auth` listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 8439;

/// The file as written.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthFile {
    server: ServerSection,
    database: DatabaseConfig,
    keys: KeysConfig,
    directory: Option<LdapConfig>,
    auth: AuthSection,
    log: LogConfig,
}

/// How `doorman auth` runs.
#[expect(dead_code, reason = "checked and not run yet: `doorman auth` says so")]
pub struct AuthRoleConfig {
    /// How it listens.
    pub server: ServerConfig,
    /// Where sessions are kept: the database of `api`.
    pub database: DatabaseConfig,
    /// Its private keys.
    pub keys: KeysConfig,
    /// How credentials are checked.
    pub auth: AuthConfig,
    /// What the process tells.
    pub log: LogConfig,
}

impl RoleConfig for AuthRoleConfig {
    type File = AuthFile;

    fn validate(file: AuthFile, checks: &mut Checks<'_>) -> Option<Self> {
        for key in ["url", "ca_file"] {
            checks
                .refuse_key(&Path::of("auth").key(key), "this is the auth process itself; it asks no other");
        }
        let server = file.server.validate(DEFAULT_PORT, checks);
        file.database.validate(checks);
        let auth = file.auth.validate(file.directory, &server.public_url, checks)?;
        Some(Self { server, database: file.database, keys: file.keys, auth, log: file.log })
    }
}
