//! The files of all threads: begun, read by the collector, and deleted when they are old.

use super::{ReceiptError, ReceiptSettings};
use crate::handler::now_ms;
use doorman_core::pass::BootId;
use doorman_core::receipt::{Frame, LogStart, PROXY_ID_FILE, ProxyId};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const EXTENSION: &str = "receipts";
/// Which start of the machine wrote last.
const MACHINE_FILE: &str = "machine-boot";
const MACHINE: &str = "/proc/sys/kernel/random/boot_id";

/// The directory of receipts.
pub(crate) struct Shelf {
    settings: ReceiptSettings,
    dir: PathBuf,
    proxy: ProxyId,
    boot: BootId,
    region: Box<str>,
    state: Mutex<Files>,
    /// Held while the process lives.
    _lock: File,
}

struct Files {
    next: u64,
    /// Threads write to these.
    open: BTreeSet<u64>,
    /// Everything below was collected.
    collected: u64,
}

/// How far a collector has read: all files below `low`, and some bytes of others. `low.number-offset.…` as text, which
/// only a proxy reads.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Cursor {
    low: u64,
    offsets: BTreeMap<u64, u64>,
}

/// Bytes of one file.
pub(crate) struct Piece {
    pub(crate) segment: u64,
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

/// What a collector gets.
pub(crate) struct Reading {
    pub(crate) pieces: Vec<Piece>,
    pub(crate) cursor: Cursor,
    /// There was nothing more when this was read.
    pub(crate) complete: bool,
}

impl Shelf {
    pub(crate) fn open(settings: ReceiptSettings, boot: BootId, region: &str) -> Result<Self, ReceiptError> {
        let dir = settings.dir.join("receipts");
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ReceiptError::Io { path, source }
        };
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path).map_err(failed(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => ReceiptError::Locked(settings.dir.clone()),
            fs::TryLockError::Error(source) => failed(&lock_path)(source),
        })?;
        let proxy = identity(&settings.dir.join(PROXY_ID_FILE)).map_err(failed(&settings.dir))?;
        let numbers = numbers(&dir).map_err(failed(&dir))?;
        let next = numbers.last().map_or(1, |last| last + 1);
        let files = Files { next, open: BTreeSet::new(), collected: 0 };
        let shelf =
            Self { settings, dir, proxy, boot, region: region.into(), state: Mutex::new(files), _lock: lock };
        let machine = fs::read(MACHINE).unwrap_or_default();
        let machine_path = shelf.dir.join(MACHINE_FILE);
        let is_same = !machine.is_empty() && fs::read(&machine_path).is_ok_and(|last| last == machine);
        if !is_same {
            // What the machine had not flushed when it stopped is gone.
            if !numbers.is_empty() {
                shelf.write_gap().map_err(failed(&shelf.dir))?;
            }
            fs::write(&machine_path, &machine).map_err(failed(&machine_path))?;
        }
        Ok(shelf)
    }

    pub(crate) fn proxy(&self) -> ProxyId {
        self.proxy
    }

    /// A new file for a thread.
    pub(super) fn begin(&self) -> io::Result<(u64, File)> {
        let mut state = self.state.lock();
        let number = state.next;
        let file = OpenOptions::new().append(true).create_new(true).open(self.path(number))?;
        state.next += 1;
        state.open.insert(number);
        Ok((number, file))
    }

    /// The thread writes to it no more.
    pub(super) fn end(&self, number: u64) {
        self.state.lock().open.remove(&number);
    }

    /// The first frame of a file.
    pub(super) fn start_frame(&self, at_ms: u64) -> Frame<'_> {
        Frame::Started(LogStart { proxy: self.proxy, boot: self.boot, region: &self.region, at_ms })
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:012}.{EXTENSION}"))
    }

    /// A file that says that earlier ones may lack something.
    fn write_gap(&self) -> io::Result<()> {
        let (number, mut file) = self.begin()?;
        let (at_ms, mut frames) = (now_ms(), Vec::new());
        self.start_frame(at_ms).put(&mut frames);
        Frame::Gap { at_ms }.put(&mut frames);
        let written = file.write_all(&frames);
        self.end(number);
        written
    }

    /// What lies behind `cursor`, at most about `max` bytes. Blocks on the disk.
    pub(crate) fn read(&self, mut cursor: Cursor, max: usize) -> io::Result<Reading> {
        let (open, next) = {
            let mut state = self.state.lock();
            state.collected = state.collected.max(cursor.low);
            (state.open.first().copied(), state.next)
        };
        // What is begun from now on comes next time.
        let all = numbers(&self.dir)?.into_iter().filter(|number| (cursor.low..next).contains(number));
        let mut left = max;
        let mut pieces = Vec::new();
        let mut complete = true;
        for segment in all.collect::<Vec<_>>() {
            let start = cursor.offsets.get(&segment).copied().unwrap_or(0);
            let mut bytes = Vec::new();
            match File::open(self.path(segment)) {
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(start))?;
                    file.take(left as u64).read_to_end(&mut bytes)?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            let is_all = bytes.len() < left;
            // Only whole frames are handed out: a file is written in whole frames, and read in the middle of a write.
            let mut frames = doorman_core::receipt::Frames::new(&bytes);
            while frames.next().is_some() {}
            let whole = frames.read_bytes();
            // What holds no frame in so many bytes is damaged, and its end.
            let is_cut = !is_all && (whole > 0 || left < max);
            bytes.truncate(whole);
            left -= whole;
            cursor.offsets.insert(segment, start + whole as u64);
            if whole > 0 {
                pieces.push(Piece { segment, start, bytes });
            }
            if is_cut {
                complete = false;
                break;
            }
            if segment < open.unwrap_or(next) {
                // Nobody writes to this one or to those before it any more.
                cursor.low = segment + 1;
            }
        }
        if complete {
            cursor.low = cursor.low.max(open.unwrap_or(next));
        }
        cursor.offsets.retain(|number, _| *number >= cursor.low);
        Ok(Reading { pieces, cursor, complete })
    }

    /// Deletes what is old, or too much. Blocks on the disk.
    pub(crate) fn tidy(&self) -> io::Result<()> {
        let (open, collected) = {
            let state = self.state.lock();
            (state.open.clone(), state.collected)
        };
        let mut files = Vec::new();
        for number in numbers(&self.dir)?.into_iter().filter(|number| !open.contains(number)) {
            let found = fs::metadata(self.path(number))?;
            files.push((number, found.len(), found.modified()?));
        }
        let mut total: u64 = files.iter().map(|(_, length, _)| length).sum();
        let now = SystemTime::now();
        let mut lost = 0u64;
        for (number, length, written) in files {
            let is_old =
                number < collected && now.duration_since(written).is_ok_and(|age| age >= self.settings.keep);
            if !is_old && total <= self.settings.max_bytes {
                continue;
            }
            fs::remove_file(self.path(number))?;
            total -= length;
            if number >= collected {
                lost += 1;
            }
        }
        if lost > 0 {
            tracing::error!(
                files = lost,
                "receipts were deleted before they were collected: there is no room"
            );
            self.write_gap()?;
        }
        Ok(())
    }
}

/// The installation's id, made at the first start.
fn identity(path: &Path) -> io::Result<ProxyId> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_| io::Error::other("proxy-id holds no id; delete it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut id = [0; 16];
            aws_lc_rs::rand::fill(&mut id).map_err(|_| io::Error::other("the system gave no randomness"))?;
            let id = ProxyId(id);
            fs::write(path, format!("{id}\n"))?;
            Ok(id)
        }
        Err(error) => Err(error),
    }
}

/// The files there are, in order.
fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == EXTENSION) {
            numbers.extend(path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok()));
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.low)?;
        self.offsets.iter().try_for_each(|(number, offset)| write!(f, ".{number}-{offset}"))
    }
}

impl std::str::FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('.');
        let low = parts.next().unwrap_or_default().parse()?;
        let mut offsets = BTreeMap::new();
        for part in parts {
            let (number, offset) = part.split_once('-').unwrap_or((part, ""));
            offsets.insert(number.parse()?, offset.parse()?);
        }
        Ok(Self { low, offsets })
    }
}

#[cfg(test)]
mod tests;
