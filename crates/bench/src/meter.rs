//! What a chain's processes spend while they are measured: CPU seconds always, instructions where the machine counts them.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use std::fs;

use anyhow::{Context, Result};

use crate::procfs;

/// The thread that fills the search index.
const INDEXER: &str = "indexer";

/// What was spent between start and stop.
#[derive(Debug, Clone, Copy)]
pub struct Spent {
    /// User and kernel.
    pub cpu_seconds: f64,
    /// Of them, the search indexer's own thread (SQLite's alone has one).
    pub indexer_seconds: f64,
    /// User and kernel; `None` where the machine has no counters.
    pub instructions: Option<f64>,
}

/// A measurement under way.
pub struct Meter {
    pids: Vec<u32>,
    cpu_before: f64,
    indexer_before: f64,
    perf: Option<(Child, PathBuf)>,
}

/// Whether `perf` can count instructions here. Virtual machines often cannot.
pub fn counts_instructions() -> bool {
    let probe = Command::new("perf")
        .args(["stat", "-x,", "-e", "instructions", "true"])
        .stdin(Stdio::null())
        .output();
    probe.is_ok_and(|output| {
        output.status.success() && parse_count(&String::from_utf8_lossy(&output.stderr)).is_some()
    })
}

impl Meter {
    /// `counter`: a file for `perf`'s answer, when it is to count.
    pub fn start(pids: Vec<u32>, counter: Option<PathBuf>) -> Result<Self> {
        let perf = match counter {
            Some(file) if !pids.is_empty() => Some((start_perf(&pids, &file)?, file)),
            _ => None,
        };
        let cpu_before = procfs::cpu_seconds(&pids)?;
        let indexer_before = procfs::thread_seconds(&pids, INDEXER)?;
        Ok(Self { pids, cpu_before, indexer_before, perf })
    }

    pub fn stop(self) -> Result<Spent> {
        let cpu_seconds = procfs::cpu_seconds(&self.pids)? - self.cpu_before;
        let indexer_seconds = procfs::thread_seconds(&self.pids, INDEXER)? - self.indexer_before;
        let instructions = self.perf.map(|(child, file)| stop_perf(child, &file)).transpose()?;
        Ok(Spent { cpu_seconds, indexer_seconds, instructions })
    }
}

fn start_perf(pids: &[u32], file: &PathBuf) -> Result<Child> {
    let pids: Vec<String> = procfs::process_tree(pids)?.iter().map(ToString::to_string).collect();
    let mut command = Command::new("perf");
    command.args(["stat", "-x,", "-e", "instructions", "-p", &pids.join(","), "-o"]).arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("starting perf")
}

fn stop_perf(mut child: Child, file: &PathBuf) -> Result<f64> {
    // perf prints its counts when interrupted.
    Command::new("kill").args(["-INT", &child.id().to_string()]).status()?;
    child.wait()?;
    parse_count(&fs::read_to_string(file)?).context("perf counted no instructions")
}

/// The count in `perf stat -x,` output: `COUNT,unit,instructions…`.
fn parse_count(text: &str) -> Option<f64> {
    text.lines().find(|line| line.contains("instructions"))?.split(',').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_the_machine_lacks_is_no_count() {
        assert_eq!(parse_count("<not supported>,,instructions,0,100.00,,"), None);
        assert_eq!(parse_count("# started\n\n1234,,instructions:u,99,100.00,,"), Some(1234.0));
    }
}
