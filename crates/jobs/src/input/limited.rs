//! A source that stops when one row grows too long: an unclosed quote must not pull a whole file into memory.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// How many bytes may still be read before a row must have ended.
#[derive(Clone)]
pub(super) struct Budget {
    left: Rc<Cell<usize>>,
    row_bytes: usize,
}

/// Bytes that a reader takes in advance.
const AHEAD: usize = 16 << 10;

impl Budget {
    pub fn new(row_bytes: usize) -> Self {
        Self { left: Rc::new(Cell::new(row_bytes + AHEAD)), row_bytes }
    }

    /// A row has ended.
    pub fn renew(&self) {
        self.left.set(self.row_bytes + AHEAD);
    }

    /// Whether the source was stopped.
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    pub fn source<R: Read>(&self, source: R) -> Limited<R> {
        Limited { source, budget: self.clone() }
    }
}

pub(super) struct Limited<R> {
    source: R,
    budget: Budget,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.left.get();
        if left == 0 {
            return Err(io::Error::other("a row is too long"));
        }
        let most = buffer.len().min(left);
        let read = self.source.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.budget.left.set(left - read);
        Ok(read)
    }
}
