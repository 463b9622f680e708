//! The whole comparison: builds the chains, runs what was asked for, reports.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::chains::{Chain, Database, Direct, Doorman, Envoy, Haproxy, Nginx, Running, Site};
use crate::cli::{Comparison, Scenario};
use crate::credentials::Credentials;
use crate::process::Server;
use crate::rounds::{self, ALONE, CROWD, Load, MAIN, Plan, STEADY, Shot};
use crate::scenarios::bodies::{self, Direction, Transfer};
use crate::scenarios::delegated::{self, Service, Verified};
use crate::scenarios::memory::{self, Memory};
use crate::scenarios::run::{self, Rollout};
use crate::targets::{self, DELAYED, DOORMAN, Findings, MARIADB, POSTGRES, UNAUDITED, UNAUDITED_MARIADB};
use crate::{meter, report};

const WARM_UP: Duration = Duration::from_millis(700);
/// Size of the large body, whole and in a quick run.
const BODY: u64 = 1 << 30;
const QUICK_BODY: u64 = 1 << 28;
/// Large bodies are slow: not every round needs them.
const MAX_BODY_ROUNDS: usize = 3;
const FLUSH_DELAY: Duration = Duration::from_millis(2);
/// Callers at the same time when durable attempts are counted.
const CALLERS: [usize; 4] = [1, 16, 64, 256];

/// Runs the comparison as asked on the command line.
pub fn run(options: &Comparison) -> Result<()> {
    let disk = options.disk.clone().unwrap_or_else(std::env::temp_dir);
    let directory = tempfile::Builder::new().prefix("doorman-bench-").tempdir_in(&disk)?;
    // Database servers run under accounts of their own and load a library from here.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711))?;
    let bench = Bench::prepare(options, &disk, directory.path())?;
    let chains = select_chains(options)?;
    let wants = |scenario| options.scenarios.contains(&scenario);

    let memory = if wants(Scenario::Memory) { bench.measure_memory(&chains)? } else { Vec::new() };
    let transfers = if wants(Scenario::Bodies) { bench.measure_bodies(&chains)? } else { Vec::new() };
    let (delegated, verified) = if wants(Scenario::Delegated) {
        let (shots, verified) = bench.measure_delegation(&chains)?;
        (shots, Some(verified))
    } else {
        Default::default()
    };
    let rollout = if wants(Scenario::Run) { Some(bench.measure_run(&chains)?) } else { None };
    let mut shots = if wants(Scenario::Throughput) { bench.measure_rounds(chains)? } else { Vec::new() };
    shots.extend(delegated);

    let attempts = if wants(Scenario::Attempts) { bench.measure_attempts()? } else { Vec::new() };

    let findings = Findings {
        shots: &shots,
        attempts: &attempts,
        memory: &memory,
        transfers: &transfers,
        verified: verified.as_ref(),
        rollout: rollout.as_ref(),
    };
    let rows = targets::judge(&findings);
    println!();
    report::print_medians(&shots);
    report::print_attempts(&attempts);
    report::print_scenarios(&findings);
    report::print_targets(&rows);
    if let Some(file) = &options.json {
        report::write_json(file, &findings, &rows)?;
    }
    Ok(())
}

/// The door's binary: the one named, or the one beside this.
fn door_binary(options: &Comparison) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().map(|parent| parent.join("doorman")).context("this binary lies nowhere")?;
    Ok(options.doorman.clone().unwrap_or(beside))
}

/// All chains that exist under these options, or those named.
fn select_chains(options: &Comparison) -> Result<Vec<Box<dyn Chain>>> {
    let binary = door_binary(options)?;
    let doorman = |name: &str, binary: &Path, database, flush_delay| -> Box<dyn Chain> {
        Box::new(Doorman { name: name.to_owned(), binary: binary.to_owned(), database, flush_delay })
    };
    let mut known = vec![
        doorman(DOORMAN, &binary, Database::Sqlite, Duration::ZERO),
        doorman(DELAYED, &binary, Database::Sqlite, FLUSH_DELAY),
        doorman(MARIADB, &binary, Database::Mariadb, Duration::ZERO),
        doorman(POSTGRES, &binary, Database::Postgres, Duration::ZERO),
    ];
    if let Some(unaudited) = &options.unaudited {
        known.push(doorman(UNAUDITED, unaudited, Database::Sqlite, Duration::ZERO));
        known.push(doorman(UNAUDITED_MARIADB, unaudited, Database::Mariadb, Duration::ZERO));
    }
    known.push(Box::new(Envoy { jwt_cache: false }));
    known.push(Box::new(Envoy { jwt_cache: true }));
    known.push(Box::new(Haproxy));
    known.push(Box::new(Nginx));
    if options.only.is_empty() {
        return Ok(known);
    }
    let names: Vec<String> = known.iter().map(|chain| chain.name()).collect();
    if let Some(unknown) =
        options.only.iter().find(|wanted| !names.iter().any(|name| name.eq_ignore_ascii_case(wanted)))
    {
        bail!("no chain is called {unknown}; there are {}", names.join(", "));
    }
    known.retain(|chain| options.only.iter().any(|wanted| wanted.eq_ignore_ascii_case(&chain.name())));
    Ok(known)
}

/// What all measurements share: the upstream, the keys, a place for files.
struct Bench<'a> {
    options: &'a Comparison,
    disk: &'a Path,
    directory: &'a Path,
    upstream: SocketAddr,
    credentials: Credentials,
    _upstream: Server,
}

impl<'a> Bench<'a> {
    fn prepare(options: &'a Comparison, disk: &'a Path, directory: &'a Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["upstream", "--threads", &options.upstream_threads.to_string()]);
        let mut server = Server::start("upstream", &command, directory)?;
        let upstream = server.wait_for("its port", |server| {
            let output = server.output()?;
            Ok(output.strip_prefix("listening ").and_then(|address| address.trim().parse().ok()))
        })?;
        let credentials = Credentials::make(directory)?;
        Ok(Self { options, disk, directory, upstream, credentials, _upstream: server })
    }

    /// A chain of its own for `purpose`, checked.
    fn start(&self, chain: &dyn Chain, purpose: &str) -> Result<Running> {
        let name = chain.name();
        let directory = self.directory.join(format!("{purpose}-{}", name.replace(['/', ' '], "-")));
        fs::create_dir_all(&directory)?;
        let site = Site {
            directory,
            upstream: self.upstream,
            credentials: &self.credentials,
            disk: self.disk,
            tools: &self.options.tools,
        };
        let running = chain.start(&site).with_context(|| format!("starting {name}"))?;
        running.check(chain)?;
        Ok(running)
    }

    fn rounds(&self) -> Result<usize> {
        let rounds = self.options.rounds.unwrap_or(if self.options.quick { 2 } else { 5 });
        ensure!((1..=100).contains(&rounds), "1 to 100 rounds");
        Ok(rounds)
    }

    fn measure_rounds(&self, mut chains: Vec<Box<dyn Chain>>) -> Result<Vec<Shot>> {
        chains.push(Box::new(Direct));
        let mut running = Vec::new();
        for chain in chains {
            let started = self.start(chain.as_ref(), "rounds")?;
            running.push((chain, started));
        }
        rounds::run(&running, &self.plan(vec![MAIN, STEADY, ALONE, CROWD])?)
    }

    fn measure_delegation(&self, chains: &[Box<dyn Chain>]) -> Result<(Vec<Shot>, Verified)> {
        let chain = chains.iter().find(|chain| chain.name() == DOORMAN);
        let chain = chain.with_context(|| format!("the scenario `delegated` needs the chain {DOORMAN}"))?;
        let running = self.start(chain.as_ref(), "delegated")?;
        let service = Service::make(running.target.address()).context("making a service account")?;
        let shots = delegated::compare(&running, &service, &self.plan(vec![MAIN])?)?;
        let calls = self.options.verify_calls.unwrap_or(if self.options.quick { 20_000 } else { 1_000_000 });
        let verified = delegated::verify(&running, &service, calls)?;
        eprintln!("{verified}");
        Ok((shots, verified))
    }

    fn measure_run(&self, chains: &[Box<dyn Chain>]) -> Result<Rollout> {
        let chain = chains.iter().find(|chain| chain.name() == DOORMAN);
        let chain = chain.with_context(|| format!("the scenario `run` needs the chain {DOORMAN}"))?;
        let running = self.start(chain.as_ref(), "run")?;
        let items = self.options.run_items.unwrap_or(if self.options.quick { 100_000 } else { 1_000_000 });
        let rollout = run::measure(&running, items, &self.plan(vec![MAIN])?).context("a run")?;
        eprintln!("{rollout}");
        Ok(rollout)
    }

    fn plan(&self, loads: Vec<Load>) -> Result<Plan> {
        let seconds = self.options.seconds.unwrap_or(if self.options.quick { 1.5 } else { 3.0 });
        let plan = Plan {
            rounds: self.rounds()?,
            warm_up: WARM_UP,
            duration: Duration::try_from_secs_f64(seconds)?,
            loads,
            load_threads: self.options.load_threads,
            counter: meter::counts_instructions().then(|| self.directory.join("perf")),
        };
        if plan.counter.is_none() {
            eprintln!("this machine counts no instructions: CPU time stands in for them");
        }
        Ok(plan)
    }

    /// Each answered request is one attempt that was durable before it was sent.
    fn measure_attempts(&self) -> Result<Vec<Shot>> {
        let binary = door_binary(self.options)?;
        let databases =
            [("SQLite", Database::Sqlite), ("MariaDB", Database::Mariadb), ("Postgres", Database::Postgres)];
        let mut running: Vec<(Box<dyn Chain>, Running)> = Vec::new();
        for (delay, suffix) in [(Duration::ZERO, ""), (FLUSH_DELAY, " +2 ms")] {
            for (name, database) in databases {
                let name = format!("{name}{suffix}");
                let chain = Box::new(Doorman { name, binary: binary.clone(), database, flush_delay: delay });
                let started = self.start(&*chain, "attempts")?;
                running.push((chain, started));
            }
        }
        rounds::run(&running, &self.plan(CALLERS.map(Load::Closed).into())?)
    }

    fn measure_memory(&self, chains: &[Box<dyn Chain>]) -> Result<Vec<Memory>> {
        let measure = |chain: &dyn Chain| {
            let name = chain.name();
            let running = self.start(chain, "memory")?;
            let memory = memory::measure(&name, &running).with_context(|| format!("memory of {name}"))?;
            eprintln!(
                "{name}: {} KiB, and {:.0} bytes an idle connection",
                memory.base_kib, memory.bytes_per_connection
            );
            Ok(memory)
        };
        chains.iter().map(|chain| measure(chain.as_ref())).collect()
    }

    fn measure_bodies(&self, chains: &[Box<dyn Chain>]) -> Result<Vec<Transfer>> {
        let size = if self.options.quick { QUICK_BODY } else { BODY };
        let mut transfers = Vec::new();
        for round in 0..self.rounds()?.min(MAX_BODY_ROUNDS) {
            for chain in chains {
                for direction in [Direction::Down, Direction::Up] {
                    let name = chain.name();
                    // Afresh each time: memory that an earlier body left behind would hide a rise.
                    let running = self.start(chain.as_ref(), &format!("bodies-{round}-{direction:?}"))?;
                    let transfer = bodies::measure(&name, &running, direction, size, round)
                        .with_context(|| format!("a body {direction:?} through {name}"))?;
                    eprintln!("{name} {direction:?}: {:.0} MiB/s", transfer.mib_per_second);
                    transfers.push(transfer);
                }
            }
        }
        Ok(transfers)
    }
}
