//! Which writers a new writer knew, and how far each had come. The digest of that stands in the new writer's first
//! statement; the list itself is kept beside it as the difference from an earlier writer's, since it grows with every
//! start of a process. Nobody needs to trust the list: a wrong one does not give the signed digest.

use crate::Digest;
use crate::statement::{WriterId, peers_digest};
use crate::wire::Reader;
use std::collections::BTreeMap;

/// How far each known writer had come: the number of its last statement.
pub type Snapshot = BTreeMap<WriterId, u64>;

/// What one writer knew when it started, as the difference from what `base` knew.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PeerList {
    base: Option<WriterId>,
    changed: Vec<(WriterId, u64)>,
}

impl PeerList {
    /// The bytes that are stored: `base` or zeros, then each changed writer and its number (64 bits, big-endian).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.changed.len() * 24);
        out.extend_from_slice(&self.base.unwrap_or(WriterId([0; 16])).0);
        for (writer, number) in &self.changed {
            out.extend_from_slice(&writer.0);
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// Reads stored bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let base = WriterId(reader.array()?);
        let mut changed = Vec::with_capacity(bytes.len() / 24);
        while reader.end().is_none() {
            changed.push((WriterId(reader.array()?), reader.u64()?));
        }
        Some(Self { base: (base.0 != [0; 16]).then_some(base), changed })
    }
}

/// The lists of all known writers.
#[derive(Clone, Default, Debug)]
pub struct PeerBook {
    lists: BTreeMap<WriterId, PeerList>,
    /// The last answer: most lists differ from it by a few writers.
    last: Option<(WriterId, Snapshot)>,
}

impl PeerBook {
    /// Adds a writer's list.
    pub fn insert(&mut self, writer: WriterId, list: PeerList) {
        self.lists.insert(writer, list);
    }

    /// A writer's list.
    pub fn list(&self, writer: WriterId) -> Option<&PeerList> {
        self.lists.get(&writer)
    }

    /// The writers that have a list.
    pub fn writers(&self) -> impl Iterator<Item = WriterId> + '_ {
        self.lists.keys().copied()
    }

    /// Every writer and number that some list names.
    pub fn named(&self) -> impl Iterator<Item = (WriterId, u64)> + '_ {
        self.lists.values().flat_map(|list| list.changed.iter().copied())
    }

    /// What `writer` knew when it started; `None` when its list or one that it builds on is missing.
    pub fn snapshot(&mut self, writer: WriterId) -> Option<&Snapshot> {
        let mut pending = Vec::new();
        let mut next = Some(writer);
        let mut snapshot = Snapshot::new();
        while let Some(writer) = next {
            if let Some((last, _)) = &self.last
                && *last == writer
            {
                snapshot = self.last.take()?.1;
                break;
            }
            let list = self.lists.get(&writer)?;
            // A list that builds on itself is none.
            if pending.len() > self.lists.len() {
                return None;
            }
            pending.push(list);
            next = list.base;
        }
        for list in pending.iter().rev() {
            snapshot.extend(list.changed.iter().copied());
        }
        Some(&self.last.insert((writer, snapshot)).1)
    }

    /// The list of a writer that starts now and knows `now`: as the difference from `base` where it can be told so.
    pub fn describe(&mut self, base: Option<WriterId>, now: &Snapshot) -> PeerList {
        if let Some(base) = base
            && let Some(known) = self.snapshot(base)
            && known.keys().all(|writer| now.contains_key(writer))
        {
            let is_new = |(writer, number): &(&WriterId, &u64)| known.get(writer) != Some(number);
            let changed = now.iter().filter(is_new).map(|(writer, number)| (*writer, *number)).collect();
            return PeerList { base: Some(base), changed };
        }
        PeerList { base: None, changed: now.iter().map(|(writer, number)| (*writer, *number)).collect() }
    }
}

/// The digest of a snapshot; `hash_of` gives a statement's hash. The first writer without one ends it.
///
/// # Errors
/// The writer and number that `hash_of` does not know.
pub fn digest_of(
    snapshot: &Snapshot,
    hash_of: impl Fn(WriterId, u64) -> Option<Digest>,
) -> Result<Digest, (WriterId, u64)> {
    let hashed = snapshot
        .iter()
        .map(|(writer, number)| {
            let hash = hash_of(*writer, *number).ok_or((*writer, *number))?;
            Ok((*writer, *number, hash))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(peers_digest(&hashed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn writer(tag: usize) -> WriterId {
        WriterId([tag as u8 + 1; 16])
    }

    proptest! {
        #[test]
        fn every_list_gives_back_what_its_writer_knew(
            starts in proptest::collection::vec((any::<bool>(), proptest::collection::vec(0u64..3, 20)), 1..20),
            order in any::<u64>(),
        ) {
            let (mut book, mut now, mut known) = (PeerBook::default(), Snapshot::new(), Vec::new());
            for (tag, (has_base, steps)) in starts.iter().enumerate() {
                for (number, step) in now.values_mut().zip(steps) {
                    *number += step;
                }
                let base = tag.checked_sub(1 + steps[0] as usize).map(writer).filter(|_| *has_base);
                let list = book.describe(base, &now);
                let list = PeerList::from_bytes(&list.to_bytes()).unwrap();
                book.insert(writer(tag), list);
                known.push(now.clone());
                now.insert(writer(tag), 0);
            }
            for turn in 0..known.len() {
                let tag = (turn as u64 * 7 + order % 64) as usize % known.len();
                prop_assert_eq!(book.snapshot(writer(tag)), Some(&known[tag]));
            }
        }
    }

    #[test]
    fn lists_that_build_on_each_other_or_on_nothing_are_none() {
        let mut book = PeerBook::default();
        book.insert(writer(1), PeerList { base: Some(writer(2)), changed: Vec::new() });
        assert_eq!(book.snapshot(writer(1)), None);
        book.insert(writer(2), PeerList { base: Some(writer(1)), changed: Vec::new() });
        assert_eq!(book.snapshot(writer(1)), None);
        assert!(PeerList::from_bytes(&[0; 20]).is_none());
    }
}
