//! The byte stream under one connection: plain or TLS, telling [`Conn`] what moves.

use crate::conn::Conn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How much of the line before a `#` is kept to recognise it in.
const CARRY: usize = 16 * 1024;

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A watched client stream.
pub struct Stream {
    transport: Transport,
    conn: Arc<Conn>,
    /// The end of what was read last, while it may be the beginning of a request line.
    carry: Vec<u8>,
}

impl Stream {
    pub(crate) fn plain(stream: TcpStream, conn: Arc<Conn>) -> Self {
        Self { transport: Transport::Plain(stream), conn, carry: Vec::new() }
    }

    pub(crate) fn tls(stream: TlsStream<TcpStream>, conn: Arc<Conn>) -> Self {
        Self { transport: Transport::Tls(Box::new(stream)), conn, carry: Vec::new() }
    }

    fn saw(&mut self, read: &[u8]) {
        if read.is_empty() {
            return;
        }
        self.conn.bytes_read();
        if memchr::memchr(b'#', read).is_some() {
            self.conn.keep_suspect(&self.carry, read, CARRY * 4);
        }
        // Of a long read, as the bodies of uploads come in, no more is kept than its end.
        if read.len() >= CARRY || read.ends_with(b"\n") {
            self.carry.clear();
        }
        if !read.ends_with(b"\n") {
            self.carry.extend_from_slice(read.get(read.len().saturating_sub(CARRY)..).unwrap_or_default());
            let surplus = self.carry.len().saturating_sub(CARRY);
            self.carry.drain(..surplus);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        };
        ready!(result)?;
        self.saw(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Transport::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        };
        self.conn.write_blocked(result.is_pending());
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Transport::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        };
        self.conn.write_blocked(result.is_pending());
        result
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(stream) => stream.is_write_vectored(),
            Transport::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_flush(cx),
        };
        if result.is_pending() {
            self.conn.write_blocked(true);
        }
        result
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Transport::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
