//! Fingerprints of secrets for caches: HMAC-SHA256 under a key that only this process has and never writes down.

use aws_lc_rs::hmac;

/// A fingerprint.
pub(crate) type Fingerprint = [u8; 32];

/// The process's key.
pub(crate) struct KeyedHash(hmac::Key);

impl KeyedHash {
    pub fn new() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &crate::random::bytes::<32>()))
    }

    /// The fingerprint of a tuple. Each part counts with its length: `a`, `b:c` is not `a:b`, `c`.
    pub fn of(&self, parts: &[&[u8]]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(context.sign().as_ref());
        fingerprint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tuples_that_join_to_the_same_text_differ() {
        let hash = KeyedHash::new();
        assert_eq!(hash.of(&[b"a", b"b"]), hash.of(&[b"a", b"b"]));
        assert_ne!(hash.of(&[b"a", b"b:c"]), hash.of(&[b"a:b", b"c"]));
        assert_ne!(hash.of(&[b"a", b"b"]), hash.of(&[b"ab"]));
        assert_ne!(hash.of(&[b"a"]), KeyedHash::new().of(&[b"a"]));
    }
}
