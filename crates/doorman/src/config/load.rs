//! From a file and the environment to a role's configuration, with everything that is wrong in one answer.

use super::checks::Checks;
use super::decode::{Mismatch, decode};
use super::document::Document;
use super::environment::Environment;
use super::path::{Path, Step};
use super::refusal::{Fault, Refusal};
use serde::de::DeserializeOwned;

/// Faults beyond this many help nobody.
const MOST_FAULTS: usize = 50;

/// A role's configuration.
pub trait RoleConfig: Sized {
    /// The file as it is written: types right, nothing compared yet. Everything in it has a default at the top.
    type File: DeserializeOwned;

    /// Compares and completes; `None` when something that is needed is missing, which `checks` then knows.
    fn validate(file: Self::File, checks: &mut Checks<'_>) -> Option<Self>;
}

/// Whether files that a configuration names must be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Files {
    /// They must be readable.
    Checked,
    /// They are on another machine.
    Ignored,
}

/// Reads the file at `path`.
///
/// # Errors
/// [`Refusal`] with all that is wrong.
pub fn load<R: RoleConfig>(
    path: &std::path::Path,
    environment: &Environment,
    files: Files,
) -> Result<R, Refusal> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, &text, environment, files),
        Err(error) => {
            let fault = Fault::new("", format!("{name} cannot be read: {error}"));
            let fault = fault.help("`doorman config example api` prints a file to begin with");
            Err(Refusal::new(&name, vec![fault]))
        }
    }
}

/// As [`load`], from text.
///
/// # Errors
/// [`Refusal`] with all that is wrong.
pub fn parse<R: RoleConfig>(
    name: &str,
    text: &str,
    environment: &Environment,
    files: Files,
) -> Result<R, Refusal> {
    let (mut document, faults) = Document::parse(name, text, environment);
    if !faults.is_empty() {
        return Err(Refusal::new(name, faults));
    }
    let (file, faults, refused) = decode_all::<R::File>(&mut document);
    let mut checks = Checks::new(&document, faults, refused);
    if files == Files::Checked {
        checks.check_files();
    }
    let config = file.and_then(|file| R::validate(file, &mut checks));
    let faults = checks.into_faults();
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => Err(Refusal::new(name, faults)),
    }
}

/// Decodes as much as can be: what serde refuses is noted and taken out, and serde tries again.
fn decode_all<T: DeserializeOwned>(document: &mut Document) -> (Option<T>, Vec<Fault>, Vec<Path>) {
    let (mut faults, mut refused) = (Vec::new(), Vec::<Path>::new());
    while faults.len() < MOST_FAULTS {
        let error = match decode(document.root()) {
            Ok(file) => return (Some(file), faults, refused),
            Err(error) => error,
        };
        let path = Path::from(error.path());
        match error.inner() {
            Mismatch::Type { .. } if document.reread_as_text(&path) => continue,
            Mismatch::MissingKey(key) if refused.contains(&path.key(key)) => {}
            mismatch => faults.push(fault(document, &path, mismatch)),
        }
        let is_there = document.remove(&path);
        refused.push(path);
        if !is_there {
            break;
        }
    }
    (None, faults, refused)
}

fn fault(document: &Document, path: &Path, mismatch: &Mismatch) -> Fault {
    match mismatch {
        Mismatch::UnknownKey(known) => {
            let parent = path.parent().unwrap_or_default();
            let key = last_key(path);
            let message = match parent.steps().is_empty() {
                true => format!("unknown key `{key}`"),
                false => format!("unknown key `{key}` in `{parent}`"),
            };
            let fault = Fault::new(path, message).at(document.place_of_key(path));
            match nearest(key, known) {
                Some(nearest) => fault.label(format!("did you mean `{nearest}`?")),
                None => fault.label("not known"),
            }
            .help(format!("known keys: {}", known.join(", ")))
        }
        Mismatch::UnknownChoice(given, known) => {
            let fault = Fault::new(path, format!("{path}: `{given}` is none of the choices"))
                .at(document.place_of(path));
            match nearest(given, known) {
                Some(nearest) => fault.label(format!("did you mean `{nearest}`?")),
                None => fault,
            }
            .help(format!("choices: {}", known.join(", ")))
        }
        Mismatch::MissingKey(key) => {
            let message = format!("`{key}` is missing in `{path}`");
            Fault::new(path.key(key), message).at(document.place_of(path)).label(format!("add `{key}`"))
        }
        Mismatch::Type { .. } | Mismatch::Other(_) => {
            Fault::new(path, format!("{path}: {mismatch}")).at(document.place_of(path))
        }
    }
}

fn last_key(path: &Path) -> &str {
    match path.steps().last() {
        Some(Step::Key(key)) => key,
        _ => "",
    }
}

/// The known word that was probably meant: one with a letter or two wrong, or with the same beginning.
fn nearest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let given = given.to_lowercase();
    let scored = known.iter().filter_map(|word| {
        let typing = strsim::normalized_damerau_levenshtein(&given, word);
        let beginning = strsim::jaro_winkler(&given, word);
        (typing >= 0.6 || beginning >= 0.8).then_some((typing + beginning, *word))
    });
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}
