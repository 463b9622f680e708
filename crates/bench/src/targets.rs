//! The table of targets: what the door must cost, against what people could run instead.

use serde::Serialize;

use crate::figures::{CPU, CPU_BUT_INDEXER, Figures, INSTRUCTIONS, P50, P99, Quantity, RATE, median};
use crate::rounds::{ALONE, CROWD, Load, MAIN, STEADY};
use crate::scenarios::bodies::{Direction, Transfer};
use crate::scenarios::delegated::Verified;
use crate::scenarios::memory::Memory;
use crate::scenarios::run::Rollout;

/// Names of Doorman's own chains.
pub const DOORMAN: &str = "Doorman";
pub const MARIADB: &str = "Doorman/MariaDB";
pub const POSTGRES: &str = "Doorman/Postgres";
pub const DELAYED: &str = "Doorman+2ms";
/// The two ways of the scenario `delegated`.
pub const DIRECT: &str = "Doorman (direct)";
pub const DELEGATED: &str = "Doorman (delegated)";
pub const UNAUDITED: &str = "Doorman-unaudited";
pub const UNAUDITED_MARIADB: &str = "Doorman-unaudited/MariaDB";

/// Envoy's memory for one idle client connection. Bytes.
const ENVOY_IDLE: f64 = 16.0 * 1024.0;
/// Warpgate 0.28 did 3,500 requests/s on the machine where N did 69,000: it is not run here.
const WARPGATE_TO_NGINX: f64 = 3_500.0 / 69_000.0;

/// Everything one run found out.
#[derive(Serialize)]
pub struct Findings<'a> {
    pub shots: &'a [crate::rounds::Shot],
    /// Of the door on each database, by number of callers.
    pub attempts: &'a [crate::rounds::Shot],
    pub memory: &'a [Memory],
    pub transfers: &'a [Transfer],
    pub verified: Option<&'a Verified>,
    pub rollout: Option<&'a Rollout>,
}

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    pub what: &'static str,
    pub unit: &'static str,
    /// `None` when this run did not measure it.
    pub value: Option<f64>,
    pub must: f64,
    pub aim: f64,
    pub verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Aim,
    Must,
    Missed,
    Unmeasured,
}

/// All targets, judged.
pub fn judge(findings: &Findings<'_>) -> Vec<Row> {
    let figures = Figures { shots: findings.shots };
    let over = |rival: &str, quantity: Quantity| figures.ratio(DOORMAN, rival, MAIN, quantity);
    let between = |chain: &str, other: &str, load: Load, quantity: Quantity| {
        figures.ratio(chain, other, load, quantity)
    };
    let mut rows = vec![
        row("instructions per request ÷ E", "", over("E", INSTRUCTIONS), 0.50, 0.15),
        row("instructions per request ÷ EC", "", over("EC", INSTRUCTIONS), 1.0, 0.40),
        row("CPU seconds ÷ E", "", over("E", CPU), 0.40, 0.18),
        row("requests/s ÷ E", "", over("E", RATE), 2.0, 4.0),
        row(
            "CPU of a delegated request ÷ a direct one",
            "",
            between(DELEGATED, DIRECT, MAIN, CPU),
            1.10,
            1.02,
        ),
        row("requests/s ÷ EC", "", over("EC", RATE), 1.2, 2.5),
        row("requests/s ÷ H", "", over("H", RATE), 0.8, 1.3),
        row("requests/s ÷ N", "", over("N", RATE), 0.35, 0.6),
        row(
            "requests/s ÷ W (N × 3.5/69)",
            "",
            over("N", RATE).map(|ratio| ratio / WARPGATE_TO_NGINX),
            5.0,
            12.0,
        ),
        row("added p50 at 1,900 req/s ÷ E's", "", added_p50(&figures, "E"), 0.7, 0.4),
        row("p99 at 1,900 req/s ÷ E", "", between(DOORMAN, "E", STEADY, P99), 1.2, 0.8),
    ];
    rows.extend(journal_rows(&figures));
    rows.extend(memory_rows(findings));
    rows.extend(body_rows(findings.transfers));
    rows.extend(run_rows(findings.rollout));
    rows
}

/// What the journal costs. Where no instructions are counted, CPU time stands in for them, without the
/// search indexer's.
fn journal_rows(figures: &Figures<'_>) -> Vec<Row> {
    let cost = |chain: &str, unaudited: &str| {
        figures
            .ratio(chain, unaudited, MAIN, INSTRUCTIONS)
            .or_else(|| figures.ratio(chain, unaudited, MAIN, CPU_BUT_INDEXER))
    };
    // At one connection every commit holds one attempt: that is one row per commit.
    let single_rows = figures.median(DELAYED, ALONE, RATE);
    let grouped =
        figures.median(DELAYED, MAIN, RATE).zip(single_rows).map(|(grouped, single)| grouped / single);
    vec![
        row("journal's cost, SQLite ÷ unaudited", "", cost(DOORMAN, UNAUDITED), 1.15, 1.08),
        row("journal's cost, MariaDB ÷ unaudited", "", cost(MARIADB, UNAUDITED_MARIADB), 1.25, 1.15),
        row("MariaDB requests/s ÷ SQLite", "", figures.ratio(MARIADB, DOORMAN, MAIN, RATE), 0.6, 0.9),
        row(
            "requests/s ÷ unaudited, 256 connections",
            "",
            figures.ratio(DOORMAN, UNAUDITED, CROWD, RATE),
            0.8,
            0.95,
        ),
        row("+2 ms a flush: requests/s ÷ one row per commit", "", grouped, 15.0, 25.0),
        row(
            "+2 ms a flush, 256 connections ÷ no delay",
            "",
            figures.ratio(DELAYED, DOORMAN, CROWD, RATE),
            0.7,
            0.95,
        ),
    ]
}

fn memory_rows(findings: &Findings<'_>) -> Vec<Row> {
    let own = findings.memory.iter().find(|memory| memory.chain == DOORMAN);
    let idle = own.map(|memory| memory.bytes_per_connection / ENVOY_IDLE);
    let base = own.map(|memory| memory.base_kib as f64 / 1024.0);
    vec![
        row("idle memory per client connection ÷ 16 KiB", "", idle, 1.5, 0.5),
        row("base memory, api + proxy", "MiB", base, 80.0, 42.0),
        row("verify calls: memory rise", "MiB", findings.verified.map(Verified::rise), 8.0, 2.0),
    ]
}

fn body_rows(transfers: &[Transfer]) -> Vec<Row> {
    let of = |chain: &'static str, direction: Direction| {
        transfers.iter().filter(move |transfer| transfer.chain == chain && transfer.direction == direction)
    };
    let speed =
        |chain, direction| median(of(chain, direction).map(|transfer| transfer.mib_per_second).collect());
    let ratio =
        |direction| speed(DOORMAN, direction).zip(speed("E", direction)).map(|(own, rival)| own / rival);
    let own = transfers.iter().filter(|transfer| transfer.chain == DOORMAN);
    let rise = own.map(|transfer| transfer.memory_rise_mib).reduce(f64::max);
    vec![
        row("1 GiB body: memory rise", "MiB", rise, 32.0, 12.0),
        row("1 GiB body down: MiB/s ÷ E", "", ratio(Direction::Down), 0.8, 1.0),
        row("1 GiB body up: MiB/s ÷ E", "", ratio(Direction::Up), 0.8, 1.0),
    ]
}

fn run_rows(rollout: Option<&Rollout>) -> Vec<Row> {
    vec![
        row("items/s of a run ÷ single requests/s", "", rollout.map(Rollout::pace), 0.7, 0.9),
        row("a run: api memory over idle", "MiB", rollout.map(Rollout::rise), 64.0, 32.0),
        row("a run: slowest page of items", "ms", rollout.and_then(Rollout::slowest_page), 50.0, 10.0),
    ]
}

/// What the chain adds to a direct call's p50, over what `rival` adds.
fn added_p50(figures: &Figures<'_>, rival: &str) -> Option<f64> {
    let direct = figures.median("direct", STEADY, P50)?;
    let added = |chain: &str| Some(figures.median(chain, STEADY, P50)? - direct);
    added(DOORMAN).zip(added(rival)).map(|(own, other)| own / other)
}

/// Whether less or more is better shows in the thresholds: the aim lies on the better side of the must.
fn row(what: &'static str, unit: &'static str, value: Option<f64>, must: f64, aim: f64) -> Row {
    let reaches =
        |value: f64, threshold: f64| if aim < must { value <= threshold } else { value >= threshold };
    let verdict = match value {
        None => Verdict::Unmeasured,
        Some(value) if reaches(value, aim) => Verdict::Aim,
        Some(value) if reaches(value, must) => Verdict::Must,
        Some(_) => Verdict::Missed,
    };
    Row { what, unit, value, must, aim, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_judged_in_the_direction_of_its_aim() {
        let verdict = |value, must, aim| row("x", "", value, must, aim).verdict;
        assert_eq!(verdict(Some(0.1), 0.5, 0.15), Verdict::Aim);
        assert_eq!(verdict(Some(0.3), 0.5, 0.15), Verdict::Must);
        assert_eq!(verdict(Some(0.6), 0.5, 0.15), Verdict::Missed);
        assert_eq!(verdict(Some(4.0), 2.0, 4.0), Verdict::Aim);
        assert_eq!(verdict(Some(1.9), 2.0, 4.0), Verdict::Missed);
        assert_eq!(verdict(None, 2.0, 4.0), Verdict::Unmeasured);
    }
}
