//! Receipts: what a proxy writes down of each pass that it honours, before it forwards. Specified in `docs/receipts.md`.
//!
//! A receipt stands by itself: its leaf leads to the root of a statement that the writer signed. So it convicts a
//! database that lacks the entry, with public keys alone. What it holds of a request are digests and names, no secrets.
//!
//! A log of receipts is a sequence of frames (`kind`, length, payload); a cut or damaged end is told from a whole one.

mod judge;
mod log;

pub use judge::{Judged, StatementBook};
pub use log::{Frames, LogStart, PROXY_ID_FILE};

use crate::id::AuditId;
use crate::pass::{BootId, Pass, PassError};
use crate::statement::{Statement, WriterId};
use crate::wire::{Reader, put_short};
use crate::{Digest, merkle};

const STARTED: u8 = 1;
const GAP: u8 = 2;
const STATEMENT: u8 = 3;
const HONOURED: u8 = 4;
const ENDED: u8 = 5;

/// Which proxy installation: random, and kept in its data directory.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ProxyId(pub [u8; 16]);

impl std::fmt::Display for ProxyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for ProxyId {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<BootId>().map(|BootId(id)| Self(id))
    }
}

/// One frame of a log of receipts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame<'a> {
    /// The first frame of every file: who writes it.
    Started(LogStart<'a>),
    /// Receipts from before this time, in milliseconds since the Unix epoch, may be missing: the machine may have lost
    /// what it had not flushed, or files were deleted before they were collected. Where none are found, nothing follows.
    Gap {
        /// When that was noticed.
        at_ms: u64,
    },
    /// A statement on which receipts behind it hang: its body and signature, verified by the proxy.
    Statement {
        /// The body, root included.
        body: &'a [u8],
        /// The signature.
        signature: [u8; 64],
    },
    /// A pass was honoured; its request was forwarded only after this was written.
    Honoured(Receipt<'a>),
    /// How that request ended, as far as the proxy saw.
    Ended(Ended<'a>),
}

/// One honoured pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt<'a> {
    /// The attempt.
    pub audit_id: AuditId,
    /// When it was honoured.
    pub at_ms: u64,
    /// When the pass would have ended.
    pub expires_ms: u64,
    /// Whose statement it hangs on.
    pub writer: WriterId,
    /// That statement's number.
    pub number: u64,
    /// The leaf's place in the batch.
    pub index: u32,
    /// SHA-256 of the claims, recomputed by the proxy from the request that it got.
    pub claims: Digest,
    /// SHA-256 of the audit record, as the pass said.
    pub record: Digest,
    /// Siblings from the leaf to the root: digests, one behind another.
    pub path: &'a [u8],
    /// The request's method.
    pub method: &'a str,
    /// The service.
    pub service: &'a str,
    /// On whose behalf.
    pub subject: &'a str,
}

/// How a forwarded request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The service answered with this status.
    Answered(u16),
    /// Not a byte of the request was written to an instance.
    Unsent,
    /// It may have arrived; no answer came.
    Unknown,
}

/// The end of the request of one honoured pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended<'a> {
    /// The attempt.
    pub audit_id: AuditId,
    /// When.
    pub at_ms: u64,
    /// How.
    pub end: End,
    /// The instance that answered, or the stable error code of what went wrong.
    pub what: &'a str,
}

impl Frame<'_> {
    /// Appends the frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; 3]);
        let kind = self.put_payload(out);
        let length = u16::try_from(out.len() - start - 3).unwrap_or(u16::MAX).to_be_bytes();
        if let Some(head) = out.get_mut(start..start + 3) {
            head.copy_from_slice(&[kind, length[0], length[1]]);
        }
    }

    fn put_payload(&self, out: &mut Vec<u8>) -> u8 {
        match self {
            Self::Started(start) => {
                start.put(out);
                STARTED
            }
            Self::Gap { at_ms } => {
                out.extend_from_slice(&at_ms.to_be_bytes());
                GAP
            }
            Self::Statement { body, signature } => {
                put_short(out, body);
                out.extend_from_slice(signature);
                STATEMENT
            }
            Self::Honoured(receipt) => {
                receipt.put(out);
                HONOURED
            }
            Self::Ended(ended) => {
                ended.put(out);
                ENDED
            }
        }
    }

    /// Reads the frame at the beginning of `bytes`, and gives its length; `None` when there is no whole one.
    pub fn read(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
        let mut reader = Reader(bytes);
        let kind = reader.u8()?;
        let payload = reader.short()?;
        let mut reader = Reader(payload);
        let frame = match kind {
            STARTED => Frame::Started(LogStart::read(&mut reader)?),
            GAP => Frame::Gap { at_ms: reader.u64()? },
            STATEMENT => Frame::Statement { body: reader.short()?, signature: reader.array()? },
            HONOURED => Frame::Honoured(Receipt::read(&mut reader)?),
            ENDED => Frame::Ended(Ended::read(&mut reader)?),
            _ => return None,
        };
        reader.end()?;
        Some((frame, 3 + payload.len()))
    }

    /// When it was written, for frames that say so.
    pub fn at_ms(&self) -> Option<u64> {
        match self {
            Self::Started(start) => Some(start.at_ms),
            Self::Gap { at_ms } => Some(*at_ms),
            Self::Statement { .. } => None,
            Self::Honoured(receipt) => Some(receipt.at_ms),
            Self::Ended(ended) => Some(ended.at_ms),
        }
    }
}

/// Appends the receipt for a pass, whose claims hash to `claims`: without building a [`Receipt`], since this is done
/// for each request.
pub fn put_receipt(out: &mut Vec<u8>, pass: &Pass, claims: &Digest, at_ms: u64, method: &str, service: &str) {
    let receipt = Receipt {
        audit_id: pass.audit_id,
        at_ms,
        expires_ms: pass.expires_ms,
        writer: pass.statement.writer,
        number: pass.statement.number,
        index: pass.index,
        claims: *claims,
        record: pass.record,
        path: pass.path.as_flattened(),
        method,
        service,
        subject: &pass.subject,
    };
    Frame::Honoured(receipt).put(out);
}

impl<'a> Receipt<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.audit_id.0);
        out.extend_from_slice(&self.at_ms.to_be_bytes());
        out.extend_from_slice(&self.expires_ms.to_be_bytes());
        out.extend_from_slice(&self.writer.0);
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.index.to_be_bytes());
        out.extend_from_slice(&self.claims);
        out.extend_from_slice(&self.record);
        for part in [self.path, self.method.as_bytes(), self.service.as_bytes(), self.subject.as_bytes()] {
            put_short(out, part);
        }
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        Some(Self {
            audit_id: AuditId(reader.array()?),
            at_ms: reader.u64()?,
            expires_ms: reader.u64()?,
            writer: WriterId(reader.array()?),
            number: reader.u64()?,
            index: reader.u32()?,
            claims: reader.digest()?,
            record: reader.digest()?,
            path: reader.short()?,
            method: reader.short_str()?,
            service: reader.short_str()?,
            subject: reader.short_str()?,
        })
    }

    /// The leaf that this receipt is for.
    pub fn leaf(&self) -> Digest {
        merkle::leaf_hash(&self.claims, &self.record)
    }

    /// Whether the leaf stands at its place in the batch of `statement`, whose signature somebody else has verified.
    ///
    /// # Errors
    /// [`PassError::Path`].
    pub fn stands_in(&self, statement: &Statement) -> Result<(), PassError> {
        let (path, rest) = self.path.as_chunks::<32>();
        let root = merkle::root_from_path(self.leaf(), self.index, statement.count, path);
        let stands = rest.is_empty()
            && root == Some(statement.root)
            && (statement.writer, statement.number) == (self.writer, self.number);
        if stands { Ok(()) } else { Err(PassError::Path) }
    }
}

impl<'a> Ended<'a> {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.audit_id.0);
        out.extend_from_slice(&self.at_ms.to_be_bytes());
        let (state, status) = match self.end {
            End::Answered(status) => (1, status),
            End::Unsent => (2, 0),
            End::Unknown => (3, 0),
        };
        out.push(state);
        out.extend_from_slice(&status.to_be_bytes());
        put_short(out, self.what.as_bytes());
    }

    fn read(reader: &mut Reader<'a>) -> Option<Self> {
        let (audit_id, at_ms) = (AuditId(reader.array()?), reader.u64()?);
        let end = match (reader.u8()?, reader.array().map(u16::from_be_bytes)?) {
            (1, status) => End::Answered(status),
            (2, 0) => End::Unsent,
            (3, 0) => End::Unknown,
            _ => return None,
        };
        Some(Self { audit_id, at_ms, end, what: reader.short_str()? })
    }
}

#[cfg(test)]
mod tests;
