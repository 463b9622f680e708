//! Who is calling: logins, tokens, sessions, service accounts.

pub(crate) mod login;
pub(crate) mod me;
pub(crate) mod verify;
