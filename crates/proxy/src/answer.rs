//! Answers of a proxy: a service's, or its own.

use crate::body::BoxError;
use bytes::Bytes;
use doorman_core::code::Code;
use doorman_egress::{ResponseBody, end_to_end};
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) const ERROR: HeaderName = HeaderName::from_static("doorman-error");
pub(crate) const REFUSAL: HeaderName = HeaderName::from_static("doorman-refusal");
pub(crate) const INSTANCE: HeaderName = HeaderName::from_static("doorman-instance");
pub(crate) const SENT: HeaderName = HeaderName::from_static("doorman-sent");
const DETAIL: HeaderName = HeaderName::from_static("doorman-detail");

/// The body of an answer.
pub(crate) enum AnswerBody {
    Full(Option<Bytes>),
    Service(ResponseBody),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut *self {
            Self::Full(data) => Poll::Ready(data.take().map(|data| Ok(Frame::data(data)))),
            Self::Service(body) => Pin::new(body).poll_frame(cx).map(|frame| {
                frame.map(|frame| match frame {
                    Ok(frame) => Ok(end_to_end(frame)),
                    Err(error) => Err(error),
                })
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(data) => data.is_none(),
            Self::Service(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(data) => SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64),
            Self::Service(body) => body.size_hint(),
        }
    }
}

/// An answer with a small body of its own.
pub(crate) fn plain(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response =
        Response::new(AnswerBody::Full(Some(body.into()).filter(|body: &Bytes| !body.is_empty())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Whether anything of a request has left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    No,
    /// Nor will it be: the request itself is refused.
    Denied,
    Maybe,
}

/// Says that a request did not come to its end, and whether it may have been carried out.
pub(crate) fn failed(code: Code, sent: Sent, detail: &str) -> Response<AnswerBody> {
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = plain(status, "text/plain", format!("{code}: {detail}\n"));
    let headers = response.headers_mut();
    headers.insert(ERROR, HeaderValue::from_static(code.as_str()));
    let sent = match sent {
        Sent::No => "no",
        Sent::Denied => "denied",
        Sent::Maybe => "maybe",
    };
    headers.insert(SENT, HeaderValue::from_static(sent));
    let printable: String = detail.chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(300).collect();
    if let Ok(detail) = HeaderValue::try_from(printable) {
        headers.insert(DETAIL, detail);
    }
    response
}

/// Refuses a request that was not looked at further: `api` may make another pass for it.
pub(crate) fn refused(status: StatusCode, why: &'static str) -> Response<AnswerBody> {
    let mut response = plain(status, "text/plain", format!("{why}\n"));
    response.headers_mut().insert(REFUSAL, HeaderValue::from_static(why));
    response
}

/// There is no valid pass: nothing more is said.
pub(crate) fn unauthorized() -> Response<AnswerBody> {
    failed(Code::Unauthenticated, Sent::No, "no valid pass")
}
