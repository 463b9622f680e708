//! The end of a link that asks.

use super::frame::{self, Frame, Kind, Malformed, WINDOW};
use super::pump::{poll_frames, poll_write, wait, wake};
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, header};
use http_body::{Body, Frame as BodyFrame, SizeHint};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};

/// Requests in flight on one link.
const MAX_STREAMS: usize = 1_024;
/// Bytes that may wait to be written.
const MAX_WAITING: usize = 4 << 20;
/// The window of an answer that is read as fast as it comes grows up to this.
const MAX_WINDOW: usize = 2 << 20;
/// The other end is asked this often whether it is there.
const PING: Duration = Duration::from_secs(5);
/// A link on which nothing came for so long is given up.
const SILENCE: Duration = Duration::from_secs(15);

/// A request that got no answer by a link.
#[derive(Debug)]
pub(crate) struct LinkError {
    /// No byte of it was written.
    pub(crate) is_unsent: bool,
    pub(crate) why: String,
}

type Streams = ahash::HashMap<u32, Rc<RefCell<Stream>>>;

#[derive(Default)]
struct State {
    out: BytesMut,
    /// Bytes that the connection took, since its beginning.
    written: u64,
    driver: Option<Waker>,
    streams: Streams,
    last: u32,
    /// Why there is no connection any more.
    broken: Option<String>,
    /// Nobody will ask again.
    closing: bool,
}

impl State {
    /// Takes in what the other end says. What is said of a request that nobody waits for any more is passed over.
    fn take_in(&mut self, frame: Frame) -> Result<(), Malformed> {
        let Frame { kind, is_last, stream: number, payload } = frame;
        if kind == Kind::Pong {
            return Ok(());
        }
        let Some(stream) = self.streams.get(&number).cloned() else { return Ok(()) };
        let mut stream = stream.borrow_mut();
        match kind {
            Kind::Response => {
                let head = frame::response(payload)?;
                stream.allow(head.body().len())?;
                stream.head = Some(head);
            }
            Kind::Data => {
                stream.allow(payload.len())?;
                stream.chunks.push_back(payload);
            }
            Kind::Trailers => stream.trailers = Some(frame::trailers(payload)?),
            Kind::Reset => stream.end = Some(Err("the proxy gave the answer up".into())),
            _ => return Err(Malformed),
        }
        if is_last {
            stream.end = Some(Ok(()));
        }
        if stream.end.is_some() {
            self.streams.remove(&number);
        }
        wake(&mut stream.waker);
        Ok(())
    }
}

/// One request in flight.
#[derive(Default)]
struct Stream {
    /// How many bytes came before it on the connection.
    position: u64,
    head: Option<Response<Bytes>>,
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    end: Option<Result<(), String>>,
    waker: Option<Waker>,
    window: usize,
    /// Bytes that the other end may still send.
    allowed: usize,
    /// Bytes read since the other end was last given credit.
    taken: usize,
}

impl Stream {
    fn allow(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.allowed = self.allowed.checked_sub(bytes).ok_or(Malformed)?;
        Ok(())
    }
}

/// A link as those see it who ask. Dropped, it closes when the last answer has been read.
pub(crate) struct LinkClient(Rc<RefCell<State>>);

impl Drop for LinkClient {
    fn drop(&mut self) {
        let mut state = self.0.borrow_mut();
        state.closing = true;
        wake(&mut state.driver);
    }
}

impl LinkClient {
    /// Takes a connection that has become a link; its other half drives it and must be polled.
    pub(crate) fn start<IO>(io: IO) -> (Self, impl Future<Output = io::Result<()>>)
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let state = Rc::<RefCell<State>>::default();
        (Self(state.clone()), drive(state, io))
    }

    /// Whether requests may be sent by it.
    pub(crate) fn is_open(&self) -> bool {
        self.0.borrow().broken.is_none()
    }

    /// Whether it has so much to do that another connection serves better.
    pub(crate) fn is_full(&self) -> bool {
        let state = self.0.borrow();
        state.streams.len() >= MAX_STREAMS || state.out.len() >= MAX_WAITING
    }

    /// Sends a request and waits for the head of its answer. `Ok(None)`: it is too long for a link, and nothing was sent.
    pub(crate) async fn send(
        &self,
        head: &Request<()>,
        body: &[u8],
    ) -> Result<Option<Response<LinkBody>>, LinkError> {
        let asked = {
            let state = &mut *self.0.borrow_mut();
            if let Some(why) = &state.broken {
                return Err(LinkError { is_unsent: true, why: why.clone() });
            }
            state.last = state.last.wrapping_add(1);
            let position = state.written + state.out.len() as u64;
            if !frame::put_request(&mut state.out, state.last, head, body) {
                return Ok(None);
            }
            let stream = Stream { position, window: WINDOW, allowed: WINDOW, ..Stream::default() };
            let stream = Rc::new(RefCell::new(stream));
            state.streams.insert(state.last, stream.clone());
            wake(&mut state.driver);
            Asked { link: self.0.clone(), number: state.last, stream }
        };
        let answer = poll_fn(|cx| {
            let mut stream = asked.stream.borrow_mut();
            if let Some(head) = stream.head.take() {
                return Poll::Ready(Ok(head));
            }
            if let Some(Err(why)) = &stream.end {
                let is_unsent = stream.position >= asked.link.borrow().written;
                return Poll::Ready(Err(LinkError { is_unsent, why: why.clone() }));
            }
            wait(&mut stream.waker, cx);
            Poll::Pending
        })
        .await?;
        let (parts, first) = answer.into_parts();
        let length = parts.headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        Ok(Some(Response::from_parts(parts, LinkBody { asked, first, length, is_broken: false })))
    }
}

/// A request that somebody waits for; dropped before its end, the other end is told.
struct Asked {
    link: Rc<RefCell<State>>,
    number: u32,
    stream: Rc<RefCell<Stream>>,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.stream.borrow().end.is_some() {
            return;
        }
        let state = &mut *self.link.borrow_mut();
        state.streams.remove(&self.number);
        frame::put_bare(&mut state.out, Kind::Reset, self.number);
        wake(&mut state.driver);
    }
}

/// The body of an answer that comes by link.
pub(crate) struct LinkBody {
    asked: Asked,
    /// What came with the head.
    first: Bytes,
    /// What is still to come, if it was told.
    length: Option<u64>,
    /// The reader was given a turn to pass on what came before the end that broke.
    is_broken: bool,
}

impl LinkBody {
    fn count(&mut self, data: &Bytes) {
        self.length = self.length.map(|left| left.saturating_sub(data.len() as u64));
        let mut stream = self.asked.stream.borrow_mut();
        stream.taken += data.len();
        if stream.end.is_some() || stream.taken < stream.window / 2 {
            return;
        }
        let mut credit = std::mem::take(&mut stream.taken);
        if stream.chunks.is_empty() && stream.window < MAX_WINDOW {
            // Read as fast as it comes: the way is long, or wide.
            credit += stream.window;
            stream.window *= 2;
        }
        stream.allowed += credit;
        let state = &mut *self.asked.link.borrow_mut();
        frame::put_credit(&mut state.out, self.asked.number, credit);
        wake(&mut state.driver);
    }
}

impl Body for LinkBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, io::Error>>> {
        let data = if self.first.is_empty() {
            let mut stream = self.asked.stream.borrow_mut();
            match stream.chunks.pop_front() {
                Some(data) => data,
                None => {
                    if let Some(trailers) = stream.trailers.take() {
                        return Poll::Ready(Some(Ok(BodyFrame::trailers(trailers))));
                    }
                    let broken = match &stream.end {
                        Some(Ok(())) => return Poll::Ready(None),
                        Some(Err(why)) => io::Error::other(why.clone()),
                        None => {
                            wait(&mut stream.waker, cx);
                            return Poll::Pending;
                        }
                    };
                    drop(stream);
                    // hyper forgets what it has not written yet when a body breaks.
                    if !std::mem::replace(&mut self.is_broken, true) {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    return Poll::Ready(Some(Err(broken)));
                }
            }
        } else {
            std::mem::take(&mut self.first)
        };
        self.count(&data);
        Poll::Ready(Some(Ok(BodyFrame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        let stream = self.asked.stream.borrow();
        self.first.is_empty()
            && stream.chunks.is_empty()
            && stream.trailers.is_none()
            && (matches!(stream.end, Some(Ok(()))) || self.length == Some(0))
    }

    fn size_hint(&self) -> SizeHint {
        let stream = self.asked.stream.borrow();
        if matches!(stream.end, Some(Ok(()))) && stream.trailers.is_none() {
            let chunks: usize = stream.chunks.iter().map(Bytes::len).sum();
            return SizeHint::with_exact((self.first.len() + chunks) as u64);
        }
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// Reads and writes until nobody needs the link any more, or it breaks.
async fn drive<IO>(state: Rc<RefCell<State>>, mut io: IO) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = BytesMut::new();
    let mut heard = Instant::now();
    let mut ping = pin!(tokio::time::sleep(PING));
    let result = poll_fn(|cx| {
        let mut came = false;
        let ended = poll_frames(&mut io, &mut read, cx, |frame| {
            came = true;
            state.borrow_mut().take_in(frame)
        })?;
        let state = &mut *state.borrow_mut();
        state.driver = Some(cx.waker().clone());
        if came {
            heard = Instant::now();
        }
        while ping.as_mut().poll(cx).is_ready() {
            if heard.elapsed() >= SILENCE {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
            }
            frame::put_bare(&mut state.out, Kind::Ping, 0);
            ping.as_mut().reset(tokio::time::Instant::now() + PING);
        }
        let is_written = poll_write(&mut io, &mut state.out, &mut state.written, cx)?.is_ready();
        if ended {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof)));
        }
        if state.closing && state.streams.is_empty() && is_written {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    })
    .await;
    let why = result.as_ref().err().map_or_else(|| "closed".to_owned(), ToString::to_string);
    let streams = {
        let mut state = state.borrow_mut();
        state.broken = Some(why.clone());
        std::mem::take(&mut state.streams)
    };
    for stream in streams.into_values() {
        let mut stream = stream.borrow_mut();
        stream.end = Some(Err(why.clone()));
        wake(&mut stream.waker);
    }
    result
}
