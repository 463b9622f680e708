//! Sinks against real receivers: rsyslogd, nats-server; and a collector that decodes what it gets.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends where it fails, in its helpers too"
)]

mod nats;
mod otlp;
mod syslog;

use doorman_sinks::Line;
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Lines as a log has them.
fn lines(count: usize) -> Vec<Line> {
    (0..count)
        .map(|n| Line {
            key: format!("key-{n}"),
            what: if n == 0 { "statement" } else { "entry" },
            id: None,
            time_ms: 1_700_000_000_000 + n as u64,
            json: format!("{{\"n\":{n},\"path\":\"/ü\",\"long\":\"{}\"}}", "x".repeat(2_000)),
        })
        .collect()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until `found` gives something.
async fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
