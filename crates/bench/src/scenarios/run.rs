//! A run of very many items: what `api` holds of it, how fast it goes beside single requests through the same processes, and
//! how long pages of its items take.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::chains::Running;
use crate::figures::median;
use crate::load::blocking::connect;
use crate::procfs::resident_kib;
use crate::rounds::{self, MAIN, Plan, Shot};
use crate::targets::DIRECT;
use crate::wire;

/// Where the chain's policy lets developers keep jobs.
pub const FOLDER: &str = "bench";
/// Items in flight at once: as many as [`MAIN`] has connections.
const CONCURRENCY: u32 = 64;
/// Time for buffers to be given back.
const SETTLE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(500);
/// Each page is asked for so often; its time is the median.
const PAGE_ROUNDS: usize = 9;

/// What a run cost.
#[derive(Debug, Clone, Serialize)]
pub struct Rollout {
    pub items: u64,
    /// Rows a second while they were uploaded.
    pub rows_per_second: f64,
    pub items_per_second: f64,
    /// Single requests through the same processes, before and after. Requests a second.
    pub singles: Vec<Shot>,
    /// Of `api`, after single requests and before the upload. KiB.
    pub idle_kib: u64,
    /// Of `api`, the highest that was seen until the end. KiB.
    pub peak_kib: u64,
    /// Milliseconds of pages of items, by what they show.
    pub pages: Vec<(String, f64)>,
}

impl Rollout {
    /// How fast items go beside single requests.
    pub fn pace(&self) -> f64 {
        let singles = self.singles.iter().map(|shot| shot.requests_per_second).sum::<f64>();
        self.items_per_second * self.singles.len() as f64 / singles
    }

    /// What the run added to `api`. MiB.
    pub fn rise(&self) -> f64 {
        self.peak_kib.saturating_sub(self.idle_kib) as f64 / 1024.0
    }

    /// The slowest page. Milliseconds.
    pub fn slowest_page(&self) -> Option<f64> {
        self.pages.iter().map(|(_, millis)| *millis).reduce(f64::max)
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let singles: Vec<String> =
            self.singles.iter().map(|shot| format!("{:.0}", shot.requests_per_second)).collect();
        let pages: Vec<String> =
            self.pages.iter().map(|(what, millis)| format!("{what} {millis:.1} ms")).collect();
        write!(
            f,
            "a run of {} items: {:.0} items/s (single requests: {}/s), {:.0} rows/s uploaded, api {:.1} MiB over {:.1} idle; \
             pages: {}",
            self.items,
            self.items_per_second,
            singles.join(" and "),
            self.rows_per_second,
            self.rise(),
            self.idle_kib as f64 / 1024.0,
            pages.join(", ")
        )
    }
}

/// Somebody who may keep jobs, and the `api` that keeps them.
struct Client {
    address: SocketAddr,
    token: String,
}

/// Measures a run of `items` items.
pub fn measure(running: &Running, items: u64, plan: &Plan) -> Result<Rollout> {
    let address = running.target.address();
    let login = json!({"username": "alice", "password": "alice-demo"});
    let stranger = Client { address, token: String::new() };
    let token = text(&stranger.post("/auth/v1/login", &login)?, "token")?;
    let client = Client { address, token };
    let api = running.pids().first().copied().context("no process")?;

    let mut singles = vec![rounds::measure(DIRECT, running, &running.target, MAIN, 0, plan)?];
    thread::sleep(SETTLE);
    let idle_kib = resident_kib(&[api])?;
    let job = client.post(
        "/api/v1/jobs",
        &json!({
            "name": "bench", "folder": FOLDER,
            "request": {"region": "eu", "service": "bench", "method": "GET", "path": "/bench/companies/{{id}}"},
            "plan": {"concurrency": CONCURRENCY}
        }),
    )?;
    let job = text(&job, "id")?;
    let rows: String = (0..items).map(|id| format!("{id}\n")).collect();
    let begun = Instant::now();
    let path = format!("/api/v1/jobs/{job}/input");
    client.call("PUT", &path, "text/csv", format!("id\n{rows}").as_bytes())?;
    let rows_per_second = items as f64 / begun.elapsed().as_secs_f64();
    let mut peak_kib = resident_kib(&[api])?;

    let begun = Instant::now();
    let run = text(&client.post(&format!("/api/v1/jobs/{job}/runs"), &json!({}))?, "id")?;
    let path = format!("/api/v1/runs/{run}");
    let elapsed = loop {
        thread::sleep(LOOK);
        let shown = client.get(&path)?;
        peak_kib = peak_kib.max(resident_kib(&[api])?);
        if shown.get("state").and_then(Value::as_str) == Some("done") {
            ensure!(shown.pointer("/counts/done") == Some(&json!(items)), "not every item is done: {shown}");
            break begun.elapsed();
        }
        let state = shown.get("state").and_then(Value::as_str);
        ensure!(matches!(state, Some("running" | "waiting")), "the run does not go on: {shown}");
    };
    let pages = pages(&client, &path, items)?;
    peak_kib = peak_kib.max(resident_kib(&[api])?);
    singles.push(rounds::measure(DIRECT, running, &running.target, MAIN, 1, plan)?);
    Ok(Rollout {
        items,
        rows_per_second,
        items_per_second: items as f64 / elapsed.as_secs_f64(),
        singles,
        idle_kib,
        peak_kib,
        pages,
    })
}

fn pages(client: &Client, run: &str, items: u64) -> Result<Vec<(String, f64)>> {
    let asked = [
        ("first", "limit=100".to_owned()),
        ("middle", format!("limit=100&cursor={}", items / 2)),
        ("last", format!("limit=100&cursor={}", items.saturating_sub(100))),
        ("done, middle", format!("limit=100&state=done&cursor={}", items / 2)),
        ("failed, none", "limit=100&state=failed".to_owned()),
        ("unknown, none", "limit=100&state=unknown".to_owned()),
        ("pending, none", "limit=100&state=pending".to_owned()),
    ];
    let mut pages = Vec::new();
    for (what, query) in asked {
        let mut times = Vec::new();
        for _ in 0..PAGE_ROUNDS {
            let begun = Instant::now();
            client.get(&format!("{run}/items?{query}"))?;
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        pages.push((what.to_owned(), median(times).context("no time")?));
    }
    Ok(pages)
}

impl Client {
    fn get(&self, path: &str) -> Result<Value> {
        self.call("GET", path, "application/json", b"")
    }

    fn post(&self, path: &str, document: &Value) -> Result<Value> {
        self.call("POST", path, "application/json", document.to_string().as_bytes())
    }

    fn call(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Result<Value> {
        let mut stream = connect(self.address)?;
        let (address, length) = (self.address, body.len());
        let bearer = match self.token.as_str() {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{bearer}content-type: {kind}\r\n\
             content-length: {length}\r\n\r\n"
        )?;
        stream.write_all(body)?;
        // Rows are stored before the answer comes.
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = wire::parse_head(&answer)?.context("the answer has no head")?;
        let body = answer.get(head.length..).unwrap_or_default();
        let status = wire::parse_status(&answer)?;
        ensure!(matches!(status, 200 | 201), "{method} {path}: {status} {}", String::from_utf8_lossy(body));
        ensure!(matches!(head.body, wire::Framing::Fixed(_)), "a chunked answer");
        Ok(serde_json::from_slice(body)?)
    }
}

fn text(document: &Value, field: &str) -> Result<String> {
    Ok(document.get(field).and_then(Value::as_str).with_context(|| format!("no {field}"))?.to_owned())
}
