//! `doorman jobs`: saved jobs.

use super::bulk;
use super::runs::tell_more;
use super::watch::WatchArgs;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_json, print_line, print_table, remark};
use crate::terminal::{clean, clean_block, clean_json};
use anyhow::Context as _;
use clap::{Args, Subcommand};
use doorman_client::{
    InputFormat, Job, JobQuery, JobSpec, Preview, PreviewQuery, RenderedRequest, RunRequest, UploadQuery,
};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// `doorman jobs`
#[derive(Subcommand)]
pub enum JobsCommand {
    /// List jobs
    List(ListArgs),
    /// Show a job as JSON, fit to be edited
    Show(JobArgs),
    /// Save a new job
    Create(CreateArgs),
    /// Change a job: in an editor, or from a file
    Edit(EditArgs),
    /// Delete a job; its runs and its history stay
    Delete(JobArgs),
    /// List the edits of a job, newest first
    History(JobArgs),
    /// Upload the rows of a job
    Upload(UploadArgs),
    /// Show the first requests that a job would send
    Preview(PreviewArgs),
    /// Start a run
    Run(RunArgs),
}

/// `doorman jobs list`
#[derive(Args)]
pub struct ListArgs {
    /// In this folder or below it
    #[arg(long)]
    folder: Option<String>,
    /// A text that occurs in the name
    #[arg(long, short)]
    q: Option<String>,
    /// Jobs in a page
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

/// Commands about one job.
#[derive(Args)]
pub struct JobArgs {
    /// The job
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman jobs create`
#[derive(Args)]
#[command(after_help = "\
Example:
  doorman jobs create migrate.json
  doorman jobs show OTHER | doorman jobs create -")]
pub struct CreateArgs {
    /// The job as JSON; `-` reads standard input
    file: PathBuf,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman jobs edit`
#[derive(Args)]
#[command(after_help = "\
Without --file, the job is opened in $VISUAL or $EDITOR. If somebody else has changed it meanwhile, nothing is saved.")]
pub struct EditArgs {
    #[command(flatten)]
    job: JobArgs,
    /// The job as JSON; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// `doorman jobs upload`
#[derive(Args)]
#[command(after_help = "\
The whole file is refused when one row is bad; all bad rows are told with their lines.

Example:
  doorman jobs upload JOB ids.csv --key id")]
pub struct UploadArgs {
    #[command(flatten)]
    job: JobArgs,
    /// CSV, or JSON Lines if the name ends in .jsonl or .ndjson
    file: PathBuf,
    /// Names the columns of a CSV without a header line, separated by commas
    #[arg(long, value_name = "NAMES")]
    columns: Option<String>,
    /// The column by which rows are told apart [default: the whole row]
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// What becomes of a row that was there before: refuse, skip or allow [default: refuse]
    #[arg(long)]
    duplicates: Option<String>,
}

/// `doorman jobs preview`
#[derive(Args)]
pub struct PreviewArgs {
    #[command(flatten)]
    job: JobArgs,
    /// How many requests [default: 10]
    #[arg(long)]
    limit: Option<u32>,
}

/// `doorman jobs run`
#[derive(Args)]
#[command(after_help = "\
Example:
  doorman jobs run JOB --dry-run --watch
  doorman jobs run JOB --reason 'ticket 4711' --watch")]
pub struct RunArgs {
    #[command(flatten)]
    job: JobArgs,
    /// Render every request and ask policy about each; send nothing
    #[arg(long)]
    dry_run: bool,
    /// Why this is done, for the audit log
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    watch: WatchArgs,
}

impl JobsCommand {
    /// Whether errors, too, are to be JSON.
    pub fn is_json(&self) -> bool {
        match self {
            Self::List(args) => args.output.json,
            Self::Show(args) | Self::Delete(args) | Self::History(args) => args.output.json,
            Self::Create(args) => args.output.json,
            Self::Edit(args) => args.job.output.json,
            Self::Upload(args) => args.job.output.json,
            Self::Preview(args) => args.job.output.json,
            Self::Run(args) => args.job.output.json,
        }
    }
}

/// Runs one of them.
pub async fn run(command: JobsCommand) -> anyhow::Result<()> {
    match command {
        JobsCommand::List(args) => list(args).await,
        JobsCommand::Show(args) => show(args).await,
        JobsCommand::Create(args) => {
            let job = args.connection.client()?.create_job(&read_spec(&read_file(&args.file)?)?).await?;
            saved(&job, args.output)
        }
        JobsCommand::Edit(args) => edit(args).await,
        JobsCommand::Delete(args) => delete(args).await,
        JobsCommand::History(args) => history(args).await,
        JobsCommand::Upload(args) => upload(args).await,
        JobsCommand::Preview(args) => preview(args).await,
        JobsCommand::Run(args) => {
            let client = args.job.connection.client()?;
            let request = RunRequest { dry_run: args.dry_run, reason: args.reason };
            let run = client.start_run(&args.job.id, &request).await?;
            bulk::finish(&client, run, args.watch, args.job.output).await
        }
    }
}

async fn list(args: ListArgs) -> anyhow::Result<()> {
    let query = JobQuery { folder: args.folder, q: args.q, limit: args.limit, cursor: args.cursor };
    let list = args.connection.client()?.jobs(&query).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.iter().map(|job| {
        let request = &job.spec.request;
        let region = request.region.clone().unwrap_or_else(|| request.regions.join(","));
        let what = format!("{} {region}/{}{}", request.method, request.service, request.path);
        let next = job.next_run_at.clone().unwrap_or_default();
        vec![job.spec.folder.clone(), job.spec.name.clone(), what, next, job.id.clone()]
    });
    print_table(
        &["FOLDER", "NAME", "REQUEST", "NEXT RUN", "ID"],
        rows.collect(),
        "There is no job that you may see.",
    )?;
    tell_more(list.next_cursor.as_deref());
    Ok(())
}

async fn show(args: JobArgs) -> anyhow::Result<()> {
    let job = args.connection.client()?.job(&args.id).await?;
    if args.output.json {
        return print_json(&job);
    }
    remark(&format!("{} · version {} · by {} at {}", job.id, job.version, job.updated_by, job.updated_at));
    if let Some(uploaded) = &job.uploaded {
        remark(&format!("{} rows of {}", uploaded.rows, uploaded.columns.join(", ")));
    }
    print_json(&job.spec)
}

async fn edit(args: EditArgs) -> anyhow::Result<()> {
    let client = args.job.connection.client()?;
    let job = client.job(&args.job.id).await?;
    let text = match &args.file {
        Some(file) => read_file(file)?,
        None => edit_by_hand(&serde_json::to_string_pretty(&job.spec)?)?,
    };
    let spec = read_spec(&text)?;
    if spec == job.spec {
        remark("Nothing has changed.");
        return Ok(());
    }
    saved(&client.update_job(&job.id, job.version, &spec).await?, args.job.output)
}

async fn delete(args: JobArgs) -> anyhow::Result<()> {
    let client = args.connection.client()?;
    let job = client.job(&args.id).await?;
    client.delete_job(&job.id, job.version).await?;
    remark(&format!("Deleted {} in {}.", job.spec.name, job.spec.folder));
    Ok(())
}

async fn history(args: JobArgs) -> anyhow::Result<()> {
    let list = args.connection.client()?.job_history(&args.id).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.iter().map(|edit| {
        vec![
            edit.version.to_string(),
            edit.at.clone(),
            edit.by.clone(),
            edit.action.clone(),
            edit.spec.name.clone(),
        ]
    });
    print_table(&["VERSION", "TIME", "BY", "WHAT", "NAME"], rows.collect(), "It was never changed.")?;
    tell_more(list.next_cursor.as_deref());
    Ok(())
}

async fn upload(args: UploadArgs) -> anyhow::Result<()> {
    let is_jsonl = args.file.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
    let format = if is_jsonl { InputFormat::Jsonl } else { InputFormat::Csv };
    let name = || args.file.display().to_string();
    let file = tokio::fs::File::open(&args.file).await.with_context(name)?;
    let query = UploadQuery { columns: args.columns, key: args.key, duplicates: args.duplicates };
    let rows = tokio_util::io::ReaderStream::new(file);
    let job = args.job.connection.client()?.upload_input(&args.job.id, format, &query, rows).await?;
    saved(&job, args.job.output)
}

async fn preview(args: PreviewArgs) -> anyhow::Result<()> {
    let query = PreviewQuery { limit: args.limit };
    let preview = args.job.connection.client()?.preview_job(&args.job.id, &query).await?;
    if args.job.output.json {
        return print_json(&preview);
    }
    preview.requests.iter().try_for_each(print_request)?;
    tell_preview(&preview);
    Ok(())
}

fn print_request(request: &RenderedRequest) -> anyhow::Result<()> {
    if let Some(error) = &request.error {
        return print_line(&clean(&format!("line {}: cannot be sent: {error}\n", request.line)));
    }
    let query = request.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    let instance = if request.instance == "any" { String::new() } else { format!("@{}", request.instance) };
    let RenderedRequest { method, region, service, path, .. } = request;
    print_line(&clean(&format!("{method} {region}/{service}{instance}{path}{query}")))?;
    for (name, value) in &request.headers {
        print_line(&clean(&format!("{name}: {value}")))?;
    }
    if let Some(body) = &request.body {
        print_line(&format!("\n{}", clean_block(body)))?;
    }
    print_line("")
}

fn tell_preview(preview: &Preview) {
    remark(&format!(
        "{} of {} requests. A dry run also asks policy about each.",
        preview.requests.len(),
        preview.total
    ));
    if !preview.unused_columns.is_empty() {
        remark(&format!("Not used: {}", preview.unused_columns.join(", ")));
    }
    if !preview.next_runs.is_empty() {
        remark(&format!("Runs next at {}", preview.next_runs.join(", ")));
    }
}

fn saved(job: &Job, output: OutputArgs) -> anyhow::Result<()> {
    if output.json {
        return print_json(job);
    }
    remark(&format!("Saved version {} of {} in {}.", job.version, job.spec.name, job.spec.folder));
    if let Some(uploaded) = &job.uploaded {
        remark(&format!("{} rows, {} duplicates left out.", uploaded.rows, uploaded.duplicates));
    }
    print_line(&clean_json(&job.id))
}

fn read_file(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).context("standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Reads a job, telling every field that is wrong before anything is sent.
fn read_spec(text: &str) -> anyhow::Result<JobSpec> {
    let value = serde_json::from_str(text).context("the job is no JSON")?;
    doorman_core::rollout::decode(value).map_err(|problems| {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Failure::new(exit::FAILED, format!("the job cannot be read\n  {}", told.join("\n  ")))
            .hint("docs/jobs.md says what a job is")
            .into()
    })
}

fn edit_by_hand(text: &str) -> anyhow::Result<String> {
    let editor =
        ["VISUAL", "EDITOR"].iter().find_map(|name| std::env::var(name).ok().filter(|it| !it.is_empty()));
    let editor = editor.ok_or_else(|| {
        Failure::new(exit::FAILED, "there is no editor").hint("set EDITOR, or give the job with --file")
    })?;
    let mut file = tempfile::Builder::new().prefix("doorman-job-").suffix(".json").tempfile()?;
    file.write_all(text.as_bytes())?;
    // As other tools do, so that EDITOR may hold arguments.
    let ended = std::process::Command::new("sh")
        .args(["-c", &format!("{editor} \"$1\""), "sh"])
        .arg(file.path())
        .status()
        .context(editor)?;
    if !ended.success() {
        return Err(Failure::new(exit::FAILED, "the editor failed; nothing is saved").into());
    }
    Ok(std::fs::read_to_string(file.path())?)
}
