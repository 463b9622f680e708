//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::load::{Sample, Target, Window, closed, paced};

#[derive(Debug, Parser)]
#[command(
    name = "doorman-bench",
    about = "Measures the door against its rivals",
    args_conflicts_with_subcommands = true
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub comparison: Comparison,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve as the live service behind every chain
    Upstream(Upstream),
    /// Send load to one loopback address and print what came of it
    Load(Load),
    /// Fill a log and measure it: pages, the journal, exports, verification
    Audit(Audit),
}

/// The log at size.
#[derive(Debug, Args)]
pub struct Audit {
    /// A small log and few samples: enough to see that all works
    #[arg(long)]
    pub quick: bool,
    /// Entries to fill the log with; a request and its outcome are two [default: 10000000, with --quick 100000]
    #[arg(long, value_name = "N")]
    pub entries: Option<u64>,
    /// Which database
    #[arg(long, value_enum, default_value_t = AuditDatabase::Sqlite)]
    pub database: AuditDatabase,
    /// Pages of each filter, first and deep each [default: 50, with --quick 10]
    #[arg(long, value_name = "N")]
    pub samples: Option<usize>,
    /// Directory for the log, kept and found filled the next time [default: a temporary one; with SQLite only]
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_value = "journal,pages,export,verify")]
    pub parts: Vec<AuditPart>,
    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The binary to measure [default: `doorman` beside this one]
    #[arg(long, value_name = "FILE", value_parser = program)]
    pub doorman: Option<PathBuf>,
    /// Directory on the disk that the log is to be written to [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub disk: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditDatabase {
    Sqlite,
    Mariadb,
    Postgres,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AuditPart {
    /// Rows a second into an empty log and into this one
    Journal,
    /// Pages of every filter
    Pages,
    /// Memory while all is exported
    Export,
    /// Entries a minute
    Verify,
}

/// The interleaved run.
#[derive(Debug, Args)]
pub struct Comparison {
    /// Two short rounds: enough to see a change of a third, not for the record
    #[arg(long)]
    pub quick: bool,
    /// Chains to run: Doorman, Doorman/MariaDB, Doorman/Postgres, Doorman+2ms, Doorman-unaudited, E, EC, H, N
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    pub only: Vec<String>,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_value = "throughput,attempts,memory,bodies")]
    pub scenarios: Vec<Scenario>,
    /// Calls of `POST /auth/v1/verify` in the scenario `delegated` [default: 1000000, with --quick 20000]
    #[arg(long, value_name = "N")]
    pub verify_calls: Option<u64>,
    /// Items of the scenario `run` [default: 1000000, with --quick 100000]
    #[arg(long, value_name = "N")]
    pub run_items: Option<u64>,
    /// How often every chain is measured [default: 5, with --quick 2]
    #[arg(long)]
    pub rounds: Option<usize>,
    /// Seconds of each measurement [default: 3, with --quick 1.5]
    #[arg(long)]
    pub seconds: Option<f64>,
    /// Write everything that was measured to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The binary to measure [default: `doorman` beside this one]
    #[arg(long, value_name = "FILE", value_parser = program)]
    pub doorman: Option<PathBuf>,
    /// The same built with `--cfg bench_unaudited`: adds the chains whose journal writes nothing
    #[arg(long, value_name = "FILE", value_parser = program)]
    pub unaudited: Option<PathBuf>,
    /// Where binaries of rivals are installed, once
    #[arg(long, default_value = "target/bench-tools", value_name = "DIR")]
    pub tools: PathBuf,
    /// Directory on the disk that journals are to be written to [default: the system's temporary directory]
    #[arg(long, value_name = "DIR")]
    pub disk: Option<PathBuf>,
    /// Threads of the load generator
    #[arg(long, default_value_t = 1)]
    pub load_threads: usize,
    /// Threads of the upstream
    #[arg(long, default_value_t = 1)]
    pub upstream_threads: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    Throughput,
    /// Durable attempts a second on each database, with and without a delay at each flush
    Attempts,
    Memory,
    Bodies,
    /// A service that acts for a user, and many questions whether a token is good
    Delegated,
    /// A run of very many items: memory, speed beside single requests, pages of items
    Run,
}

#[derive(Debug, Args)]
pub struct Upstream {
    /// A loopback address
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

#[derive(Debug, Args)]
pub struct Load {
    /// A loopback address
    #[arg(long)]
    pub address: SocketAddr,
    #[arg(long, default_value = "/")]
    pub path: String,
    /// `Name: value`, may be repeated
    #[arg(long)]
    pub header: Vec<String>,
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Requests a second, sent when due; without it each connection sends as soon as it was answered
    #[arg(long)]
    pub rate: Option<f64>,
    #[arg(long, default_value_t = 5.0)]
    pub seconds: f64,
    #[arg(long, default_value_t = 1)]
    pub threads: usize,
}

/// `doorman-bench load`.
pub fn run_load(options: &Load) -> Result<()> {
    let headers = options.header.iter().map(|header| {
        let (name, value) =
            header.split_once(':').with_context(|| format!("{header:?} is no `Name: value`"))?;
        Ok((name.to_owned(), value.trim().to_owned()))
    });
    let target = Target::new(options.address, "", headers.collect::<Result<_>>()?)?;
    let window = Window::after(Duration::from_millis(500), Duration::try_from_secs_f64(options.seconds)?)?;
    let sample = match options.rate {
        Some(rate) => paced::run(&target, &options.path, options.connections, rate, window)?,
        None => closed::run(&target, &options.path, options.connections, options.threads, window)?,
    };
    print_sample(sample, options.seconds);
    Ok(())
}

fn print_sample(mut sample: Sample, seconds: f64) {
    let rate = sample.latencies.len() as f64 / seconds;
    let [p50, p99] = [0.5, 0.99].map(|share| sample.quantile(share).unwrap_or(f64::NAN));
    println!("{rate:.0} requests/s, p50 {p50:.0} µs, p99 {p99:.0} µs, {} errors", sample.errors);
    if let Some(error) = sample.first_error {
        println!("first error: {error}");
    }
}

/// A program that is there, by its whole path: servers are started in directories of their own.
fn program(path: &str) -> Result<PathBuf, std::io::Error> {
    Path::new(path).canonicalize()
}
