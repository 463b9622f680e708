//! What the door can be set to.

use crate::redact::Redaction;
use std::num::NonZeroU32;
use std::time::Duration;

/// Requests of one principal, on this replica.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    /// Sustained.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// Settings of the send path.
#[derive(Clone, Debug)]
pub struct DoorConfig {
    /// Bodies up to this many bytes are read whole and kept in the entry; of longer ones a prefix.
    pub body_limit: usize,
    /// How long a pass is good for; at most 30 s.
    pub pass_lifetime: Duration,
    /// How long a request waits for a proxy that was there a moment ago.
    pub restart_grace: Duration,
    /// Connecting to a proxy may take this long.
    pub connect_timeout: Duration,
    /// A proxy that has not answered by then is given up; the proxy's own limits for a service are tighter.
    pub response_timeout: Duration,
    /// What is masked before it is written down.
    pub redaction: Redaction,
    /// What one principal may send.
    pub rate: Option<Rate>,
    /// `iss` of identity assertions, as live services expect it.
    pub issuer: String,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            body_limit: 64 * 1024,
            pass_lifetime: Duration::from_secs(15),
            restart_grace: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            response_timeout: Duration::from_secs(300),
            redaction: Redaction::default(),
            rate: None,
            issuer: "doorman".into(),
        }
    }
}
