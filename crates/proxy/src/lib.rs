//! The regional role: verifies passes, each once, and forwards to the region's services.
//!
//! A proxy holds public keys only and opens no connection to the management region. Without a pass it answers 401 to
//! everything but a bare `/healthz`.

pub mod config;
pub mod identity;
pub mod registry;

mod answer;
mod body;
pub mod control;
mod fences;
mod forward;
mod handler;
mod health;
mod impersonate;
mod link;
mod persist;
mod receipts;
mod server;
mod trust;
mod used;

pub use config::{HealthSettings, InstanceSettings, ProxySettings, ServiceSettings};
pub use doorman_egress::{Peer, PeerError, Protocol};
pub use impersonate::{Impersonation, UnknownStyle};
pub use receipts::{ReceiptError, ReceiptSettings};
pub use server::{Proxy, ProxyError};
