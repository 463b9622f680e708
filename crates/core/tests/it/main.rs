//! What other people's programs rely on: the documented formats, byte by byte.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test ends where it fails, in its helpers too"
)]

mod vectors;
