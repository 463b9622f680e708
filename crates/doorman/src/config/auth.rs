//! The file of `doorman auth`.

use super::checks::Checks;
use super::identity::{AuthConfig, AuthSection};
use super::load::RoleConfig;
use super::path::Path;
use super::server::{LogConfig, ServerConfig, ServerSection};
use super::storage::{DatabaseConfig, KeysConfig};
use doorman_auth::directory::LdapConfig;
use serde::Deserialize;
use std::path::PathBuf;

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
    clients: Option<ClientsConfig>,
    log: LogConfig,
}

/// `[clients]`: whom it answers.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientsConfig {
    /// The public keys of `api`: a copy of `public.json` beside its keys; read again when it changes.
    pub public_file: PathBuf,
}

/// How `doorman auth` runs.
pub struct AuthRoleConfig {
    /// How it listens.
    pub server: ServerConfig,
    /// Where sessions are kept: the database of `api`.
    pub database: DatabaseConfig,
    /// Its private keys.
    pub keys: KeysConfig,
    /// How credentials are checked.
    pub auth: AuthConfig,
    /// Whom it answers.
    pub clients: ClientsConfig,
    /// What the process tells.
    pub log: LogConfig,
}

impl RoleConfig for AuthRoleConfig {
    type File = AuthFile;

    fn validate(file: AuthFile, checks: &mut Checks<'_>) -> Option<Self> {
        for key in ["url", "ca_file", "outage_grace"] {
            checks
                .refuse_key(&Path::of("auth").key(key), "this is the auth process itself; it asks no other");
        }
        let help = "`api` proves itself by tokens that it signs with its own key; see [clients]";
        checks.refuse_key(&Path::of("server").key("tls").key("client_ca_file"), help);
        let server = file.server.validate(DEFAULT_PORT, checks);
        file.database.validate(checks);
        let help = "add [clients] with public_file, a copy of public.json from the keys of api";
        checks.require(&Path::of("clients"), file.clients.is_some(), help);
        let auth = file.auth.validate(file.directory, &server.public_url, checks)?;
        Some(Self {
            server,
            database: file.database,
            keys: file.keys,
            auth,
            clients: file.clients?,
            log: file.log,
        })
    }
}
