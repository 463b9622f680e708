//! The HTTP surface of the management region: everything but the door itself (`/r/…`).
//!
//! `routes.rs` is the table of all there is: each route with who may call it and what it leaves in the audit log. The
//! gate (`gate.rs`) stands before every handler and enforces that; handlers get what it let through.

mod access;
mod arrival;
mod audit;
mod auth_routes;
mod catalog;
mod collections;
mod cookie;
mod entry;
mod error;
mod gate;
mod health;
mod input;
mod jobs;
mod oauth;
mod openapi;
mod origin;
mod page;
mod policy;
mod router;
mod routes;
mod shape;
mod state;
mod ui;

pub use access::{Access, By, Who};
pub use audit::chain::ChainWatch;
pub use openapi::openapi;
pub use router::router;
pub use routes::{Listed, listed};
pub use state::{ApiConfig, ApiState, ClientAddr};
