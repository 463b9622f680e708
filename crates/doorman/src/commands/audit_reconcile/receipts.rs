//! The files of receipts, found in directories.

use std::io;
use std::path::{Path, PathBuf};

const EXTENSION: &str = "receipts";

/// Files of receipts, in the order of their numbers within each directory.
#[derive(Default)]
pub struct Shelves(Vec<PathBuf>);

impl Shelves {
    /// Adds the files of a directory.
    pub fn add(&mut self, directory: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if number_of(&path).is_some() {
                files.push(path);
            }
        }
        files.sort();
        self.0.extend(files);
        Ok(())
    }

    /// Adds what lies below `directory/*/receipts`, if anything does: a demo keeps its proxies so.
    pub fn add_proxies(&mut self, directory: &Path) -> io::Result<()> {
        let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
        for entry in entries {
            let receipts = entry?.path().join(EXTENSION);
            if receipts.is_dir() {
                self.add(&receipts)?;
            }
        }
        Ok(())
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.0.iter()
    }
}

/// The number in a file's name; `None` for what is no file of receipts.
pub fn number_of(path: &Path) -> Option<u64> {
    let is_one = path.extension().is_some_and(|extension| extension == EXTENSION);
    path.file_stem().filter(|_| is_one)?.to_str()?.parse().ok()
}
