//! `doorman bulk`: one request over many rows, without saving a job by hand.

use super::watch::{self, WatchArgs};
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_json, remark};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use doorman_client::{
    BulkRequest, Client, Duplicates, GateSpec, InputFormat, InputSpec, JobSpec, PlanSpec, RequestSpec,
    RetrySpec, Run, RunRequest, StopSpec, SuccessSpec, UploadQuery, WaveSpec,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};

/// A file up to this size travels inside the request; a longer one is uploaded as a stream.
const INLINE_BYTES: u64 = 512 << 10;

/// `doorman bulk`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman bulk --folder ops --region eu --service companies --method POST --path '/companies/{{id}}/migrate' \\
    --ids ids.csv --json-body '{\"to\":\"v2\"}' --wave 10 --wave 25% --gate manual --reason 'ticket 4711' --watch
  doorman bulk --folder ops --region eu --region us --service companies --method GET --path '/companies/{{id}}' \\
    --ids - --columns id --dry-run < ids.txt

{{column}} stands for the row's value, escaped for its place; see docs/jobs.md. Waves are item counts (10) or shares of
all items (25%); what they leave over is the last wave. One --gate holds for every wave; or give one for each.
--watch exits with 0 when every item was done, with 1 otherwise.")]
pub struct BulkArgs {
    /// The folder that the one-off job is kept in; policy judges by it
    #[arg(long, env = "DOORMAN_FOLDER", hide_env_values = true)]
    folder: String,
    /// What to call it [default: made up]
    #[arg(long)]
    name: Option<String>,
    /// The region; more than once to send every row to each, one region after the other
    #[arg(long, required = true)]
    region: Vec<String>,
    /// The service
    #[arg(long)]
    service: String,
    /// `any`, an instance's id, or `all`
    #[arg(long)]
    instance: Option<String>,
    /// The HTTP method
    #[arg(long, short = 'X')]
    method: String,
    /// The path, with placeholders
    #[arg(long, value_name = "TEMPLATE")]
    path: String,
    /// A query parameter; more than once for more
    #[arg(long, value_name = "NAME=TEMPLATE")]
    query: Vec<String>,
    /// A header, as `Name: template`; more than once for more
    #[arg(long, short = 'H', value_name = "HEADER")]
    header: Vec<String>,
    /// The body as JSON, with placeholders in its strings; `@FILE` reads a file
    #[arg(long, value_name = "JSON", conflicts_with = "body")]
    json_body: Option<String>,
    /// The body as text; `@FILE` reads a file. Say with -H content-type what it is
    #[arg(long, value_name = "TEMPLATE")]
    body: Option<String>,
    /// The rows: CSV with a header line, or JSON Lines if the name ends in .jsonl or .ndjson; `-` reads CSV from standard input
    #[arg(long, value_name = "FILE")]
    ids: Option<PathBuf>,
    /// Names the columns of a CSV without a header line, separated by commas
    #[arg(long, value_name = "NAMES")]
    columns: Option<String>,
    /// The column by which rows are told apart [default: the whole row]
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// What becomes of a row that was there before
    #[arg(long, value_enum, default_value = "refuse")]
    duplicates: OnDuplicate,
    /// A wave: 10 items more, or up to 25%; more than once for more
    #[arg(long, value_name = "SIZE")]
    wave: Vec<String>,
    /// What opens the next wave: auto, auto:5m (after watching so long), manual, approval (another person)
    #[arg(long, value_name = "GATE")]
    gate: Vec<String>,
    /// Items in flight at once [default: 10]
    #[arg(long, value_name = "COUNT")]
    concurrency: Option<u32>,
    /// Items a second
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// How long one attempt may take [default: 30s]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
    /// Stop at so many failures
    #[arg(long, value_name = "COUNT")]
    stop_failures: Option<u64>,
    /// Stop when failures reach this share of the last items, as 0.05
    #[arg(long, value_name = "SHARE")]
    stop_rate: Option<f64>,
    /// How many items --stop-rate looks back upon [default: 100]
    #[arg(long, value_name = "COUNT", requires = "stop_rate")]
    stop_window: Option<u32>,
    /// A status that counts as success, as 2xx, 409 or 200-204; more than once for more [default: 2xx]
    #[arg(long, value_name = "STATUS")]
    success: Vec<String>,
    /// What must stand in the answer, as /ok=true: a JSON pointer and a JSON value; more than once for more
    #[arg(long, value_name = "POINTER=JSON")]
    success_body: Vec<String>,
    /// Try again so often where that is safe
    #[arg(long, value_name = "COUNT")]
    retries: Option<u32>,
    /// The first wait before trying again, doubled each time [default: 1s]
    #[arg(long, value_name = "DURATION", requires = "retries")]
    backoff: Option<String>,
    /// Sending an item twice does no harm: try again even where the request may have arrived
    #[arg(long)]
    idempotent: bool,
    /// Why this is done, for the audit log
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    /// Render every request and ask policy about each; send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What becomes of a row that was there before.
#[derive(Clone, Copy, ValueEnum)]
enum OnDuplicate {
    /// Refuse the file, and say where
    Refuse,
    /// The first one counts
    Skip,
    /// Send every one
    Allow,
}

/// Sends it, and watches if asked to.
pub async fn run(args: BulkArgs) -> anyhow::Result<()> {
    let client = args.connection.client()?;
    let mut job = spec_of(&args)?;
    let run = match args.ids.as_deref().map(open_rows).transpose()? {
        Some(rows) if rows.size > INLINE_BYTES => upload_and_run(&client, job, rows, &args).await?,
        rows => {
            job.input = rows.map(|rows| inline(rows, &args)).transpose()?;
            let bulk = BulkRequest { job, dry_run: args.dry_run, reason: args.reason.clone() };
            client.bulk(&bulk).await?
        }
    };
    finish(&client, run, args.watch, args.output).await
}

/// What `jobs run` and `bulk` end with.
pub async fn finish(client: &Client, run: Run, watch: WatchArgs, output: OutputArgs) -> anyhow::Result<()> {
    if watch.watch {
        return watch::follow(client, run, output).await;
    }
    if output.json {
        return print_json(&run);
    }
    remark(&format!(
        "Started. `doorman runs watch {0}` follows it, `doorman runs pause {0}` halts it.",
        run.id
    ));
    crate::output::print_line(&run.id)
}

/// The job that the arguments describe, without its rows.
fn spec_of(args: &BulkArgs) -> anyhow::Result<JobSpec> {
    let (path, inline_query) = args.path.split_once('?').unwrap_or((&args.path, ""));
    let mut query = BTreeMap::new();
    for pair in
        inline_query.split('&').filter(|pair| !pair.is_empty()).chain(args.query.iter().map(String::as_str))
    {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| wrong("--query", pair, "write it as NAME=TEMPLATE"))?;
        query.insert(name.to_owned(), value.to_owned());
    }
    let mut headers = BTreeMap::new();
    for header in &args.header {
        let (name, value) =
            header.split_once(':').ok_or_else(|| wrong("--header", header, "write it as 'Name: value'"))?;
        headers.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    let body = match (&args.json_body, &args.body) {
        (Some(text), _) => {
            let text = read_text(text)?;
            Some(serde_json::from_str(&text).map_err(|error| {
                wrong(
                    "--json-body",
                    &error.to_string(),
                    "placeholders stand in strings: {\"id\":\"{{id|number}}\"}",
                )
            })?)
        }
        (None, Some(text)) => Some(Value::String(read_text(text)?)),
        (None, None) => None,
    };
    let one_region = (args.region.len() == 1).then(|| args.region.first().cloned()).flatten();
    Ok(JobSpec {
        name: args.name.clone().unwrap_or_default(),
        folder: args.folder.clone(),
        request: RequestSpec {
            regions: if one_region.is_some() { Vec::new() } else { args.region.clone() },
            region: one_region,
            service: args.service.clone(),
            instance: args.instance.clone(),
            method: args.method.to_ascii_uppercase(),
            path: path.to_owned(),
            query,
            headers,
            body,
            reason: None,
        },
        plan: plan_of(args)?,
        ..JobSpec::default()
    })
}

fn plan_of(args: &BulkArgs) -> anyhow::Result<PlanSpec> {
    let has_stop = args.stop_failures.is_some() || args.stop_rate.is_some();
    let mut success_body = BTreeMap::new();
    for text in &args.success_body {
        let (pointer, value) =
            text.split_once('=').ok_or_else(|| wrong("--success-body", text, "write it as /ok=true"))?;
        // What is no JSON is text: nobody wants to quote twice on a command line.
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        success_body.insert(pointer.to_owned(), value);
    }
    let has_success = !args.success.is_empty() || !success_body.is_empty();
    Ok(PlanSpec {
        waves: waves_of(&args.wave, &args.gate)?,
        concurrency: args.concurrency,
        rate_per_second: args.rate,
        timeout: args.timeout.clone(),
        stop_when: has_stop.then_some(StopSpec {
            failures: args.stop_failures,
            failure_rate: args.stop_rate,
            window: args.stop_window,
        }),
        success: has_success.then(|| SuccessSpec { status: args.success.clone(), body: success_body }),
        idempotent: args.idempotent.then_some(true),
        retries: args.retries.map(|max| RetrySpec { max, backoff: args.backoff.clone(), max_backoff: None }),
        regions: BTreeMap::new(),
    })
}

fn waves_of(sizes: &[String], gates: &[String]) -> anyhow::Result<Vec<WaveSpec>> {
    if gates.len() > 1 && gates.len() != sizes.len() {
        let why = format!("there are {} waves; give one --gate for all, or one for each", sizes.len());
        return Err(wrong("--gate", &gates.join(" "), why));
    }
    let wave = |(number, size): (usize, &String)| {
        let (count, percent) = match size.strip_suffix('%') {
            Some(percent) => (None, percent.parse().ok()),
            None => (size.parse().ok(), None),
        };
        if count.is_none() && percent.is_none() {
            return Err(wrong("--wave", size, "write a count, as 10, or a share, as 25%"));
        }
        let gate = gates.get(if gates.len() == 1 { 0 } else { number });
        let (gate, bake) = gate.map(|gate| parse_gate(gate)).transpose()?.unzip();
        Ok(WaveSpec { count, percent, gate, bake: bake.flatten() })
    };
    sizes.iter().enumerate().map(wave).collect()
}

fn parse_gate(text: &str) -> anyhow::Result<(GateSpec, Option<String>)> {
    match text.split_once(':') {
        None if text == "auto" => Ok((GateSpec::Auto, None)),
        None if text == "manual" => Ok((GateSpec::Manual, None)),
        None if text == "approval" => Ok((GateSpec::Approval, None)),
        Some(("auto", bake)) => Ok((GateSpec::Auto, Some(bake.to_owned()))),
        _ => Err(wrong("--gate", text, "write auto, auto:5m, manual or approval")),
    }
}

/// Rows in a file that can be read from its beginning.
struct RowFile {
    file: std::fs::File,
    size: u64,
    format: InputFormat,
}

fn open_rows(path: &Path) -> anyhow::Result<RowFile> {
    let name = || path.display().to_string();
    let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl" || ending == "ndjson");
    let mut file = if path == Path::new("-") {
        let mut file = tempfile::tempfile()?;
        std::io::copy(&mut std::io::stdin().lock(), &mut file).context("standard input")?;
        file.rewind()?;
        file
    } else {
        std::fs::File::open(path).with_context(name)?
    };
    let size = file.seek(std::io::SeekFrom::End(0)).with_context(name)?;
    file.rewind().with_context(name)?;
    Ok(RowFile { file, size, format: if is_jsonl { InputFormat::Jsonl } else { InputFormat::Csv } })
}

fn inline(mut rows: RowFile, args: &BulkArgs) -> anyhow::Result<InputSpec> {
    let mut bytes = Vec::new();
    rows.file.read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Failure::new(exit::FAILED, "the rows are not UTF-8").hint("save the file as \"CSV UTF-8\"")
    })?;
    let (csv, jsonl) = match rows.format {
        InputFormat::Csv => (Some(text), None),
        InputFormat::Jsonl => (None, Some(text)),
    };
    let columns =
        args.columns.as_deref().map(|names| names.split(',').map(|name| name.trim().to_owned()).collect());
    let duplicates = match args.duplicates {
        OnDuplicate::Refuse => Duplicates::Refuse,
        OnDuplicate::Skip => Duplicates::Skip,
        OnDuplicate::Allow => Duplicates::Allow,
    };
    Ok(InputSpec { rows: None, csv, jsonl, columns, key: args.key.clone(), duplicates })
}

/// Saves the job, uploads the rows, starts a run. A job whose rows were refused is not left behind.
async fn upload_and_run(
    client: &Client,
    mut job: JobSpec,
    rows: RowFile,
    args: &BulkArgs,
) -> anyhow::Result<Run> {
    if job.name.is_empty() {
        job.name = format!("bulk {}", doorman_core::time::format_rfc3339(super::now_ms()));
    }
    let job = client.create_job(&job).await?;
    let query = UploadQuery {
        columns: args.columns.clone(),
        key: args.key.clone(),
        duplicates: args.duplicates.to_possible_value().map(|value| value.get_name().to_owned()),
    };
    let stream = tokio_util::io::ReaderStream::new(tokio::fs::File::from_std(rows.file));
    if let Err(error) = client.upload_input(&job.id, rows.format, &query, stream).await {
        if let Err(left) = client.delete_job(&job.id, job.version).await {
            remark(&format!("The job {} is left without rows: {left}", job.id));
        }
        return Err(error.into());
    }
    Ok(client.start_run(&job.id, &RunRequest { dry_run: args.dry_run, reason: args.reason.clone() }).await?)
}

/// The text itself, or with `@` the file's.
fn read_text(text: &str) -> anyhow::Result<String> {
    match text.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| path.to_owned()),
        None => Ok(text.to_owned()),
    }
}

fn wrong(what: &str, given: &str, how: impl Into<String>) -> anyhow::Error {
    Failure::new(exit::FAILED, format!("{what} cannot be read: {given}")).hint(how).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use serde_json::json;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bulk: BulkArgs,
    }

    fn read(args: &str) -> anyhow::Result<Value> {
        let path = if args.contains("--path") { "" } else { "--path /c/{{id}}" };
        let line = ["bulk --folder ops --service companies --method post", path, args].join(" ");
        let line = Line::try_parse_from(line.split_whitespace())?;
        Ok(serde_json::to_value(spec_of(&line.bulk)?)?)
    }

    #[test]
    fn arguments_become_a_job() {
        let job = read(
            "--region eu --path /c/{{id}}?full={{f}} --query x=1 -H x-a:{{b}} --json-body {\"to\":\"v2\"} --wave 10 --wave 25% \
             --gate manual --stop-failures 3 --success 2xx --success 409 --success-body /ok=true --success-body /state=moved \
             --retries 2 --idempotent --rate 5 --concurrency 7",
        );
        assert_eq!(
            job.unwrap(),
            json!({
                "name": "", "folder": "ops", "description": "",
                "request": {
                    "region": "eu", "service": "companies", "method": "POST", "path": "/c/{{id}}",
                    "query": {"full": "{{f}}", "x": "1"}, "headers": {"x-a": "{{b}}"}, "body": {"to": "v2"}
                },
                "plan": {
                    "waves": [{"count": 10, "gate": "manual"}, {"percent": 25.0, "gate": "manual"}],
                    "concurrency": 7, "rate_per_second": 5.0, "stop_when": {"failures": 3}, "idempotent": true,
                    "success": {"status": ["2xx", "409"], "body": {"/ok": true, "/state": "moved"}}, "retries": {"max": 2}
                }
            })
        );
        let fan_out =
            read("--region eu --region us --wave 1 --wave 2 --gate auto:5m --gate approval").unwrap();
        assert_eq!(fan_out["request"]["regions"], json!(["eu", "us"]));
        assert_eq!(
            fan_out["plan"]["waves"],
            json!([{"count": 1, "gate": "auto", "bake": "5m"}, {"count": 2, "gate": "approval"}])
        );
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for bad in [
            "--wave ten",
            "--wave 10 --gate never",
            "--wave 1 --wave 2 --wave 3 --gate auto --gate manual",
            "--query x",
            "-H x",
            "--json-body {",
            "--success-body ok",
            "--body @/nowhere/at/all",
        ] {
            assert!(read(&format!("--region eu {bad}")).is_err(), "{bad}");
        }
    }
}
