//! `doorman audit archive`, and the verification of what it wrote.

use super::audit_note::{self, Belongings};
use super::audit_verify::StatementFiles;
use crate::config::parse_duration;
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_json, print_line, remark};
use anyhow::Context as _;
use clap::Args;
use doorman_archive::{Archive, ArchiveError, ArchivedBatch, ArchivedEntry, ArchivedWriter, Manifest};
use doorman_auth::Clock;
use doorman_core::keys::PublicKeys;
use doorman_core::peers::{PeerBook, PeerList};
use doorman_core::statement::{StatementLine, WriterId};
use doorman_core::time::format_rfc3339;
use doorman_core::verify::{LogVerifier, Report, StoredEntry, StoredStatement};
use doorman_store::{Database, DatabaseConfig, StoredBatch, WriterRow};
use std::path::PathBuf;
use std::time::Duration;

/// Entries in one file, unless a batch has more.
const PART: usize = 20_000;

/// `doorman audit archive`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit archive --data doorman-data --to archive
  doorman audit archive --config api.toml --to s3://audit/doorman --older-than 30d
  duckdb -c \"SELECT subject, count(*) FROM 'archive/entries/*.parquet' GROUP BY 1\"

Run it again and it adds what is new. S3 is set as for the AWS tools: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION,
AWS_ENDPOINT. `doorman audit verify --archive` proves that an archive is whole. With --data or --config the log gets an entry
that tells who archived how much, which the next run archives.")]
pub struct ArchiveArgs {
    /// An api's data directory
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The file of `doorman api`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The database [default: that of --data or --config]
    #[arg(long, value_name = "URL", env = "DOORMAN__DATABASE__URL", hide_env_values = true)]
    database: Option<String>,
    /// A directory, or s3://bucket/prefix
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// Only entries older than this
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Option<Duration>,
    #[command(flatten)]
    output: OutputArgs,
}

impl ArchiveArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }

    /// The database's URL.
    fn url(&self, belongings: Option<&Belongings>) -> anyhow::Result<String> {
        let known = self.database.clone().or_else(|| belongings.map(|own| own.url.clone()));
        known.ok_or_else(|| {
            let failure = Failure::new(exit::FAILED, "which log is to be archived?");
            failure.hint("give --data, --config or --database").into()
        })
    }
}

/// Archives what is not archived yet.
pub async fn run(args: ArchiveArgs) -> anyhow::Result<()> {
    let belongings = Belongings::find(args.data.as_deref(), args.config.as_deref())?;
    let url = args.url(belongings.as_ref())?;
    let database =
        Database::connect(&DatabaseConfig::existing(&url)).await.context("the database cannot be opened")?;
    let archive = Archive::open(&args.to, true, std::env::vars())?;
    let scratch = tempfile::tempdir()?;
    let now_ms = Clock::open(&scratch.path().join("clock"))?.now_ms();
    let older = args.older_than.map_or(0, |older| u64::try_from(older.as_millis()).unwrap_or(u64::MAX));
    let before_ms = now_ms.saturating_sub(older);
    let known = archive.manifest().await?.map(|manifest| manifest.writers).unwrap_or_default();
    let mut writers = Vec::new();
    let (mut total, mut files) = (0, 0);
    // As for verification: first who has statements, then the lists, then the statements.
    let rows = database.writers().await?;
    let retention = database.tombstones().await?;
    for row in rows {
        let id = row.id.to_string();
        let fresh = ArchivedWriter { id: id.clone(), peers: hex::encode(&row.peers), next: 0, parts: vec![] };
        let mut writer = known.iter().find(|writer| writer.id == id).cloned().unwrap_or(fresh);
        let mut batches = database.read_batches(row.id, writer.next).await?;
        let mut part: Vec<ArchivedBatch> = Vec::new();
        loop {
            let next = batches.next().await?.filter(|batch| is_ripe(batch, &row, before_ms, now_ms));
            let entries: usize = part.iter().map(|batch| batch.entries.len()).sum();
            if !part.is_empty() && (next.is_none() || entries >= PART) {
                let written = archive.put_part(&id, &part).await?;
                (total, files) = (total + written.rows, files + 1);
                if !args.output.json {
                    remark(&format!("{total} entries are archived"));
                }
                writer.next = part.last().map_or(writer.next, |last| last.number + 1);
                writer.parts.push(written);
                part.clear();
            }
            let Some(batch) = next else { break };
            part.push(archived(batch));
        }
        writers.push(writer);
    }
    if total > 0 {
        note(&args, &database, belongings.as_ref(), total, files).await?;
    }
    let retention = retention.iter().map(|(body, signature)| (hex::encode(body), hex::encode(signature)));
    let manifest =
        Manifest { version: 1, time: format_rfc3339(now_ms), writers, retention: retention.collect() };
    archive.put_manifest(&manifest).await?;
    database.close().await;
    if args.output.json {
        return print_json(&serde_json::json!({ "to": args.to, "entries": total, "parts": files }));
    }
    print_line(&format!("{total} entries were archived to {} in {files} parts.", args.to))
}

/// Writes down what was archived. To come before the manifest, without which nothing is.
async fn note(
    args: &ArchiveArgs,
    database: &Database,
    belongings: Option<&Belongings>,
    entries: u64,
    parts: u64,
) -> anyhow::Result<()> {
    let Some(belongings) = belongings else {
        remark(
            "The log does not tell of this: the key that signs entries is not known. Give --data or --config.",
        );
        return Ok(());
    };
    let counts = [("entries", entries.to_string()), ("parts", parts.to_string())];
    let about = [("action", "archive".to_owned()), ("to", args.to.clone())];
    audit_note::write_down(database, belongings, about.into_iter().chain(counts)).await?;
    Ok(())
}

/// Whether a batch will not change any more: its signature is there, or its writer is gone.
fn is_ripe(batch: &StoredBatch, writer: &WriterRow, before_ms: u64, now_ms: u64) -> bool {
    let is_final = batch.signature.is_some() || writer.closed_ms.is_some() || writer.lease_ms < now_ms;
    is_final && batch.span.1.unix_ms() < before_ms
}

fn archived(batch: StoredBatch) -> ArchivedBatch {
    let StoredBatch { number, statement, signature, span, entries, .. } = batch;
    let entries = entries.into_iter();
    let entries =
        entries.map(|entry| ArchivedEntry { id: entry.id, claims: entry.claims, record: entry.record });
    ArchivedBatch { number, statement, signature, span, entries: entries.collect() }
}

/// Verifies an archive; also what keeps it from being read to its end.
pub async fn verify(
    place: &str,
    keys: PublicKeys,
    mut files: StatementFiles,
) -> anyhow::Result<(Report, Option<String>)> {
    let archive = Archive::open(place, false, std::env::vars())?;
    let manifest = archive
        .manifest()
        .await?
        .with_context(|| format!("{place} is no archive: it has no manifest.json"))?;
    let mut book = PeerBook::default();
    let mut ids = Vec::new();
    for writer in &manifest.writers {
        let id: WriterId = writer.id.parse().context("the manifest names no writer")?;
        let peers = hex::decode(&writer.peers).ok().and_then(|peers| PeerList::from_bytes(&peers));
        book.insert(id, peers.unwrap_or_default());
        ids.push(id);
    }
    let mut verifier = LogVerifier::new(keys, book);
    for (body, signature) in &manifest.retention {
        verifier.tombstone(&hex::decode(body)?, &hex::decode(signature)?);
    }
    let mut broken = None;
    for (writer, id) in manifest.writers.iter().zip(ids) {
        let mut witness = files.open(id)?;
        for part in &writer.parts {
            let batches = match archive.part(part).await {
                Ok(batches) => batches,
                Err(
                    error @ (ArchiveError::Changed(_) | ArchiveError::Parquet(_) | ArchiveError::Store(_)),
                ) => {
                    broken.get_or_insert(format!("{}: {error}", part.entries));
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            for batch in batches {
                let line = match &mut witness {
                    Some(file) => file.statement(batch.number)?,
                    None => None,
                };
                feed(&mut verifier, id, batch, line);
            }
        }
    }
    Ok((verifier.finish(), broken))
}

fn feed(verifier: &mut LogVerifier, writer: WriterId, batch: ArchivedBatch, witness: Option<StatementLine>) {
    let ArchivedBatch { number, statement: body, signature, span, entries } = batch;
    let signature = signature.map(|signature| <[u8; 64]>::try_from(signature).unwrap_or([0; 64]));
    let line = StatementLine { writer, number, body, signature, leaves: Vec::new() };
    verifier.statement(writer, StoredStatement { line, span: Some(span) }, witness);
    for entry in &entries {
        verifier.entry(writer, &StoredEntry { id: entry.id, claims: &entry.claims, record: &entry.record });
    }
}
