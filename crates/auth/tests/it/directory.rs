//! The directory: one contract that every LDAP server must let us keep, then the traps of each.

mod contract;
mod embedded;
mod openldap;
mod transport;
pub mod world;

use doorman_auth::directory::{Directory, DirectoryError, LdapConfig, LdapDirectory, RefusedReason};
use doorman_core::secret::Secret;

pub fn directory(config: LdapConfig) -> LdapDirectory {
    LdapDirectory::new(config).expect("settings that are right")
}

pub fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// Why a login is refused; panics if it is not.
pub async fn refusal(directory: &LdapDirectory, name: &str, password: &str) -> RefusedReason {
    match directory.authenticate(name, &secret(password)).await {
        Err(DirectoryError::BadCredentials { reason }) => reason,
        other => panic!("{name:?} was not refused: {other:?}"),
    }
}

/// Why the directory is unavailable; panics if it answers.
pub async fn outage(directory: &LdapDirectory, name: &str, password: &str) -> String {
    match directory.authenticate(name, &secret(password)).await {
        Err(DirectoryError::Unavailable { detail }) => detail,
        other => panic!("{name:?} got an answer: {other:?}"),
    }
}
