//! `doorman audit export`.

use super::FilterArgs;
use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_json, remark, write_out};
use anyhow::Context as _;
use clap::{Args, ValueEnum};
use doorman_client::{Answer, AuditExportQuery, ExportFormat};
use serde_json::json;
use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// `doorman audit export`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit export --output log.jsonl && doorman audit verify --export log.jsonl --keys history.json
  doorman audit export --format csv --service companies --from 2026-03-01T00:00:00Z --output march.csv

All of the log as JSON lines holds what is needed to verify it. What filters or your rights narrow is one entry a line, as
`doorman audit show --json` has it. CSV is safe to open in a spreadsheet: no cell is a formula, and control characters are
written as text.")]
pub struct ExportArgs {
    /// How it is written
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Where to; it appears when it is complete. Standard output without it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    shown: OutputArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// JSON lines
    Jsonl,
    /// Comma-separated values
    Csv,
}

impl ExportArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.shown.json
    }
}

/// Writes it.
pub async fn run(args: ExportArgs) -> anyhow::Result<()> {
    let format = match args.format {
        Format::Jsonl => ExportFormat::Jsonl,
        Format::Csv => ExportFormat::Csv,
    };
    let query = AuditExportQuery { format, ..AuditExportQuery::of(args.filters.query()) };
    let mut answer = args.connection.client()?.audit_export(&query).await?;
    let Some(path) = args.output else {
        while let Some(bytes) = answer.chunk().await.context("the export broke off; it is not complete")? {
            write_out(&bytes)?;
        }
        return Ok(());
    };
    let bytes = save(&mut answer, &path).await?;
    if args.shown.json {
        return print_json(&json!({ "file": path, "bytes": bytes, "audit_id": answer.audit_id() }));
    }
    remark(&format!("{bytes} bytes in {}", path.display()));
    Ok(())
}

/// Writes the answer to a file beside `path`, which takes its name when it is complete.
async fn save(answer: &mut Answer, path: &Path) -> anyhow::Result<u64> {
    let name = path.file_name().context("--output names no file")?;
    let mut part = name.to_owned();
    part.push(".part");
    let part = path.with_file_name(part);
    let written = write_to(answer, &part).await;
    match written {
        Ok(bytes) => {
            std::fs::rename(&part, path).with_context(|| path.display().to_string())?;
            Ok(bytes)
        }
        Err(error) => {
            let _ = std::fs::remove_file(&part);
            Err(error)
        }
    }
}

async fn write_to(answer: &mut Answer, part: &Path) -> anyhow::Result<u64> {
    let shown = || part.display().to_string();
    let mut file = BufWriter::new(File::create(part).with_context(shown)?);
    let mut progress = Progress::new();
    let mut bytes = 0;
    while let Some(chunk) = answer.chunk().await.context("the export broke off; nothing was kept")? {
        file.write_all(&chunk).with_context(shown)?;
        bytes += chunk.len() as u64;
        progress.tell(bytes);
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all().with_context(shown)?;
    Ok(bytes)
}

/// Tells a person who watches how far it is, now and then.
struct Progress {
    told: Instant,
    is_watched: bool,
}

impl Progress {
    fn new() -> Self {
        Self { told: Instant::now(), is_watched: std::io::stderr().is_terminal() }
    }

    fn tell(&mut self, bytes: u64) {
        if self.is_watched && self.told.elapsed() >= Duration::from_secs(2) {
            remark(&format!("{} MiB", bytes >> 20));
            self.told = Instant::now();
        }
    }
}
