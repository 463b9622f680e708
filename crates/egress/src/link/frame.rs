//! Frames of a link: `u32` length of the payload, `u8` kind, `u8` flags, `u32` number of the request, payload. Numbers are
//! big-endian. What a frame of each kind holds is said at [`Kind`].

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header};

/// Bytes before the payload.
const PREFIX: usize = 10;
/// Longest payload that is sent or taken.
pub(crate) const MAX_PAYLOAD: usize = 256 * 1024;
/// Most bytes of a body in one frame, so that no answer keeps the others waiting for long.
pub(super) const MAX_DATA: usize = 16 * 1024;
/// Bytes of a body that may be on their way before the receiver asks for more, at first.
pub(super) const WINDOW: usize = 64 * 1024;
/// Most headers of one message.
const MAX_HEADERS: usize = 1_024;
/// The last frame of its sender for this request.
pub(super) const END: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Kind {
    /// Method and target (`u16` length, text), headers, then the whole body.
    Request = 1,
    /// `u16` status, headers, then what there is of the body already.
    Response = 2,
    /// More of an answer's body.
    Data = 3,
    /// Headers. Always the last frame of an answer.
    Trailers = 4,
    /// From the client: nobody wants the answer any more. From the proxy: there will be no more of it.
    Reset = 5,
    /// `u32`: so many more bytes of the body may be sent.
    Credit = 6,
    /// Asks whether the other end is there.
    Ping = 7,
    /// It is.
    Pong = 8,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        const ALL: [Kind; 8] = [
            Kind::Request,
            Kind::Response,
            Kind::Data,
            Kind::Trailers,
            Kind::Reset,
            Kind::Credit,
            Kind::Ping,
            Kind::Pong,
        ];
        ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Bytes that are no frame, or no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the link does not keep to its protocol")]
pub(crate) struct Malformed;

/// A frame as it came.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) is_last: bool,
    pub(super) stream: u32,
    pub(super) payload: Bytes,
}

impl Frame {
    /// Takes the first frame from what was read, if all of it is there.
    pub(super) fn take(read: &mut BytesMut) -> Result<Option<Self>, Malformed> {
        let Some(mut prefix) = read.get(..PREFIX) else { return Ok(None) };
        let length = prefix.get_u32() as usize;
        let kind = Kind::of(prefix.get_u8()).ok_or(Malformed)?;
        let flags = prefix.get_u8();
        let stream = prefix.get_u32();
        if length > MAX_PAYLOAD || flags > END {
            return Err(Malformed);
        }
        let Some(payload) = read.get(PREFIX..PREFIX + length) else {
            read.reserve(PREFIX + length - read.len());
            return Ok(None);
        };
        // Small payloads are copied: held for long, they would hold all that was read with them.
        let payload = if length < MAX_DATA / 2 {
            let payload = Bytes::copy_from_slice(payload);
            read.advance(PREFIX + length);
            payload
        } else {
            read.advance(PREFIX);
            read.split_to(length).freeze()
        };
        Ok(Some(Self { kind, is_last: flags & END != 0, stream, payload }))
    }
}

/// Writes one frame whose payload `fill` appends. `false`, and nothing is written, when it is too long.
fn put(
    out: &mut BytesMut,
    kind: Kind,
    flags: u8,
    stream: u32,
    fill: impl FnOnce(&mut BytesMut) -> bool,
) -> bool {
    let start = out.len();
    out.put_u32(0);
    out.put_u8(kind as u8);
    out.put_u8(flags);
    out.put_u32(stream);
    let is_filled = fill(out);
    let length = out.len() - start - PREFIX;
    let fits = is_filled && length <= MAX_PAYLOAD;
    match (fits, out.get_mut(start..start + 4)) {
        (true, Some(prefix)) => prefix.copy_from_slice(&(length as u32).to_be_bytes()),
        _ => out.truncate(start),
    }
    fits
}

/// A frame without payload.
pub(super) fn put_bare(out: &mut BytesMut, kind: Kind, stream: u32) {
    put(out, kind, 0, stream, |_| true);
}

/// A frame that lets so many more bytes be sent.
pub(super) fn put_credit(out: &mut BytesMut, stream: u32, bytes: usize) {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    put(out, Kind::Credit, 0, stream, |out| {
        out.put_u32(bytes);
        true
    });
}

/// How many bytes may be sent more.
pub(super) fn credit(mut payload: Bytes) -> Result<usize, Malformed> {
    payload.try_get_u32().map(|bytes| bytes as usize).map_err(|_| Malformed)
}

/// A request with its whole body; `false` when it is too long for a link.
pub(super) fn put_request(out: &mut BytesMut, stream: u32, head: &Request<()>, body: &[u8]) -> bool {
    put(out, Kind::Request, END, stream, |out| {
        let target = head.uri().path_and_query().map_or("/", |target| target.as_str());
        put_text(out, head.method().as_str().as_bytes())
            && put_text(out, target.as_bytes())
            && put_headers(out, head.headers())
            && {
                out.put_slice(body);
                true
            }
    })
}

/// What [`put_request`] wrote.
pub(super) fn request(mut payload: Bytes) -> Result<Request<Bytes>, Malformed> {
    let method = Method::from_bytes(&take_text(&mut payload)?).map_err(|_| Malformed)?;
    let target = take_text(&mut payload)?;
    if target.first() != Some(&b'/') {
        return Err(Malformed);
    }
    let uri = Uri::from_maybe_shared(target).map_err(|_| Malformed)?;
    let headers = take_headers(&mut payload)?;
    let mut request = Request::new(payload);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The head of an answer with the beginning of its body; `false` when it is too long for a link.
pub(super) fn put_response(
    out: &mut BytesMut,
    stream: u32,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    is_last: bool,
) -> bool {
    put(out, Kind::Response, u8::from(is_last), stream, |out| {
        out.put_u16(status.as_u16());
        put_headers(out, headers) && {
            out.put_slice(body);
            true
        }
    })
}

/// What [`put_response`] wrote.
pub(super) fn response(mut payload: Bytes) -> Result<Response<Bytes>, Malformed> {
    let status = payload.try_get_u16().map_err(|_| Malformed)?;
    let status = StatusCode::from_u16(status).map_err(|_| Malformed)?;
    let headers = take_headers(&mut payload)?;
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// More of a body, at most [`MAX_DATA`].
pub(super) fn put_data(out: &mut BytesMut, stream: u32, data: &[u8], is_last: bool) {
    put(out, Kind::Data, u8::from(is_last), stream, |out| {
        out.put_slice(data);
        true
    });
}

/// The trailers of an answer, which end it.
pub(super) fn put_trailers(out: &mut BytesMut, stream: u32, trailers: &HeaderMap) -> bool {
    put(out, Kind::Trailers, END, stream, |out| put_headers(out, trailers))
}

/// What [`put_trailers`] wrote.
pub(super) fn trailers(mut payload: Bytes) -> Result<HeaderMap, Malformed> {
    take_headers(&mut payload)
}

fn put_text(out: &mut BytesMut, text: &[u8]) -> bool {
    let Ok(length) = u16::try_from(text.len()) else { return false };
    out.put_u16(length);
    out.put_slice(text);
    true
}

fn take_text(payload: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = payload.try_get_u16().map_err(|_| Malformed)? as usize;
    if payload.len() < length {
        return Err(Malformed);
    }
    Ok(payload.split_to(length))
}

/// All headers but `Host`, which belongs to the connection.
fn put_headers(out: &mut BytesMut, headers: &HeaderMap) -> bool {
    let hosts = headers.get_all(header::HOST).iter().count();
    let Ok(count) = u16::try_from(headers.len() - hosts) else { return false };
    out.put_u16(count);
    usize::from(count) <= MAX_HEADERS
        && headers
            .iter()
            .filter(|(name, _)| *name != header::HOST)
            .all(|(name, value)| put_text(out, name.as_str().as_bytes()) && put_text(out, value.as_bytes()))
}

fn take_headers(payload: &mut Bytes) -> Result<HeaderMap, Malformed> {
    let count = payload.try_get_u16().map_err(|_| Malformed)? as usize;
    if count > MAX_HEADERS {
        return Err(Malformed);
    }
    let mut headers = HeaderMap::with_capacity(count);
    for _ in 0..count {
        let name = HeaderName::from_bytes(&take_text(payload)?).map_err(|_| Malformed)?;
        let value = HeaderValue::from_maybe_shared(take_text(payload)?).map_err(|_| Malformed)?;
        headers.append(name, value);
    }
    Ok(headers)
}
