//! `doorman audit verify`: whether a log is what its writers signed. Works offline, with public keys.

mod files;

use crate::output::{OutputArgs, conclude, print_line, remark};
use anyhow::Context as _;
use clap::Args;
use doorman_auth::keys::KEY_HISTORY_FILE;
use doorman_core::export::{ExportError, ExportReader};
use doorman_core::keys::{KeyUse, PublicKeys};
use doorman_core::peers::{PeerBook, PeerList};
use doorman_core::statement::{StatementLine, WriterId};
use doorman_core::verify::{LogVerifier, Report, StoredEntry, StoredStatement};
use doorman_store::{Database, DatabaseConfig, StoreError, StoredBatch};
pub(super) use files::StatementFiles;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// `doorman audit verify`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit verify --data doorman-data
  doorman audit verify --database postgres://reader@db/doorman --keys history.json --statements copies/
  doorman audit verify --export log.jsonl --keys history.json --json
  doorman audit verify --archive archive --keys history.json

The keys are those of all time, history.json beside an api's keys. Keep a copy of them, and of the statements files,
where nobody who can write to the database can write.
Exit codes: 0 the log is whole · 1 it is not; the first bad entry is on standard output · 2 it could not be looked at")]
pub struct VerifyArgs {
    /// An api's data directory: its database, keys and statements
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// sqlite:PATH, mysql://…, mariadb://… or postgres://…
    #[arg(long, value_name = "URL", env = "DOORMAN__DATABASE__URL", hide_env_values = true)]
    database: Option<String>,
    /// A complete export; - for standard input
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    /// An archive: a directory, or s3://bucket/prefix
    #[cfg(feature = "archive")]
    #[arg(long, value_name = "PLACE")]
    archive: Option<String>,
    /// Public keys
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    keys: Option<PathBuf>,
    /// More directories of statements files, of other replicas for example
    #[arg(long, value_name = "DIR")]
    statements: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was found.
#[derive(Serialize)]
struct Finding {
    whole: bool,
    #[serde(flatten)]
    report: Report,
    /// The first entry that lists show other than it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    index_differs: Option<String>,
    /// Why an export could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    broken: Option<String>,
}

impl VerifyArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

/// Verifies; fails with exit code 1 when the log is not whole and 2 when it could not be looked at.
pub async fn run(args: VerifyArgs) -> anyhow::Result<()> {
    conclude(look(&args).await, args.output, show, |finding| finding.whole)
}

async fn look(args: &VerifyArgs) -> anyhow::Result<Finding> {
    let keys = known_keys(args.keys.as_deref(), args.data.as_deref())?;
    if let Some(export) = &args.export {
        return read_export(export, keys);
    }
    #[cfg(feature = "archive")]
    if let Some(place) = &args.archive {
        let mut files = StatementFiles::default();
        for directory in &args.statements {
            files.add(directory).with_context(|| format!("cannot read {}", directory.display()))?;
        }
        let (report, broken) = super::audit_archive::verify(place, keys, files).await?;
        let whole = broken.is_none() && report.faults.is_empty();
        return Ok(Finding { whole, report, index_differs: None, broken });
    }
    let own = args.data.as_ref().map(|data| format!("sqlite:{}", data.join("doorman.db").display()));
    let url = args.database.as_ref().or(own.as_ref()).context("--data, --database or --export is needed")?;
    let mut files = StatementFiles::default();
    let own = args.data.as_ref().map(|data| data.join("statements"));
    for directory in args.statements.iter().chain(&own) {
        files.add(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    }
    let database =
        Database::connect(&DatabaseConfig::existing(url)).await.context("the database cannot be opened")?;
    let report = read_log(&database, keys, files).await?;
    let index_differs = match report.faults.is_empty() {
        true => read_index(&database).await?,
        false => None,
    };
    database.close().await;
    Ok(Finding {
        whole: report.faults.is_empty() && index_differs.is_none(),
        report,
        index_differs,
        broken: None,
    })
}

/// The public keys of all time: those named, or those of a data directory.
pub(crate) fn known_keys(keys: Option<&Path>, data: Option<&Path>) -> anyhow::Result<PublicKeys> {
    let history = data.map(|data| data.join("keys").join(KEY_HISTORY_FILE));
    read_keys(keys.or(history.as_deref()).context("--keys or --data is needed")?)
}

pub(crate) fn read_keys(path: &Path) -> anyhow::Result<PublicKeys> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let keys = PublicKeys::from_jwks(&text).with_context(|| path.display().to_string())?;
    anyhow::ensure!(
        keys.ids(KeyUse::Statement).next().is_some(),
        "{} holds no key for statements",
        path.display()
    );
    Ok(keys)
}

/// Reads every writer's batches, and holds them against the statements files.
async fn read_log(
    database: &Database,
    keys: PublicKeys,
    mut files: StatementFiles,
) -> anyhow::Result<Report> {
    // First who has statements, then the lists, then the statements: a writer that starts meanwhile is in none or in
    // both of the first two, and what a list names is there when the statements are read.
    let mut writers: BTreeSet<WriterId> = database.statement_writers().await?.into_iter().collect();
    let mut book = PeerBook::default();
    for row in database.writers().await? {
        writers.insert(row.id);
        // A list that cannot be read is none, and the writer that signed it says so.
        book.insert(row.id, PeerList::from_bytes(&row.peers).unwrap_or_default());
    }
    let mut verifier = LogVerifier::new(keys, book);
    for (body, signature) in database.tombstones().await? {
        verifier.tombstone(&body, &signature);
    }
    for writer in &writers {
        read_writer(database, &mut verifier, *writer, &mut files).await?;
    }
    for writer in files.rest() {
        if let Some(line) = files.open(writer)?.map(files::WriterFile::rest).transpose()?.flatten() {
            verifier.beyond(writer, &line);
        }
    }
    if let Some((writer, id)) = database.stray_entry().await? {
        verifier.stray(writer, id);
    }
    Ok(verifier.finish())
}

async fn read_writer(
    database: &Database,
    verifier: &mut LogVerifier,
    writer: WriterId,
    files: &mut StatementFiles,
) -> anyhow::Result<()> {
    let mut file = files.open(writer)?;
    let mut batches = database.read_batches(writer, 0).await?;
    while let Some(batch) = batches.next().await? {
        let witness = match &mut file {
            Some(file) => file.statement(batch.number)?,
            None => None,
        };
        let StoredBatch { number, statement: body, span, signature, entries, .. } = batch;
        let signature = signature.map(|signature| <[u8; 64]>::try_from(signature).unwrap_or([0; 64]));
        let line = StatementLine { writer, number, body, signature, leaves: Vec::new() };
        verifier.statement(writer, StoredStatement { line, span: Some(span) }, witness);
        for entry in &entries {
            let entry = StoredEntry { id: entry.id, claims: &entry.claims, record: &entry.record };
            verifier.entry(writer, &entry);
        }
    }
    if let Some(line) = file.map(files::WriterFile::rest).transpose()?.flatten() {
        verifier.beyond(writer, &line);
    }
    Ok(())
}

async fn read_index(database: &Database) -> anyhow::Result<Option<String>> {
    match database.first_index_difference().await {
        Ok(differs) => Ok(differs.map(|id| id.to_string())),
        // A copy of a log may come without the index, which is derived.
        Err(StoreError::Sql(error)) => {
            remark(&format!("The audit index was not compared: {error}"));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

fn read_export(path: &Path, keys: PublicKeys) -> anyhow::Result<Finding> {
    let mut lines: Box<dyn BufRead> = if path == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        Box::new(BufReader::new(file))
    };
    let mut reader = ExportReader::new(keys);
    let mut broken = None;
    let mut text = Vec::new();
    while broken.is_none() && lines.read_until(b'\n', &mut text)? > 0 {
        broken = reader.line(&String::from_utf8_lossy(&text)).err();
        text.clear();
    }
    let (report, ended) = reader.finish();
    let broken = broken.or(ended.err());
    if broken == Some(ExportError::NotAnExport) {
        return Err(ExportError::NotAnExport.into());
    }
    let whole = broken.is_none() && report.faults.is_empty();
    Ok(Finding { whole, report, index_differs: None, broken: broken.map(|error| error.to_string()) })
}

fn show(finding: &Finding) -> anyhow::Result<()> {
    let Finding { report, .. } = finding;
    for fault in &report.faults {
        print_line(&fault.to_string())?;
    }
    if let Some(broken) = &finding.broken {
        print_line(broken)?;
    }
    if let Some(id) = &finding.index_differs {
        print_line(&format!(
            "entry {id} is shown by lists other than it was written; the log itself is whole, and an index that is \
             emptied fills again"
        ))?;
    }
    let counted = format!(
        "{} entries in {} statements of {} writers",
        report.entries, report.statements, report.writers
    );
    if !finding.whole {
        remark(&format!("The log is not whole. As signed: {counted}."));
        return Ok(());
    }
    print_line(&format!("The log is whole: {counted}, each as it was signed."))?;
    if report.retained > 0 {
        print_line(&format!(
            "Beside them, {} entries went by retention, as signed tombstones say.",
            report.retained
        ))?;
    }
    for last in &report.unsigned {
        print_line(&format!(
            "Not signed yet: the last {} entries of writer {} (statement {}); they rest on the database alone.",
            last.entries, last.writer, last.statement
        ))?;
    }
    Ok(())
}
