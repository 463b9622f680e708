//! The text of a configuration and its tree, with the environment laid over the file.
//!
//! The text of each variable is appended to the file's, so that one number says where any value came from.

use super::environment::{Environment, Override};
use super::parse::{Malformed, parse_file, parse_value};
use super::path::{Path, Step};
use super::refusal::{Fault, Place};
use super::tree::{Node, Value};
use std::ops::Range;

/// Where a piece of the text came from.
struct Origin {
    name: String,
    range: Range<usize>,
    is_file: bool,
}

/// A configuration before it means anything.
pub struct Document {
    text: String,
    origins: Vec<Origin>,
    root: Node,
    /// Places of secrets, also of such that were overridden or taken out since: the text still shows them.
    secrets: Vec<Range<usize>>,
}

impl Document {
    /// Parses `text`, which came from the file `name`, and lays the environment over it. Also returns what of either
    /// could not be read.
    pub fn parse(name: &str, text: &str, environment: &Environment) -> (Self, Vec<Fault>) {
        let (root, malformed) = parse_file(text);
        let file = Origin { name: name.to_owned(), range: 0..text.len(), is_file: true };
        let mut document =
            Self { text: text.to_owned(), origins: vec![file], root, secrets: secret_lines(text) };
        document.note_secrets();
        let mut faults: Vec<Fault> = malformed.into_iter().map(|fault| document.malformed(fault)).collect();
        faults.extend(environment.overrides().filter_map(|setting| document.lay_over(&setting)));
        (document, faults)
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.origins.first().map_or("", |origin| &origin.name)
    }

    /// Where the value at `path` stands; where there is none, the nearest thing above it.
    pub fn place_of(&self, path: &Path) -> Place {
        let mut path = path.clone();
        loop {
            match (self.root.find(&path), path.parent()) {
                (Some(node), Some(_)) => return self.place(node.span.clone()),
                (_, None) => return self.place(0..0),
                (None, Some(parent)) => path = parent,
            }
        }
    }

    /// Where the key at the end of `path` stands.
    pub fn place_of_key(&self, path: &Path) -> Place {
        self.root.key_span(path).map_or_else(|| self.place_of(path), |span| self.place(span))
    }

    /// Takes the value at `path` out, so that the rest can be looked at. Whether there was one.
    pub fn remove(&mut self, path: &Path) -> bool {
        self.root.remove(path)
    }

    /// Takes a number or boolean from the environment as the text it was. Whether it was one.
    pub fn reread_as_text(&mut self, path: &Path) -> bool {
        let Some(node) = self.root.find(path) else { return false };
        let is_scalar = matches!(node.value, Value::Integer(_) | Value::Float(_) | Value::Boolean(_));
        let span = node.span.clone();
        if !is_scalar || self.origin(&span).is_none_or(|origin| origin.is_file) {
            return false;
        }
        let Some(text) = self.text.get(span).map(str::to_owned) else { return false };
        if let Some(node) = self.root.find_mut(path) {
            node.value = Value::Text(text);
        }
        true
    }

    /// Whether the value at `path` came from the environment.
    pub fn is_from_environment(&self, path: &Path) -> bool {
        let span = self.root.find(path).map(|node| node.span.clone());
        span.and_then(|span| self.origin(&span)).is_some_and(|origin| !origin.is_file)
    }

    /// What to show of the source around `span`. What looks like a secret is starred out.
    fn place(&self, span: Range<usize>) -> Place {
        let Some(origin) = self.origin(&span) else {
            return Place { name: self.name().to_owned(), text: String::new(), span: 0..0, is_file: true };
        };
        let range = origin.range.clone();
        let mut text = self.text.get(range.clone()).unwrap_or_default().to_owned();
        for secret in &self.secrets {
            if range.start <= secret.start && secret.end <= range.end {
                let local = secret.start - range.start..secret.end - range.start;
                text.replace_range(local.clone(), &stars(text.get(local).unwrap_or_default()));
            }
        }
        let span = span.start - range.start..span.end - range.start;
        Place { name: origin.name.clone(), text, span, is_file: origin.is_file }
    }

    /// A fault against the grammar; the key is what stands before the `=` of its line.
    fn malformed(&self, fault: Malformed) -> Fault {
        let line_start =
            self.text.get(..fault.span.start).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let key = line.split_once('=').map_or("", |(key, _)| key.trim());
        let message = if key.is_empty() { fault.message } else { format!("{key}: {}", fault.message) };
        let fault = Fault::new(key, message).at(self.place(fault.span));
        fault.help("texts stand in quotes, a table is opened once; https://toml.io has the grammar")
    }

    fn origin(&self, span: &Range<usize>) -> Option<&Origin> {
        self.origins.iter().find(|origin| origin.range.start <= span.start && span.end <= origin.range.end)
    }

    fn lay_over(&mut self, setting: &Override<'_>) -> Option<Fault> {
        let start = self.text.len() + 1;
        self.text.push('\n');
        self.text.push_str(setting.value);
        let range = start..self.text.len();
        let name = format!("environment variable {}", setting.variable);
        self.origins.push(Origin { name, range: range.clone(), is_file: false });
        if setting.keys.iter().any(String::is_empty) {
            let fault = Fault::new("", format!("{} names no setting", setting.variable));
            return Some(fault.at(self.place(range)).help("write DOORMAN__SECTION__KEY"));
        }
        let node = parse_value(setting.value, start);
        let inserted = self.root.insert(&setting.keys, node);
        self.note_secrets();
        let above = inserted.err()?;
        let help =
            format!("set `{above}` as a whole: DOORMAN__{}=…", above.to_uppercase().replace('.', "__"));
        Some(
            Fault::new(&above, format!("`{above}` is no table that {} could set a key of", setting.variable))
                .at(self.place(range))
                .help(help),
        )
    }

    /// Finds values of keys that are named like secrets, and passwords within URLs.
    fn note_secrets(&mut self) {
        for (path, _, span) in self.root.texts() {
            let key = path.steps().iter().rev().find_map(|step| match step {
                Step::Key(key) => Some(key),
                Step::Index(_) => None,
            });
            if key.is_some_and(|key| is_secret_name(key)) {
                self.secrets.push(span);
            } else if let Some(inner) = self.text.get(span.clone()).and_then(password_in_url) {
                self.secrets.push(span.start + inner.start..span.start + inner.end);
            }
        }
    }
}

/// As many stars as `text` has bytes. Line breaks stay, so that what follows keeps its place.
fn stars(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect()
}

fn is_secret_name(key: &str) -> bool {
    ["password", "passwd", "secret", "token"].iter().any(|word| key.ends_with(word))
}

/// Where lines that look like `password = …` have their value, whether or not TOML can read them.
fn secret_lines(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some((key, value)) = line.split_once('=')
            && is_secret_name(key.trim().trim_matches(['"', '\'']))
        {
            let value_start = start + key.len() + 1 + (value.len() - value.trim_start().len());
            found.push(value_start..value_start + value.trim().len());
        }
        start += line.len();
    }
    found
}

/// Where in `scheme://user:password@host` the password stands.
fn password_in_url(text: &str) -> Option<Range<usize>> {
    let host = text.find("://")? + 3;
    let authority = text.get(host..)?;
    let authority = authority.get(..authority.find('/').unwrap_or(authority.len()))?;
    let at = authority.rfind('@')?;
    let colon = authority.get(..at)?.find(':')?;
    Some(host + colon + 1..host + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_found_wherever_it_ends() {
        let password = |text: &str| password_in_url(text).map(|range| text[range].to_owned());
        assert_eq!(password("mysql://u:p@ss@host/db").as_deref(), Some("p@ss"));
        assert_eq!(password("mysql://u@host/db"), None);
        assert_eq!(password("http://host/a:b@c"), None);
    }
}
