//! The interleaved run: every chain in every round, in an order that rotates, so that what else the machine does in
//! those minutes meets all of them alike.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::chains::{Chain, PATH, Running};
use crate::load::{Sample, Target, Window, closed, during, paced};
use crate::meter::{Meter, Spent};

/// A kind of load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// That many connections, each sending as soon as it was answered.
    Closed(usize),
    /// That many requests a second over 64 connections, answered or not.
    Paced(u32),
}

/// The comparison's main load.
pub const MAIN: Load = Load::Closed(64);
/// Where latencies are compared: a rate that every rival can hold.
pub const STEADY: Load = Load::Paced(1900);
/// Closed loops of one and of very many connections.
pub const ALONE: Load = Load::Closed(1);
pub const CROWD: Load = Load::Closed(256);

const PACED_CONNECTIONS: usize = 64;

impl Load {
    pub fn label(self) -> String {
        match self {
            Self::Closed(connections) => format!("{connections} connections"),
            Self::Paced(rate) => format!("{rate} requests/s"),
        }
    }
}

/// One chain under one load in one round.
#[derive(Debug, Clone, Serialize)]
pub struct Shot {
    pub chain: String,
    pub load: Load,
    pub round: usize,
    pub requests_per_second: f64,
    /// Microseconds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    /// CPU microseconds of the chain's processes, without upstream and load generator.
    pub cpu_per_request: Option<f64>,
    /// Of them, those of the search indexer's thread.
    pub indexer_cpu_per_request: Option<f64>,
    pub instructions_per_request: Option<f64>,
    pub errors: u64,
    pub first_error: Option<String>,
}

/// How long and how often.
pub struct Plan {
    pub rounds: usize,
    pub warm_up: Duration,
    pub duration: Duration,
    pub loads: Vec<Load>,
    pub load_threads: usize,
    /// Where `perf` writes, on machines that count instructions.
    pub counter: Option<PathBuf>,
}

/// Measures all of `chains`, which run already.
pub fn run(chains: &[(Box<dyn Chain>, Running)], plan: &Plan) -> Result<Vec<Shot>> {
    let mut shots = Vec::new();
    for round in 0..plan.rounds {
        for load in &plan.loads {
            for turn in 0..chains.len() {
                let index = (turn + round) % chains.len();
                let Some((chain, running)) = chains.get(index) else { continue };
                let name = chain.name();
                let shot = measure(&name, running, &running.target, *load, round, plan)
                    .with_context(|| format!("{name} at {}", load.label()))?;
                eprintln!("{}", describe(&shot, plan.rounds));
                shots.push(shot);
            }
        }
    }
    Ok(shots)
}

/// One chain, asked at `target`.
pub fn measure(
    name: &str,
    running: &Running,
    target: &Target,
    load: Load,
    round: usize,
    plan: &Plan,
) -> Result<Shot> {
    let window = Window::after(plan.warm_up, plan.duration)?;
    let generate = || match load {
        Load::Closed(connections) => closed::run(target, PATH, connections, plan.load_threads, window),
        Load::Paced(rate) => paced::run(target, PATH, PACED_CONNECTIONS, f64::from(rate), window),
    };
    let start = || Meter::start(running.pids(), plan.counter.clone());
    let (sample, spent) = during(window, generate, start, Meter::stop)?;
    Ok(summarize(name, load, round, window, sample, spent))
}

fn summarize(name: &str, load: Load, round: usize, window: Window, mut sample: Sample, spent: Spent) -> Shot {
    let answers = sample.latencies.len() as f64;
    let per_request = |amount: f64| (answers > 0.0 && amount > 0.0).then(|| amount / answers);
    Shot {
        chain: name.to_owned(),
        load,
        round,
        requests_per_second: answers / window.duration().as_secs_f64(),
        p50: sample.quantile(0.50),
        p99: sample.quantile(0.99),
        cpu_per_request: per_request(spent.cpu_seconds * 1e6),
        indexer_cpu_per_request: per_request(spent.indexer_seconds * 1e6),
        instructions_per_request: spent.instructions.and_then(per_request),
        errors: sample.errors,
        first_error: sample.first_error,
    }
}

fn describe(shot: &Shot, rounds: usize) -> String {
    let micros = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0} µs"));
    let errors = shot.first_error.as_ref().map(|first| format!("  {} errors, first: {first}", shot.errors));
    format!(
        "round {}/{rounds}  {:<18} {:<16} {:>8.0} req/s  p50 {:>9}  p99 {:>9}  CPU {:>8}/req{}",
        shot.round + 1,
        shot.chain,
        shot.load.label(),
        shot.requests_per_second,
        micros(shot.p50),
        micros(shot.p99),
        micros(shot.cpu_per_request),
        errors.unwrap_or_default(),
    )
}
