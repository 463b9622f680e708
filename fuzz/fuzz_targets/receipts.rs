//! Receipts as regions hand them over: frames are read or refused, read back as they were written, and judged against
//! signed statements without a panic, whatever they say.

#![no_main]

use doorman_core::keys::{KeyUse, PublicKeys, SigningKey};
use doorman_core::receipt::{Frame, Frames, Judged, StatementBook};
use doorman_core::statement::{self, Statement};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().expect("randomness")).expect("a key")
});
/// What is remembered of a writer grows with the place of its entries: here only what a writer may well have.
const PLACES: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let mut keys = PublicKeys::default();
    keys.push(KeyUse::Statement, KEY.public());
    let mut book = StatementBook::new(keys);
    let mut written = Vec::new();
    let mut frames = Frames::new(bytes);
    for frame in frames.by_ref() {
        frame.put(&mut written);
        let _ = frame.at_ms();
        match frame {
            Frame::Statement { body, signature } => {
                assert_eq!(book.take(body, &signature), None, "nobody signed it");
                // As its writer would have signed it.
                let Some(mut said) = Statement::from_bytes(body) else { continue };
                said.kid = KEY.id();
                let body = said.to_bytes();
                if said.first_index < PLACES {
                    let name = book.take(&body, &statement::sign(&KEY, &body));
                    assert_eq!(name, Some((said.writer, said.number)));
                }
            }
            Frame::Honoured(receipt) if book.judge(&receipt) != Judged::Unproven => {
                assert_eq!(book.judge(&receipt), Judged::Repeated, "a pass is good once");
            }
            _ => {}
        }
    }
    assert_eq!(written, bytes[..frames.read_bytes()]);
});
