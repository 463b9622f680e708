//! What goes through the whole log: exports, whose memory must not grow, and verification.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use crate::procfs::resident_kib;

/// One export of everything.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    pub format: &'static str,
    pub bytes: u64,
    pub seconds: f64,
    /// Before, and at most while it ran. KiB.
    pub before_kib: u64,
    pub peak_kib: u64,
}

impl Exported {
    /// MiB.
    pub fn rise(&self) -> f64 {
        self.peak_kib.saturating_sub(self.before_kib) as f64 / 1024.0
    }
}

/// Exports all in both formats from the server `pid`.
pub fn export(client: &Client, pid: u32) -> Result<Vec<Exported>> {
    // Reading a part first: what is allocated once is not what grows.
    client.get("/api/v1/audit?limit=500&q=nothing")?;
    ["jsonl", "csv"]
        .into_iter()
        .map(|format| {
            let before_kib = resident_kib(&[pid])?;
            let mut peak_kib = before_kib;
            let start = Instant::now();
            let bytes = client.drain(&format!("/api/v1/audit/export?format={format}"), || {
                peak_kib = peak_kib.max(resident_kib(&[pid])?);
                Ok(())
            })?;
            let exported =
                Exported { format, bytes, seconds: start.elapsed().as_secs_f64(), before_kib, peak_kib };
            println!("  {format}: {} MiB, {:.0} s", bytes >> 20, exported.seconds);
            Ok(exported)
        })
        .collect()
}

/// What `doorman audit verify` said and took.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Verified {
    pub entries: u64,
    pub seconds: f64,
}

impl Verified {
    pub fn per_minute(&self) -> f64 {
        self.entries as f64 / self.seconds * 60.0
    }
}

/// Verifies the log, which must be whole, with the public keys in `keys`.
pub fn verify(doorman: &Path, url: &str, keys: &Path) -> Result<Verified> {
    let start = Instant::now();
    let output = Command::new(doorman)
        .args(["audit", "verify", "--json", "--database", url, "--keys"])
        .arg(keys)
        .output()
        .context("starting doorman audit verify")?;
    let seconds = start.elapsed().as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the log is not whole: {said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: Value = serde_json::from_str(&said)?;
    let entries = report.get("entries").and_then(Value::as_u64).context("a report without a count")?;
    Ok(Verified { entries, seconds })
}
