//! Who acts: users from the directory, service accounts, and one acting for the other.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// `user:alice` or `service:reports-ui`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A person, by the directory's canonical login name.
    User(Arc<str>),
    /// A service account.
    Service(Arc<str>),
}

impl Principal {
    /// The bare name.
    pub fn name(&self) -> &str {
        match self {
            Self::User(name) | Self::Service(name) => name,
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user:{name}"),
            Self::Service(name) => write!(f, "service:{name}"),
        }
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is neither `user:<name>` nor `service:<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a principal is user:<name> or service:<name>")]
pub struct InvalidPrincipal;

impl FromStr for Principal {
    type Err = InvalidPrincipal;

    fn from_str(text: &str) -> Result<Self, InvalidPrincipal> {
        match text.split_once(':') {
            Some(("user", name)) if !name.is_empty() => Ok(Self::User(name.into())),
            Some(("service", name)) if !name.is_empty() => Ok(Self::Service(name.into())),
            _ => Err(InvalidPrincipal),
        }
    }
}

impl serde::Serialize for Principal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Principal {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <std::borrow::Cow<'de, str>>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Whose credential opened the connection, and on whose behalf the action is done.
///
/// There is no conversion from `Delegated` back to `Direct`: a delegated call never falls back to the rights of
/// the service that makes it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Identity {
    /// Actor and subject are one.
    Direct(Principal),
    /// `actor` acts for `subject`, both proven.
    Delegated {
        /// The service account.
        actor: Principal,
        /// The user.
        subject: Principal,
    },
}

impl Identity {
    /// Whose credential opened the connection.
    pub fn actor(&self) -> &Principal {
        match self {
            Self::Direct(principal) | Self::Delegated { actor: principal, .. } => principal,
        }
    }

    /// Whose rights decide.
    pub fn subject(&self) -> &Principal {
        match self {
            Self::Direct(principal) | Self::Delegated { subject: principal, .. } => principal,
        }
    }
}
