//! The body of a peer's answer, by whatever connection it comes.

use crate::link::LinkBody;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer.
pub struct ResponseBody(Inner);

enum Inner {
    Http(Incoming),
    Link(LinkBody),
}

impl From<Incoming> for ResponseBody {
    fn from(body: Incoming) -> Self {
        Self(Inner::Http(body))
    }
}

impl From<LinkBody> for ResponseBody {
    fn from(body: LinkBody) -> Self {
        Self(Inner::Link(body))
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.0 {
            Inner::Http(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
            Inner::Link(body) => {
                Pin::new(body).poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Http(body) => body.is_end_stream(),
            Inner::Link(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Http(body) => body.size_hint(),
            Inner::Link(body) => body.size_hint(),
        }
    }
}
