//! Items of runs come with a fencing number. Its low bits count the claims of one chunk, the rest names the chunk: a pass
//! of an earlier claim than one that was seen is refused, since whoever made it has lost the chunk.

use ahash::AHashMap;
use parking_lot::Mutex;

/// The low bits of a fencing number, as `store` makes it.
const CLAIM_BITS: u32 = 20;
/// A pass of an earlier claim was made before the later claim, and has expired after this long: three times a pass's
/// longest life.
const KEEP_MS: u64 = 90_000;
/// After so many chunks the oldest are looked for.
const SWEEP_AT: usize = 4_096;

/// The highest claims that were seen.
#[derive(Default)]
pub(crate) struct Fences {
    chunks: Mutex<AHashMap<u64, Seen>>,
}

struct Seen {
    claim: u64,
    at_ms: u64,
}

impl Fences {
    /// Whether a pass with this fencing number may be honoured. 0 is no item's.
    pub(crate) fn admit(&self, fence: u64, now_ms: u64) -> bool {
        if fence == 0 {
            return true;
        }
        let (chunk, claim) = (fence >> CLAIM_BITS, fence & ((1 << CLAIM_BITS) - 1));
        let mut chunks = self.chunks.lock();
        // Not for each item of a chunk: there may be as many young ones.
        if chunks.len() >= SWEEP_AT && !chunks.contains_key(&chunk) {
            chunks.retain(|_, seen| now_ms.saturating_sub(seen.at_ms) < KEEP_MS);
        }
        let seen = chunks.entry(chunk).or_insert(Seen { claim, at_ms: now_ms });
        if claim < seen.claim {
            return false;
        }
        *seen = Seen { claim, at_ms: now_ms };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_claim_is_honoured_after_a_later_one(claims in prop::collection::vec((0u64..3, 1u64..9), 1..60)) {
            let fences = Fences::default();
            let mut highest = AHashMap::new();
            for (chunk, claim) in claims {
                let known: &mut u64 = highest.entry(chunk).or_default();
                let admitted = fences.admit(chunk << CLAIM_BITS | claim, 1_000);
                prop_assert_eq!(admitted, claim >= *known);
                *known = claim.max(*known);
            }
        }
    }

    #[test]
    fn what_is_no_item_has_no_fence_and_old_chunks_are_forgotten() {
        let fences = Fences::default();
        assert!(fences.admit(0, 0) && fences.admit(0, 1));
        for chunk in 1..20_000 {
            assert!(fences.admit(chunk << CLAIM_BITS | 1, chunk * 100));
        }
        assert!(fences.chunks.lock().len() <= SWEEP_AT);
    }
}
