//! Who is asking, and by which proof: the directory, logins, sessions, tokens, service accounts and the keys that sign.
//!
//! Everything here answers one of two questions. *Is this credential good?* ([`Authority`], which ends in a [`Session`]
//! or in an [`AuthError`]) and *which key signs this?* ([`KeyRing`]). What a session may do is policy's matter.
// Optimised builds look through all of a login's nested futures at once.
#![recursion_limit = "256"]

pub mod directory;
pub mod keys;

mod authenticator;
mod authority;
mod clock;
mod error;
mod identity;
mod keyed;
mod passwords;
mod people;
mod random;
mod revocations;
mod secrets;
mod session;
mod settings;
mod store;

pub use authenticator::{Authenticator, Granted, Verified};
pub use authority::{
    Answer, Ask, AuthState, Authority, AuthorityState, Link, LinkState, Proven, REMOTE_PATHS, Remote,
    RemoteSettings, Reply, Unreachable, answer,
};
pub use clock::{Clock, ClockError};
pub use doorman_store::SessionKind;
pub use error::AuthError;
pub use identity::IdentityTokens;
pub use keys::KeyRing;
pub use people::DirectoryState;
pub use revocations::Revocations;
pub use session::{Scopes, Session, SessionFacts, SessionId};
pub use settings::AuthSettings;
pub use store::{IdentityStore, ServiceAccount, ServiceChange, SessionInfo};
