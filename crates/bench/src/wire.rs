//! Just enough HTTP/1.1 framing (RFC 9112 §6) for a load generator and a test upstream: where a head ends and where its
//! body ends. No IO and no allocation on the fast path, so that the rig takes as little as it can of the machine it
//! measures.

use anyhow::{Context, Result, bail, ensure};

/// A head longer than this is an error, not a reason to buffer more. Bytes.
const MAX_HEAD: usize = 64 * 1024;

/// What the framing of one message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes up to and including the empty line.
    pub length: usize,
    pub body: Framing,
    /// False when the peer said `Connection: close`.
    pub keep_alive: bool,
}

/// How a body's end is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// `Content-Length`, or 0 when nothing is said. Bytes.
    Fixed(u64),
    Chunked,
}

/// The framing of the message at the start of `bytes`; `None` while its head is not complete.
pub fn parse_head(bytes: &[u8]) -> Result<Option<Head>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else {
        ensure!(bytes.len() <= MAX_HEAD, "head of more than {MAX_HEAD} bytes");
        return Ok(None);
    };
    let mut head = Head { length: end + 4, body: Framing::Fixed(0), keep_alive: true };
    for line in bytes.get(..end).unwrap_or_default().split(|byte| *byte == b'\n').skip(1) {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = str::from_utf8(value)?.parse().context("Content-Length is no number")?;
            head.body = Framing::Fixed(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            ensure!(value.eq_ignore_ascii_case(b"chunked"), "only chunked transfer coding is understood");
            head.body = Framing::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") && value.eq_ignore_ascii_case(b"close") {
            head.keep_alive = false;
        }
    }
    Ok(Some(head))
}

/// The status code of a response that starts with `bytes`.
pub fn parse_status(bytes: &[u8]) -> Result<u16> {
    let digits = bytes.get(9..12).context("response without a status line")?;
    str::from_utf8(digits)?.parse().context("status is no number")
}

/// Method and target of a request that starts with `bytes`.
pub fn parse_request_line(bytes: &[u8]) -> Result<(&[u8], &[u8])> {
    let line = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    match (words.next(), words.next()) {
        (Some(method), Some(target)) => Ok((method, target)),
        _ => bail!("malformed request line"),
    }
}

/// Walks over a body and counts it.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// Payload bytes seen so far, without chunk framing.
    pub received: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fixed(u64),
    ChunkSize(u64),
    /// A chunk extension, skipped up to its line end.
    ChunkExtension(u64),
    ChunkData(u64),
    ChunkEnd,
    /// Trailer section; the number counts bytes of the current line.
    Trailer(u64),
    Done,
}

impl BodyReader {
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Fixed(0) => State::Done,
            Framing::Fixed(length) => State::Fixed(length),
            Framing::Chunked => State::ChunkSize(0),
        };
        Self { state, received: 0 }
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes what belongs to this body from the front of `bytes`; answers how many bytes that was.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize> {
        let mut taken = 0;
        while let Some(first) = bytes.get(taken) {
            let left = (bytes.len() - taken) as u64;
            match self.state {
                State::Done => break,
                State::Fixed(length) => {
                    let step = length.min(left);
                    self.state = if step == length { State::Done } else { State::Fixed(length - step) };
                    self.received += step;
                    taken += usize::try_from(step)?;
                    continue;
                }
                State::ChunkData(length) => {
                    let step = length.min(left);
                    self.state =
                        if step == length { State::ChunkEnd } else { State::ChunkData(length - step) };
                    self.received += step;
                    taken += usize::try_from(step)?;
                    continue;
                }
                State::ChunkSize(size) => self.state = next_in_size(size, *first)?,
                State::ChunkExtension(size) if *first == b'\n' => self.state = after_size(size),
                State::ChunkEnd if *first == b'\n' => self.state = State::ChunkSize(0),
                State::Trailer(0) if *first == b'\n' => self.state = State::Done,
                State::Trailer(_) if *first == b'\n' => self.state = State::Trailer(0),
                State::Trailer(line) if *first != b'\r' => self.state = State::Trailer(line + 1),
                State::ChunkExtension(_) | State::ChunkEnd | State::Trailer(_) => {}
            }
            taken += 1;
        }
        Ok(taken)
    }
}

fn next_in_size(size: u64, byte: u8) -> Result<State> {
    Ok(match byte {
        b'\n' => after_size(size),
        b'\r' => State::ChunkSize(size),
        b';' => State::ChunkExtension(size),
        digit => {
            let value = char::from(digit).to_digit(16).context("chunk size is no hexadecimal number")?;
            let shifted = size.checked_mul(16).context("chunk size overflows")?;
            State::ChunkSize(shifted + u64::from(value))
        }
    })
}

fn after_size(size: u64) -> State {
    if size == 0 { State::Trailer(0) } else { State::ChunkData(size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_how_its_body_ends() {
        let head = parse_head(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 12\r\nConnection: close\r\n\r\nx")
            .unwrap()
            .unwrap();
        assert_eq!(head.body, Framing::Fixed(12));
        assert!(!head.keep_alive);
        let head = parse_head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap().unwrap();
        assert_eq!(head.body, Framing::Chunked);
        assert_eq!(parse_head(b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n").unwrap(), None);
    }

    #[test]
    fn a_chunked_body_ends_after_its_trailers_wherever_reads_are_cut() {
        let body = b"5\r\nhello\r\n1a;note=1\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\nA: b\r\n\r\nNEXT";
        for cut in 0..body.len() {
            let mut reader = BodyReader::new(Framing::Chunked);
            let mut taken = reader.feed(&body[..cut]).unwrap();
            taken += reader.feed(&body[taken..]).unwrap();
            assert!(reader.is_done(), "cut at {cut}");
            assert_eq!((taken, reader.received), (body.len() - 4, 31), "cut at {cut}");
        }
    }

    #[test]
    fn a_malformed_chunk_size_is_an_error() {
        assert!(BodyReader::new(Framing::Chunked).feed(b"zz\r\n").is_err());
        assert!(BodyReader::new(Framing::Chunked).feed(b"fffffffffffffffff\r\n").is_err());
    }
}
