//! A wire between `api` and a proxy that can be tapped, cut and frozen.

use super::ANY;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Bytes pass.
    Whole,
    /// Connections stay open, and nothing passes.
    Frozen,
    /// Connections are closed, new ones at once.
    Cut,
}

/// A connection belongs to the wire as it was: one that was cut stays so, however soon the wire is whole again.
#[derive(Clone, Copy)]
struct Wire {
    state: State,
    cuts: u64,
}

/// The wire in front of one proxy. Dropping it cuts it for good.
pub struct Relay {
    address: SocketAddr,
    state: Arc<watch::Sender<Wire>>,
    /// What `api` sent, one element a connection.
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
    task: AbortHandle,
}

impl Relay {
    pub(super) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, sent) =
            (Arc::new(watch::Sender::new(Wire { state: State::Whole, cuts: 0 })), Arc::default());
        let task = tokio::spawn(accept(listener, to, Arc::clone(&state), Arc::clone(&sent))).abort_handle();
        Self { address, state, sent, task }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes every connection, and new ones at once.
    pub fn cut(&self) {
        self.state.send_modify(|wire| *wire = Wire { state: State::Cut, cuts: wire.cuts + 1 });
    }

    /// Keeps connections and passes nothing on, as a network does that loses everything.
    pub fn freeze(&self) {
        self.state.send_modify(|wire| wire.state = State::Frozen);
    }

    /// Passes everything on again.
    pub fn heal(&self) {
        self.state.send_modify(|wire| wire.state = State::Whole);
    }

    /// What `api` sent, one element a connection.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.sent.lock().unwrap().clone()
    }

    /// The last request that `api` sent whose head begins so, whole.
    pub fn last_request(&self, beginning: &str) -> Option<Vec<u8>> {
        use doorman_testkit::message::Head;
        self.sent().iter().rev().find_map(|bytes| {
            let at = bytes.windows(beginning.len()).rposition(|window| window == beginning.as_bytes())?;
            let (head, head_end) = Head::parse(&bytes[at..])?;
            let (_, body_end) = head.request_framing().decode(&bytes[at + head_end..])?;
            Some(bytes[at..at + head_end + body_end].to_vec())
        })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    to: SocketAddr,
    state: Arc<watch::Sender<Wire>>,
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let Ok((near, _)) = listener.accept().await else { return };
        let Wire { state: now, cuts } = *state.borrow();
        if now == State::Cut {
            continue;
        }
        let (state, sent) = (state.subscribe(), Arc::clone(&sent));
        connections.spawn(async move {
            let Ok(far) = TcpStream::connect(to).await else { return };
            let _ = (near.set_nodelay(true), far.set_nodelay(true));
            let number = {
                let mut sent = sent.lock().unwrap();
                sent.push(Vec::new());
                sent.len() - 1
            };
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            let keep = |bytes: &[u8]| sent.lock().unwrap()[number].extend_from_slice(bytes);
            let mut watched = state.clone();
            tokio::select! {
                () = pass(near_in, far_out, (state.clone(), cuts), keep) => {}
                () = pass(far_in, near_out, (state, cuts), |_| {}) => {}
                _ = watched.wait_for(|wire| wire.cuts != cuts) => {}
            }
        });
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    (mut state, cuts): (watch::Receiver<Wire>, u64),
    keep: impl Fn(&[u8]),
) {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        // What was under way when the wire was cut is lost with it.
        match state.wait_for(|wire| wire.state != State::Frozen).await {
            Ok(now) if now.cuts == cuts => {}
            _ => return,
        }
        keep(&bytes[..read]);
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
