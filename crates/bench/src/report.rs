//! What a run found, as tables for people and as JSON for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::figures::{CPU, Figures, INDEXER_CPU, INSTRUCTIONS, P50, P99, RATE};
use crate::rounds::Shot;
use crate::scenarios::bodies::Direction;
use crate::targets::{Findings, Row, Verdict};

/// Medians of every chain under every load.
pub fn print_medians(shots: &[Shot]) {
    let figures = Figures { shots };
    for load in distinct(shots.iter().map(|shot| shot.load)) {
        let mut table = new_table(&[
            &load.label(),
            "requests/s",
            "p50 µs",
            "p99 µs",
            "CPU µs/request",
            "of it the index",
            "k instructions/request",
            "errors",
        ]);
        for chain in distinct(shots.iter().map(|shot| shot.chain.clone())) {
            let cell = |quantity, digits| number(figures.median(&chain, load, quantity), digits);
            let thousands = figures.median(&chain, load, INSTRUCTIONS).map(|count| count / 1000.0);
            let errors: u64 = shots
                .iter()
                .filter(|shot| shot.chain == chain && shot.load == load)
                .map(|shot| shot.errors)
                .sum();
            let [rate, p50, p99] = [cell(RATE, 0), cell(P50, 0), cell(P99, 0)];
            table.add_row(vec![
                Cell::new(&chain),
                rate,
                p50,
                p99,
                cell(CPU, 1),
                cell(INDEXER_CPU, 1),
                number(thousands, 0),
                Cell::new(errors),
            ]);
        }
        println!("{table}\n");
    }
}

/// Durable attempts a second: a row for each database, a column for each number of callers.
pub fn print_attempts(shots: &[Shot]) {
    let figures = Figures { shots };
    let loads = distinct(shots.iter().map(|shot| shot.load));
    let labels: Vec<String> = loads.iter().map(|load| load.label()).collect();
    let header = std::iter::once("durable attempts/s").chain(labels.iter().map(String::as_str));
    let mut table = new_table(&header.collect::<Vec<_>>());
    for chain in distinct(shots.iter().map(|shot| shot.chain.clone())) {
        let rates = loads.iter().map(|load| number(figures.median(&chain, *load, RATE), 0));
        table.add_row(std::iter::once(Cell::new(&chain)).chain(rates));
    }
    if !loads.is_empty() {
        println!("{table}\n");
    }
}

/// Memory and large bodies, where they were measured.
pub fn print_scenarios(findings: &Findings<'_>) {
    if !findings.memory.is_empty() {
        let mut table = new_table(&["memory", "base MiB", "KiB/idle connection"]);
        for memory in findings.memory {
            let base = number(Some(memory.base_kib as f64 / 1024.0), 1);
            table.add_row(vec![
                Cell::new(&memory.chain),
                base,
                number(Some(memory.bytes_per_connection / 1024.0), 1),
            ]);
        }
        println!("{table}\n");
    }
    if !findings.transfers.is_empty() {
        let mut table = new_table(&["large body", "direction", "round", "MiB/s", "memory rise MiB"]);
        for transfer in findings.transfers {
            let direction = if transfer.direction == Direction::Down { "down" } else { "up" };
            table.add_row(vec![
                Cell::new(&transfer.chain),
                Cell::new(direction),
                Cell::new(transfer.round + 1),
                number(Some(transfer.mib_per_second), 0),
                number(Some(transfer.memory_rise_mib), 1),
            ]);
        }
        println!("{table}\n");
    }
}

/// The targets with what was reached.
pub fn print_targets(rows: &[Row]) {
    let mut table = new_table(&["target", "measured", "must", "aim", ""]);
    for row in rows {
        let sign = if row.aim < row.must { '≤' } else { '≥' };
        let mark = match row.verdict {
            Verdict::Aim => "✔ aim",
            Verdict::Must => "✔ must",
            Verdict::Missed => "✘ missed",
            Verdict::Unmeasured => "not measured",
        };
        table.add_row(vec![
            Cell::new(row.what),
            Cell::new(row.value.map_or("-".to_owned(), |value| format!("{value:.2} {}", row.unit))),
            Cell::new(format!("{sign} {}", row.must)),
            Cell::new(format!("{sign} {}", row.aim)),
            Cell::new(mark),
        ]);
    }
    println!("{table}\n");
}

/// Everything, single measurements included.
pub fn write_json(file: &Path, findings: &Findings<'_>, rows: &[Row]) -> Result<()> {
    let document = json!({"machine": machine(), "targets": rows, "findings": findings});
    fs::write(file, serde_json::to_string_pretty(&document)?)
        .with_context(|| format!("writing {}", file.display()))
}

/// What figures depend on beside the code. The load average tells whether others used the machine.
fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
    let model = read("/proc/cpuinfo").and_then(|text| {
        text.lines().find_map(|line| {
            Some(line.strip_prefix("model name")?.trim_start_matches([' ', '\t', ':']).to_owned())
        })
    });
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map(usize::from).ok(),
        "kernel": read("/proc/sys/kernel/osrelease"),
        "load_average_at_end": read("/proc/loadavg"),
    })
}

pub fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.to_vec());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

pub fn number(value: Option<f64>, digits: usize) -> Cell {
    Cell::new(value.map_or("-".to_owned(), |value| format!("{value:.digits$}")))
}

/// Each value once, in the order of first appearance.
fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}
