//! How commands show what they found: tables for people, JSON for programs.

use crate::failure::{Failure, Silent, exit};
use crate::terminal::{clean, clean_json};
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write as _};

/// The same on every command.
#[derive(Args, Clone, Copy)]
pub struct OutputArgs {
    /// Print JSON, errors too
    #[arg(long)]
    pub json: bool,
}

/// Writes a line to standard output. A reader that has gone away ends the program quietly, as it does with other tools.
///
/// # Errors
/// When standard output cannot be written.
pub fn print_line(text: &str) -> anyhow::Result<()> {
    write_out(text.as_bytes())?;
    write_out(b"\n")
}

/// Writes bytes to standard output as they are.
///
/// # Errors
/// As [`print_line`].
pub fn write_out(bytes: &[u8]) -> anyhow::Result<()> {
    match io::stdout().write_all(bytes) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => Ok(result?),
    }
}

/// A remark for people, on standard error.
pub fn remark(text: &str) {
    let _ = writeln!(io::stderr(), "{}", clean(text));
}

/// Prints `value` as JSON.
///
/// # Errors
/// As [`print_line`].
pub fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print_line(&clean_json(&serde_json::to_string_pretty(value)?))
}

/// Shows what was found. Exit code 1 when it is not as it should be, 2 when nothing could be looked at.
///
/// # Errors
/// In these cases.
pub fn conclude<F: Serialize>(
    looked: anyhow::Result<F>,
    output: OutputArgs,
    show: impl FnOnce(&F) -> anyhow::Result<()>,
    is_well: impl FnOnce(&F) -> bool,
) -> anyhow::Result<()> {
    let finding = looked.map_err(|error| Failure::new(exit::NOT_LOOKED, format!("{error:#}")))?;
    if output.json {
        print_json(&finding)?;
    } else {
        show(&finding)?;
    }
    if is_well(&finding) { Ok(()) } else { Err(Silent(exit::FAILED).into()) }
}

/// Prints rows under headings; `nothing` says what it means that there is none.
///
/// # Errors
/// As [`print_line`].
pub fn print_table(headings: &[&str], rows: Vec<Vec<String>>, nothing: &str) -> anyhow::Result<()> {
    if rows.is_empty() {
        remark(nothing);
        return Ok(());
    }
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(headings);
    for row in rows {
        table.add_row(row.iter().map(|cell| clean(cell).into_owned()));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    print_line(&table.trim_fmt())
}

/// Prints names and values, one a line; absent values are left out.
///
/// # Errors
/// As [`print_line`].
pub fn print_fields(fields: &[(&str, Option<String>)]) -> anyhow::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        if let Some(value) = value {
            print_line(&format!("{name:width$}  {}", clean(value)))?;
        }
    }
    Ok(())
}
