//! Just enough HTTP/1.1 framing (RFC 9112 §6) to tell where a raw message ends, for tests that look at raw bytes.
//!
//! Unlike a real parser it repairs and refuses nothing: what it cannot make out it leaves to the test to judge.

/// A head split into its first line and its fields; names in lower case, values trimmed.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// The request line or status line.
    pub line: String,
    /// Name and value of each field line, in order.
    pub fields: Vec<(String, String)>,
}

impl Head {
    /// Reads the head at the start of `bytes` and says where it ends; `None` while it is not complete.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let end = find(bytes, b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(bytes.get(..end)?);
        let mut lines = text.split("\r\n");
        let line = lines.next()?.to_owned();
        let fields = lines.map(|field| {
            let (name, value) = field.split_once(':').unwrap_or((field, ""));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Some((Self { line, fields: fields.collect() }, end + 4))
    }

    /// The first value of a field, by its name in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every value of a field, by its name in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The status of a response; 0 if this is none.
    pub fn status(&self) -> u16 {
        let mut words = self.line.split(' ');
        let http = words.next().is_some_and(|version| version.starts_with("HTTP/"));
        words.next().filter(|_| http).and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// How the body that follows a request is framed.
    pub fn request_framing(&self) -> Framing {
        self.declared_framing().unwrap_or(Framing::Length(0))
    }

    /// How the body that follows a response is framed; `to_head` if it answers a HEAD request.
    pub fn response_framing(&self, to_head: bool) -> Framing {
        match self.status() {
            100..200 | 204 | 304 => Framing::Length(0),
            _ if to_head => Framing::Length(0),
            _ => self.declared_framing().unwrap_or(Framing::UntilClose),
        }
    }

    fn declared_framing(&self) -> Option<Framing> {
        if self.all("transfer-encoding").any(|value| value.to_ascii_lowercase().ends_with("chunked")) {
            return Some(Framing::Chunked);
        }
        self.field("content-length")?.parse().ok().map(Framing::Length)
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes.
    Length(usize),
    /// Chunked transfer coding.
    Chunked,
    /// When the connection closes.
    UntilClose,
}

impl Framing {
    /// Decodes the body at the start of `bytes` and says where it ends; `None` while it is not complete, which with
    /// [`Framing::UntilClose`] it never is.
    pub fn decode(self, bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
        match self {
            Self::Length(length) => Some((bytes.get(..length)?.to_vec(), length)),
            Self::Chunked => decode_chunked(bytes),
            Self::UntilClose => None,
        }
    }
}

fn decode_chunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut body, mut at) = (Vec::new(), 0);
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        let size = String::from_utf8_lossy(bytes.get(at..at + line)?).into_owned();
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        body.extend_from_slice(bytes.get(at..at.checked_add(size)?)?);
        at += size + 2;
    }
    // Trailers, up to an empty line.
    loop {
        let line = find(bytes.get(at..)?, b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some((body, at));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunked_body_ends_after_its_trailers() {
        let bytes = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nsum: 1\r\n\r\nGET /next";
        let (body, end) = Framing::Chunked.decode(bytes).unwrap();
        assert_eq!(body, b"abcde");
        assert_eq!(&bytes[end..], b"GET /next");
        assert!(Framing::Chunked.decode(&bytes[..end - 1]).is_none());
    }

    #[test]
    fn answers_that_carry_no_body_end_with_their_head() {
        let (head, end) = Head::parse(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert_eq!((head.status(), end), (304, 48));
        assert_eq!(head.response_framing(false), Framing::Length(0));
        let (head, _) = Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").unwrap();
        assert_eq!(head.response_framing(false), Framing::Length(5));
        assert_eq!(head.response_framing(true), Framing::Length(0));
    }
}
