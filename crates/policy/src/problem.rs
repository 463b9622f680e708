//! What is wrong with policy files, with the place to look at.

use std::fmt;
use std::sync::Arc;

use miette::Diagnostic;

/// One fault, or one warning.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The path as the directory was given, or the directory itself.
    pub file: String,
    /// From 1; 0 if the problem is the file as a whole.
    pub line: usize,
    /// From 1, in characters; 0 if the problem is the file as a whole.
    pub column: usize,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Why a policy set was refused. There is at least one problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{}", lines(.problems))]
pub struct PolicyError {
    pub problems: Arc<[Problem]>,
}

impl Problem {
    pub(crate) fn of_file(file: &str, message: impl fmt::Display) -> Problem {
        Problem { file: file.to_owned(), line: 0, column: 0, message: message.to_string(), help: None }
    }

    /// At byte `offset` of `text`.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: impl fmt::Display) -> Problem {
        let (line, column) = position(text, offset);
        Problem { file: file.to_owned(), line, column, message: message.to_string(), help: None }
    }

    /// Where Cedar's diagnostic points to or, if it does not say, at byte `otherwise`.
    pub(crate) fn of_diagnostic(
        file: &str,
        text: &str,
        diagnostic: &dyn Diagnostic,
        otherwise: usize,
    ) -> Problem {
        let label = diagnostic.labels().and_then(|mut labels| labels.next());
        let offset = label.as_ref().map_or(otherwise, |label| label.offset());
        let mut problem = Problem::at(file, text, offset, diagnostic);
        problem.help = match (diagnostic.help(), label.as_ref().and_then(|label| label.label())) {
            (Some(help), _) => Some(help.to_string()),
            (None, label) => label.map(str::to_owned),
        };
        problem
    }
}

impl From<Vec<Problem>> for PolicyError {
    fn from(problems: Vec<Problem>) -> PolicyError {
        PolicyError { problems: problems.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.file)?;
        if self.line > 0 {
            write!(out, ":{}:{}", self.line, self.column)?;
        }
        write!(out, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(out, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Line and column, both from 1, of a byte offset. An offset inside a character or past the end counts up to there.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let (mut line, mut column) = (1, 1);
    for (_, character) in text.char_indices().take_while(|(at, _)| *at < offset) {
        (line, column) = if character == '\n' { (line + 1, 1) } else { (line, column + 1) };
    }
    (line, column)
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_lines_and_characters_from_one() {
        assert_eq!(position("ab\ncd", 0), (1, 1));
        assert_eq!(position("ab\ncd", 4), (2, 2));
        assert_eq!(position("äb\n", 2), (1, 2));
        assert_eq!(position("ab", 99), (1, 3));
    }
}
