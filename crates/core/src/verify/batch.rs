//! One batch: its statement, the entries that were found for it, and which of them is the bad one when they do not fit.

use super::entry::{Look, StoredEntry};
use super::fault::FaultKind;
use crate::Digest;
use crate::id::AuditId;
use crate::merkle::Tree;
use crate::statement::Statement;

/// A batch whose entries are being read.
#[derive(Clone)]
pub(super) struct Batch {
    pub(super) statement: Statement,
    /// Which ids it begins and ends with, where that is stored: a hint.
    pub(super) span: Option<(AuditId, AuditId)>,
    /// Its leaves as noted elsewhere: a hint, worth something if their root is the statement's.
    pub(super) leaves: Vec<Digest>,
    found: Vec<Found>,
    /// The last entry of the batch before.
    pub(super) after: Option<AuditId>,
}

#[derive(Clone)]
struct Found {
    id: AuditId,
    leaf: Digest,
    look: Look,
}

/// Where in the batch something is wrong.
pub(super) struct Spot {
    pub(super) kind: FaultKind,
    pub(super) index: usize,
    pub(super) among: usize,
    pub(super) entry: Option<AuditId>,
}

impl Batch {
    pub(super) fn new(
        statement: Statement,
        span: Option<(AuditId, AuditId)>,
        leaves: Vec<Digest>,
        after: Option<AuditId>,
    ) -> Self {
        Self { statement, span, leaves, found: Vec::new(), after }
    }

    /// Takes an entry; `true` when the batch has as many as it should.
    pub(super) fn add(&mut self, entry: &StoredEntry<'_>) -> bool {
        self.found.push(Found { id: entry.id, leaf: entry.leaf(), look: entry.look() });
        self.is_full()
    }

    pub(super) fn is_full(&self) -> bool {
        self.found.len() as u64 >= u64::from(self.statement.count)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn last_id(&self) -> Option<AuditId> {
        self.found.last().map(|found| found.id)
    }

    /// What is wrong with the entries found, if anything is.
    pub(super) fn judge(&self) -> Option<Spot> {
        let leaves: Vec<Digest> = self.found.iter().map(|found| found.leaf).collect();
        if !self.is_full() || Tree::new(leaves).root() != self.statement.root {
            return Some(self.blame());
        }
        let mut before = self.after;
        for (index, found) in self.found.iter().enumerate() {
            let kind = match found.look {
                // What is signed in this order, and is filed in another, is filed wrongly.
                _ if before.is_some_and(|before| before >= found.id) => Some(FaultKind::Reordered),
                Look::Sound => None,
                Look::Misfiled(_) => Some(FaultKind::Edited),
                Look::Contradicted => Some(FaultKind::Contradicted),
            };
            if let Some(kind) = kind {
                return Some(Spot { kind, index, among: 1, entry: Some(found.id) });
            }
            before = Some(found.id);
        }
        None
    }

    /// Finds the first entry that is not the one that was signed: exactly by the leaves, if they are at hand and
    /// authentic; else by what the entries tell by themselves.
    fn blame(&self) -> Spot {
        let count = self.statement.count as usize;
        let are_authentic =
            self.leaves.len() == count && Tree::new(self.leaves.clone()).root() == self.statement.root;
        let spot = if are_authentic { self.blame_by_leaves() } else { self.blame_by_looks() };
        spot.unwrap_or(Spot { kind: FaultKind::Edited, index: 0, among: count, entry: None })
    }

    fn blame_by_leaves(&self) -> Option<Spot> {
        let found_leaf = |index: usize| self.found.get(index).map(|found| found.leaf);
        let index =
            (0..self.leaves.len()).find(|index| found_leaf(*index) != self.leaves.get(*index).copied())?;
        let wanted = self.leaves.get(index)?;
        let Some(found) = self.found.get(index) else { return Some(self.dropped(index)) };
        let belongs_later = self.leaves.get(index + 1..).is_some_and(|later| later.contains(&found.leaf));
        let wanted_later = self.found.iter().skip(index + 1).any(|found| found.leaf == *wanted);
        let kind = match (belongs_later, wanted_later) {
            (true, true) => FaultKind::Reordered,
            (false, true) => FaultKind::Inserted,
            (true, false) => return Some(self.dropped(index)),
            (false, false) if self.is_beyond(found) => return Some(self.dropped(index)),
            (false, false) if index + 1 == self.leaves.len() && self.is_before_last(found) => {
                FaultKind::Inserted
            }
            (false, false) => FaultKind::Edited,
        };
        Some(Spot { kind, index, among: 1, entry: Some(found.id) })
    }

    fn blame_by_looks(&self) -> Option<Spot> {
        let misfiled = |found: &Found| matches!(found.look, Look::Misfiled(_));
        if let Some((index, found)) = self.found.iter().enumerate().find(|(_, found)| misfiled(found)) {
            let own = if let Look::Misfiled(own) = found.look { own } else { None };
            let is_swapped = self.found.iter().any(|other| Some(other.id) == own);
            let kind = if is_swapped { FaultKind::Reordered } else { FaultKind::Edited };
            return Some(Spot { kind, index, among: 1, entry: Some(found.id) });
        }
        // Within a batch each id follows the one before; where one does not, one is missing or too many.
        let (first, _) = self.span.unzip();
        let mut wanted = first;
        for (index, found) in self.found.iter().enumerate() {
            match wanted {
                Some(wanted) if found.id > wanted => return Some(self.dropped(index)),
                Some(wanted) if found.id < wanted => {
                    return Some(Spot { kind: FaultKind::Inserted, index, among: 1, entry: Some(found.id) });
                }
                _ => wanted = Some(found.id.following()),
            }
        }
        if !self.is_full() {
            return Some(self.dropped(self.found.len()));
        }
        let looks_wrong = |found: &&Found| found.look == Look::Contradicted;
        let index = self
            .found
            .iter()
            .position(|found| looks_wrong(&found))
            .or((self.found.len() == 1).then_some(0))?;
        let entry = self.found.get(index).map(|found| found.id);
        Some(Spot { kind: FaultKind::Edited, index, among: 1, entry })
    }

    /// Names an entry that is not here, by the ids around it.
    fn dropped(&self, index: usize) -> Spot {
        let before = index.checked_sub(1).and_then(|before| self.found.get(before));
        let entry = match (before, self.span) {
            (Some(before), _) => Some(before.id.following()),
            (None, span) => span.map(|(first, _)| first),
        };
        Spot { kind: FaultKind::Dropped, index, among: 1, entry }
    }

    fn is_beyond(&self, found: &Found) -> bool {
        self.span.is_some_and(|(_, last)| found.id > last)
    }

    fn is_before_last(&self, found: &Found) -> bool {
        self.span.is_some_and(|(_, last)| found.id < last)
    }
}
