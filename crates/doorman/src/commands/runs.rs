//! `doorman runs`: what runs, what became of each item, and the controls.

use super::watch;
use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_fields, print_json, print_line, print_table, remark, write_out};
use clap::{Args, Subcommand, ValueEnum};
use doorman_client::{Item, ItemQuery, ResultsFormat, Run, RunQuery, RunState};
use doorman_core::rollout::Command;
use std::pin::pin;
use tokio_stream::StreamExt as _;

/// `doorman runs`
#[derive(Subcommand)]
pub enum RunsCommand {
    /// List runs, newest first
    List(ListArgs),
    /// Show one run
    Show(RunArgs),
    /// Follow a run until it ends; exits with 0 when every item was done, with 1 otherwise
    Watch(RunArgs),
    /// List the items of a run
    Items(ItemsArgs),
    /// Write all items with their input to standard output
    Results(ResultsArgs),
    /// Send nothing more for now; what is in flight ends
    Pause(RunArgs),
    /// Go on, also after it has stopped by itself
    Resume(RunArgs),
    /// End it; what was not sent is skipped
    Cancel(RunArgs),
    /// Open the gate to the next wave
    Advance(RunArgs),
    /// Send the failed items again
    RetryFailed(RetryArgs),
}

/// `doorman runs list`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman runs list --state running
  doorman runs list --job 0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f")]
pub struct ListArgs {
    /// Of this job
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// In this state: queued, running, paused, waiting, stopped, cancelled, done
    #[arg(long)]
    state: Option<String>,
    /// Runs in a page
    #[arg(long)]
    limit: Option<u32>,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Commands about one run.
#[derive(Args)]
pub struct RunArgs {
    /// The run
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman runs items`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman runs items RUN --state failed
  doorman runs items RUN --state unknown      look at each with `doorman audit show AUDIT_ID`")]
pub struct ItemsArgs {
    /// The run
    id: String,
    /// In this state: pending, sending, done, failed, unknown, skipped
    #[arg(long)]
    state: Option<String>,
    /// Items in a page
    #[arg(long)]
    limit: Option<u32>,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman runs results`
#[derive(Args)]
#[command(after_help = "Example:\n  doorman runs results RUN --format jsonl > results.jsonl")]
pub struct ResultsArgs {
    /// The run
    id: String,
    /// How they are written
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// How results are written.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// With a header line: the input's columns, then state, status, error, attempts and audit id
    Csv,
    /// One item a line
    Jsonl,
}

/// `doorman runs retry-failed`
#[derive(Args)]
pub struct RetryArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Send unknown items again, too, though they may have arrived
    #[arg(long)]
    with_unknown: bool,
}

impl RunsCommand {
    /// Whether errors, too, are to be JSON.
    pub fn is_json(&self) -> bool {
        match self {
            Self::List(args) => args.output.json,
            Self::Items(args) => args.output.json,
            Self::Results(args) => args.output.json,
            Self::RetryFailed(args) => args.run.output.json,
            Self::Show(args)
            | Self::Watch(args)
            | Self::Pause(args)
            | Self::Resume(args)
            | Self::Cancel(args)
            | Self::Advance(args) => args.output.json,
        }
    }
}

/// Runs one of them.
pub async fn run(command: RunsCommand) -> anyhow::Result<()> {
    match command {
        RunsCommand::List(args) => list(args).await,
        RunsCommand::Show(args) => {
            let run = args.connection.client()?.run(&args.id).await?;
            show(&run, args.output)
        }
        RunsCommand::Watch(args) => {
            let client = args.connection.client()?;
            let run = client.run(&args.id).await?;
            watch::follow(&client, run, args.output).await
        }
        RunsCommand::Items(args) => items(args).await,
        RunsCommand::Results(args) => results(args).await,
        RunsCommand::Pause(args) => control(args, Command::Pause).await,
        RunsCommand::Resume(args) => control(args, Command::Resume).await,
        RunsCommand::Cancel(args) => control(args, Command::Cancel).await,
        RunsCommand::Advance(args) => control(args, Command::Advance).await,
        RunsCommand::RetryFailed(args) => {
            control(args.run, Command::RetryFailed { with_unknown: args.with_unknown }).await
        }
    }
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let query = RunQuery { job: args.job, state: args.state, limit: args.limit, cursor: args.cursor };
    let list = args.connection.client()?.runs(&query).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.iter().map(|run| {
        let started = run.started_at.clone().unwrap_or_default();
        let items = format!("{}/{}", run.counts.ended(), run.counts.total());
        vec![started, run.name.clone(), state(run), items, bad(run), run.started_by.clone(), run.id.clone()]
    });
    let headings = ["STARTED", "JOB", "STATE", "ITEMS", "BAD", "BY", "ID"];
    print_table(&headings, rows.collect(), "There is no run that you may see.")?;
    tell_more(list.next_cursor.as_deref());
    Ok(())
}

async fn items(args: ItemsArgs) -> anyhow::Result<()> {
    let query = ItemQuery { state: args.state, limit: args.limit, cursor: args.cursor };
    let list = args.connection.client()?.run_items(&args.id, &query).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.iter().map(item_row).collect();
    let headings = ["ITEM", "INPUT", "STATE", "STATUS", "ATTEMPTS", "ERROR", "AUDIT ID"];
    print_table(&headings, rows, "No item matches.")?;
    tell_more(list.next_cursor.as_deref());
    Ok(())
}

fn item_row(item: &Item) -> Vec<String> {
    let place = [&item.region, &item.instance].into_iter().flatten().map(String::as_str);
    let values = item.input.iter().map(|(column, value)| match value {
        serde_json::Value::String(text) => format!("{column}={text}"),
        other => format!("{column}={other}"),
    });
    vec![
        item.index.to_string(),
        place.map(str::to_owned).chain(values).collect::<Vec<_>>().join(" "),
        item.state.as_str().to_owned(),
        item.status.map(|status| status.to_string()).unwrap_or_default(),
        item.attempts.to_string(),
        item.error.clone().unwrap_or_default(),
        item.audit_id.clone().unwrap_or_default(),
    ]
}

async fn results(args: ResultsArgs) -> anyhow::Result<()> {
    let format = match (args.format, args.output.json) {
        (Format::Csv, false) => ResultsFormat::Csv,
        _ => ResultsFormat::Jsonl,
    };
    let mut pieces = pin!(args.connection.client()?.run_results(&args.id, format).await?);
    while let Some(piece) = pieces.next().await {
        write_out(&piece?)?;
    }
    Ok(())
}

async fn control(args: RunArgs, command: Command) -> anyhow::Result<()> {
    let run = args.connection.client()?.control_run(&args.id, command).await?;
    show(&run, args.output)
}

fn show(run: &Run, output: OutputArgs) -> anyhow::Result<()> {
    if output.json {
        return print_json(run);
    }
    let counts = &run.counts;
    print_fields(&[
        ("id", Some(run.id.clone())),
        ("job", Some(format!("{} {}", run.name, run.job))),
        ("state", Some(state(run))),
        ("why", run.why.clone()),
        ("wave", Some(format!("{} of {}", run.wave + 1, run.waves.max(run.wave + 1)))),
        ("gate", run.gate_opens_at.as_ref().map(|at| format!("opens at {at}"))),
        ("done", Some(format!("{} of {}", counts.done, counts.total()))),
        ("failed", (counts.failed > 0).then(|| counts.failed.to_string())),
        ("unknown", (counts.unknown > 0).then(|| counts.unknown.to_string())),
        ("skipped", (counts.skipped > 0).then(|| counts.skipped.to_string())),
        ("pending", (counts.pending > 0).then(|| counts.pending.to_string())),
        ("sending", (counts.sending > 0).then(|| counts.sending.to_string())),
        ("rate", run.rate.map(|rate| format!("{rate:.1}/s"))),
        ("ends", run.eta.as_ref().filter(|_| !run.state.is_over()).map(|eta| format!("about {eta}"))),
        ("started", run.started_at.clone()),
        ("by", Some(run.started_by.clone())),
        ("reason", run.reason.clone()),
        ("ended", run.ended_at.clone()),
    ])?;
    tell_errors(run)
}

/// Errors by kind, most frequent first.
pub fn tell_errors(run: &Run) -> anyhow::Result<()> {
    run.errors.iter().try_for_each(|error| {
        print_line(&crate::terminal::clean(&format!("  {} × {}", error.count, error.error)))
    })
}

/// A run in one line.
pub fn summary(run: &Run) -> String {
    let counts = &run.counts;
    let mut parts = vec![state(run)];
    if run.waves > 1 {
        parts.push(format!("wave {}/{}", run.wave + 1, run.waves));
    }
    parts.push(format!("{} done", counts.done));
    for (count, what) in [(counts.failed, "failed"), (counts.unknown, "unknown"), (counts.skipped, "skipped")]
    {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    if run.state == RunState::Running {
        parts.extend(run.rate.map(|rate| format!("{rate:.1}/s")));
        parts.extend(run.eta.as_ref().map(|eta| format!("until about {eta}")));
    }
    match (run.state, &run.gate_opens_at) {
        (RunState::Waiting, Some(at)) => parts.push(format!("the gate opens at {at}")),
        (RunState::Waiting, None) => parts.push(format!("waits for `doorman runs advance {}`", run.id)),
        _ => parts.extend(run.why.clone()),
    }
    parts.join(" · ")
}

fn state(run: &Run) -> String {
    let dry = if run.dry_run { " (dry run)" } else { "" };
    format!("{}{dry}", run.state.as_str())
}

fn bad(run: &Run) -> String {
    match run.counts.failed + run.counts.unknown {
        0 => String::new(),
        bad => bad.to_string(),
    }
}

/// How to get the next page.
pub fn tell_more(cursor: Option<&str>) {
    if let Some(cursor) = cursor {
        remark(&format!("More: the same command with --cursor {cursor}"));
    }
}
