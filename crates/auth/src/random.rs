//! Unguessable bytes.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        // Without randomness nothing this process says can be trusted; a guessable session would be worse than no process.
        std::process::abort();
    }
    bytes
}
