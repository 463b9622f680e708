//! The server roles: the wiring of each.

pub mod api;
pub mod auth;
pub mod demo;
pub mod proxy;

mod auth_link;
mod demo_files;
mod discovery;
mod front;
mod process;
mod settle;
mod sinks;
mod upkeep;
