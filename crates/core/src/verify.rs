//! Verifies a log: that every entry is the one whose leaf its writer signed, that none is missing, moved or added,
//! and that no writer is missing. Needs public keys only, and a stream of what is stored; holds one batch of each writer.
//!
//! The caller feeds, for each writer, its statements in the order of their numbers, and behind each the entries that
//! are filed under its batch, in the order of their ids. `docs/audit-log.md` tells what is checked and why that is enough.

mod batch;
mod chain;
mod entry;
mod fault;
#[cfg(test)]
mod tests;

pub use chain::{StoredStatement, Unsigned};
pub use entry::StoredEntry;
pub use fault::{Fault, FaultKind};

use crate::id::AuditId;
use crate::keys::PublicKeys;
use crate::peers::{PeerBook, Snapshot, digest_of};
use crate::retention::Tombstone;
use crate::statement::{Statement, StatementLine, WriterId};
use chain::{Chain, check_signature};
use std::collections::{BTreeMap, BTreeSet};

/// A log being verified. A clone can be finished, to see how things stand while the log goes on.
#[derive(Clone)]
pub struct LogVerifier {
    keys: PublicKeys,
    book: PeerBook,
    named: BTreeMap<WriterId, BTreeSet<u64>>,
    chains: BTreeMap<WriterId, Chain>,
}

/// What a log turned out to be.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Report {
    /// Writers that were looked at.
    pub writers: u64,
    /// Statements whose entries are all as signed.
    pub statements: u64,
    /// Entries that are as signed.
    pub entries: u64,
    /// Entries that went by retention, under a signed tombstone.
    pub retained: u64,
    /// Last batches that nobody signed yet, nor any later writer vouched for.
    pub unsigned: Vec<Unsigned>,
    /// What is wrong: at most one fault of each writer, in the order of time. Empty: the log is whole.
    pub faults: Vec<Fault>,
}

impl LogVerifier {
    /// `keys` are those of all time: statements of retired keys are verified too. `book` holds the peer lists of all
    /// writers that the source knows.
    pub fn new(keys: PublicKeys, book: PeerBook) -> Self {
        let mut named: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for (writer, number) in book.named() {
            named.entry(writer).or_default().insert(number);
        }
        let mut verifier = Self { keys, book, named, chains: BTreeMap::new() };
        let known: Vec<WriterId> = verifier.book.writers().collect();
        for writer in known {
            verifier.chain(writer);
        }
        verifier
    }

    fn chain(&mut self, writer: WriterId) -> &mut Chain {
        let named = &mut self.named;
        self.chains
            .entry(writer)
            .or_insert_with(|| Chain::new(writer, named.remove(&writer).unwrap_or_default()))
    }

    /// Takes a writer's next statement, and the line that its statements file has under the same number.
    pub fn statement(&mut self, writer: WriterId, stored: StoredStatement, witness: Option<StatementLine>) {
        let keys = std::mem::take(&mut self.keys);
        self.chain(writer).statement(&keys, stored, witness);
        self.keys = keys;
    }

    /// Takes the next entry of the batch whose statement came last.
    pub fn entry(&mut self, writer: WriterId, entry: &StoredEntry<'_>) {
        self.chain(writer).entry(entry);
    }

    /// Takes a tombstone: batches that it names may lack their entries. To come before their statements. One that no
    /// known key signed excuses nothing.
    pub fn tombstone(&mut self, body: &[u8], signature: &[u8]) {
        if let Some(tombstone) = Tombstone::verified(&self.keys, body, signature) {
            let chain = self.chain(tombstone.writer);
            chain.retained_below = chain.retained_below.max(tombstone.below);
        }
    }

    /// Says that there is an entry which belongs to no batch.
    pub fn stray(&mut self, writer: WriterId, id: AuditId) {
        let chain = self.chain(writer);
        chain.close();
        chain.fail(FaultKind::Inserted, Some(id));
    }

    /// Says that a statements file goes on with `line` behind the last statement that was found. A log may be ahead of
    /// its files, never behind.
    pub fn beyond(&mut self, writer: WriterId, line: &StatementLine) {
        let statement = Statement::from_bytes(&line.body).filter(|statement| statement.writer == writer);
        let is_signed = statement.is_some_and(|statement| {
            let signature = line.signature.unwrap_or([0; 64]);
            check_signature(&self.keys, &statement, &line.body, &signature).is_ok()
        });
        let chain = self.chain(writer);
        chain.close();
        if line.number < chain.number {
            return;
        }
        let kind = match (is_signed, chain.number) {
            (false, _) => FaultKind::FileChanged,
            (true, 0) => FaultKind::WriterMissing,
            (true, _) => FaultKind::Truncated,
        };
        chain.fail(kind, None);
    }

    /// Everything has been fed.
    pub fn finish(mut self) -> Report {
        self.chains.values_mut().for_each(Chain::close);
        self.check_peers();
        let whole = self.chains.values();
        let mut faults: Vec<Fault> = whole.clone().filter_map(|chain| chain.fault.clone()).collect();
        // Ids begin with the time; what has none was not found at all.
        faults.sort_by_key(|fault| (fault.entry.is_none(), fault.entry, fault.writer));
        Report {
            writers: self.chains.len() as u64,
            statements: self.chains.values().map(|chain| chain.number).sum(),
            entries: self.chains.values().map(|chain| chain.index - chain.retained.min(chain.index)).sum(),
            retained: self.chains.values().map(|chain| chain.retained).sum(),
            unsigned: whole
                .clone()
                .filter(|chain| chain.fault.is_none())
                .filter_map(|chain| chain.unsigned)
                .collect(),
            faults,
        }
    }

    /// Whether the writers that each writer named at its start are here, as far as they had come by then.
    fn check_peers(&mut self) {
        let (mut vouched, mut gone, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        let nobody = Snapshot::new();
        for (writer, chain) in &self.chains {
            let Some(peers) = chain.peers else { continue };
            // A writer without a list knew nobody, or somebody took the list away.
            let has_list = self.book.list(*writer).is_some();
            let snapshot = if has_list { self.book.snapshot(*writer) } else { Some(&nobody) };
            let hash_of = |peer: WriterId, number: u64| self.chains.get(&peer)?.hashes.get(&number).copied();
            match snapshot.map(|snapshot| (snapshot, digest_of(snapshot, hash_of))) {
                Some((snapshot, Ok(digest))) if digest == peers => {
                    vouched.extend(snapshot.iter().map(|(peer, number)| (*peer, *number)));
                }
                Some((_, Err((peer, _)))) => gone.push(peer),
                _ => changed.push(*writer),
            }
        }
        for (peer, number) in vouched {
            let chain = self.chain(peer);
            chain.unsigned = chain.unsigned.filter(|last| last.statement != number);
        }
        for writer in changed {
            let chain = self.chain(writer);
            (chain.number, chain.index, chain.fault) = (0, 0, None);
            chain.fail(FaultKind::PeersChanged, None);
        }
        // One that is shorter than it was may have a fault of its own, which is more exact.
        for peer in gone {
            let chain = self.chain(peer);
            let kind = if chain.number == 0 { FaultKind::WriterMissing } else { FaultKind::Truncated };
            chain.fail(kind, None);
        }
    }
}
