//! `doorman-bench audit`: the log at size. Fills one, then times its pages, its journal, its exports and its verification.

mod client;
mod entries;
mod fill;
mod pages;
mod throughput;
mod whole;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use comfy_table::Cell;
use doorman_core::keys::{KeyUse, PublicKeys, SigningKey};
use doorman_store::{Database, DatabaseConfig};
use serde::Serialize;
use tempfile::TempDir;

use crate::chains;
use crate::cli::{Audit, AuditDatabase, AuditPart};
use crate::process::{Server, free_address};
use crate::report;
use client::Client;
use fill::Filled;
use pages::Pages;
use throughput::Throughput;
use whole::{Exported, Verified};

const ENTRIES: u64 = 10_000_000;
const QUICK_ENTRIES: u64 = 100_000;
const SAMPLES: usize = 50;
const QUICK_SAMPLES: usize = 10;
const ROUNDS: usize = 5;
/// Reads and exports everything in the demo's policies.
const READER: &str = "carol";
/// How the log was filled: kept beside it, so that a kept log is measured again without filling.
const ABOUT: &str = "bench.json";
const KEY: &str = "bench.key";
const HISTORY: &str = "bench-history.json";

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Findings {
    database: String,
    /// Bytes of the log's files; 0 where they are a server's.
    size: u64,
    log: About,
    journal: Option<Throughput>,
    pages: Vec<Pages>,
    exports: Vec<Exported>,
    verified: Option<Verified>,
}

#[derive(Debug, Clone, Copy, Serialize, serde::Deserialize)]
struct About {
    filled: Filled,
    began_ms: u64,
    ended_ms: u64,
}

/// Where the log lies.
pub(crate) struct Place {
    directory: PathBuf,
    server: Option<chains::DatabaseServer>,
    url: String,
    _temporary: TempDir,
}

impl Place {
    fn open(options: &Audit) -> Result<Self> {
        let disk = options.disk.clone().unwrap_or_else(std::env::temp_dir);
        let temporary = tempfile::Builder::new().prefix("doorman-bench-").tempdir_in(&disk)?;
        let kind = match options.database {
            AuditDatabase::Sqlite => chains::Database::Sqlite,
            AuditDatabase::Mariadb => chains::Database::Mariadb,
            AuditDatabase::Postgres => chains::Database::Postgres,
        };
        let server = kind.start(&disk, Vec::new())?;
        ensure!(server.is_none() || options.keep.is_none(), "--keep is for SQLite");
        let directory = options.keep.clone().unwrap_or_else(|| temporary.path().join("data"));
        fs::create_dir_all(&directory)?;
        let directory = directory.canonicalize()?;
        let url = match &server {
            None => format!("sqlite:{}", directory.join("doorman.db").display()),
            Some(server) => server.url()?,
        };
        Ok(Self { directory, server, url, _temporary: temporary })
    }

    /// A new, empty database on the same server or disk, gone with what is beside its address.
    pub(crate) fn empty(&self) -> Result<(String, Option<TempDir>)> {
        if let Some(server) = &self.server {
            return Ok((server.url()?, None));
        }
        let directory = tempfile::tempdir_in(&self.directory)?;
        Ok((format!("sqlite:{}", directory.path().join("doorman.db").display()), Some(directory)))
    }
}

pub(crate) fn now_ms() -> Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}

/// Measures as asked on the command line.
pub fn run(options: &Audit) -> Result<()> {
    let place = Place::open(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let key = signing_key(&place.directory)?;
    let wants = |part| options.parts.contains(&part);
    let (log, journal) = runtime.block_on(async {
        let database = Database::connect(&DatabaseConfig::new(&place.url)).await?;
        database.migrate().await?;
        let log = filled(options, &place, &database, &key).await?;
        let journal = match wants(AuditPart::Journal) {
            true => Some(throughput::measure(&place, &database, &key, ROUNDS).await?),
            false => None,
        };
        while database.index_step(10_000).await? > 0 {}
        database.close().await;
        anyhow::Ok((log, journal))
    })?;
    let size = if place.server.is_none() { throughput::size_of(Some(&place.directory))? } else { 0 };
    let doorman = doorman_binary(options)?;
    let (mut pages, mut exports) = (Vec::new(), Vec::new());
    if wants(AuditPart::Pages) || wants(AuditPart::Export) {
        let (server, client) = start_demo(&doorman, &place)?;
        if wants(AuditPart::Pages) {
            let samples = options.samples.unwrap_or(if options.quick { QUICK_SAMPLES } else { SAMPLES });
            pages = pages::measure(&client, log.filled.entries, (log.began_ms, log.ended_ms), samples)?;
        }
        if wants(AuditPart::Export) {
            exports = whole::export(&client, server.pid())?;
        }
    }
    let verified = match wants(AuditPart::Verify) {
        true => Some(whole::verify(&doorman, &place.url, &known_keys(&place.directory, &key)?)?),
        false => None,
    };
    let database = format!("{:?}", options.database);
    let findings = Findings { database, size, log, journal, pages, exports, verified };
    print(&findings);
    if let Some(file) = &options.json {
        fs::write(file, serde_json::to_string_pretty(&findings)?)?;
    }
    Ok(())
}

/// The log as it was filled before, or now.
async fn filled(options: &Audit, place: &Place, database: &Database, key: &SigningKey) -> Result<About> {
    let about = place.directory.join(ABOUT);
    if let Ok(text) = fs::read_to_string(&about) {
        return Ok(serde_json::from_str(&text)?);
    }
    ensure!(
        database.writers().await?.is_empty(),
        "there is a log that this did not fill, or did not fill to its end; name another directory"
    );
    let entries = options.entries.unwrap_or(if options.quick { QUICK_ENTRIES } else { ENTRIES });
    let ended_ms = now_ms()?;
    let filled = fill::fill(database, key, entries, ended_ms).await?;
    let log = About { filled, began_ms: ended_ms - fill::SPAN_MS, ended_ms };
    fs::write(about, serde_json::to_string(&log)?)?;
    Ok(log)
}

/// The key that signs the log, kept beside it. Nothing else trusts it.
fn signing_key(directory: &Path) -> Result<SigningKey> {
    let path = directory.join(KEY);
    if !path.exists() {
        fs::write(&path, &*SigningKey::generate_pkcs8()?)?;
    }
    Ok(SigningKey::from_pkcs8(&fs::read(path)?)?)
}

/// The demo's public keys, where there are any, and the bench's.
fn known_keys(directory: &Path, key: &SigningKey) -> Result<PathBuf> {
    let mut keys = PublicKeys::default();
    if let Ok(text) = fs::read_to_string(directory.join("keys/history.json")) {
        keys.extend(&PublicKeys::from_jwks(&text)?);
    }
    keys.push(KeyUse::Statement, key.public());
    let path = directory.join(HISTORY);
    fs::write(&path, keys.to_jwks())?;
    Ok(path)
}

fn doorman_binary(options: &Audit) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|parent| parent.join("doorman")).context("this binary lies nowhere")?;
    Ok(options.doorman.clone().unwrap_or(beside))
}

fn start_demo(doorman: &Path, place: &Place) -> Result<(Server, Client)> {
    let address = free_address()?;
    let mut command = Command::new(doorman);
    command.args(["demo", "--data"]).arg(&place.directory).args(["--listen", &address.to_string()]);
    if place.server.is_some() {
        command.env("DOORMAN__DATABASE__URL", &place.url);
    }
    let mut server = Server::start("demo", &command, &place.directory)?;
    server.wait_for("its door", |server| Ok(server.output()?.contains("READY").then_some(())))?;
    Ok((server, Client::login(address, READER)?))
}

fn print(findings: &Findings) {
    let Filled { entries, rows, commit_seconds, index_seconds } = findings.log.filled;
    println!(
        "\n{}: {rows} entries, {entries} in lists (a request and its outcome are one), {} MiB; filled at {:.0}/s, \
         indexed at {:.0}/s\n",
        findings.database,
        findings.size >> 20,
        rows as f64 / commit_seconds,
        rows as f64 / index_seconds,
    );
    if !findings.pages.is_empty() {
        let header = ["page, ms", "first p50", "p99", "deep p50", "p99", "found", ""];
        let mut table = report::new_table(&header);
        for pages in &findings.pages {
            let must = pages::MUST.as_secs_f64() * 1_000.0;
            let slowest = pages.deep.map_or(pages.first[0], |deep| deep[0].max(pages.first[0]));
            let verdict = if slowest <= must { "✔" } else { "✘ slow" };
            let deep = pages.deep.map_or([None; 2], |deep| deep.map(Some));
            let times = pages.first.map(Some).into_iter().chain(deep).map(|time| report::number(time, 1));
            let cut = if pages.cut { ", cut for time" } else { "" };
            let indexed = if pages.indexed { "" } else { ", bounded" };
            let mut row = vec![Cell::new(&pages.what)];
            row.extend(times);
            row.extend([Cell::new(pages.found), Cell::new(format!("{verdict}{indexed}{cut}"))]);
            table.add_row(row);
        }
        println!("{table}\n");
    }
    if let Some(journal) = findings.journal {
        println!(
            "journal: {:.0} rows/s into an empty log, {:.0} into this one: {:.2} of it, {:.2} with the indexer beside",
            journal.empty, journal.full, journal.ratio, journal.indexed_ratio
        );
    }
    for export in &findings.exports {
        println!(
            "export as {}: {} MiB in {:.0} s, memory {:.0} MiB before, at most {:.1} MiB more",
            export.format,
            export.bytes >> 20,
            export.seconds,
            export.before_kib as f64 / 1024.0,
            export.rise()
        );
    }
    if let Some(verified) = findings.verified {
        println!(
            "verify: {} entries in {:.0} s, {:.2} million a minute (must be 1)",
            verified.entries,
            verified.seconds,
            verified.per_minute() / 1e6
        );
    }
}
