//! How long a page takes as a caller sees it: over HTTP from a running demo, each filter alone and some together, the
//! first page and one deep in the log.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use doorman_core::time::format_rfc3339;
use serde::Serialize;
use serde_json::Value;

use super::client::Client;
use super::entries::{COMMON_PERSON, RARE_PERSON, run};

/// What a page of a filter that an index answers may take.
pub const MUST: Duration = Duration::from_millis(50);
/// Hex digits of the query's entry, at the beginning of a cursor.
const READING: usize = 32;

/// One filter's pages.
#[derive(Debug, Clone, Serialize)]
pub struct Pages {
    pub what: String,
    /// Milliseconds.
    pub first: [f64; 2],
    /// Of a page in the middle of the log; `None` where the list ends before.
    pub deep: Option<[f64; 2]>,
    /// Entries of the first page.
    pub found: usize,
    /// Whether the page ended for time and not for want of entries.
    pub cut: bool,
    /// Whether an index answers it.
    pub indexed: bool,
}

struct Question {
    what: &'static str,
    query: String,
    indexed: bool,
}

/// Asks every question `samples` times, for both pages, in turns.
pub fn measure(client: &Client, entries: u64, times: (u64, u64), samples: usize) -> Result<Vec<Pages>> {
    let (began, now) = times;
    let middle = began + (now - began) / 2;
    // Any list's place in the middle of the log is every list's.
    let to_middle = client.get(&format!("/api/v1/audit?limit=1&to={}", format_rfc3339(middle)))?;
    let at = to_middle.get("next_cursor").and_then(Value::as_str).and_then(|cursor| cursor.get(READING..));
    let at = at.context("the log has no middle")?.to_owned();
    questions(entries, middle).iter().map(|question| ask(client, question, &at, samples)).collect()
}

fn ask(client: &Client, question: &Question, at: &str, samples: usize) -> Result<Pages> {
    let first = format!("/api/v1/audit?limit=50&{}", question.query);
    let page = client.get(&first)?;
    let found = page.get("items").and_then(Value::as_array).map_or(0, Vec::len);
    let next = page.get("next_cursor").and_then(Value::as_str);
    // A cursor names the entry that tells of its query.
    let deep =
        next.and_then(|cursor| cursor.get(..READING)).map(|reading| format!("{first}&cursor={reading}{at}"));
    let mut connection = None;
    let (mut firsts, mut deeps) = (Vec::new(), Vec::new());
    for _ in 0..samples {
        firsts.push(timed(client, &mut connection, &first)?);
        if let Some(deep) = &deep {
            deeps.push(timed(client, &mut connection, deep)?);
        }
    }
    let pages = Pages {
        what: question.what.to_owned(),
        first: quantiles(firsts),
        deep: deep.map(|_| quantiles(deeps)),
        found,
        cut: found < 50 && next.is_some(),
        indexed: question.indexed,
    };
    println!("  {}: {:.1} ms", pages.what, pages.first[0]);
    Ok(pages)
}

fn timed(client: &Client, connection: &mut Option<TcpStream>, path: &str) -> Result<f64> {
    let start = Instant::now();
    let status = client.ask(connection, path)?;
    ensure!(status == 200, "{path} answers {status}");
    Ok(start.elapsed().as_secs_f64() * 1_000.0)
}

/// p50 and p99.
fn quantiles(mut times: Vec<f64>) -> [f64; 2] {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    [at(0.5), at(0.99)]
}

fn questions(entries: u64, middle_ms: u64) -> Vec<Question> {
    let hour = 3_600_000;
    let time = |ms: u64| format_rfc3339(ms);
    let span = format!("from={}&to={}", time(middle_ms - hour), time(middle_ms + hour));
    let a_run = run(entries / 20_000 / 2);
    let indexed = [
        ("everything", String::new()),
        ("actor, common", format!("actor={COMMON_PERSON}")),
        ("actor, few and old", format!("actor={RARE_PERSON}")),
        ("actor, unknown", "actor=user:nobody".into()),
        ("subject", "subject=user:person-700".into()),
        ("region", "region=sa".into()),
        ("service, common", "service=service-0".into()),
        ("service, rare", "service=service-140".into()),
        ("instance", "instance=service-9-3".into()),
        ("method, common", "method=GET".into()),
        ("method, rare", "method=DELETE".into()),
        ("status 404", "status=404".into()),
        ("status, rare", "status=418".into()),
        ("status 5xx", "status=5xx".into()),
        ("status 2xx", "status=2xx".into()),
        ("outcome done", "outcome=done".into()),
        ("outcome denied", "outcome=denied".into()),
        ("outcome unknown", "outcome=unknown".into()),
        ("kind login", "kind=login".into()),
        ("kind, rare", "kind=policy".into()),
        ("run", format!("run={a_run}")),
        ("from and to", span.clone()),
        ("to", format!("to={}", time(middle_ms))),
        ("actor and time", format!("actor={COMMON_PERSON}&{span}")),
        ("actor, rare, and time", format!("actor=user:person-1800&{span}")),
        ("service and time", format!("service=service-3&{span}")),
        ("service, rare, and time", format!("service=service-140&{span}")),
    ];
    let scanned = [
        ("actor and status", "actor=user:person-700&status=5xx".to_owned()),
        ("service and method", "service=service-0&method=DELETE".into()),
        ("path, common", "path=/companies/1".into()),
        ("path, rare", "path=/companies/77777/".into()),
        ("path, nowhere", "path=/nowhere".into()),
        ("q, common", "q=TICKET".into()),
        ("q, nowhere", "q=nowhere".into()),
    ];
    let with = |indexed| move |(what, query)| Question { what, query, indexed };
    indexed.into_iter().map(with(true)).chain(scanned.into_iter().map(with(false))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        assert_eq!(quantiles((1..=100).map(f64::from).collect()), [50.0, 99.0]);
        assert_eq!(quantiles(vec![7.0]), [7.0, 7.0]);
    }
}
