//! An upstream that stores every raw byte it gets and answers what a test scripted, well-formed or not.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::message::Head;
use crate::serve::Tasks;

/// One request as it arrived.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// Which connection it came on, counted from 0.
    pub connection: usize,
    /// Every byte: head, body with its framing, and what followed an upgrade.
    pub bytes: Vec<u8>,
    /// The head; without a line if the connection closed before it was whole.
    pub head: Head,
    /// The decoded body, once it has arrived whole.
    pub body: Vec<u8>,
    /// Whether head and body arrived whole.
    pub complete: bool,
}

impl Recorded {
    /// The request's method.
    pub fn method(&self) -> &str {
        self.head.line.split(' ').next().unwrap_or_default()
    }

    /// The request's target, path and query, byte for byte where it is text.
    pub fn target(&self) -> &str {
        self.head.line.split(' ').nth(1).unwrap_or_default()
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    Endless(Vec<u8>),
    Tunnel,
    Hang,
    Close,
}

/// What the recorder does with a request, in steps. Afterwards the connection takes the next request.
#[derive(Clone, Debug, Default)]
pub struct Reply {
    at_head: Vec<Step>,
    steps: Vec<Step>,
}

impl Reply {
    /// 200 with this body and its length.
    pub fn ok(body: &str) -> Self {
        Self::raw(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
    }

    /// These bytes, whatever they mean: extra bytes, broken framing, interim answers, trailers.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::default().then(bytes)
    }

    /// 200 in chunks, then these trailer fields.
    pub fn chunked(body: &str, trailers: &[(&str, &str)]) -> Self {
        let size = body.len();
        let trailers: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        Self::raw(format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n{body}\r\n0\r\n{trailers}\r\n"
        ))
    }

    /// Sends these bytes as soon as the head is there, before the body is read (`100 Continue`, an early refusal).
    #[must_use]
    pub fn at_head(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.at_head.push(Step::Send(bytes.into()));
        self
    }

    /// Closes as soon as the head is there.
    #[must_use]
    pub fn close_at_head(mut self) -> Self {
        self.at_head.push(Step::Close);
        self
    }

    /// Then sends these bytes.
    #[must_use]
    pub fn then(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    /// Then does nothing for a while.
    #[must_use]
    pub fn pause(mut self, time: Duration) -> Self {
        self.steps.push(Step::Pause(time));
        self
    }

    /// Then sends these bytes again and again until the other side closes.
    #[must_use]
    pub fn endless(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Endless(bytes.into()));
        self
    }

    /// Then records whatever still comes and answers nothing, until the other side closes (after `101`, say).
    #[must_use]
    pub fn tunnel(mut self) -> Self {
        self.steps.push(Step::Tunnel);
        self
    }

    /// Then neither reads, writes nor closes.
    #[must_use]
    pub fn hang(mut self) -> Self {
        self.steps.push(Step::Hang);
        self
    }

    /// Then closes the connection.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.steps.push(Step::Close);
        self
    }
}

/// The recording upstream. Dropping it closes the port and all connections.
pub struct Recorder {
    addr: SocketAddr,
    tape: Arc<Tape>,
    _tasks: Tasks,
}

/// What a request for a target is answered.
type ByTarget = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

struct Tape {
    requests: Mutex<Vec<Arc<Mutex<Recorded>>>>,
    /// How many requests have arrived whole.
    completed: watch::Sender<usize>,
    always: Mutex<ByTarget>,
    next: Mutex<VecDeque<Reply>>,
}

impl Recorder {
    /// Listens; answers `200` with `recorded` until told otherwise.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let addr = listener.local_addr()?;
        let tape = Arc::new(Tape {
            requests: Mutex::default(),
            completed: watch::Sender::new(0),
            always: Mutex::new(Arc::new(|_: &str| Reply::ok("recorded"))),
            next: Mutex::default(),
        });
        let tasks = Tasks::default();
        tasks.spawn(accept(listener, Arc::clone(&tape)));
        Ok(Self { addr, tape, _tasks: tasks })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers every request like this from now on.
    pub fn always(&self, reply: Reply) {
        self.by_target(move |_| reply.clone());
    }

    /// Answers each request as its target says from now on.
    pub fn by_target(&self, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        *self.tape.always.lock() = Arc::new(reply);
    }

    /// Answers one coming request like this; several queue up.
    pub fn next(&self, reply: Reply) {
        self.tape.next.lock().push_back(reply);
    }

    /// Everything recorded so far, in the order of arrival, unfinished requests included.
    pub fn requests(&self) -> Vec<Recorded> {
        self.tape.requests.lock().iter().map(|request| request.lock().clone()).collect()
    }

    /// Whether no byte has arrived.
    pub fn is_untouched(&self) -> bool {
        self.tape.requests.lock().is_empty()
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        self.tape.requests.lock().clear();
        self.tape.completed.send_replace(0);
    }

    /// Waits until so many requests have arrived whole and returns all that was recorded; `None` if `deadline` passes
    /// first.
    pub async fn wait_for(&self, count: usize, deadline: Duration) -> Option<Vec<Recorded>> {
        let mut completed = self.tape.completed.subscribe();
        let enough = completed.wait_for(|completed| *completed >= count);
        tokio::time::timeout(deadline, enough).await.ok()?.ok()?;
        Some(self.requests())
    }
}

async fn accept(listener: TcpListener, tape: Arc<Tape>) {
    let connections = Tasks::default();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept().await else { return };
        let connection = Connection { number, stream, unread: Vec::new(), tape: Arc::clone(&tape) };
        connections.spawn(async move {
            let _ = connection.run().await;
        });
    }
}

/// Nothing more is to come on a connection.
struct Closed;

impl From<io::Error> for Closed {
    fn from(_: io::Error) -> Self {
        Self
    }
}

struct Connection {
    number: usize,
    stream: TcpStream,
    /// What has arrived and belongs to no finished request.
    unread: Vec<u8>,
    tape: Arc<Tape>,
}

impl Connection {
    async fn run(mut self) -> Result<(), Closed> {
        loop {
            let bytes = self.unread.clone();
            let request = Mutex::new(Recorded { connection: self.number, bytes, ..Recorded::default() });
            while self.unread.is_empty() {
                self.read(&request).await?;
            }
            let request = Arc::new(request);
            self.tape.requests.lock().push(Arc::clone(&request));
            self.handle(&request).await?;
        }
    }

    async fn handle(&mut self, request: &Mutex<Recorded>) -> Result<(), Closed> {
        let (head, head_end) = loop {
            match Head::parse(&self.unread) {
                Some(parsed) => break parsed,
                None => self.read(request).await?,
            }
        };
        let framing = head.request_framing();
        let target = head.line.split(' ').nth(1).unwrap_or_default().to_owned();
        request.lock().head = head;
        let next = self.tape.next.lock().pop_front();
        let always = Arc::clone(&*self.tape.always.lock());
        let reply = next.unwrap_or_else(|| always(&target));
        self.play(reply.at_head, request).await?;
        let (body, length) = loop {
            match framing.decode(self.unread.get(head_end..).unwrap_or_default()) {
                Some(decoded) => break decoded,
                None => self.read(request).await?,
            }
        };
        self.unread.drain(..head_end + length);
        {
            let mut request = request.lock();
            request.bytes.truncate(head_end + length);
            request.body = body;
            request.complete = true;
        }
        self.tape.completed.send_modify(|completed| *completed += 1);
        self.play(reply.steps, request).await
    }

    /// Takes what arrives next, for `request`.
    async fn read(&mut self, request: &Mutex<Recorded>) -> Result<(), Closed> {
        let before = self.unread.len();
        if self.stream.read_buf(&mut self.unread).await? == 0 {
            return Err(Closed);
        }
        request.lock().bytes.extend(self.unread.iter().skip(before));
        Ok(())
    }

    async fn play(&mut self, steps: Vec<Step>, request: &Mutex<Recorded>) -> Result<(), Closed> {
        for step in steps {
            match step {
                Step::Send(bytes) => self.stream.write_all(&bytes).await?,
                Step::Pause(time) => tokio::time::sleep(time).await,
                Step::Endless(bytes) => loop {
                    self.stream.write_all(&bytes).await?;
                },
                Step::Tunnel => {
                    request.lock().bytes.append(&mut self.unread);
                    loop {
                        self.read(request).await?;
                    }
                }
                Step::Hang => std::future::pending().await,
                Step::Close => return Err(Closed),
            }
        }
        Ok(())
    }
}
