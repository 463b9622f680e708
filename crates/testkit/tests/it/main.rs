//! Tests of the test kit itself: what everybody else's tests stand on.

// Named test modules, so that lints know their plain functions for test code too.
#[cfg(test)]
mod companies;
#[cfg(test)]
mod databases;
#[cfg(test)]
mod echo;
#[cfg(test)]
mod recorder;
#[cfg(test)]
mod tls;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Any free port of loopback.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Long enough on a busy machine.
const DEADLINE: Duration = Duration::from_secs(20);
