//! The load generator: what it aims at, when it counts, and what it found.

pub mod blocking;
pub mod closed;
pub mod exchange;
pub mod paced;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// Requests in one measurement end here, so that a mistaken duration cannot fill memory.
pub const MAX_REQUESTS: u64 = 5_000_000;
/// Connections of one measurement.
pub const MAX_CONNECTIONS: usize = 4096;
/// Whole time of one measurement, warm-up included.
pub const MAX_DURATION: Duration = Duration::from_secs(300);
/// What an exchange may take before it counts as an error.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where requests go: a loopback address, and what they carry.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    base_path: String,
    headers: Vec<(String, String)>,
}

impl Target {
    /// `base_path` goes before every path. Anything but a loopback address is refused.
    pub fn new(address: SocketAddr, base_path: &str, headers: Vec<(String, String)>) -> Result<Self> {
        ensure!(address.ip().is_loopback(), "{address} is not a loopback address: load goes nowhere else");
        Ok(Self { address, base_path: base_path.to_owned(), headers })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same place, asked without credentials.
    pub fn without_headers(&self) -> Self {
        Self { headers: Vec::new(), ..self.clone() }
    }

    /// The same place, asked with credentials in which one character near the end, in a token's signature, is another.
    pub fn with_tampered_headers(&self) -> Self {
        let tamper = |value: &str| {
            let (head, tail) = value.split_at(value.len().saturating_sub(20));
            format!(
                "{head}{}{}",
                if tail.starts_with('A') { 'B' } else { 'A' },
                tail.get(1..).unwrap_or_default()
            )
        };
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), tamper(value))).collect();
        Self { headers, ..self.clone() }
    }

    /// A request's head as bytes. `length`: of the body that will follow.
    pub fn request(&self, method: &str, path: &str, length: Option<u64>) -> Vec<u8> {
        let mut head = format!("{method} {}{path} HTTP/1.1\r\nhost: {}\r\n", self.base_path, self.address);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(length) = length {
            head.push_str(&format!("content-length: {length}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// The part of a measurement that counts: answers that arrive in it. What comes before warms caches and connections.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub from: Instant,
    pub until: Instant,
}

impl Window {
    /// Starts after `warm_up` from now and lasts `duration`.
    pub fn after(warm_up: Duration, duration: Duration) -> Result<Self> {
        ensure!(warm_up + duration <= MAX_DURATION, "a measurement lasts at most {MAX_DURATION:?}");
        let from = Instant::now() + warm_up;
        Ok(Self { from, until: from + duration })
    }

    pub fn duration(&self) -> Duration {
        self.until - self.from
    }

    pub fn counts(&self, moment: Instant) -> bool {
        moment >= self.from && moment < self.until
    }
}

/// What a connection, and in sum a measurement, saw within its window.
#[derive(Debug, Default)]
pub struct Sample {
    /// One latency for each good answer, in nanoseconds.
    pub latencies: Vec<u64>,
    pub errors: u64,
    /// The first thing that went wrong, for the report.
    pub first_error: Option<String>,
}

impl Sample {
    pub fn absorb(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    pub fn record_error(&mut self, error: &anyhow::Error) {
        self.errors += 1;
        if self.first_error.is_none() {
            self.first_error = Some(format!("{error:#}"));
        }
    }

    /// The latency below which `share` (0 to 1) of the answers lie, in microseconds. Sorts in place.
    pub fn quantile(&mut self, share: f64) -> Option<f64> {
        self.latencies.sort_unstable();
        let rank = (self.latencies.len() as f64 * share).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).map(|nanos| *nanos as f64 / 1000.0)
    }
}

/// Runs `generate` on its own thread for the window, with `start` called when the window opens and `stop` when it closes:
/// what the servers spent is taken over exactly the time that was counted.
pub fn during<G, M, R>(
    window: Window,
    generate: G,
    start: impl FnOnce() -> Result<M>,
    stop: impl FnOnce(M) -> Result<R>,
) -> Result<(Sample, R)>
where
    G: FnOnce() -> Result<Sample> + Send,
{
    thread::scope(|scope| {
        let generator = scope.spawn(generate);
        thread::sleep(window.from.saturating_duration_since(Instant::now()));
        let meter = start()?;
        thread::sleep(window.until.saturating_duration_since(Instant::now()));
        let spent = stop(meter)?;
        let sample = generator.join().map_err(|_| anyhow::anyhow!("the load generator died"))??;
        Ok((sample, spent))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn load_aims_at_loopback_only() {
        assert!(Target::new("192.0.2.1:80".parse().unwrap(), "", vec![]).is_err());
        assert!(Target::new("127.0.0.1:80".parse().unwrap(), "", vec![]).is_ok());
    }

    #[test]
    fn tampering_changes_one_character() {
        let headers =
            vec![("authorization".to_owned(), "Bearer 0123456789abcdefghijklmnopqrstuvwxyz".to_owned())];
        let target = Target::new("127.0.0.1:80".parse().unwrap(), "", headers).unwrap();
        let [whole, tampered] =
            [&target, &target.with_tampered_headers()].map(|target| target.request("GET", "/", None));
        assert_eq!(whole.len(), tampered.len());
        assert_eq!(whole.iter().zip(&tampered).filter(|(one, other)| one != other).count(), 1);
    }

    #[test]
    fn quantiles_are_answers_that_were_seen() {
        let mut sample = Sample { latencies: vec![3000, 1000, 2000, 4000], ..Sample::default() };
        assert_eq!(sample.quantile(0.5), Some(2.0));
        assert_eq!(sample.quantile(0.99), Some(4.0));
        assert_eq!(Sample::default().quantile(0.5), None);
    }
}
