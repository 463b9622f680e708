//! Request bodies: bound to the pass before a byte of them goes on.

use bytes::{Bytes, BytesMut};
use doorman_core::pass::BodyClaim;
use doorman_core::sha256;
use doorman_egress::{Upload, end_to_end, end_to_end_trailers};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use std::cell::Cell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

const READ_DEADLINE: Duration = Duration::from_secs(14);

/// A body that is bound: read whole, or its prefix.
pub(crate) struct BoundBody {
    pub(crate) claim: BodyClaim,
    front: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    rest: Option<Incoming>,
    drops_trailers: bool,
}

pub(crate) enum BindError {
    TooLong,
    Broken,
}

impl BoundBody {
    /// Takes a body that is all there.
    pub(crate) fn whole(body: Bytes, prefix: Option<u64>, max_whole: usize) -> Result<Self, BindError> {
        let claim = match prefix {
            None if body.is_empty() => BodyClaim::empty(),
            None if body.len() > max_whole => return Err(BindError::TooLong),
            None => BodyClaim::Whole(body.len() as u64, sha256(&body)),
            Some(prefix) => {
                let bound = usize::try_from(prefix).ok().and_then(|prefix| body.get(..prefix));
                BodyClaim::Prefix(prefix, sha256(bound.ok_or(BindError::Broken)?))
            }
        };
        let front = Some(body).filter(|body| !body.is_empty()).into_iter().collect();
        Ok(Self { claim, front, trailers: None, rest: None, drops_trailers: false })
    }

    /// Reads what the pass binds: all, or at least `prefix` bytes.
    pub(crate) async fn read(
        mut body: Incoming,
        prefix: Option<u64>,
        max_whole: usize,
    ) -> Result<Self, BindError> {
        if prefix.is_none() && body.is_end_stream() {
            return Ok(Self {
                claim: BodyClaim::empty(),
                front: VecDeque::new(),
                trailers: None,
                rest: None,
                drops_trailers: false,
            });
        }
        let wanted = prefix.map_or(max_whole, |prefix| usize::try_from(prefix).unwrap_or(usize::MAX));
        if wanted > max_whole {
            return Err(BindError::TooLong);
        }
        let mut front = VecDeque::new();
        let (mut size, mut trailers, mut ended) = (0, None, false);
        let reading = async {
            while prefix.is_none() || size < wanted {
                match body.frame().await {
                    None => {
                        ended = true;
                        break;
                    }
                    Some(Err(_)) => return Err(BindError::Broken),
                    Some(Ok(frame)) => match frame.into_data() {
                        Ok(data) => {
                            size += data.len();
                            if prefix.is_none() && size > max_whole {
                                return Err(BindError::TooLong);
                            }
                            front.push_back(data);
                        }
                        Err(frame) => {
                            trailers = frame.into_trailers().ok();
                            ended = true;
                            break;
                        }
                    },
                }
            }
            Ok(())
        };
        tokio::time::timeout(READ_DEADLINE, reading).await.map_err(|_| BindError::Broken)??;
        let claim = match prefix {
            None => BodyClaim::Whole(size as u64, digest_of(&front, size)),
            Some(prefix) if size >= wanted => BodyClaim::Prefix(prefix, digest_of(&front, wanted)),
            Some(_) => return Err(BindError::Broken),
        };
        Ok(Self { claim, front, trailers, rest: (!ended).then_some(body), drops_trailers: false })
    }

    /// From now on no trailer goes on: whoever merges trailers into headers would let the client say who is calling.
    pub(crate) fn drop_trailers(&mut self) {
        self.trailers = None;
        self.drops_trailers = true;
    }

    /// Whether it can be sent again.
    pub(crate) fn is_whole(&self) -> bool {
        self.rest.is_none() && self.trailers.is_none()
    }

    /// The body to send; a whole one may be taken several times.
    pub(crate) fn take(&mut self) -> OutBody {
        if self.is_whole() {
            return OutBody { front: self.front.clone(), trailers: None, rest: None };
        }
        OutBody {
            front: std::mem::take(&mut self.front),
            trailers: self.trailers.take(),
            rest: self.rest.take().map(|body| Rest {
                body,
                progress: Rc::default(),
                drops_trailers: self.drops_trailers,
            }),
        }
    }
}

fn digest_of(frames: &VecDeque<Bytes>, length: usize) -> doorman_core::Digest {
    match frames.front() {
        Some(only) if frames.len() == 1 => sha256(only.get(..length).unwrap_or_default()),
        _ => {
            let mut all = BytesMut::with_capacity(length);
            for frame in frames {
                let room = length - all.len();
                all.extend_from_slice(frame.get(..room.min(frame.len())).unwrap_or_default());
            }
            sha256(&all)
        }
    }
}

/// A request body on its way to an instance.
pub(crate) struct OutBody {
    front: VecDeque<Bytes>,
    trailers: Option<http::HeaderMap>,
    rest: Option<Rest>,
}

/// What is still to come, and how many frames of it have.
struct Rest {
    body: Incoming,
    progress: Rc<Cell<u64>>,
    drops_trailers: bool,
}

impl Upload for OutBody {
    /// Instances are not asked for links.
    fn whole(&self) -> Option<Bytes> {
        None
    }

    fn progress(&self) -> Option<Rc<Cell<u64>>> {
        self.rest.as_ref().map(|rest| rest.progress.clone())
    }
}

impl OutBody {
    pub(crate) fn empty() -> Self {
        Self { front: VecDeque::new(), trailers: None, rest: None }
    }
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(data) = self.front.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some(trailers) = self.trailers.take() {
            return Poll::Ready(Some(Ok(Frame::trailers(end_to_end_trailers(trailers)))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        Pin::new(&mut rest.body).poll_frame(cx).map(|frame| {
            rest.progress.set(rest.progress.get() + 1);
            frame.map(|frame| match frame {
                Ok(frame) if rest.drops_trailers && frame.is_trailers() => {
                    Ok(Frame::trailers(http::HeaderMap::new()))
                }
                Ok(frame) => Ok(end_to_end(frame)),
                Err(error) => Err(error.into()),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_empty()
            && self.trailers.is_none()
            && self.rest.as_ref().is_none_or(|rest| rest.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let before: u64 = self.front.iter().map(|data| data.len() as u64).sum();
        match &self.rest {
            None => SizeHint::with_exact(before),
            Some(rest) => match rest.body.size_hint().exact() {
                Some(exact) => SizeHint::with_exact(exact + before),
                None => SizeHint::default(),
            },
        }
    }
}
