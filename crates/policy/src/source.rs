//! Reads policy files from a directory and tells by their digest whether they changed.

use std::path::Path;
use std::{fs, io};

use sha2::{Digest as _, Sha256};

use crate::problem::{PolicyError, Problem};

/// One policy file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// `developers.cedar`: what policies without an `@id` are named after.
    pub name: String,
    /// What people are told: the path to open.
    pub path: String,
    pub text: String,
}

/// SHA-256 of all file names and texts.
pub(crate) type Digest = [u8; 32];

/// All `*.cedar` of `dir`, sorted by name; hidden files and sub-directories are left alone. One problem per unreadable file.
pub(crate) fn read_directory(dir: &Path) -> Result<Vec<Source>, PolicyError> {
    let of_dir = |error: io::Error| vec![Problem::of_file(&dir.display().to_string(), explain_dir(&error))];
    let mut sources = Vec::new();
    let mut problems = Vec::new();
    for entry in fs::read_dir(dir).map_err(of_dir)? {
        let path = entry.map_err(of_dir)?.path();
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if name.starts_with('.') || !name.ends_with(".cedar") {
            continue;
        }
        let shown = path.display().to_string();
        match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => sources.push(Source { name, path: shown, text }),
            Ok(Err(error)) => {
                let valid = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                problems.push(Problem::at(&shown, &text, valid, "not UTF-8 text"));
            }
            Err(error) => problems.push(Problem::of_file(&shown, format_args!("cannot be read: {error}"))),
        }
    }
    if !problems.is_empty() {
        problems.sort_by(|a, b| a.file.cmp(&b.file));
        return Err(problems.into());
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

pub(crate) fn digest(sources: &[Source]) -> Digest {
    let mut hash = Sha256::new();
    for part in sources.iter().flat_map(|source| [&source.name, &source.text]) {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn explain_dir(error: &io::Error) -> String {
    format!("the policy directory cannot be read: {error}")
}
