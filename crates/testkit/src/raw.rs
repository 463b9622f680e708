//! A client that sends whatever bytes a test wants and shows the raw answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::message::{Framing, Head};

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// One connection, plain or TLS.
pub struct RawClient {
    stream: Box<dyn Stream>,
    /// What has arrived behind the last answer that was taken.
    unread: Vec<u8>,
}

/// One answer, as far as it arrived.
#[derive(Clone, Default)]
pub struct Answer {
    /// Every byte of it.
    pub bytes: Vec<u8>,
    /// Its head; without a line if that did not arrive whole.
    pub head: Head,
    /// Its decoded body, as much of it as can be decoded.
    pub body: Vec<u8>,
    /// Whether it arrived whole by its own framing (or by the close that frames it).
    pub complete: bool,
    /// Whether the connection was closed while reading it.
    pub closed: bool,
}

impl Answer {
    /// The status; 0 if there was no whole head.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.complete { "complete" } else { "incomplete" };
        let closed = if self.closed { ", closed" } else { "" };
        write!(f, "{end}{closed}: {}", String::from_utf8_lossy(&self.bytes))
    }
}

impl RawClient {
    /// Connects over plain TCP.
    pub async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: Box::new(stream), unread: Vec::new() })
    }

    /// Connects over TLS, for a server certified as `name`.
    pub async fn connect_tls(addr: SocketAddr, name: &str, tls: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        Ok(Self { stream: Box::new(stream), unread: Vec::new() })
    }

    /// Connects, sends `request` and reads one answer within `deadline`.
    pub async fn exchange(addr: SocketAddr, request: &[u8], deadline: Duration) -> io::Result<Answer> {
        let mut client = Self::connect(addr).await?;
        client.send(request).await?;
        Ok(client.read_answer(deadline).await)
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown().await
    }

    /// Reads the next answer, interim ones (1xx) apart from `101` passed over. Ends with what there is when the
    /// connection closes or `deadline` passes.
    pub async fn read_answer(&mut self, deadline: Duration) -> Answer {
        self.read_framed(deadline, false).await
    }

    /// The same for the answer to a HEAD request, whose head may announce a body that never comes.
    pub async fn read_answer_to_head(&mut self, deadline: Duration) -> Answer {
        self.read_framed(deadline, true).await
    }

    /// What arrives next, as soon as it does; empty if the connection closes or `deadline` passes first.
    pub async fn read_some(&mut self, deadline: Duration) -> Vec<u8> {
        if self.unread.is_empty() {
            self.read(Instant::now() + deadline).await;
        }
        std::mem::take(&mut self.unread)
    }

    /// Everything that still arrives until the connection closes or `deadline` passes; the flag tells whether it closed.
    pub async fn read_rest(&mut self, deadline: Duration) -> (Vec<u8>, bool) {
        let until = Instant::now() + deadline;
        while let Read::Some = self.read(until).await {}
        let closed = matches!(self.read(Instant::now()).await, Read::Closed);
        (std::mem::take(&mut self.unread), closed)
    }

    async fn read_framed(&mut self, deadline: Duration, to_head: bool) -> Answer {
        let until = Instant::now() + deadline;
        loop {
            let answer = self.read_one(until, to_head).await;
            let interim = (100..200).contains(&answer.status()) && answer.status() != 101;
            if !interim {
                return answer;
            }
        }
    }

    async fn read_one(&mut self, until: Instant, to_head: bool) -> Answer {
        let mut head_end = 0;
        let mut answer = Answer::default();
        loop {
            if head_end == 0
                && let Some((head, end)) = Head::parse(&self.unread)
            {
                (answer.head, head_end) = (head, end);
            }
            let rest = self.unread.get(head_end..).unwrap_or_default();
            let framing = answer.head.response_framing(to_head);
            if head_end > 0
                && let Some((body, length)) = framing.decode(rest)
            {
                answer.body = body;
                answer.bytes = self.unread.drain(..head_end + length).collect();
                answer.complete = true;
                return answer;
            }
            let read = self.read(until).await;
            if matches!(read, Read::Some) {
                continue;
            }
            answer.closed = matches!(read, Read::Closed);
            answer.bytes = std::mem::take(&mut self.unread);
            if head_end > 0 && framing != Framing::Chunked {
                answer.body = answer.bytes.get(head_end..).unwrap_or_default().to_vec();
                answer.complete = answer.closed && framing == Framing::UntilClose;
            }
            return answer;
        }
    }

    async fn read(&mut self, until: Instant) -> Read {
        match timeout_at(until, self.stream.read_buf(&mut self.unread)).await {
            Ok(Ok(0) | Err(_)) => Read::Closed,
            Ok(Ok(_)) => Read::Some,
            Err(_) => Read::Late,
        }
    }
}

enum Read {
    Some,
    Closed,
    Late,
}
