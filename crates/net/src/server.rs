//! Accepts connections and serves them, each on one of the server's threads.

use crate::body::OpenBody;
use crate::conn::{Conn, Idleness};
use crate::exec::LocalExec;
use crate::limits::Limits;
use crate::stream::Stream;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, LocalSet};
use tokio_util::sync::CancellationToken;

/// A peer that answers nothing at all for about two minutes is gone.
const GONE: socket2::TcpKeepalive = socket2::TcpKeepalive::new()
    .with_time(Duration::from_secs(60))
    .with_interval(Duration::from_secs(15))
    .with_retries(4);

/// Answers requests on one server thread.
pub trait Handler: 'static {
    /// The body of its answers.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin + 'static;

    /// Answers one request.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
        conn: Arc<Conn>,
    ) -> impl Future<Output = Response<Self::Body>> + 'static;
}

/// A server that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A thread or its runtime cannot be made.
    #[error("cannot start a server thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A bound address with its limits.
pub struct Listener {
    socket: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: Limits,
}

impl Listener {
    /// Binds.
    ///
    /// # Errors
    /// [`ServerError::Listen`].
    pub fn bind(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        limits: Limits,
    ) -> Result<Self, ServerError> {
        let bind = || {
            let socket =
                socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
            socket.set_reuse_address(true)?;
            socket.set_nonblocking(true)?;
            // Handed down to each connection: a quiet stream whose client is gone ends.
            socket.set_tcp_keepalive(&GONE)?;
            socket.bind(&address.into())?;
            socket.listen(4096)?;
            Ok(TcpListener::from(socket))
        };
        let socket = bind().map_err(|source| ServerError::Listen { address, source })?;
        Ok(Self { socket, tls, limits })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A running server.
pub struct Server {
    address: SocketAddr,
    leaving: Arc<AtomicBool>,
    closing: CancellationToken,
    ending: CancellationToken,
    threads: Vec<std::thread::JoinHandle<()>>,
}

struct Shared {
    limits: Limits,
    tls: Option<tokio_rustls::TlsAcceptor>,
    tick: Arc<AtomicU32>,
    open: AtomicUsize,
    leaving: Arc<AtomicBool>,
    closing: CancellationToken,
    ending: CancellationToken,
}

impl Server {
    /// Starts `threads` threads, each with the handler that `make` builds on it (inside its runtime).
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn start<H: Handler>(
        listener: Listener,
        threads: usize,
        name: &str,
        make: impl Fn(usize) -> Rc<H> + Send + Sync + 'static,
    ) -> Result<Self, ServerError> {
        let address = listener.local_addr()?;
        let (closing, ending) = (CancellationToken::new(), CancellationToken::new());
        let leaving = Arc::<AtomicBool>::default();
        let shared = Arc::new(Shared {
            tls: listener.tls.clone().map(tokio_rustls::TlsAcceptor::from),
            limits: listener.limits.clone(),
            tick: Arc::new(AtomicU32::new(0)),
            open: AtomicUsize::new(0),
            leaving: leaving.clone(),
            closing: closing.clone(),
            ending: ending.clone(),
        });
        let make = Arc::new(make);
        let (mut inboxes, mut started) = (Vec::new(), Vec::new());
        let mut socket = Some(listener.socket);
        let mut receivers = Vec::new();
        for _ in 0..threads.max(1) {
            let (sender, receiver) = mpsc::unbounded_channel();
            inboxes.push(sender);
            receivers.push(receiver);
        }
        for (index, receiver) in receivers.into_iter().enumerate() {
            let (shared, make, inboxes, socket) =
                (shared.clone(), make.clone(), inboxes.clone(), socket.take());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("{name}-{index}")).spawn(move || {
                let local = LocalSet::new();
                local.block_on(&runtime, async move {
                    if let Some(socket) = socket {
                        tokio::task::spawn_local(accept(socket, inboxes, shared.clone()));
                    }
                    serve_thread(make(index), receiver, shared).await;
                });
            })?;
            started.push(thread);
        }
        drop(inboxes);
        Ok(Self { address, leaving, closing, ending, threads: started })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on each answer over HTTP/1 says that its connection closes: clients move on before a request of theirs
    /// can meet the close.
    pub fn announce_end(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    /// Stops accepting, lets requests in flight end, and closes what is left after `drain`. Blocks.
    pub fn close(self, drain: Duration) {
        self.closing.cancel();
        let deadline = std::time::Instant::now() + drain;
        let is_open = || self.threads.iter().any(|thread| !thread.is_finished());
        while is_open() && std::time::Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.ending.cancel();
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a server thread panicked");
            }
        }
    }
}

async fn accept(
    socket: TcpListener,
    inboxes: Vec<mpsc::UnboundedSender<(std::net::TcpStream, SocketAddr)>>,
    shared: Arc<Shared>,
) {
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => return tracing::error!(%error, "cannot accept connections"),
    };
    let tick = shared.tick.clone();
    let clock = tokio::task::spawn_local(async move {
        let mut seconds = tokio::time::interval(Duration::from_secs(1));
        loop {
            seconds.tick().await;
            tick.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut next = inboxes.iter().cycle();
    loop {
        let accepted = tokio::select! {
            () = shared.closing.cancelled() => break,
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                if shared.open.load(Ordering::Relaxed) >= shared.limits.max_connections {
                    tracing::warn!(%peer, "connection limit reached; closed a new one");
                    continue;
                }
                shared.open.fetch_add(1, Ordering::Relaxed);
                let sent = stream.into_std().ok().zip(next.next());
                if sent.is_none_or(|(stream, inbox)| inbox.send((stream, peer)).is_err()) {
                    shared.open.fetch_sub(1, Ordering::Relaxed);
                }
            }
            // Out of descriptors: wait for some to be freed rather than spin.
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    clock.abort();
}

/// The connections of one thread, to be watched and, at the end, waited for.
type Watched = Rc<RefCell<Vec<(Arc<Conn>, AbortHandle, Idleness)>>>;

async fn serve_thread<H: Handler>(
    handler: Rc<H>,
    mut inbox: mpsc::UnboundedReceiver<(std::net::TcpStream, SocketAddr)>,
    shared: Arc<Shared>,
) {
    let watched = Watched::default();
    let watch = tokio::task::spawn_local(watch_stalls(watched.clone(), shared.limits.clone()));
    loop {
        let next = tokio::select! {
            () = shared.closing.cancelled() => break,
            next = inbox.recv() => next,
        };
        let Some((stream, peer)) = next else { break };
        let open = OpenCount(shared.clone());
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        let conn = Arc::new(Conn::new(peer, shared.tls.is_some(), shared.tick.clone()));
        let task = tokio::task::spawn_local(serve_connection(
            handler.clone(),
            stream,
            conn.clone(),
            shared.clone(),
            open,
        ));
        let fresh = conn.fresh();
        watched.borrow_mut().push((conn, task.abort_handle(), fresh));
    }
    let drained = async {
        while watched.borrow().iter().any(|(_, task, _)| !task.is_finished()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    // What is left then is dropped with the thread, and tells so where outcomes are written.
    tokio::select! {
        () = drained => {}
        () = shared.ending.cancelled() => {}
    }
    watch.abort();
}

/// Closes what stalls or is idle for too long, once a second.
async fn watch_stalls(watched: Watched, limits: Limits) {
    let ticks = |limit: Duration| u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    loop {
        seconds.tick().await;
        watched.borrow_mut().retain_mut(|(conn, task, seen)| {
            if conn.is_stalled(ticks(limits.head_timeout), ticks(limits.write_timeout))
                || conn.is_idle(seen, ticks(limits.idle_timeout))
            {
                tracing::debug!(peer = %conn.peer(), "closed a stalled connection");
                task.abort();
            }
            !task.is_finished()
        });
    }
}

struct OpenCount(Arc<Shared>);

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request until its answer has gone out: what the client sends meanwhile is no new request.
struct InFlight(Arc<Conn>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.request_ended();
    }
}

async fn serve_connection<H: Handler>(
    handler: Rc<H>,
    tcp: TcpStream,
    conn: Arc<Conn>,
    shared: Arc<Shared>,
    _open: OpenCount,
) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let stream = match &shared.tls {
        None => Stream::plain(tcp, conn.clone()),
        // A handshake that stalls is seen by the watch: nothing has been asked on this connection yet.
        Some(acceptor) => match acceptor.accept(tcp).await {
            Ok(tls) => Stream::tls(tls, conn.clone()),
            Err(error) => return tracing::debug!(peer = %conn.peer(), %error, "TLS handshake failed"),
        },
    };
    let leaving = shared.leaving.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let in_flight = InFlight(conn.clone());
        conn.request_began();
        let is_http1 = request.version() <= Version::HTTP_11;
        let answer = handler.clone().handle(request, conn.clone());
        let leaving = leaving.clone();
        // In a box of its own: hyper keeps room for the future in each connection, also while nothing is asked on it.
        Box::pin(async move {
            let mut answer = answer.await;
            if is_http1
                && leaving.load(Ordering::Relaxed)
                && answer.status() != StatusCode::SWITCHING_PROTOCOLS
            {
                answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(answer.map(|body| OpenBody::new(body, in_flight)))
        })
    });
    let mut builder = auto::Builder::new(LocalExec);
    builder.http1().max_buf_size(shared.limits.max_head_bytes.max(8192)).half_close(false);
    builder
        .http2()
        .max_concurrent_streams(shared.limits.max_streams)
        .max_header_list_size(u32::try_from(shared.limits.max_head_bytes).unwrap_or(u32::MAX));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // A token of its own: polled with the connection, it must not be a lock that all connections share.
    let closing = shared.closing.child_token();
    let ended = tokio::select! {
        biased;
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use std::io::{Read as _, Write as _};

    /// Answers `/slow` after longer than an idle connection is borne.
    struct Sleepy;

    impl Handler for Sleepy {
        type Body = Full<Bytes>;

        async fn handle(self: Rc<Self>, request: Request<Incoming>, _: Arc<Conn>) -> Response<Full<Bytes>> {
            if request.uri().path() == "/slow" {
                tokio::time::sleep(Duration::from_secs(4)).await;
            }
            Response::new(Full::from("ok"))
        }
    }

    #[test]
    fn a_connection_that_asks_nothing_more_is_closed_and_one_that_waits_is_not() {
        let limits = Limits { idle_timeout: Duration::from_secs(1), ..Limits::default() };
        let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), None, limits).unwrap();
        let server = Server::start(listener, 1, "test", |_| Rc::new(Sleepy)).unwrap();
        let ask = |path: &str| {
            let mut client = std::net::TcpStream::connect(server.address()).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
            write!(client, "GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
            client
        };
        for path in ["/quick", "/slow"] {
            let mut told = String::new();
            // Answered, and closed some time later.
            ask(path).read_to_string(&mut told).unwrap();
            assert!(told.starts_with("HTTP/1.1 200") && told.ends_with("ok"), "{path}: {told:?}");
        }
        server.close(Duration::ZERO);
    }
}
