//! What is known of one client connection, and the watch that closes those that stall.
//!
//! Stalls are counted in ticks of one second that the server's clock task advances: a request pays two relaxed
//! stores for it and no timer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// One request in the upper half of [`Conn::requests`].
const BEGUN: u64 = 1 << 32;

/// What the watch saw of a connection when it last was at work.
pub(crate) struct Idleness {
    requests: u64,
    since: u32,
}

/// One client connection.
pub struct Conn {
    peer: SocketAddr,
    tls: bool,
    tick: Arc<AtomicU32>,
    /// In the lower half requests being answered: while there is one, reading is the handler's to watch. In the upper half
    /// all requests so far, so that counting both is one step.
    requests: AtomicU64,
    /// The tick (plus one) at which the client began something that it has not finished; 0 when nothing is pending.
    waiting_since: AtomicU32,
    /// The same for a write that the client does not take.
    blocked_since: AtomicU32,
    /// Bytes read lately that hold a `#`: see [`Conn::sent_fragment`].
    suspect: Mutex<Vec<u8>>,
    suspect_len: AtomicUsize,
}

impl Conn {
    pub(crate) fn new(peer: SocketAddr, tls: bool, tick: Arc<AtomicU32>) -> Self {
        let now = tick.load(Relaxed) + 1;
        Self {
            peer,
            tls,
            tick,
            requests: AtomicU64::new(0),
            waiting_since: AtomicU32::new(now),
            blocked_since: AtomicU32::new(0),
            suspect: Mutex::new(Vec::new()),
            suspect_len: AtomicUsize::new(0),
        }
    }

    /// The client's address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether the client sent exactly `request_line_start` followed by `#`.
    ///
    /// HTTP libraries drop a fragment from the request target before anyone sees it. The door must refuse such a
    /// target rather than judge what is left of it, so the stream keeps the few reads that hold a `#`.
    pub fn sent_fragment(&self, request_line_start: &str) -> bool {
        if self.suspect_len.load(Relaxed) == 0 {
            return false;
        }
        let Ok(suspect) = self.suspect.lock() else { return true };
        let mut needle = Vec::with_capacity(request_line_start.len() + 1);
        needle.extend_from_slice(request_line_start.as_bytes());
        needle.push(b'#');
        memchr::memmem::find(&suspect, &needle).is_some()
    }

    pub(crate) fn keep_suspect(&self, carried: &[u8], read: &[u8], at_most: usize) {
        let Ok(mut suspect) = self.suspect.lock() else { return };
        suspect.extend_from_slice(carried);
        suspect.extend_from_slice(read);
        let surplus = suspect.len().saturating_sub(at_most);
        suspect.drain(..surplus);
        self.suspect_len.store(suspect.len(), Relaxed);
    }

    pub(crate) fn bytes_read(&self) {
        if self.in_flight() == 0 && self.waiting_since.load(Relaxed) == 0 {
            self.waiting_since.store(self.tick.load(Relaxed) + 1, Relaxed);
        }
    }

    pub(crate) fn request_began(&self) {
        self.requests.fetch_add(BEGUN | 1, Relaxed);
        self.waiting_since.store(0, Relaxed);
    }

    pub(crate) fn request_ended(&self) {
        self.requests.fetch_sub(1, Relaxed);
    }

    fn in_flight(&self) -> u32 {
        self.requests.load(Relaxed) as u32
    }

    /// As the watch first sees it.
    pub(crate) fn fresh(&self) -> Idleness {
        Idleness { requests: 0, since: self.tick.load(Relaxed) }
    }

    /// Whether there was nothing to answer since `seen`, for longer than allowed in ticks.
    pub(crate) fn is_idle(&self, seen: &mut Idleness, idle_ticks: u32) -> bool {
        let (now, requests) = (self.tick.load(Relaxed), self.requests.load(Relaxed));
        if self.in_flight() != 0 || requests != seen.requests {
            *seen = Idleness { requests, since: now };
        }
        now.saturating_sub(seen.since) > idle_ticks
    }

    pub(crate) fn write_blocked(&self, blocked: bool) {
        if !blocked {
            self.blocked_since.store(0, Relaxed);
        } else if self.blocked_since.load(Relaxed) == 0 {
            self.blocked_since.store(self.tick.load(Relaxed) + 1, Relaxed);
        }
    }

    /// Whether the client has stalled for longer than allowed, both in ticks.
    pub(crate) fn is_stalled(&self, head_ticks: u32, write_ticks: u32) -> bool {
        let now = self.tick.load(Relaxed) + 1;
        let beyond = |since: u32, limit: u32| since != 0 && now.saturating_sub(since) > limit;
        beyond(self.waiting_since.load(Relaxed), head_ticks)
            || beyond(self.blocked_since.load(Relaxed), write_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_idle_when_nothing_was_asked_for_too_long_and_never_while_it_is_answered() {
        let tick = Arc::new(AtomicU32::new(7));
        let conn = Conn::new(SocketAddr::from(([127, 0, 0, 1], 1)), false, tick.clone());
        let mut seen = conn.fresh();
        let mut idle_after = |ticks: u32| {
            tick.fetch_add(ticks, Relaxed);
            conn.is_idle(&mut seen, 10)
        };
        assert!(!idle_after(10));
        conn.request_began();
        assert!(!idle_after(1_000), "an answer may take its time");
        conn.request_ended();
        assert!(!idle_after(10));
        // One that came and went between two looks counts as well.
        conn.request_began();
        conn.request_ended();
        assert!(!idle_after(1));
        assert!(!idle_after(10) && idle_after(1));
        assert_eq!(conn.in_flight(), 0);
    }
}
