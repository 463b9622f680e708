//! A source that stops when one row grows too long, for an unclosed quote must not pull a whole file into memory; and that
//! knows where lines begin, whatever they end with.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

/// Bytes that a reader takes in advance.
const AHEAD: usize = 16 << 10;

/// How many bytes may still be read before a row must have ended, and which lines have passed.
#[derive(Clone)]
pub(super) struct Budget {
    left: Rc<Cell<usize>>,
    row_bytes: usize,
    lines: Option<Rc<RefCell<Lines>>>,
}

/// Ends of lines that were read and not passed yet.
struct Lines {
    end: u8,
    ends: VecDeque<LineEnd>,
    /// Bytes read.
    read: u64,
    is_blank: bool,
    passed: u64,
}

struct LineEnd {
    at: u64,
    is_blank: bool,
}

impl Budget {
    pub fn new(row_bytes: usize) -> Self {
        Self { left: Rc::new(Cell::new(row_bytes + AHEAD)), row_bytes, lines: None }
    }

    /// Also follows lines, which end with `end`.
    pub fn with_lines(row_bytes: usize, end: u8) -> Self {
        let lines = Lines { end, ends: VecDeque::new(), read: 0, is_blank: true, passed: 0 };
        Self { lines: Some(Rc::new(RefCell::new(lines))), ..Self::new(row_bytes) }
    }

    /// A row has ended.
    pub fn renew(&self) {
        self.left.set(self.row_bytes + AHEAD);
    }

    /// Whether the source was stopped.
    pub fn is_spent(&self) -> bool {
        self.left.get() == 0
    }

    /// The line, from 1, of the first row at or behind this offset. Offsets must not go back.
    pub fn line_at(&self, offset: u64) -> u64 {
        let Some(lines) = &self.lines else { return 0 };
        let mut lines = lines.borrow_mut();
        while lines.ends.front().is_some_and(|end| end.at <= offset || end.is_blank) {
            lines.ends.pop_front();
            lines.passed += 1;
        }
        lines.passed + 1
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
        if let Some(lines) = &self.budget.lines {
            lines.borrow_mut().follow(buffer.get(..read).unwrap_or_default());
        }
        Ok(read)
    }
}

impl Lines {
    fn follow(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == self.end {
                self.ends.push_back(LineEnd { at: self.read, is_blank: self.is_blank });
                self.is_blank = true;
            } else if *byte != b'\r' {
                self.is_blank = false;
            }
            self.read += 1;
        }
    }
}
