//! Connections of one thread to its peers, kept open between requests.

use crate::dial::{Peer, Protocol};
use crate::gate::{Gate, Gated};
use crate::links::{LinkToken, Links};
use crate::response::ResponseBody;
use bytes::Bytes;
use http::{Request, Response, header};
use hyper::body::Body;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// HTTP/1 connections kept for one peer, free or not.
const MAX_KNOWN: usize = 1_024;
/// An idle connection is not used again after this long.
const MAX_IDLE_AGE: Duration = Duration::from_secs(55);

/// The most that is read from a connection at once: long bodies in few pieces.
const MAX_READ: usize = 256 * 1024;
/// The longest body that goes by link.
const MAX_LINKED: usize = 64 * 1024;

/// A request body, as far as the way it is sent depends on it.
pub trait Upload {
    /// The body, when all of it is there and no trailers follow.
    fn whole(&self) -> Option<Bytes>;

    /// A count that moves with each piece of a body that takes its time; none for one that is all there.
    fn progress(&self) -> Option<Rc<Cell<u64>>>;
}

/// A request that got no response head.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No byte of the request was written: it may be sent elsewhere.
    #[error("cannot connect: {0}")]
    Unsent(String),
    /// The request may have arrived; nobody knows how it ended.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Connecting took too long; no byte was written.
    #[error("connecting took too long")]
    ConnectTimeout,
    /// The head of the response took too long.
    #[error("no answer in time")]
    Timeout,
}

impl SendError {
    /// Whether it is certain that nothing was written.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::Unsent(_) | Self::ConnectTimeout)
    }
}

enum Sent<B> {
    Answered(Response<ResponseBody>),
    /// Nothing of it was written.
    Not(Request<B>),
}

struct Idle<B> {
    sender: http1::SendRequest<B>,
    since: Instant,
}

struct Peers<B> {
    idle: HashMap<u64, VecDeque<Idle<B>>>,
    multiplexed: HashMap<u64, http2::SendRequest<B>>,
}

/// The pool of one thread. Peers are told apart by a number that the caller gives them: a peer whose address or TLS
/// settings change gets a new one.
pub struct Pool<B> {
    peers: Rc<RefCell<Peers<B>>>,
    connect_timeout: Duration,
    gate: Option<Gate>,
    links: Option<Links>,
}

impl<B> Clone for Pool<B> {
    fn clone(&self) -> Self {
        Self {
            peers: self.peers.clone(),
            connect_timeout: self.connect_timeout,
            gate: self.gate.clone(),
            links: self.links.clone(),
        }
    }
}

impl<B> Pool<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Upload + Unpin + 'static,
{
    /// An empty pool.
    pub fn new(connect_timeout: Duration) -> Self {
        let peers = Peers { idle: HashMap::new(), multiplexed: HashMap::new() };
        Self { peers: Rc::new(RefCell::new(peers)), connect_timeout, gate: None, links: None }
    }

    /// Asks `gate` before each write to a peer.
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// Sends what is small and whole by links, to peers for which `token` gives a credential.
    pub fn linked(self, token: LinkToken) -> Self {
        Self { links: Some(Links::new(token, self.connect_timeout)), ..self }
    }

    async fn dial(&self, peer: &Peer, protocol: Protocol) -> Result<TokioIo<Gated>, SendError> {
        let link = peer.dial(protocol).await.map_err(|error| SendError::Unsent(error.to_string()))?;
        Ok(TokioIo::new(Gated { link, gate: self.gate.clone() }))
    }

    /// Closes the idle connections to a peer.
    pub fn forget(&self, key: u64) {
        let mut peers = self.peers.borrow_mut();
        peers.idle.remove(&key);
        peers.multiplexed.remove(&key);
        if let Some(links) = &self.links {
            links.forget(key);
        }
    }

    /// Sends one request and waits for the head of its response, at most `timeout` since the body last moved.
    ///
    /// A pooled connection that closed before a byte was written is replaced; a request that may have been written
    /// is never written again.
    ///
    /// # Errors
    /// [`SendError`].
    pub async fn send(
        &self,
        key: u64,
        peer: &Peer,
        protocol: Protocol,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ResponseBody>, SendError> {
        match protocol {
            Protocol::Http1 => match self.send_linked(key, peer, request, timeout).await? {
                Sent::Answered(response) => Ok(response),
                Sent::Not(request) => self.send_http1(key, peer, request, timeout).await,
            },
            Protocol::Http2 => self.send_http2(key, peer, request, timeout).await,
        }
    }

    /// Sends by link what may go by link.
    async fn send_linked(
        &self,
        key: u64,
        peer: &Peer,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Sent<B>, SendError> {
        let Some(links) = &self.links else { return Ok(Sent::Not(request)) };
        let Some(whole) = request.body().whole().filter(|body| body.len() <= MAX_LINKED) else {
            return Ok(Sent::Not(request));
        };
        if request.headers().contains_key(header::UPGRADE) {
            return Ok(Sent::Not(request));
        }
        let Some(link) = links.to(key, peer) else { return Ok(Sent::Not(request)) };
        let (head, body) = request.into_parts();
        let head = Request::from_parts(head, ());
        match within(timeout, None, link.send(&head, &whole)).await? {
            Ok(Some(response)) => Ok(Sent::Answered(response.map(Into::into))),
            Err(error) if !error.is_unsent => Err(SendError::Broken(error.why)),
            Ok(None) | Err(_) => Ok(Sent::Not(head.map(|()| body))),
        }
    }

    async fn send_http1(
        &self,
        key: u64,
        peer: &Peer,
        mut request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ResponseBody>, SendError> {
        let mut pooled = self.take_idle(key);
        loop {
            let was_pooled = pooled.is_some();
            let mut sender = match pooled.take() {
                Some(sender) => sender,
                None => self.connect_http1(peer).await?,
            };
            let upload = request.body().progress();
            match within(timeout, upload, sender.try_send_request(request)).await? {
                Ok(response) => {
                    self.put_back(key, sender);
                    return Ok(response.map(Into::into));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if was_pooled => {
                        request = unsent;
                        pooled = self.take_idle(key);
                    }
                    Some(_) => return Err(SendError::Unsent(error.into_error().to_string())),
                    None => return Err(SendError::Broken(error.into_error().to_string())),
                },
            }
        }
    }

    async fn send_http2(
        &self,
        key: u64,
        peer: &Peer,
        mut request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ResponseBody>, SendError> {
        for fresh in [false, true] {
            let known =
                self.peers.borrow().multiplexed.get(&key).filter(|sender| !sender.is_closed()).cloned();
            let mut sender = match known {
                Some(sender) if !fresh => sender,
                _ => self.connect_http2(key, peer).await?,
            };
            let upload = request.body().progress();
            match within(timeout, upload, sender.try_send_request(request)).await? {
                Ok(response) => return Ok(response.map(Into::into)),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    Some(_) => return Err(SendError::Unsent(error.into_error().to_string())),
                    None => return Err(SendError::Broken(error.into_error().to_string())),
                },
            }
        }
        Err(SendError::Unsent("no connection".into()))
    }

    /// A connection that is free now. Those that still carry an answer stay in the queue: asking them is cheaper than
    /// being told by a task for each request.
    fn take_idle(&self, key: u64) -> Option<http1::SendRequest<B>> {
        let mut peers = self.peers.borrow_mut();
        let known = peers.idle.get_mut(&key)?;
        for _ in 0..known.len() {
            let Idle { sender, since } = known.pop_front()?;
            if sender.is_closed() {
                continue;
            }
            if !sender.is_ready() {
                known.push_back(Idle { sender, since });
            } else if since.elapsed() < MAX_IDLE_AGE {
                return Some(sender);
            }
        }
        None
    }

    fn put_back(&self, key: u64, sender: http1::SendRequest<B>) {
        let mut peers = self.peers.borrow_mut();
        let known = peers.idle.entry(key).or_default();
        if known.len() < MAX_KNOWN {
            known.push_back(Idle { sender, since: Instant::now() });
        }
    }

    async fn connect_http1(&self, peer: &Peer) -> Result<http1::SendRequest<B>, SendError> {
        let connect = async {
            let link = self.dial(peer, Protocol::Http1).await?;
            http1::Builder::new()
                .max_buf_size(MAX_READ)
                .handshake(link)
                .await
                .map_err(|error| SendError::Unsent(error.to_string()))
        };
        let (sender, connection) = tokio::time::timeout(self.connect_timeout, connect)
            .await
            .map_err(|_| SendError::ConnectTimeout)??;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection to a peer ended");
            }
        });
        Ok(sender)
    }

    async fn connect_http2(&self, key: u64, peer: &Peer) -> Result<http2::SendRequest<B>, SendError> {
        let connect = async {
            let link = self.dial(peer, Protocol::Http2).await?;
            http2::Builder::new(LocalExec)
                .handshake(link)
                .await
                .map_err(|error| SendError::Unsent(error.to_string()))
        };
        let (sender, connection) = tokio::time::timeout(self.connect_timeout, connect)
            .await
            .map_err(|_| SendError::ConnectTimeout)??;
        tokio::task::spawn_local(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection to a peer ended");
            }
        });
        self.peers.borrow_mut().multiplexed.insert(key, sender.clone());
        Ok(sender)
    }
}

async fn within<T>(
    timeout: Option<Duration>,
    upload: Option<Rc<Cell<u64>>>,
    work: impl Future<Output = T>,
) -> Result<T, SendError> {
    let Some(timeout) = timeout else { return Ok(work.await) };
    let mut work = std::pin::pin!(work);
    loop {
        let before = upload.as_ref().map(|upload| upload.get());
        if let Ok(done) = tokio::time::timeout(timeout, work.as_mut()).await {
            return Ok(done);
        }
        if upload.as_ref().map(|upload| upload.get()) == before {
            return Err(SendError::Timeout);
        }
    }
}

/// Runs hyper's HTTP/2 tasks on the pool's thread.
#[derive(Clone, Copy)]
struct LocalExec;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExec {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}
