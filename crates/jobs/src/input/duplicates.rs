//! Which rows were there before, in twelve bytes a row.

use ahash::RandomState;
use hashbrown::HashTable;
use std::hash::Hash;

/// Rows by a keyed hash of 64 bits: among a million rows, the chance that two different ones share it is one in forty
/// million, and nobody can aim at it.
#[derive(Default)]
pub(super) struct Seen {
    keys: RandomState,
    /// Hash and line of each row, in their order.
    rows: Vec<(u32, u32, u32)>,
    /// Numbers of rows, found by hash.
    table: HashTable<u32>,
}

impl Seen {
    /// Remembers what stands in `line`; gives the line where it stood before.
    pub fn insert(&mut self, line: u64, value: impl Hash) -> Option<u64> {
        let hash = self.keys.hash_one(value);
        let halves = halve(hash);
        let Self { rows, table, .. } = self;
        let known =
            table.find(hash, |number| rows.get(*number as usize).is_some_and(|row| (row.0, row.1) == halves));
        if let Some(number) = known {
            return rows.get(*number as usize).map(|row| u64::from(row.2));
        }
        // Lines and rows are far fewer than this: inputs are limited.
        let number = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        rows.push((halves.0, halves.1, u32::try_from(line).unwrap_or(u32::MAX)));
        table.insert_unique(hash, number, |number| {
            rows.get(*number as usize).map_or(0, |row| u64::from(row.0) << 32 | u64::from(row.1))
        });
        None
    }
}

fn halve(hash: u64) -> (u32, u32) {
    ((hash >> 32) as u32, hash as u32)
}
