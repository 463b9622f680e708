//! The server roles: the wiring of each.

pub mod api;
pub mod auth;
pub mod demo;
pub mod proxy;
