//! Open loop: requests fall due at a fixed rate whether or not earlier ones are answered.
//!
//! Free of coordinated omission: latency counts from the moment a request was due, so a server that stalls is charged for
//! every request that had to wait, not only for those in flight. Blocking threads, because an operating-system sleep is
//! precise to tens of microseconds where an asynchronous timer is to a millisecond.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::blocking::exchange;
use super::{MAX_CONNECTIONS, MAX_REQUESTS, Sample, Target, Window};

/// How late a sleeping sender may wake without the server being charged for it: the timer's error, not the server's.
const TIMER_SLACK: Duration = Duration::from_micros(200);

/// After the window, requests that fell due in it may still be sent for so long; what then remains is an error each.
const GRACE: Duration = Duration::from_secs(2);

/// Sends `GET path` at `rate` requests a second over at most `connections` connections until the window ends.
/// Unlike in a closed loop, requests count that fell due in the window, whenever they were answered.
pub fn run(target: &Target, path: &str, connections: usize, rate: f64, window: Window) -> Result<Sample> {
    ensure!((1..=MAX_CONNECTIONS).contains(&connections), "1 to {MAX_CONNECTIONS} connections");
    ensure!(rate.is_finite() && rate > 0.0, "the rate must be above 0");
    let request = target.request("GET", path, None);
    let schedule =
        Schedule { start: Instant::now(), gap: Duration::from_secs_f64(1.0 / rate), next: AtomicU64::new(0) };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| drive(target.address(), &request, &schedule, window)))
            .collect();
        let mut total = Sample::default();
        for worker in workers {
            total.absorb(worker.join().map_err(|_| anyhow::anyhow!("a load thread died"))?);
        }
        Ok(total)
    })
}

/// Hands out due times; whichever connection is free takes the next one.
struct Schedule {
    start: Instant,
    gap: Duration,
    next: AtomicU64,
}

impl Schedule {
    fn take(&self) -> Option<Instant> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < MAX_REQUESTS).then(|| self.start + self.gap.mul_f64(index as f64))
    }
}

fn drive(address: SocketAddr, request: &[u8], schedule: &Schedule, window: Window) -> Sample {
    let mut sample = Sample::default();
    let mut connection = None;
    let mut buffer = vec![0; 16 * 1024];
    while let Some(due) = schedule.take().filter(|due| *due < window.until) {
        let started = wait_until(due);
        if Instant::now() > window.until + GRACE {
            sample.record_error(&anyhow::anyhow!("still unsent {GRACE:?} after the end"));
            continue;
        }
        let outcome = exchange(&mut connection, address, request, &mut buffer);
        let now = Instant::now();
        match outcome {
            Ok(answer) if answer.status == 200 => {
                if window.counts(due) {
                    sample.latencies.push(u64::try_from((now - started).as_nanos()).unwrap_or(u64::MAX));
                }
                if !answer.keep_alive {
                    connection = None;
                }
            }
            Ok(answer) => sample.record_error(&anyhow::anyhow!("status {}", answer.status)),
            Err(error) => {
                sample.record_error(&error);
                connection = None;
            }
        }
    }
    sample
}

/// Sleeps until `due`; answers when the request's clock starts: at once when every connection was busy until after
/// `due`, otherwise when the sleep really ended, within the slack.
fn wait_until(due: Instant) -> Instant {
    let left = due.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return due;
    }
    thread::sleep(left);
    Instant::now().min(due + TIMER_SLACK)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers the one connection it accepts at once, except that it sleeps `stall` before its third answer.
    fn serve_with_stall(listener: &TcpListener, stall: Duration) {
        let (mut stream, _) = listener.accept().unwrap();
        let mut buffer = [0; 1024];
        for index in 0.. {
            if stream.read(&mut buffer).unwrap() == 0 {
                return;
            }
            if index == 2 {
                thread::sleep(stall);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
        }
    }

    #[test]
    fn a_stall_is_charged_to_every_request_that_fell_due_in_it() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::new(listener.local_addr().unwrap(), "", Vec::new()).unwrap();
        thread::spawn(move || serve_with_stall(&listener, Duration::from_millis(400)));
        let window = Window::after(Duration::ZERO, Duration::from_millis(800)).unwrap();
        let sample = run(&target, "/", 1, 100.0, window).unwrap();
        // 30 requests fell due in the stall's first 300 ms and so waited for at least its last 100.
        let slow = sample.latencies.iter().filter(|nanos| **nanos >= 100_000_000).count();
        assert!(slow >= 29, "{slow} of {} were slow", sample.latencies.len());
    }

    #[test]
    fn requests_fall_due_at_the_rate() {
        let start = Instant::now();
        let schedule = Schedule { start, gap: Duration::from_millis(2), next: AtomicU64::new(0) };
        let due: Vec<_> = (0..3).filter_map(|_| schedule.take()).map(|due| due - start).collect();
        assert_eq!(due, [0, 2, 4].map(Duration::from_millis));
    }
}
