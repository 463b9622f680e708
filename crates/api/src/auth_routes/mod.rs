//! Who is calling: logins, tokens, sessions, service accounts.

pub(crate) mod login;
pub(crate) mod me;
pub(crate) mod owner;
pub(crate) mod service_accounts;
pub(crate) mod sessions;
pub(crate) mod tokens;
pub(crate) mod verify;
