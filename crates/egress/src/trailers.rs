//! Trailers on their way across a hop.

use bytes::Bytes;
use doorman_core::header::is_trailer;
use http::HeaderMap;
use http_body::Frame;

/// Trailers without what no peer may set.
pub fn end_to_end_trailers(mut trailers: HeaderMap) -> HeaderMap {
    let dropped: Vec<_> = trailers.keys().filter(|name| !is_trailer(name.as_str())).cloned().collect();
    for name in dropped {
        trailers.remove(name);
    }
    trailers
}

/// A frame as it goes on: data as it is, trailers without what no peer may set.
pub fn end_to_end(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(trailers) => Frame::trailers(end_to_end_trailers(trailers)),
        Err(frame) => frame,
    }
}
