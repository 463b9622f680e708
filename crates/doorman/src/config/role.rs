//! The server roles: which file is whose, and the commented example files within the binary.

#[cfg(test)]
use super::load::parse;
use super::{
    ApiConfig, AuthRoleConfig, DatabaseConfig, Environment, Files, KeysConfig, ProxyConfig, Refusal, load,
};
use std::path::{Path, PathBuf};

/// A server role, each with its own file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Role {
    /// Management region: authenticates, judges, writes down, sends.
    Api,
    /// Product region: verifies passes and reaches services.
    Proxy,
    /// Checks credentials for several `api` processes.
    Auth,
}

/// The example file of a role.
pub fn example(role: Role) -> &'static str {
    match role {
        Role::Api => include_str!("../../../../examples/config/api.toml"),
        Role::Proxy => include_str!("../../../../examples/config/proxy.toml"),
        Role::Auth => include_str!("../../../../examples/config/auth.toml"),
    }
}

impl Role {
    /// The name of its command.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Proxy => "proxy",
            Self::Auth => "auth",
        }
    }

    /// Checks a file of this role.
    ///
    /// # Errors
    /// [`Refusal`] with all that is wrong.
    pub fn check(self, path: &Path, environment: &Environment, files: Files) -> Result<(), Refusal> {
        match self {
            Self::Api => load::<ApiConfig>(path, environment, files).map(drop),
            Self::Proxy => load::<ProxyConfig>(path, environment, files).map(drop),
            Self::Auth => load::<AuthRoleConfig>(path, environment, files).map(drop),
        }
    }

    #[cfg(test)]
    pub fn check_text(self, name: &str, text: &str, environment: &Environment) -> Result<(), Refusal> {
        match self {
            Self::Api => parse::<ApiConfig>(name, text, environment, Files::Ignored).map(drop),
            Self::Proxy => parse::<ProxyConfig>(name, text, environment, Files::Ignored).map(drop),
            Self::Auth => parse::<AuthRoleConfig>(name, text, environment, Files::Ignored).map(drop),
        }
    }

    /// The role that a file is for, by the tables that only this role has.
    pub fn of_text(text: &str) -> Self {
        let begins = |header: &str| text.lines().any(|line| line.trim_start().starts_with(header));
        if begins("[[services") || begins("[region]") {
            Self::Proxy
        } else if begins("[[regions") || begins("[policy]") || begins("[journal]") {
            Self::Api
        } else if begins("[directory]") || begins("[clients]") {
            Self::Auth
        } else {
            Self::Api
        }
    }
}

/// What `api` and `auth` keep, for commands that work beside them.
pub struct Keeping {
    /// Their database.
    pub database: DatabaseConfig,
    /// Their private keys.
    pub keys: KeysConfig,
    /// Where an `api` writes its statements.
    pub statements: Option<PathBuf>,
}

impl Keeping {
    /// Reads the file of an `api` or an `auth`, whichever it is.
    ///
    /// # Errors
    /// [`Refusal`] with all that is wrong; a proxy's file is one of neither.
    pub fn load(path: &Path, environment: &Environment) -> Result<Self, Refusal> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if Role::of_text(&text) == Role::Auth {
            let config = load::<AuthRoleConfig>(path, environment, Files::Ignored)?;
            return Ok(Self { database: config.database, keys: config.keys, statements: None });
        }
        let config = load::<ApiConfig>(path, environment, Files::Ignored)?;
        let statements = Some(config.journal.statements);
        Ok(Self { database: config.database, keys: config.keys, statements })
    }
}
