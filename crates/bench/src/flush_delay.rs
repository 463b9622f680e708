//! A slower disk for one process: a library that is preloaded into it and sleeps before each flush.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process::run;

/// What adds `delay` to every `fsync` and `fdatasync` of a process: variables of its environment; none without a delay.
/// The library is compiled into `directory` with `cc`.
pub fn environment(delay: Duration, directory: &Path) -> Result<Vec<(String, String)>> {
    if delay.is_zero() {
        return Ok(Vec::new());
    }
    let source = directory.join("flush_delay.c");
    let library = directory.join("libflush_delay.so");
    fs::write(&source, include_str!("flush_delay.c"))?;
    run(Command::new("cc").args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl"))?;
    Ok(vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("FLUSH_DELAY_MICROSECONDS".to_owned(), delay.as_micros().to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn every_flush_of_the_process_takes_the_delay_longer() {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new("sync");
        command.arg(directory.path());
        command.envs(environment(Duration::from_millis(50), directory.path()).unwrap());
        let started = Instant::now();
        run(&mut command).unwrap();
        // A lower bound holds on any machine, however busy.
        assert!(started.elapsed() >= Duration::from_millis(50));
    }
}
