//! The end of a link that answers.

use super::frame::{self, Frame, Kind, MAX_DATA, Malformed, WINDOW};
use super::pump::{poll_frames, poll_write, wait, wake};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, Request, Response};
use http_body::Body;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// Requests in flight on one link: more than an asking end sends.
const MAX_STREAMS: usize = 2_048;
/// While so much waits to be written, no more of any body is read.
const MAX_WAITING: usize = 256 * 1024;
/// A link on which nothing came for so long is closed: the asking end pings.
const SILENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct State {
    out: BytesMut,
    streams: ahash::HashMap<u32, Rc<RefCell<Stream>>>,
    /// Answers that wait until less does.
    crowd: Vec<Waker>,
}

/// One request that is being answered.
#[derive(Default)]
struct Stream {
    /// Bytes of the body that may be sent.
    window: usize,
    /// Nobody wants the answer any more.
    is_reset: bool,
    waker: Option<Waker>,
}

/// Answers requests by `handler` until the other end closes the link, or breaks its rules. A request that nobody waits
/// for any more is dropped where it stands.
///
/// # Errors
/// How the connection broke.
pub async fn serve_link<IO, H, F, B>(mut io: IO, handler: H) -> io::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    H: Fn(Request<Bytes>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes> + Unpin,
{
    let state = Rc::<RefCell<State>>::default();
    let mut answers = FuturesUnordered::new();
    let mut read = BytesMut::new();
    let mut written = 0;
    let mut silence = pin!(tokio::time::sleep(SILENCE));
    let mut heard = false;
    poll_fn(|cx| {
        let ended = poll_frames(&mut io, &mut read, cx, |frame| {
            heard = true;
            if let Some((number, stream, request)) = state.borrow_mut().take_in(frame)? {
                answers.push(answer(state.clone(), number, stream, handler(request)));
            }
            Ok(())
        })?;
        if ended {
            return Poll::Ready(Ok(()));
        }
        while silence.as_mut().poll(cx).is_ready() {
            if !std::mem::take(&mut heard) {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut)));
            }
            silence.as_mut().reset(tokio::time::Instant::now() + SILENCE);
        }
        loop {
            while let Poll::Ready(Some(())) = answers.poll_next_unpin(cx) {}
            let state = &mut *state.borrow_mut();
            if poll_write(&mut io, &mut state.out, &mut written, cx)?.is_pending() || state.crowd.is_empty() {
                return Poll::Pending;
            }
            state.crowd.drain(..).for_each(Waker::wake);
        }
    })
    .await
}

type Opened = (u32, Rc<RefCell<Stream>>, Request<Bytes>);

impl State {
    fn take_in(&mut self, frame: Frame) -> Result<Option<Opened>, Malformed> {
        let number = frame.stream;
        match frame.kind {
            Kind::Request => {
                let request = frame::request(frame.payload)?;
                let stream = Rc::new(RefCell::new(Stream { window: WINDOW, ..Stream::default() }));
                let known = self.streams.insert(number, stream.clone());
                if known.is_some() || self.streams.len() > MAX_STREAMS {
                    return Err(Malformed);
                }
                return Ok(Some((number, stream, request)));
            }
            Kind::Ping => frame::put_bare(&mut self.out, Kind::Pong, 0),
            Kind::Credit => {
                let bytes = frame::credit(frame.payload)?;
                if let Some(stream) = self.streams.get(&number) {
                    let mut stream = stream.borrow_mut();
                    stream.window = stream.window.saturating_add(bytes);
                    wake(&mut stream.waker);
                }
            }
            Kind::Reset => {
                if let Some(stream) = self.streams.remove(&number) {
                    let mut stream = stream.borrow_mut();
                    stream.is_reset = true;
                    wake(&mut stream.waker);
                }
            }
            Kind::Response | Kind::Data | Kind::Trailers | Kind::Pong => return Err(Malformed),
        }
        Ok(None)
    }
}

/// Answers one request, unless the other end says that nobody wants it.
async fn answer<B: Body<Data = Bytes> + Unpin>(
    state: Rc<RefCell<State>>,
    number: u32,
    stream: Rc<RefCell<Stream>>,
    handling: impl Future<Output = Response<B>>,
) {
    let mut work = pin!(async {
        let whole = write_answer(&state, number, &stream, handling.await).await;
        let mut state = state.borrow_mut();
        if state.streams.remove(&number).is_some() && !whole {
            frame::put_bare(&mut state.out, Kind::Reset, number);
        }
    });
    poll_fn(|cx| {
        if stream.borrow().is_reset {
            return Poll::Ready(());
        }
        let polled = work.as_mut().poll(cx);
        if polled.is_pending() {
            wait(&mut stream.borrow_mut().waker, cx);
        }
        polled
    })
    .await;
}

/// Writes an answer as its body comes; `false` when it broke off.
async fn write_answer<B: Body<Data = Bytes> + Unpin>(
    state: &RefCell<State>,
    number: u32,
    stream: &RefCell<Stream>,
    response: Response<B>,
) -> bool {
    let (parts, mut body) = response.into_parts();
    // What there is of the body goes with the head.
    let first = poll_fn(|cx| Poll::Ready(poll_piece(&mut body, cx))).await;
    let (mut data, mut then) = match first {
        Poll::Pending => (Bytes::new(), Then::More),
        Poll::Ready(Some(piece)) => piece,
        Poll::Ready(None) => return false,
    };
    let with_head = data.split_to(data.len().min(MAX_DATA));
    let is_last = data.is_empty() && matches!(then, Then::End);
    {
        let out = &mut state.borrow_mut().out;
        if !frame::put_response(out, number, parts.status, &parts.headers, &with_head, is_last) {
            return false;
        }
    }
    stream.borrow_mut().window -= with_head.len();
    loop {
        while !data.is_empty() {
            let room = poll_fn(|cx| poll_room(state, stream, cx)).await;
            let piece = data.split_to(data.len().min(room));
            let is_last = data.is_empty() && matches!(then, Then::End);
            frame::put_data(&mut state.borrow_mut().out, number, &piece, is_last);
            stream.borrow_mut().window -= piece.len();
        }
        match then {
            Then::End => return true,
            Then::Trailers(trailers) => {
                return frame::put_trailers(&mut state.borrow_mut().out, number, &trailers);
            }
            Then::More => {}
        }
        let Some(piece) = poll_fn(|cx| poll_piece(&mut body, cx)).await else { return false };
        (data, then) = piece;
        if data.is_empty() && matches!(then, Then::End) {
            frame::put_data(&mut state.borrow_mut().out, number, &[], true);
        }
    }
}

/// What comes behind a piece of a body.
enum Then {
    More,
    Trailers(HeaderMap),
    End,
}

/// The next piece of a body and what is behind it; none when the body breaks off.
fn poll_piece<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    cx: &mut Context<'_>,
) -> Poll<Option<(Bytes, Then)>> {
    Pin::new(&mut *body).poll_frame(cx).map(|frame| {
        let Some(frame) = frame else { return Some((Bytes::new(), Then::End)) };
        Some(match frame.ok()?.into_data() {
            Ok(data) if body.is_end_stream() => (data, Then::End),
            Ok(data) => (data, Then::More),
            Err(frame) => (Bytes::new(), frame.into_trailers().map_or(Then::End, Then::Trailers)),
        })
    })
}

/// How much of a body may be written now.
fn poll_room(state: &RefCell<State>, stream: &RefCell<Stream>, cx: &Context<'_>) -> Poll<usize> {
    let mut state = state.borrow_mut();
    if state.out.len() >= MAX_WAITING {
        state.crowd.push(cx.waker().clone());
        return Poll::Pending;
    }
    match stream.borrow().window.min(MAX_DATA) {
        // Whoever brings credit wakes the answer.
        0 => Poll::Pending,
        room => Poll::Ready(room),
    }
}
