//! `doorman config check` and `example`.

use crate::config::{Environment, Files, Role, example};
use crate::output::{OutputArgs, print_json, print_line, write_out};
use clap::{Args, Subcommand};
use serde_json::json;
use std::path::PathBuf;

/// `doorman config`
#[derive(Subcommand)]
pub enum ConfigCommand {
    /// Check a file and say everything that is wrong with it
    Check(CheckArgs),
    /// Print a commented file to begin with
    Example(ExampleArgs),
}

/// `doorman config check`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman config check api.toml
  doorman config check proxy-eu.toml --role proxy --ignore-files     for a file of another machine

Exits with 0 when the file is valid and with 64 when it is not.")]
pub struct CheckArgs {
    /// The file
    file: PathBuf,
    /// Whose file it is [default: told by its tables]
    #[arg(long)]
    role: Option<Role>,
    /// Do not look for the files that it names
    #[arg(long)]
    ignore_files: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman config example`
#[derive(Args)]
#[command(after_help = "Example:\n  doorman config example proxy > proxy.toml")]
pub struct ExampleArgs {
    /// Whose file
    role: Role,
}

impl ConfigCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        matches!(self, Self::Check(args) if args.output.json)
    }
}

/// Checks, or prints an example.
pub fn run(command: ConfigCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check(args) => check(&args, environment),
        ConfigCommand::Example(args) => write_out(example(args.role).as_bytes()),
    }
}

fn check(args: &CheckArgs, environment: &Environment) -> anyhow::Result<()> {
    let role =
        args.role.unwrap_or_else(|| Role::of_text(&std::fs::read_to_string(&args.file).unwrap_or_default()));
    let files = if args.ignore_files { Files::Ignored } else { Files::Checked };
    role.check(&args.file, environment, files)?;
    if args.output.json {
        return print_json(&json!({ "valid": true, "role": role.as_str() }));
    }
    print_line(&format!("{} is a valid file for `doorman {}`.", args.file.display(), role.as_str()))
}
