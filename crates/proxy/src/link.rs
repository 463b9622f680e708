//! Links that `api` opens to this proxy: the same requests, judged the same way, many at once over one connection.

use crate::answer::{AnswerBody, plain};
use crate::handler::{Asked, ProxyHandler};
use doorman_egress::{LINK_PROTOCOL, serve_link};
use doorman_net::OpenBody;
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// How many links each server thread carries.
pub(crate) struct LinkCounts(Box<[AtomicUsize]>);

impl LinkCounts {
    pub(crate) fn new(threads: usize) -> Self {
        Self((0..threads.max(1)).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Counts one more on a thread, unless another has fewer: all of a link's requests are its thread's.
    fn take(&self, thread: usize) -> bool {
        let fewest = self.0.iter().map(|count| count.load(Relaxed)).min().unwrap_or_default();
        let Some(mine) = self.0.get(thread) else { return false };
        mine.load(Relaxed) <= fewest && {
            mine.fetch_add(1, Relaxed);
            true
        }
    }
}

/// A link of a thread, counted while it is open.
struct Counted {
    proxy: Rc<ProxyHandler>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(count) = self.proxy.shared.links.0.get(self.proxy.thread) {
            count.fetch_sub(1, Relaxed);
        }
    }
}

/// Turns the connection of an authenticated request into a link.
pub(crate) fn open(proxy: &Rc<ProxyHandler>, request: Request<Incoming>) -> Response<AnswerBody> {
    let wanted = request.headers().get(header::UPGRADE).map(HeaderValue::as_bytes);
    if wanted != Some(LINK_PROTOCOL.as_bytes()) {
        return plain(StatusCode::UPGRADE_REQUIRED, "text/plain", "this is for links alone\n");
    }
    if !proxy.shared.links.take(proxy.thread) {
        return plain(StatusCode::MISDIRECTED_REQUEST, "text/plain", "another thread has fewer links\n");
    }
    let counted = Counted { proxy: proxy.clone() };
    tokio::task::spawn_local(async move {
        let served = match hyper::upgrade::on(request).await {
            Ok(io) => serve(&counted.proxy, TokioIo::new(io)).await,
            Err(error) => Err(std::io::Error::other(error)),
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a link broke");
        }
    });
    let mut answer = Response::new(AnswerBody::Full(None));
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().insert(header::UPGRADE, HeaderValue::from_static(LINK_PROTOCOL));
    answer
}

async fn serve(proxy: &Rc<ProxyHandler>, io: TokioIo<hyper::upgrade::Upgraded>) -> std::io::Result<()> {
    serve_link(io, |request| {
        let proxy = proxy.clone();
        async move {
            let in_flight = proxy.shared.begin();
            let answer = proxy.answer(request.map(Asked::Whole)).await;
            answer.map(|body| OpenBody::new(body, in_flight))
        }
    })
    .await
}
