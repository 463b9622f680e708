//! What processes used, as the kernel tells it: CPU time and memory of whole process trees.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};

/// `/proc/PID/stat` counts in these (`USER_HZ`, 100 on every Linux ABI in use).
const TICKS_PER_SECOND: f64 = 100.0;

/// `roots` and all their living descendants.
pub fn process_tree(roots: &[u32]) -> Result<BTreeSet<u32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("reading /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        // A process may end while it is looked at.
        if let Ok(stat) = read_stat(pid) {
            parents.push((pid, stat.parent));
        }
    }
    let mut tree: BTreeSet<u32> = roots.iter().copied().collect();
    loop {
        let found: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| tree.contains(parent) && !tree.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if found.is_empty() {
            return Ok(tree);
        }
        tree.extend(found);
    }
}

/// CPU seconds, user and kernel, of the trees under `roots`: all threads, and children that have ended.
pub fn cpu_seconds(roots: &[u32]) -> Result<f64> {
    let mut ticks = 0;
    for pid in process_tree(roots)? {
        ticks += read_stat(pid).map_or(0, |stat| stat.ticks);
    }
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// CPU seconds, user and kernel, of the living threads of that name in the trees under `roots`.
pub fn thread_seconds(roots: &[u32], name: &str) -> Result<f64> {
    let mut ticks = 0;
    for pid in process_tree(roots)? {
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let of_task = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            if of_task("comm").trim_end() == name {
                ticks += parse_stat(&of_task("stat")).map_or(0, |stat| stat.ticks);
            }
        }
    }
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Resident memory of the trees under `roots`, in KiB: the plain sum, though processes of one binary share its pages.
pub fn resident_kib(roots: &[u32]) -> Result<u64> {
    let mut total = 0;
    for pid in process_tree(roots)? {
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        total += status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<u64>().ok())
            .unwrap_or(0);
    }
    Ok(total)
}

struct Stat {
    parent: u32,
    ticks: u64,
}

fn read_stat(pid: u32) -> Result<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat"))?)
}

fn parse_stat(text: &str) -> Result<Stat> {
    // The command's name is in parentheses and may itself hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(')').context("malformed stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |index: usize| -> Result<u64> { Ok(fields.get(index).context("malformed stat")?.parse()?) };
    // Counted from the state: parent 1, utime 11, stime 12, cutime 13, cstime 14 (proc(5)).
    Ok(Stat { parent: u32::try_from(field(1)?)?, ticks: field(11)? + field(12)? + field(13)? + field(14)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_holds_its_root_and_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = process_tree(&[std::process::id()]).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tree.contains(&std::process::id()) && tree.contains(&child.id()));
    }

    #[test]
    fn the_time_of_a_thread_is_found_by_its_name() {
        let work = || {
            let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while std::time::Instant::now() < until {
                if thread_seconds(&[std::process::id()], "worker-of-test").unwrap() > 0.0 {
                    return true;
                }
            }
            false
        };
        let thread = std::thread::Builder::new().name("worker-of-test".into()).spawn(work).unwrap();
        assert!(thread.join().unwrap());
        assert_eq!(thread_seconds(&[std::process::id()], "nobody").unwrap(), 0.0);
    }

    #[test]
    fn memory_and_time_of_a_living_process_are_known() {
        let own = [std::process::id()];
        assert!(resident_kib(&own).unwrap() > 100);
        assert!(cpu_seconds(&own).unwrap() >= 0.0);
    }
}
