//! How much one client, and all together, may take.

use std::time::Duration;

/// Limits of one listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once; one beyond is closed at once.
    pub max_connections: usize,
    /// A connection that began a request head, a TLS handshake or nothing at all is closed after this long.
    pub head_timeout: Duration,
    /// A connection whose peer takes none of what is written to it is closed after this long.
    pub write_timeout: Duration,
    /// A connection on which nothing was asked for this long, and nothing is being answered, is closed. Longer than clients
    /// keep connections, or requests meet the close.
    pub idle_timeout: Duration,
    /// The largest request head, in bytes; a larger one gets 431.
    pub max_head_bytes: usize,
    /// Streams of one HTTP/2 connection at once.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            head_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(14),
            idle_timeout: Duration::from_secs(120),
            max_head_bytes: 64 * 1024,
            max_streams: 250,
        }
    }
}
