//! What the door can be set to.

use crate::redact::Redaction;
use std::time::Duration;

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
    /// Requests per second that one principal may send; 0 for no limit.
    pub rate_per_second: u32,
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
            rate_per_second: 0,
            issuer: "doorman".into(),
        }
    }
}
