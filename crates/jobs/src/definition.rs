//! A job as a whole: everything that is wrong with it, in one go.

use crate::input::{self, Limits, Report};
use crate::schedule::Schedule;
use crate::template::{Destination, Template};
use doorman_core::rollout::{self, JobSpec, Plan, Problem, Problems, Row};
use serde_json::Value;

const LONGEST_NAME: usize = 200;
const LONGEST_DESCRIPTION: usize = 10_000;

/// A job that was checked.
#[derive(Clone, Debug)]
pub struct Definition {
    /// As it was written, to be stored.
    pub spec: JobSpec,
    /// What is sent.
    pub template: Template,
    /// How the rollout goes.
    pub plan: Plan,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// What is inside `input`, if it is.
    pub inline: Option<InlineInput>,
}

/// Rows that stand inside a job.
#[derive(Clone, PartialEq, Debug)]
pub struct InlineInput {
    /// The columns.
    pub columns: Vec<String>,
    /// How many rows there are, and duplicates that are left out.
    pub report: Report,
}

impl Definition {
    /// Reads and checks a job.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(value: Value, limits: Limits) -> Result<Self, Vec<Problem>> {
        Self::check(rollout::decode(value)?, limits)
    }

    /// Checks a job: also each row that stands inside it, whether a request can be made of it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn check(spec: JobSpec, limits: Limits) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::new();
        check_names(&spec, &mut problems);
        let template = gather(Template::compile(&spec.request), &mut problems);
        let plan = gather(Plan::check(&spec.plan, &spec.request.regions), &mut problems);
        let schedule =
            spec.schedule.as_ref().and_then(|schedule| gather(Schedule::check(schedule), &mut problems));
        let inline = gather(check_inline(&spec, template.as_ref(), limits), &mut problems).flatten();
        match (template, plan) {
            (Some(template), Some(plan)) => {
                problems.into_result(Self { spec, template, plan, schedule, inline })
            }
            _ => Err(problems.into_vec()),
        }
    }
}

fn gather<T>(checked: Result<T, Vec<Problem>>, problems: &mut Problems) -> Option<T> {
    checked.map_err(|more| problems.extend(more)).ok()
}

fn check_names(spec: &JobSpec, problems: &mut Problems) {
    check_text("name", &spec.name, LONGEST_NAME, problems);
    check_text("folder", &spec.folder, LONGEST_NAME, problems);
    let is_folder = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    if !spec.folder.is_empty() && !spec.folder.split('/').all(is_folder) {
        problems.add("folder", "is no folder: letters, digits, '-', '_' and '.', parted by single slashes");
    }
    if spec.description.len() > LONGEST_DESCRIPTION {
        problems.add("description", format!("is longer than {LONGEST_DESCRIPTION} bytes"));
    }
}

fn check_text(field: &str, text: &str, longest: usize, problems: &mut Problems) {
    if text.trim().is_empty() {
        problems.add(field, "is missing");
    } else if text.len() > longest || text.contains(char::is_control) {
        problems.add(field, format!("is longer than {longest} bytes, or has control characters"));
    }
}

fn check_inline(
    spec: &JobSpec,
    template: Option<&Template>,
    limits: Limits,
) -> Result<Option<InlineInput>, Vec<Problem>> {
    let Some(input) = &spec.input else { return Ok(None) };
    let Some(mut reader) = input::open_inline(input, limits)? else { return Ok(None) };
    let field = if input.rows.is_some() {
        "rows"
    } else if input.csv.is_some() {
        "csv"
    } else {
        "jsonl"
    };
    let problem = |detail: String| Problem { field: format!("input.{field}"), detail };
    let mut columns_checked = false;
    let broken = loop {
        let row = match reader.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break None,
            Err(error) => break Some(error),
        };
        let Some(template) = template else { continue };
        if !columns_checked {
            template.check_columns(reader.columns())?;
            columns_checked = true;
        }
        let bad = check_row(template, row.line, &row.values);
        bad.into_iter().for_each(|bad| reader.reject_given(bad));
    };
    let columns = reader.columns().to_vec();
    let report = reader.report().clone();
    let mut problems: Vec<Problem> = report.problems.iter().map(|bad| problem(bad.to_string())).collect();
    let untold = report.problem_count - report.problems.len() as u64;
    if untold > 0 {
        problems.push(problem(format!("and {untold} more bad rows")));
    }
    problems.extend(broken.map(|error| problem(error.to_string())));
    if problems.is_empty() && !columns_checked {
        // What stands in no good row is not known.
        template.map_or(Ok(()), |template| template.check_columns(&columns))?;
    }
    if report.rows == 0 && problems.is_empty() {
        problems.push(problem("has no rows".to_owned()));
    }
    if problems.is_empty() { Ok(Some(InlineInput { columns, report })) } else { Err(problems) }
}

/// Whether a request can be made of a row, wherever the job sends it.
pub fn check_row(template: &Template, line: u64, row: &Row) -> Option<input::RowProblem> {
    let to = Destination { region: template.regions().first().map(|region| &**region), instance: None };
    template.render(row, to).err().map(|error| input::RowProblem {
        line,
        column: error.column.map(Into::into),
        detail: error.detail,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn problems(input: Value) -> Vec<String> {
        let job = json!({
            "name": "n", "folder": "f", "input": input,
            "request": {"region": "eu", "service": "echo", "method": "GET", "path": "/{{id}}"},
        });
        let refused = Definition::parse(job, Limits::default()).err().unwrap_or_default();
        refused.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn every_bad_row_is_told_also_when_none_is_good_and_when_reading_breaks_off() {
        assert_eq!(
            problems(json!({"rows": [{"id": "a\0"}]})),
            ["input.rows: line 1: `id` has a NUL character"]
        );
        assert_eq!(
            problems(json!({"csv": "id,n\n1\n"})),
            ["input.csv: line 2: the row has 1 fields, and there are 2 columns"]
        );
        assert_eq!(
            problems(json!({"csv": "id\n..\na/b\n\"c\n"})),
            [
                "input.csv: line 2: the path has a '.' or '..' segment",
                "input.csv: line 3: `id` has a slash, and stands in the path: it would begin another segment",
                "input.csv: line 4: a quote is opened and never closed",
            ]
        );
        assert_eq!(problems(json!({"csv": "ID\n1\n"})), ["request.path: uses `id`, but the input has `ID`"]);
        assert_eq!(problems(json!({"rows": []})).len(), 1);
    }
}
