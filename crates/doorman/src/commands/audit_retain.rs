//! `doorman audit retain`: the oldest entries go, whole batches only, and a signed tombstone says that they did.

use super::audit_note::{self, Belongings};
use crate::config::parse_duration;
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_json, print_line, print_table, remark};
use anyhow::Context as _;
use clap::Args;
use doorman_auth::{Clock, KeyRing};
use doorman_core::keys::KeyUse;
use doorman_core::retention::Tombstone;
use doorman_core::time::format_rfc3339;
use doorman_store::{Database, DatabaseConfig};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;

/// What to do when the database stopped half way.
const UNFINISHED: &str = "not all could be deleted; run it again. On a server, connect as doorman_retention";
/// Nobody means so little.
const LEAST: Duration = Duration::from_secs(24 * 3_600);

/// `doorman audit retain`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit retain --data doorman-data --older-than 400d --dry-run
  doorman audit retain --config api.toml --older-than 400d
  DOORMAN__DATABASE__URL=postgres://doorman_retention@db/doorman doorman audit retain --config api.toml --older-than 400d

On MySQL, MariaDB and Postgres only the account doorman_retention may delete; give it SELECT on the tables of the log, DELETE on
journal, audit_index, audit_link, audit_orphan and receipt_piece, UPDATE on receipt_source, INSERT on retention, and, for the
entry that tells of it, INSERT on journal, statement, statement_signature and writer, and UPDATE on writer.
Archive first: `doorman audit archive`. Collected receipts of that age go with the entries. The statements stay, so that the chain is whole; `audit verify` goes on proving what is left, and that what is gone went so.")]
pub struct RetainArgs {
    /// An api's data directory: its database and keys
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The file of `doorman api`
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    config: Option<PathBuf>,
    /// The database, as doorman_retention reaches it [default: that of --data or --config]
    #[arg(long, value_name = "URL", env = "DOORMAN__DATABASE__URL", hide_env_values = true)]
    database: Option<String>,
    /// Entries older than this go
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    older_than: Duration,
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Serialize)]
struct Gone {
    writer: String,
    /// Its batches below this number.
    below: u64,
    entries: u64,
}

impl RetainArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

/// Deletes, or says what would be deleted.
pub async fn run(args: RetainArgs) -> anyhow::Result<()> {
    if args.older_than < LEAST {
        let failure = Failure::new(exit::FAILED, "entries of the last day are never deleted");
        return Err(failure.hint("choose at least --older-than 1d").into());
    }
    let own = Belongings::find(args.data.as_deref(), args.config.as_deref())?;
    let own = own.context("--data or --config is needed")?;
    if !own.keys.is_dir() {
        let failure = Failure::new(exit::FAILED, format!("{} is no directory of keys", own.keys.display()));
        return Err(failure.hint("name the place with --data or --config").into());
    }
    let clock = Clock::open(&own.keys.join("clock"))?;
    let now_ms = clock.now_ms();
    let older = u64::try_from(args.older_than.as_millis()).unwrap_or(u64::MAX);
    let before_ms = now_ms.saturating_sub(older);
    let url = args.database.as_ref().unwrap_or(&own.url);
    let database =
        Database::connect(&DatabaseConfig::existing(url)).await.context("the database cannot be opened")?;
    let retainable = database.retainable(before_ms).await?;
    let mut gone = Vec::new();
    let ring = KeyRing::open_or_create(&own.keys, &[KeyUse::Statement], clock.clone())?;
    // Made a moment ago, a key signs from then on.
    let key =
        ring.signing_key(KeyUse::Statement, clock.now_ms(), |_| true).context("there is no statement key")?;
    let total: u64 = retainable.iter().map(|found| found.left).sum();
    let receipts = database.retainable_receipts(before_ms).await?;
    let before = format_rfc3339(before_ms);
    if !args.dry_run && total + receipts > 0 {
        let counts = [("entries", total.to_string()), ("receipt_pieces", receipts.to_string())];
        let about = [("action", "retain".to_owned()), ("before", before.clone())];
        audit_note::write_down(&database, &own, about.into_iter().chain(counts)).await?;
    }
    for found in retainable {
        let (writer, below, entries) = (found.writer, found.below, found.entries);
        let mut count = found.left;
        if !args.dry_run {
            let tombstone = Tombstone { writer, kid: key.id(), below, entries, before_ms, time_ms: now_ms };
            let progress = |so_far| {
                if !args.output.json {
                    remark(&format!("{so_far} of {} entries of writer {writer} are deleted", found.left));
                }
            };
            let signature = tombstone.sign(&key);
            count = database.retain(&tombstone, &signature, progress).await.context(UNFINISHED)?;
        }
        gone.push(Gone { writer: writer.to_string(), below, entries: count });
    }
    if !args.dry_run {
        database.retain_receipts(before_ms).await.context(UNFINISHED)?;
    }
    database.close().await;
    if args.output.json {
        return print_json(&serde_json::json!({
            "dry_run": args.dry_run, "before": before, "entries": total, "receipt_pieces": receipts, "writers": gone,
        }));
    }
    let rows =
        gone.iter().map(|gone| vec![gone.writer.clone(), gone.below.to_string(), gone.entries.to_string()]);
    print_table(&["WRITER", "BELOW STATEMENT", "ENTRIES"], rows.collect(), "Nothing is that old.")?;
    let verb = if args.dry_run { "would be" } else { "were" };
    let receipts = if receipts > 0 { format!(" and {receipts} pieces of receipts") } else { String::new() };
    print_line(&format!("{total} entries{receipts} from before {before} {verb} deleted."))
}
