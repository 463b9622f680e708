//! The body of an answer on its way out.

use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that holds on to something until it has gone out, or is dropped.
pub struct OpenBody<B, G> {
    body: B,
    _held: G,
}

impl<B, G> OpenBody<B, G> {
    /// `held` is dropped with the body.
    pub fn new(body: B, held: G) -> Self {
        Self { body, _held: held }
    }
}

impl<B: Body + Unpin, G: Unpin> Body for OpenBody<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
