//! Links: many requests at once over one connection between `api` and a proxy.
//!
//! HTTP/1.1 needs a connection, two system calls and two wakes for each request in flight. Between two ends that are both
//! ours, the requests of one turn of a thread's loop go in one write instead, and their answers come back the same way.
//! Only what is small and whole goes by link: requests whose body is all there. Everything else (uploads, switched
//! protocols, HTTP/2 services) has a connection of its own.

mod client;
mod frame;
mod pump;
mod server;

pub(crate) use client::{LinkBody, LinkClient};
pub use server::serve_link;

/// What both ends say in `Upgrade`.
pub const LINK_PROTOCOL: &str = "doorman-link/1";
/// Where a proxy is asked for a link.
pub const LINK_PATH: &str = "/control/v1/link";

#[cfg(test)]
mod tests;
