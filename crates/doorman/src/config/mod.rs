//! Configuration: one strict TOML file for each process, with the environment laid over it.
//!
//! A file goes through four steps. `document` parses it and remembers where everything stands; `decode` makes typed sections of
//! it by serde; each role's `validate` compares and completes; `refusal` shows all that is wrong, with file, line and key.

mod api;
mod auth;
mod checks;
mod decode;
mod discovery;
mod document;
mod environment;
mod identity;
mod load;
mod parse;
mod path;
mod proxy;
mod refusal;
mod regions;
mod role;
mod server;
mod services;
mod sinks;
mod storage;
mod tree;
mod units;

pub use api::ApiConfig;
pub use auth::AuthRoleConfig;
pub use discovery::{ConsulConfig, KubernetesConfig};
pub use environment::Environment;
pub use identity::{AuthConfig, AuthSource};
pub use load::{Files, load};
pub use proxy::ProxyConfig;
pub use refusal::{Fault, Refusal};
pub use regions::RegionConfig;
pub use role::{Keeping, Role, example};
pub use server::{LogConfig, LogFormat, TlsConfig};
pub use services::{Discovery, InstanceConfig, Protocol, ServiceConfig};
pub use sinks::{SinkConfig, SinkKind};
pub use storage::{DatabaseConfig, JournalConfig, KeysConfig};
pub use units::duration::parse as parse_duration;

#[cfg(test)]
mod tests;
