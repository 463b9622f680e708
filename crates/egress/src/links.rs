//! The links of one thread, one to each peer that offers them. A link is opened beside the requests: until it is there,
//! and where there is none to be had, they go by connections of their own.

use crate::dial::{Peer, Protocol};
use crate::link::{LINK_PATH, LINK_PROTOCOL, LinkClient};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// After a failure a peer is not asked again for so long.
const RETRY: Duration = Duration::from_secs(5);
/// A proxy shares its links out among its threads: what lands on one that has enough is asked for again.
const DIALS: usize = 8;

/// Gives the credential with which the peer of this number is asked for a link; none when it shall not be asked.
pub type LinkToken = Rc<dyn Fn(u64) -> Option<String>>;

enum Slot {
    Opening,
    Open(Rc<LinkClient>),
    FailedAt(Instant),
}

/// All links of a thread.
#[derive(Clone)]
pub(crate) struct Links {
    slots: Rc<RefCell<HashMap<u64, Slot>>>,
    token: LinkToken,
    connect_timeout: Duration,
}

impl Links {
    pub(crate) fn new(token: LinkToken, connect_timeout: Duration) -> Self {
        Self { slots: Rc::default(), token, connect_timeout }
    }

    /// The link to a peer, if there is one that has room. If there is none yet, one is opened for those who come later.
    pub(crate) fn to(&self, key: u64, peer: &Peer) -> Option<Rc<LinkClient>> {
        let mut slots = self.slots.borrow_mut();
        match slots.get(&key) {
            Some(Slot::Open(link)) if link.is_open() => {
                return Some(link).filter(|link| !link.is_full()).cloned();
            }
            Some(Slot::Opening) => return None,
            Some(Slot::FailedAt(at)) if at.elapsed() < RETRY => return None,
            Some(Slot::Open(_) | Slot::FailedAt(_)) | None => {}
        }
        // Processes that are gone are not asked for any more.
        slots.retain(|_, slot| !matches!(slot, Slot::Open(link) if !link.is_open()));
        slots.insert(key, Slot::Opening);
        drop(slots);
        tokio::task::spawn_local(self.clone().open(key, peer.clone()));
        None
    }

    /// Sends nothing more to a peer by link.
    pub(crate) fn forget(&self, key: u64) {
        self.slots.borrow_mut().remove(&key);
    }

    async fn open(self, key: u64, peer: Peer) {
        let opened = tokio::time::timeout(self.connect_timeout, self.ask(key, &peer)).await;
        let slot = match opened.map_err(|_| "no answer in time".to_owned()).flatten() {
            Ok(link) => Slot::Open(Rc::new(link)),
            Err(why) => {
                tracing::debug!(peer = peer.authority(), why, "no link");
                Slot::FailedAt(Instant::now())
            }
        };
        // A peer that was forgotten meanwhile may be another process now.
        if let Some(waiting @ Slot::Opening) = self.slots.borrow_mut().get_mut(&key) {
            *waiting = slot;
        }
    }

    async fn ask(&self, key: u64, peer: &Peer) -> Result<LinkClient, String> {
        let token = (self.token)(key).ok_or("not to be asked")?;
        for _ in 0..DIALS {
            let io = peer.dial(Protocol::Http1).await.map_err(|error| error.to_string())?;
            let (mut sender, connection) =
                http1::handshake(TokioIo::new(io)).await.map_err(|error| error.to_string())?;
            tokio::task::spawn_local(async move {
                // Its end is seen by whoever waits for the answer.
                let _ = connection.with_upgrades().await;
            });
            let mut response =
                sender.send_request(question(peer, &token)?).await.map_err(|error| error.to_string())?;
            match response.status() {
                StatusCode::SWITCHING_PROTOCOLS => {}
                StatusCode::MISDIRECTED_REQUEST => continue,
                status => return Err(format!("the peer answered {status}")),
            }
            let io = hyper::upgrade::on(&mut response).await.map_err(|error| error.to_string())?;
            let (link, driver) = LinkClient::start(TokioIo::new(io));
            let name = peer.authority().to_owned();
            tokio::task::spawn_local(async move {
                if let Err(error) = driver.await {
                    tracing::debug!(peer = name, %error, "a link broke");
                }
            });
            return Ok(link);
        }
        Err("every thread of the peer has links enough".into())
    }
}

fn question(peer: &Peer, token: &str) -> Result<Request<Empty<bytes::Bytes>>, String> {
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = http::Uri::from_static(LINK_PATH);
    let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|error| error.to_string())?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, peer.host_header().clone());
    headers.insert(header::AUTHORIZATION, bearer);
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(LINK_PROTOCOL));
    Ok(request)
}
