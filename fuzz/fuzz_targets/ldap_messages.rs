//! Whatever a directory sends is an answer or an error, and the same one however the bytes arrive.

#![no_main]
#![allow(dead_code)]

#[path = "../../crates/auth/src/directory/wire.rs"]
mod wire;

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use tokio_util::codec::{Decoder as _, Encoder as _};
use wire::Codec;

/// What comes out of `chunks`, and whether it ended in an error.
fn read<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<String>, bool) {
    let (mut buffer, mut answers) = (BytesMut::new(), Vec::new());
    for chunk in chunks {
        buffer.extend_from_slice(chunk);
        loop {
            match Codec.decode(&mut buffer) {
                Ok(Some(answer)) => answers.push(format!("{:?} {:?}", answer.message, answer.policy_error)),
                Ok(None) => break,
                Err(_) => return (answers, true),
            }
        }
    }
    (answers, false)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = read(std::iter::once(bytes));
    assert_eq!(read(bytes.chunks(usize::from(size) + 1)), whole);
    let mut buffer = BytesMut::from(bytes);
    while let Ok(Some(answer)) = Codec.decode(&mut buffer) {
        let _ = Codec.encode(answer.message, &mut BytesMut::new());
    }
});
