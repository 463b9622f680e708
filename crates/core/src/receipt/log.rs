//! A log of receipts as a whole: how it begins, and its frames one after another.

use super::{Frame, ProxyId};
use crate::pass::BootId;
use crate::wire::{Reader, put_short};

/// The file of a proxy's data directory that holds its id.
pub const PROXY_ID_FILE: &str = "proxy-id";

/// What a log was begun with. "Doorman receipts, version 1".
const MAGIC: [u8; 4] = *b"DMR1";

/// Who writes a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogStart<'a> {
    /// The installation.
    pub proxy: ProxyId,
    /// The process: the audience of its passes.
    pub boot: BootId,
    /// The region.
    pub region: &'a str,
    /// When the log was begun.
    pub at_ms: u64,
}

impl<'a> LogStart<'a> {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.proxy.0);
        out.extend_from_slice(&self.boot.0);
        out.extend_from_slice(&self.at_ms.to_be_bytes());
        put_short(out, self.region.as_bytes());
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Option<Self> {
        if reader.array()? != MAGIC {
            return None;
        }
        Some(Self {
            proxy: ProxyId(reader.array()?),
            boot: BootId(reader.array()?),
            at_ms: reader.u64()?,
            region: reader.short_str()?,
        })
    }
}

/// The frames of a piece of a log, up to its end or to the first that is not whole.
pub struct Frames<'a> {
    bytes: &'a [u8],
    read: usize,
}

impl<'a> Frames<'a> {
    /// `bytes` must begin with a frame.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, read: 0 }
    }

    /// How many bytes the frames so far take.
    pub fn read_bytes(&self) -> usize {
        self.read
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;

    fn next(&mut self) -> Option<Frame<'a>> {
        let (frame, length) = Frame::read(self.bytes.get(self.read..)?)?;
        self.read += length;
        Some(frame)
    }
}
