//! `doorman policy check`: everything that is wrong or doubtful in a directory of policies, without putting them in force.

use std::path::Path;

use crate::compile::compile;
use crate::problem::Problem;
use crate::source;

/// What [`check`] found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    pub files: usize,
    pub policies: usize,
    /// With any of these the set would be refused.
    pub errors: Vec<Problem>,
    /// Legal, but probably not meant.
    pub warnings: Vec<Problem>,
}

/// Checks all `*.cedar` of `dir`.
pub fn check(dir: &Path) -> CheckReport {
    match source::read_directory(dir) {
        Ok(sources) => {
            let compiled = compile(&sources);
            CheckReport {
                files: sources.len(),
                policies: compiled.rules.len(),
                errors: compiled.errors,
                warnings: compiled.warnings,
            }
        }
        Err(error) => {
            CheckReport { files: 0, policies: 0, errors: error.problems.to_vec(), warnings: Vec::new() }
        }
    }
}
