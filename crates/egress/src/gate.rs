//! What must have happened before a byte is written to a peer.

use crate::dial::Link;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Asked before each write to a peer. While it fails, nothing is written and the connection breaks. `Send`, since hyper
/// wants that of connections that may be upgraded.
pub type Gate = Arc<dyn Fn() -> io::Result<()> + Send + Sync>;

/// A connection behind a gate.
pub(crate) struct Gated {
    pub(crate) link: Link,
    pub(crate) gate: Option<Gate>,
}

impl Gated {
    fn pass(&self) -> Poll<io::Result<()>> {
        Poll::Ready(self.gate.as_ref().map_or(Ok(()), |gate| gate()))
    }
}

impl AsyncRead for Gated {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().link).poll_read(cx, buf)
    }
}

impl AsyncWrite for Gated {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.pass())?;
        Pin::new(&mut self.get_mut().link).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.pass())?;
        Pin::new(&mut self.get_mut().link).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.link.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().link).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().link).poll_shutdown(cx)
    }
}
