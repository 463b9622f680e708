//! What a link brings is a message or nothing, and one that is written again is the same.

#![no_main]
#![allow(dead_code, reason = "only what reads and writes messages is needed here")]

#[path = "../../crates/egress/src/link/frame.rs"]
mod frame;

use bytes::BytesMut;
use frame::{Frame, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut read = BytesMut::from(bytes);
    while let Ok(Some(taken)) = Frame::take(&mut read) {
        match taken.kind {
            Kind::Request => {
                let Ok(request) = frame::request(taken.payload) else { continue };
                let (head, body) = request.into_parts();
                let head = http::Request::from_parts(head, ());
                let mut out = BytesMut::new();
                assert!(frame::put_request(&mut out, taken.stream, &head, &body));
                let again = Frame::take(&mut out).unwrap().unwrap();
                let (again, again_body) = frame::request(again.payload).unwrap().into_parts();
                assert_eq!((&again.method, &again.uri, again_body), (head.method(), head.uri(), body));
                assert!(again.headers.iter().eq(head.headers().iter().filter(|(name, _)| *name != "host")));
            }
            Kind::Response => drop(frame::response(taken.payload)),
            Kind::Trailers => drop(frame::trailers(taken.payload)),
            Kind::Credit => drop(frame::credit(taken.payload)),
            _ => {}
        }
    }
});
