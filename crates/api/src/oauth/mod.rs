//! OAuth 2 for service accounts: tokens for a secret, tokens in exchange for a user's, introspection, revocation.

mod error;
mod form;
pub(crate) mod grants;
pub(crate) mod metadata;
pub(crate) mod tokens;

pub(crate) use error::OauthError;
pub(crate) use form::{Form, shows_secret};
