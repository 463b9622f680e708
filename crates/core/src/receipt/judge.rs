//! What a receipt proves, with public keys alone.

use super::Receipt;
use crate::keys::{KeyUse, PublicKeys};
use crate::statement::{self, Statement, WriterId};
use std::collections::HashMap;

/// What a receipt is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judged {
    /// Its writer signed that this very entry is in the log.
    Proven,
    /// The same pass was honoured before: it is good once.
    Repeated,
    /// It leads to no statement that a known key signed: the file was changed, or its proxy served what it must not.
    Unproven,
}

/// The statements that receipts hang on, and which passes were seen.
pub struct StatementBook {
    keys: PublicKeys,
    statements: HashMap<(WriterId, u64), Statement>,
    /// One bit an entry, by its place among all of its writer's.
    seen: HashMap<WriterId, Vec<u64>>,
}

/// No writer has more entries; what claims so is not believed, nor given memory.
const MAX_INDEX: u64 = 1 << 36;

impl StatementBook {
    /// `keys` are those of all time.
    pub fn new(keys: PublicKeys) -> Self {
        Self { keys, statements: HashMap::new(), seen: HashMap::new() }
    }

    /// Takes a statement in, if a known key signed it. Statements are few beside receipts; what is forgotten by
    /// [`StatementBook::forget`] may be taken in again.
    pub fn take(&mut self, body: &[u8], signature: &[u8; 64]) -> Option<(WriterId, u64)> {
        let statement = Statement::from_bytes(body)?;
        let name = (statement.writer, statement.number);
        if self.statements.get(&name).is_some_and(|known| *known == statement) {
            return Some(name);
        }
        let key = self.keys.find(KeyUse::Statement, statement.kid)?;
        if !statement::verify(key, body, signature) {
            return None;
        }
        self.statements.insert(name, statement);
        Some(name)
    }

    /// The statement of that name, if it was taken in.
    pub fn statement(&self, writer: WriterId, number: u64) -> Option<&Statement> {
        self.statements.get(&(writer, number))
    }

    /// Judges one receipt; to be asked once for each.
    pub fn judge(&mut self, receipt: &Receipt<'_>) -> Judged {
        let Some(statement) = self.statements.get(&(receipt.writer, receipt.number)) else {
            return Judged::Unproven;
        };
        if receipt.stands_in(statement).is_err() {
            return Judged::Unproven;
        }
        let index = statement.first_index.saturating_add(receipt.index.into());
        let (Ok(word), bit) = (usize::try_from(index / 64), 1u64 << (index % 64)) else {
            return Judged::Unproven;
        };
        if index > MAX_INDEX {
            return Judged::Unproven;
        }
        let seen = self.seen.entry(receipt.writer).or_default();
        if seen.len() <= word {
            seen.resize(word + 1, 0);
        }
        let Some(word) = seen.get_mut(word) else { return Judged::Unproven };
        let is_fresh = *word & bit == 0;
        *word |= bit;
        if is_fresh { Judged::Proven } else { Judged::Repeated }
    }

    /// Forgets statements, so that memory stays small; their receipts have been judged.
    pub fn forget(&mut self) {
        self.statements.clear();
    }
}
