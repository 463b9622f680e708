//! One writer's chain: its statements in order, each with its entries.

use super::batch::{Batch, Spot};
use super::entry::StoredEntry;
use super::fault::{Fault, FaultKind};
use crate::id::AuditId;
use crate::keys::{KeyUse, PublicKeys};
use crate::statement::{self, Statement, StatementLine, WriterId};
use crate::{Digest, sha256};
use std::collections::{BTreeMap, BTreeSet};

/// A statement as it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredStatement {
    /// Number, body, signature, and leaves where the source has them.
    pub line: StatementLine,
    /// The ids of the batch's first and last entry, where the source has them.
    pub span: Option<(AuditId, AuditId)>,
}

/// A writer's last batch, when nobody has its signature: its writer ended, or is, between the commit and the storing of
/// the signature. Its entries rest on the database alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Unsigned {
    /// Who wrote it.
    #[serde(serialize_with = "super::fault::as_text")]
    pub writer: WriterId,
    /// Its statement's number.
    pub statement: u64,
    /// Its first entry's place among all of the writer's.
    pub index: u64,
    /// How many entries it has.
    pub entries: u32,
}

/// Where the verification of one writer stands.
#[derive(Clone)]
pub(super) struct Chain {
    writer: WriterId,
    /// The next statement's number, hash of its predecessor, and first entry.
    pub(super) number: u64,
    previous: Digest,
    pub(super) index: u64,
    last_id: Option<AuditId>,
    /// Batches below this number may have lost their entries by retention; how many entries did.
    pub(super) retained_below: u64,
    pub(super) retained: u64,
    batch: Option<Batch>,
    /// The last statement, when it has no signature. Good only for the last of all.
    pub(super) unsigned: Option<Unsigned>,
    /// The digest in the first statement.
    pub(super) peers: Option<Digest>,
    /// Numbers whose hashes are wanted, because other writers name them.
    wanted: BTreeSet<u64>,
    pub(super) hashes: BTreeMap<u64, Digest>,
    pub(super) fault: Option<Fault>,
}

impl Chain {
    pub(super) fn new(writer: WriterId, wanted: BTreeSet<u64>) -> Self {
        Self {
            writer,
            number: 0,
            previous: Digest::default(),
            index: 0,
            last_id: None,
            retained_below: 0,
            retained: 0,
            batch: None,
            unsigned: None,
            peers: None,
            wanted,
            hashes: BTreeMap::new(),
            fault: None,
        }
    }

    pub(super) fn statement(
        &mut self,
        keys: &PublicKeys,
        stored: StoredStatement,
        witness: Option<StatementLine>,
    ) {
        self.close();
        if self.fault.is_some() {
            return;
        }
        let first_id = stored.span.map(|(first, _)| first);
        if stored.line.number != self.number {
            // An earlier number can only be a second row of what was read already.
            let is_gap = stored.line.number > self.number;
            let kind = if is_gap { FaultKind::StatementMissing } else { FaultKind::StatementReplaced };
            return self.fail(kind, None);
        }
        if let Some(last) = self.unsigned.take() {
            // Its signature was written with this statement's batch at the latest.
            (self.number, self.index) = (last.statement, last.index);
            return self.fail(FaultKind::BadSignature, None);
        }
        match self.check(keys, &stored.line, witness.as_ref()) {
            Err(kind) => self.fail(kind, first_id),
            Ok((statement, is_signed)) => {
                let hash = sha256(&stored.line.body);
                if self.wanted.contains(&self.number) {
                    self.hashes.insert(self.number, hash);
                }
                if self.number == 0 {
                    self.peers = statement.peers;
                }
                let (writer, statement_number, index) = (self.writer, self.number, self.index);
                let entries = statement.count;
                let unsigned = Unsigned { writer, statement: statement_number, index, entries };
                self.unsigned = (!is_signed).then_some(unsigned);
                self.previous = hash;
                let leaves = [stored.line.leaves, witness.map(|line| line.leaves).unwrap_or_default()];
                let leaves = leaves.into_iter().find(|leaves| !leaves.is_empty()).unwrap_or_default();
                self.batch = Some(Batch::new(statement, stored.span, leaves, self.last_id));
            }
        }
    }

    /// The statement, and whether somebody has its signature.
    fn check(
        &self,
        keys: &PublicKeys,
        line: &StatementLine,
        witness: Option<&StatementLine>,
    ) -> Result<(Statement, bool), FaultKind> {
        let statement = Statement::from_bytes(&line.body).ok_or(FaultKind::StatementReplaced)?;
        let witness = witness.filter(|witness| witness.number == line.number);
        let own =
            line.signature.or_else(|| witness.filter(|w| w.body == line.body).and_then(|w| w.signature));
        let differs = witness.is_some_and(|witness| witness.body != line.body);
        if let Some(signature) = own {
            let signed = check_signature(keys, &statement, &line.body, &signature);
            // A batch with another body, signed elsewhere, is the one that the writer made.
            signed.map_err(|kind| if differs { FaultKind::StatementReplaced } else { kind })?;
        }
        if let Some(witness) = witness {
            let is_signed = Statement::from_bytes(&witness.body).is_some_and(|statement| {
                let signature = witness.signature.unwrap_or([0; 64]);
                check_signature(keys, &statement, &witness.body, &signature).is_ok()
            });
            match (is_signed, differs) {
                (true, true) => return Err(FaultKind::StatementReplaced),
                (false, _) => return Err(FaultKind::FileChanged),
                (true, false) => {}
            }
        }
        let fits = statement.writer == self.writer
            && statement.number == self.number
            && statement.previous == self.previous
            && statement.first_index == self.index
            && statement.count > 0
            && statement.peers.is_some() == (self.number == 0);
        if fits { Ok((statement, own.is_some())) } else { Err(FaultKind::StatementReplaced) }
    }

    pub(super) fn entry(&mut self, entry: &StoredEntry<'_>) {
        if self.fault.is_some() {
            return;
        }
        let Some(batch) = &mut self.batch else { return self.fail(FaultKind::Inserted, Some(entry.id)) };
        if batch.add(entry) {
            self.close();
        }
    }

    /// The batch at hand has all the entries that were found for it.
    pub(super) fn close(&mut self) {
        let Some(batch) = self.batch.take() else { return };
        if batch.is_empty() && self.number < self.retained_below {
            self.last_id = batch.span.map(|(_, last)| last).or(self.last_id);
            self.number += 1;
            self.index += u64::from(batch.statement.count);
            self.retained += u64::from(batch.statement.count);
            return;
        }
        match batch.judge() {
            Some(spot) => self.blame(spot),
            None => {
                self.last_id = batch.last_id();
                self.number += 1;
                self.index += u64::from(batch.statement.count);
            }
        }
    }

    fn blame(&mut self, spot: Spot) {
        let Spot { kind, index, among, entry } = spot;
        self.fail(kind, entry);
        if let Some(fault) = &mut self.fault {
            fault.index += index as u64;
            fault.among = among as u64;
        }
    }

    pub(super) fn fail(&mut self, kind: FaultKind, entry: Option<AuditId>) {
        let (writer, statement, index) = (self.writer, self.number, self.index);
        self.batch = None;
        self.fault.get_or_insert(Fault { kind, writer, statement, index, among: 1, entry });
    }
}

pub(super) fn check_signature(
    keys: &PublicKeys,
    statement: &Statement,
    body: &[u8],
    signature: &[u8; 64],
) -> Result<(), FaultKind> {
    let key = keys.find(KeyUse::Statement, statement.kid).ok_or(FaultKind::UnknownKey)?;
    if statement::verify(key, body, signature) { Ok(()) } else { Err(FaultKind::BadSignature) }
}
