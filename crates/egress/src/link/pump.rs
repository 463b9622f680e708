//! Bytes in and out of a link's connection, for both ends.

use super::frame::{Frame, Malformed};
use bytes::{Buf as _, BytesMut};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

/// Room for one read.
const READ: usize = 64 * 1024;
/// Reads of one turn: others on the thread have theirs.
const READS: usize = 8;
/// An emptied buffer that grew beyond this is given back.
const MAX_KEPT: usize = 1 << 20;

/// Reads what there is, and hands over each frame. `true`: the other end has closed.
pub(super) fn poll_frames<IO: AsyncRead + Unpin>(
    io: &mut IO,
    read: &mut BytesMut,
    cx: &mut Context<'_>,
    mut take_in: impl FnMut(Frame) -> Result<(), Malformed>,
) -> io::Result<bool> {
    for _ in 0..READS {
        if read.capacity() - read.len() < READ / 4 {
            read.reserve(READ);
        }
        match poll_read_buf(Pin::new(io), cx, read) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Ok(0)) => return Ok(true),
            Poll::Ready(Ok(_)) => {}
            Poll::Ready(Err(error)) => return Err(error),
        }
        while let Some(frame) = Frame::take(read).map_err(invalid)? {
            take_in(frame).map_err(invalid)?;
        }
    }
    cx.waker().wake_by_ref();
    Ok(false)
}

/// Wakes whoever waits.
pub(super) fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}

/// Waits to be woken.
pub(super) fn wait(waiting: &mut Option<Waker>, cx: &Context<'_>) {
    match waiting {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *waiting = Some(cx.waker().clone()),
    }
}

fn invalid(malformed: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, malformed)
}

/// Writes what waits, and counts it.
pub(super) fn poll_write<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    out: &mut BytesMut,
    written: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !out.is_empty() {
        let count = ready!(Pin::new(&mut *io).poll_write(cx, out))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        out.advance(count);
        *written += count as u64;
    }
    if out.capacity() > MAX_KEPT {
        *out = BytesMut::new();
    }
    Pin::new(io).poll_flush(cx)
}
