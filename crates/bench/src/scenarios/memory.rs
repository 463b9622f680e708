//! What a chain holds: at rest, and for each client connection that is open and idle.

use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::chains::{PATH, Running};
use crate::load::blocking::exchange;
use crate::procfs::resident_kib;

const CONNECTIONS: usize = 2000;
/// Requests before the first look, so that lazily built state is there.
const WARM_UP: usize = 500;
/// Time for buffers to be given back.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    pub chain: String,
    /// Of all processes, after a few requests over one connection. KiB.
    pub base_kib: u64,
    /// For each of 2,000 client connections that were used once and are idle, over all processes. Bytes.
    pub bytes_per_connection: f64,
}

/// Looks at a chain that has just been started.
pub fn measure(chain: &str, running: &Running) -> Result<Memory> {
    let request = running.target.request("GET", PATH, None);
    let mut buffer = vec![0; 16 * 1024];
    let mut ask = |connection: &mut Option<TcpStream>| -> Result<()> {
        let answer = exchange(connection, running.target.address(), &request, &mut buffer)?;
        ensure!(answer.status == 200, "status {}", answer.status);
        Ok(())
    };
    let mut first = None;
    for _ in 0..WARM_UP {
        ask(&mut first)?;
    }
    thread::sleep(SETTLE);
    let base_kib = resident_kib(&running.pids())?;
    let mut idle = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut connection = None;
        ask(&mut connection).context("opening an idle connection")?;
        idle.push(connection);
    }
    thread::sleep(SETTLE);
    let rise = resident_kib(&running.pids())?.saturating_sub(base_kib);
    drop(idle);
    Ok(Memory {
        chain: chain.to_owned(),
        base_kib,
        bytes_per_connection: rise as f64 * 1024.0 / CONNECTIONS as f64,
    })
}
