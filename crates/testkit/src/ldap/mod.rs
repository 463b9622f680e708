//! A small read-only LDAP server fed from a file: the demo's directory, and a double of a directory for tests.
//!
//! It answers what a client may ask (bind, search, who am I) and can be told to misbehave. Like the worst of its kind it
//! takes a name with an empty password for an anonymous login; an anonymous client may read nothing.

mod dn;
mod faults;
mod file;
mod session;
mod tree;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::faults::{Fault, Faults, Request};
use self::file::Live;
pub use self::file::{DirectoryFile, DirectoryFileError, demo_directory_toml, hash_password};

/// Connections served at a time. Further ones are closed at once.
const MAX_CONNECTIONS: usize = 256;
/// Passwords checked at a time: each takes 19 MiB and a core.
const MAX_CHECKS: usize = 2;

/// A running server. It ends when this value is dropped.
pub struct EmbeddedLdap {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What all connections have in common.
struct Shared {
    directory: Live,
    checks: Arc<Semaphore>,
    faults: Faults,
    requests: Mutex<Vec<Request>>,
}

impl EmbeddedLdap {
    /// Listens at `listen`; port 0 takes a free one.
    pub async fn start(listen: SocketAddr, file: DirectoryFile) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let server = Self {
            address: listener.local_addr()?,
            shared: Arc::new(Shared {
                directory: Live::new(file),
                checks: Arc::new(Semaphore::new(MAX_CHECKS)),
                faults: Faults::default(),
                requests: Mutex::default(),
            }),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let accepting =
            accept(listener, Arc::clone(&server.shared), server.stop.clone(), server.tasks.clone());
        server.tasks.spawn(accepting);
        Ok(server)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// What it is told to do wrong.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// Takes the requests that came in since the last call, in order.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.shared.requests.lock())
    }

    /// Closes all connections and waits until they are.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for EmbeddedLdap {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Shared {
    fn note(&self, request: Request) {
        let mut requests = self.requests.lock();
        // Nobody takes them in the demo.
        if requests.len() < 1_000 {
            requests.push(request);
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, stop: CancellationToken, tasks: TaskTracker) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, most likely: wait for some to be closed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else { continue };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                _ = session::serve(stream, shared) => {}
            }
            drop(slot);
        });
    }
}
