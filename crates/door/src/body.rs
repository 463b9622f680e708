//! Bodies on their way through the door: read whole up to a limit, or bound by a prefix and streamed.

use crate::outcome::OutcomeTap;
use bytes::{Bytes, BytesMut};
use doorman_core::pass::BodyClaim;
use doorman_core::{Digest, sha256};
use doorman_egress::{ResponseBody, Upload, end_to_end, end_to_end_trailers};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sha2::Digest as _;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future as _;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Any error of a body's stream.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A whole body, or its prefix, must have arrived by then.
const READ_DEADLINE: Duration = Duration::from_secs(14);
/// A stream of unknown length that pauses for so long is bound by what came so far.
const STREAM_PAUSE: Duration = Duration::from_millis(250);

/// Size and digest of what went through.
#[derive(Default)]
pub(crate) struct Meter {
    hasher: sha2::Sha256,
    pub(crate) size: u64,
    pub(crate) ended: bool,
}

impl Meter {
    pub(crate) fn add(&mut self, data: &[u8]) {
        self.hasher.update(data);
        self.size += data.len() as u64;
    }

    pub(crate) fn digest(&self) -> Digest {
        self.hasher.clone().finalize().into()
    }
}

/// A request body, as far as it must be known before the attempt is written down.
pub(crate) enum InBody {
    /// All of it.
    Whole(Bytes, Option<http::HeaderMap>),
    /// Its first frames, of which `prefix_bytes` bind it and are written down; the rest is still to come.
    Stream { prefix: VecDeque<Bytes>, prefix_bytes: Bytes, rest: Rest },
}

/// Why a body could not be read.
pub(crate) enum ReadError {
    TooSlow,
    Broken,
}

impl InBody {
    /// Reads a body whole when it fits `limit`, else its first `limit` bytes or a little more.
    pub(crate) async fn read(mut body: Incoming, limit: usize) -> Result<Self, ReadError> {
        if body.is_end_stream() {
            return Ok(Self::Whole(Bytes::new(), None));
        }
        let exact = body.size_hint().exact();
        let mut frames = VecDeque::new();
        let mut size = 0;
        let reading = async {
            while size <= limit {
                let frame = match exact {
                    Some(_) => body.frame().await,
                    None => match tokio::time::timeout(STREAM_PAUSE, body.frame()).await {
                        Ok(frame) => frame,
                        Err(_) => return Ok(None),
                    },
                };
                match frame {
                    None => return Ok(Some(None)),
                    Some(Err(_)) => return Err(ReadError::Broken),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            size += data.len();
                            frames.push_back(data);
                        }
                        Err(frame) => return Ok(Some(frame.into_trailers().ok())),
                    },
                }
            }
            Ok(None)
        };
        let ended = tokio::time::timeout(READ_DEADLINE, reading).await.map_err(|_| ReadError::TooSlow)??;
        let bytes = joined(&frames, size);
        Ok(match ended {
            Some(trailers) if size <= limit => Self::Whole(bytes, trailers),
            _ => Self::Stream {
                prefix: frames,
                prefix_bytes: bytes.slice(..size.min(limit)),
                rest: Rest::of(body),
            },
        })
    }

    /// What binds it to the pass.
    pub(crate) fn claim(&self) -> BodyClaim {
        match self {
            Self::Whole(bytes, _) if bytes.is_empty() => BodyClaim::empty(),
            Self::Whole(bytes, _) => BodyClaim::Whole(bytes.len() as u64, sha256(bytes)),
            Self::Stream { prefix_bytes, .. } => {
                BodyClaim::Prefix(prefix_bytes.len() as u64, sha256(prefix_bytes))
            }
        }
    }

    /// The part that is written down.
    pub(crate) fn recorded(&self) -> &Bytes {
        match self {
            Self::Whole(bytes, _) => bytes,
            Self::Stream { prefix_bytes, .. } => prefix_bytes,
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(..))
    }

    /// The body to send, with its meter when it is streamed.
    pub(crate) fn into_out(self) -> (OutBody, Option<Rc<RefCell<Meter>>>) {
        match self {
            Self::Whole(bytes, trailers) => {
                (OutBody::Whole { data: Some(bytes).filter(|b| !b.is_empty()), trailers }, None)
            }
            Self::Stream { prefix, rest, .. } => {
                let meter = Rc::new(RefCell::new(Meter::default()));
                (OutBody::Stream { prefix, rest, meter: meter.clone() }, Some(meter))
            }
        }
    }
}

/// What is still to come of a body. One whose length was told must keep coming; one without may be a stream that is quiet.
pub(crate) struct Rest {
    body: Incoming,
    /// Runs while the client is waited for.
    stalled: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Frames that came.
    progress: Rc<Cell<u64>>,
}

impl Rest {
    fn of(body: Incoming) -> Self {
        Self { body, stalled: None, progress: Rc::default() }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.stalled = None;
            self.progress.set(self.progress.get() + 1);
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if self.body.size_hint().exact().is_some() {
            let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(READ_DEADLINE)));
            if stalled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(Err("the client stopped sending".into())));
            }
        }
        Poll::Pending
    }
}

fn joined(frames: &VecDeque<Bytes>, size: usize) -> Bytes {
    match frames.len() {
        0 => Bytes::new(),
        1 => frames.front().cloned().unwrap_or_default(),
        _ => {
            let mut all = BytesMut::with_capacity(size);
            frames.iter().for_each(|frame| all.extend_from_slice(frame));
            all.freeze()
        }
    }
}

/// A request body on its way out.
pub(crate) enum OutBody {
    Whole { data: Option<Bytes>, trailers: Option<http::HeaderMap> },
    Stream { prefix: VecDeque<Bytes>, rest: Rest, meter: Rc<RefCell<Meter>> },
}

impl OutBody {
    pub(crate) fn empty() -> Self {
        Self::Whole { data: None, trailers: None }
    }
}

impl Upload for OutBody {
    fn whole(&self) -> Option<Bytes> {
        match self {
            Self::Whole { data, trailers: None } => Some(data.clone().unwrap_or_default()),
            _ => None,
        }
    }

    fn progress(&self) -> Option<Rc<Cell<u64>>> {
        match self {
            Self::Whole { .. } => None,
            Self::Stream { rest, .. } => Some(rest.progress.clone()),
        }
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Whole { data, trailers } => {
                if let Some(data) = data.take() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Poll::Ready(
                    trailers.take().map(|trailers| Ok(Frame::trailers(end_to_end_trailers(trailers)))),
                )
            }
            Self::Stream { prefix, rest, meter } => {
                if let Some(data) = prefix.pop_front() {
                    let mut meter = meter.borrow_mut();
                    meter.add(&data);
                    meter.ended = prefix.is_empty() && rest.body.is_end_stream();
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                let polled = rest.poll_frame(cx);
                if let Poll::Ready(frame) = &polled {
                    let mut meter = meter.borrow_mut();
                    match frame {
                        Some(Ok(frame)) => {
                            frame.data_ref().into_iter().for_each(|data| meter.add(data));
                            // With a length known before, nobody asks for what comes after the last byte.
                            meter.ended = rest.body.is_end_stream();
                        }
                        Some(Err(_)) => {}
                        None => meter.ended = true,
                    }
                }
                polled.map(|frame| {
                    frame.map(|frame| match frame {
                        Ok(frame) => Ok(end_to_end(frame)),
                        Err(error) => Err(error),
                    })
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            Self::Stream { prefix, rest, .. } => prefix.is_empty() && rest.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream { prefix, rest, .. } => {
                let before: u64 = prefix.iter().map(|data| data.len() as u64).sum();
                match rest.body.size_hint().exact() {
                    Some(exact) => SizeHint::with_exact(exact + before),
                    None => SizeHint::default(),
                }
            }
        }
    }
}

/// The body of an answer to a client.
pub enum AnswerBody {
    /// Made by Doorman.
    Full(Option<Bytes>),
    /// A live service's, watched until its end.
    Service(Box<ServiceBody>),
    /// The control API's.
    Boxed(http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>),
}

/// A live service's answer on its way to the client.
pub struct ServiceBody {
    pub(crate) inner: ResponseBody,
    pub(crate) tap: OutcomeTap,
}

impl AnswerBody {
    /// A body that is all there.
    pub fn full(bytes: Bytes) -> Self {
        Self::Full(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Full(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Service(service) => service.poll_frame(cx),
            Self::Boxed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(data) => data.is_none(),
            Self::Service(service) => service.inner.is_end_stream(),
            Self::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(data) => SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64),
            Self::Service(service) => service.inner.size_hint(),
            Self::Boxed(body) => body.size_hint(),
        }
    }
}

impl ServiceBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.tap.is_cut(cx) {
            self.tap.cut();
            return Poll::Ready(Some(Err("the session has ended".into())));
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.tap.complete();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                self.tap.broken();
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.tap.add(data);
                }
                if self.inner.is_end_stream() {
                    self.tap.complete();
                }
                Poll::Ready(Some(Ok(end_to_end(frame))))
            }
        }
    }
}
