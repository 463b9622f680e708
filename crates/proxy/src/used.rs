//! Passes are good once: a used one is one bit, by its writer's cumulative log index, kept until it has expired.

use ahash::AHashMap;
use doorman_core::statement::WriterId;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Bits are kept for this long after a later pass of the same writer was seen: three times a pass's longest life, so
/// that a clock that differs by a minute opens no gap.
const KEEP_MS: u64 = 90_000;
/// The most words of one window: 2³⁰ passes within [`KEEP_MS`].
const MAX_WORDS: u64 = 1 << 24;

/// The used passes of all writers.
#[derive(Default)]
pub(crate) struct UsedPasses {
    writers: Mutex<AHashMap<WriterId, Window>>,
}

/// A sliding bitmap over one writer's log.
#[derive(Default)]
struct Window {
    /// Index of the first word that is kept; what lies before has expired.
    base: u64,
    words: VecDeque<u64>,
    /// How far the window reached at some times, oldest first.
    reached: VecDeque<(u64, u64)>,
    seen_ms: u64,
    /// Something has been dropped: what lies before `base` cannot be told any more.
    slid: bool,
}

impl UsedPasses {
    /// Marks a pass as used; false when it was already, or is too old to tell.
    pub(crate) fn mark(&self, writer: WriterId, index: u64, now_ms: u64) -> bool {
        let mut writers = self.writers.lock();
        if !writers.contains_key(&writer) {
            writers.retain(|_, window| now_ms.saturating_sub(window.seen_ms) < KEEP_MS);
        }
        let window =
            writers.entry(writer).or_insert_with(|| Window { base: index / 64, ..Window::default() });
        window.mark(index, now_ms)
    }
}

impl Window {
    fn mark(&mut self, index: u64, now_ms: u64) -> bool {
        let (word, bit) = (index / 64, 1u64 << (index % 64));
        if word < self.base {
            // The first pass seen of a writer is not always its first: make room before it while nothing has expired.
            if self.slid || self.base - word > MAX_WORDS {
                return false;
            }
            while self.base > word {
                self.words.push_front(0);
                self.base -= 1;
            }
        }
        self.slide(now_ms);
        if word < self.base || word - self.base >= MAX_WORDS {
            return false;
        }
        while self.base + self.words.len() as u64 <= word {
            self.words.push_back(0);
        }
        let end = self.base + self.words.len() as u64;
        if self.reached.back().is_none_or(|(at, _)| now_ms >= at + 1_000) {
            self.reached.push_back((now_ms, end));
        }
        self.seen_ms = now_ms;
        let Some(bits) = usize::try_from(word - self.base).ok().and_then(|at| self.words.get_mut(at)) else {
            return false;
        };
        let fresh = *bits & bit == 0;
        *bits |= bit;
        fresh
    }

    /// Drops the words that were reached so long ago that every pass in them has expired.
    fn slide(&mut self, now_ms: u64) {
        while let Some((at, end)) = self.reached.front().copied() {
            if now_ms < at + KEEP_MS {
                return;
            }
            self.reached.pop_front();
            // The last word may still be filling.
            let keep_from = end.saturating_sub(1);
            while self.base < keep_from && self.words.pop_front().is_some() {
                self.base += 1;
            }
            self.slid = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const WRITER: WriterId = WriterId([1; 16]);

    proptest! {
        #[test]
        fn within_its_life_a_pass_is_good_exactly_once(indexes in proptest::collection::vec(0u64..2_000, 1..200)) {
            let used = UsedPasses::default();
            let mut seen = HashSet::new();
            for (step, index) in indexes.into_iter().enumerate() {
                prop_assert_eq!(used.mark(WRITER, index, step as u64 * 50), seen.insert(index));
            }
        }

        #[test]
        fn no_pass_is_good_twice_however_long_it_lasts(steps in proptest::collection::vec((0u64..500, 0u64..40_000), 1..100)) {
            let used = UsedPasses::default();
            let mut seen = HashSet::new();
            let mut now = 0;
            for (index, wait) in steps {
                now += wait;
                if used.mark(WRITER, index, now) {
                    prop_assert!(seen.insert(index), "{} twice", index);
                }
            }
        }
    }

    #[test]
    fn the_window_slides_and_stays_small() {
        let used = UsedPasses::default();
        for second in 0..1_000u64 {
            for index in 0..1_000 {
                assert!(used.mark(WRITER, second * 1_000 + index, second * 1_000));
            }
        }
        assert!(!used.mark(WRITER, 5, 1_000_000), "what has expired is not taken again");
        let writers = used.writers.lock();
        assert!(writers.get(&WRITER).unwrap().words.len() < 95 * 1_000 / 64);
    }

    #[test]
    fn writers_that_are_gone_are_forgotten() {
        let used = UsedPasses::default();
        used.mark(WRITER, 1, 0);
        used.mark(WriterId([2; 16]), 1, KEEP_MS + 1);
        assert_eq!(used.writers.lock().len(), 1);
    }
}
