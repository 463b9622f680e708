//! Who people are, and whether a password is theirs, according to an LDAP directory or Active Directory.
//!
//! A login is a search by a service account, a bind as the entry that was found, and the reading of its groups, all
//! on one server and under one deadline. What is not certain is refused: two matches, a referral, a part of the groups.

mod account;
mod bind;
mod config;
mod connection;
mod demo;
mod dn;
mod entry;
mod filter;
mod groups;
mod ldap;
mod names;
mod server;
mod tls;
mod wire;

use async_trait::async_trait;
use doorman_core::secret::Secret;

pub use self::config::{BindMode, DirectoryKind, LdapConfig, LdapConfigError, Nesting};
pub use self::demo::demo_ldap_config;
pub use self::ldap::LdapDirectory;

/// A person as the directory knows them.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub struct DirectoryUser {
    /// What stays when everything else changes: `entryUUID` or `objectGUID`, as a lower-case UUID.
    pub id: String,
    /// The login name as the directory spells it, lower-cased; never what was typed.
    pub name: String,
    /// The name to show, without control characters; the login name where the directory has none.
    pub display_name: String,
    /// The first mail address, if there is one.
    pub email: Option<String>,
    /// Names of all groups, nested ones included, sorted and each once.
    pub groups: Vec<String>,
}

/// Why the directory did not confirm somebody.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DirectoryError {
    /// The login is refused. The caller is told this much and never the reason.
    #[error("the directory refused the credentials")]
    BadCredentials {
        /// For the audit log only.
        reason: RefusedReason,
    },
    /// Nothing is known about the credentials: no server could be asked, or its answer cannot be used.
    #[error("the directory is unavailable: {detail}")]
    Unavailable {
        /// For the operator's log.
        detail: String,
    },
}

/// Why a login was refused, for the audit log. Telling a caller would help guessing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefusedReason {
    /// No entry matches the name.
    #[error("unknown user")]
    UnknownUser,
    /// The password is not this account's, or the directory did not say more.
    #[error("wrong password")]
    WrongPassword,
    /// Locked after too many failures, or by an administrator.
    #[error("account locked")]
    Locked,
    /// Disabled by an administrator.
    #[error("account disabled")]
    Disabled,
    /// The password has expired.
    #[error("password expired")]
    PasswordExpired,
    /// The password is right, but must be changed before anything else.
    #[error("password must be changed")]
    MustChange,
    /// The account itself has expired.
    #[error("account expired")]
    AccountExpired,
    /// More than one entry could be meant, so none is.
    #[error("name is ambiguous")]
    Ambiguous,
    /// The directory pointed to another server, which is never asked.
    #[error("directory answered with a referral")]
    Referral,
    /// Not all groups could be read, and policy must not judge by some.
    #[error("groups could not be read completely")]
    PartialGroups,
    /// The account may not log in at this hour or from here.
    #[error("logon not allowed now or from here")]
    NotAllowed,
    /// The password is empty or holds a NUL; both can make a directory say yes, so neither reaches it.
    #[error("password empty or with a NUL")]
    EmptyPassword,
    /// The name is empty, too long, or holds control characters.
    #[error("name is not valid")]
    InvalidName,
}

/// The directory as the rest of Doorman sees it.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Checks a password and reads who its owner is. `name` is as typed, in any form that the directory accepts.
    async fn authenticate(&self, name: &str, password: &Secret) -> Result<DirectoryUser, DirectoryError>;

    /// Reads a user anew by canonical name. `None`: gone, disabled or expired.
    async fn lookup(&self, name: &str) -> Result<Option<DirectoryUser>, DirectoryError>;

    /// The key under which failed logins with this name must be counted, so that every way to type a name counts
    /// for the one account it means. Costs one search. Names that mean nobody get a key of their own all the same.
    async fn account_key(&self, name: &str) -> Result<String, DirectoryError>;

    /// Whether some server answers and accepts the service account.
    async fn ping(&self) -> Result<(), DirectoryError>;
}
