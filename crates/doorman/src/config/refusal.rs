//! What is wrong with a configuration, shown so that it can be put right at once.

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;
use std::fmt;
use std::ops::Range;

/// A piece of a source.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file, or the environment variable.
    pub name: String,
    /// All its text, secrets starred out.
    pub text: String,
    /// The bytes meant.
    pub span: Range<usize>,
    /// Whether it is the file.
    pub is_file: bool,
}

/// One thing that is wrong.
#[derive(Debug)]
pub struct Fault {
    key: String,
    message: String,
    label: Option<String>,
    help: Option<String>,
    source: Option<NamedSource<String>>,
    place: Option<Place>,
}

impl Fault {
    /// `key` is the setting meant, as `server.listen`; empty where it is none.
    pub fn new(key: impl fmt::Display, message: impl Into<String>) -> Self {
        Self {
            key: key.to_string(),
            message: message.into(),
            label: None,
            help: None,
            source: None,
            place: None,
        }
    }

    /// Where it stands.
    pub fn at(mut self, place: Place) -> Self {
        self.source = Some(NamedSource::new(&place.name, place.text.clone()));
        self.place = Some(place);
        self
    }

    /// What to write at the caret.
    pub fn label(mut self, text: impl Into<String>) -> Self {
        self.label = Some(text.into());
        self
    }

    /// What to do about it.
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }

    fn order(&self) -> (bool, String, usize) {
        match &self.place {
            Some(place) => (!place.is_file, place.name.clone(), place.span.start),
            None => (true, String::new(), 0),
        }
    }

    /// For programs.
    pub fn to_row(&self) -> FaultRow<'_> {
        let position = self.place.as_ref().map(|place| position(&place.text, place.span.start));
        FaultRow {
            source: self.place.as_ref().map(|place| place.name.as_str()),
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
            key: &self.key,
            message: &self.message,
            help: self.label.as_deref().or(self.help.as_deref()),
        }
    }
}

/// A fault as JSON.
#[derive(Serialize)]
pub struct FaultRow<'a> {
    source: Option<&'a str>,
    line: Option<usize>,
    column: Option<usize>,
    key: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before.get(line_start..).unwrap_or_default().chars().count() + 1)
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl Diagnostic for Fault {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref().filter(|place| !place.text.is_empty())?;
        let label = LabeledSpan::new(self.label.clone(), place.span.start, place.span.len());
        Some(Box::new(std::iter::once(label)))
    }
}

/// Everything that is wrong with one configuration. There is at least one fault.
#[derive(Debug)]
pub struct Refusal {
    name: String,
    faults: Vec<Fault>,
}

impl Refusal {
    /// `faults` in the order in which they stand in the file, then those of the environment.
    pub fn new(name: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_cached_key(Fault::order);
        Self { name: name.to_owned(), faults }
    }

    /// The faults.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor())
            .with_links(false)
            .with_width(100)
            .with_context_lines(1);
        for fault in &self.faults {
            handler.render_report(f, fault)?;
            writeln!(f)?;
        }
        let count = self.faults.len();
        write!(f, "{} is not valid: {count} {}", self.name, if count == 1 { "problem" } else { "problems" })
    }
}

impl std::error::Error for Refusal {}
