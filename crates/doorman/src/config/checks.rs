//! Collects what is wrong with values that are well-formed each by itself.

use super::document::Document;
use super::path::Path;
use super::refusal::Fault;
use super::tree::Value;

/// The faults of one configuration, and the means to place more.
pub struct Checks<'a> {
    document: &'a Document,
    faults: Vec<Fault>,
    /// What was already refused and taken out: nothing more is said about it.
    refused: Vec<Path>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(document: &'a Document, faults: Vec<Fault>, refused: Vec<Path>) -> Self {
        Self { document, faults, refused }
    }

    /// Refuses the value at `path`; `help` says what would be right.
    pub fn refuse(&mut self, path: &Path, message: impl Into<String>, help: impl Into<String>) {
        if !self.is_refused(path) {
            let fault =
                Fault::new(path, format!("{path}: {}", message.into())).at(self.document.place_of(path));
            self.faults.push(fault.help(help));
        }
    }

    /// Refuses the key at `path`, if it is there: it has no meaning in this file.
    pub fn refuse_key(&mut self, path: &Path, help: impl Into<String>) {
        if self.document.root().find(path).is_some() {
            let fault = Fault::new(path, format!("{path} has no meaning here"));
            self.faults.push(fault.at(self.document.place_of_key(path)).help(help));
        }
    }

    /// Says that something is missing that has no place yet.
    pub fn require(&mut self, path: &Path, is_there: bool, help: impl Into<String>) {
        if !is_there && !self.is_refused(path) {
            let message = format!("{path} is missing in {}", self.document.name());
            self.faults.push(Fault::new(path, message).at(self.document.place_of(path)).help(help));
        }
    }

    /// The keys of the table at `path`.
    pub fn keys(&self, path: &Path) -> Vec<String> {
        match self.document.root().find(path).map(|node| &node.value) {
            Some(Value::Table(table)) => table.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the value at `path` came from the environment.
    pub fn is_from_environment(&self, path: &Path) -> bool {
        self.document.is_from_environment(path)
    }

    /// Whether anything at, above or below `path` was already refused.
    pub fn is_refused(&self, path: &Path) -> bool {
        self.refused.iter().any(|refused| refused.holds(path) || path.holds(refused))
    }

    /// Looks whether every file that is named can be read.
    pub fn check_files(&mut self) {
        for (path, name, _) in self.document.root().texts() {
            let is_file =
                matches!(path.steps().last(), Some(super::path::Step::Key(key)) if key.ends_with("_file"));
            if is_file && let Err(error) = std::fs::File::open(name) {
                self.refuse(
                    &path,
                    format!("{name} cannot be read ({error})"),
                    "paths are relative to the working directory",
                );
            }
        }
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}
