//! One large body through both hops, down and up: how fast, and how much of it is held in memory.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::chains::Running;
use crate::load::blocking::{connect, receive};
use crate::load::exchange::Answer;
use crate::procfs::resident_kib;

const SAMPLE_EVERY: Duration = Duration::from_millis(20);
const MIB: u64 = 1 << 20;

/// One body in one direction.
#[derive(Debug, Clone, Serialize)]
pub struct Transfer {
    pub chain: String,
    pub direction: Direction,
    pub round: usize,
    pub mib_per_second: f64,
    /// Highest resident memory of all processes during the transfer, above that before it. MiB.
    pub memory_rise_mib: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Down,
    Up,
}

/// Sends or fetches one body of `size` bytes.
pub fn measure(
    chain: &str,
    running: &Running,
    direction: Direction,
    size: u64,
    round: usize,
) -> Result<Transfer> {
    let pids = running.pids();
    let before = resident_kib(&pids)?;
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut highest = before;
            while !done.load(Ordering::Relaxed) {
                highest = highest.max(resident_kib(&pids).unwrap_or(0));
                thread::sleep(SAMPLE_EVERY);
            }
            highest
        });
        let started = Instant::now();
        let outcome = match direction {
            Direction::Down => fetch(running, size),
            Direction::Up => send(running, size),
        };
        let seconds = started.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        let highest = sampler.join().map_err(|_| anyhow::anyhow!("the memory sampler died"))?;
        outcome?;
        Ok(Transfer {
            chain: chain.to_owned(),
            direction,
            round,
            mib_per_second: (size / MIB) as f64 / seconds,
            memory_rise_mib: (highest - before) as f64 / 1024.0,
        })
    })
}

fn fetch(running: &Running, size: u64) -> Result<()> {
    let mut stream = connect(running.target.address())?;
    stream.write_all(&running.target.request("GET", &format!("/bytes/{size}"), None))?;
    let answer = receive(&mut stream, &mut vec![0; 256 * 1024])?;
    expect_ok(answer)?;
    ensure!(answer.size == size, "{} of {size} bytes arrived", answer.size);
    Ok(())
}

fn send(running: &Running, size: u64) -> Result<()> {
    let mut stream = connect(running.target.address())?;
    stream.write_all(&running.target.request("POST", "/bench/upload", Some(size)))?;
    let piece = vec![b'x'; 256 * 1024];
    let mut left = size;
    while left > 0 {
        let step = left.min(piece.len() as u64);
        stream.write_all(piece.get(..usize::try_from(step)?).unwrap_or(&piece))?;
        left -= step;
    }
    let answer = receive(&mut stream, &mut vec![0; 16 * 1024])?;
    expect_ok(answer)?;
    // The upstream says how much it got; its whole sentence is that long only for that number.
    let sentence = format!("{{\"received\":{size}}}");
    ensure!(answer.size == sentence.len() as u64, "the upstream did not get the whole body");
    Ok(())
}

fn expect_ok(answer: Answer) -> Result<()> {
    ensure!(answer.status == 200, "status {}", answer.status);
    Ok(())
}
