//! How long one decision takes, by the number of policies and by how many of them speak about the service asked for.
//!
//! `cargo bench -p doorman-bench --bench policy`

use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use comfy_table::{Table, presets};
use doorman_policy::{PolicySet, RequestContext, Subject};

/// Policies in the set, and how many of them name the service that is asked for.
const CASES: [(usize, usize); 5] = [(1, 1), (100, 10), (100, 100), (1000, 10), (1000, 1000)];
const GROUPS: usize = 20;
const BEST_OF: usize = 8;
const BATCH: Duration = Duration::from_millis(100);

fn main() -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "policies",
        "about the service",
        "load ms",
        "first decision µs",
        "decision µs",
        "with a new subject µs",
    ]);
    for (policies, about) in CASES {
        let case = measure(policies, about)?;
        let micros = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e6);
        let load = format!("{:.1}", case.load.as_secs_f64() * 1e3);
        let [first, decision, fresh] = [case.first, case.decision, case.with_new_subject].map(micros);
        table.add_row([policies.to_string(), about.to_string(), load, first, decision, fresh]);
    }
    println!("{table}");
    Ok(())
}

struct Case {
    load: Duration,
    first: Duration,
    decision: Duration,
    with_new_subject: Duration,
}

fn measure(policies: usize, about: usize) -> Result<Case> {
    let directory = tempfile::tempdir()?;
    fs::write(directory.path().join("bench.cedar"), write_policies(policies, about))?;
    let started = Instant::now();
    let set = PolicySet::load(directory.path()).context("loading the policies")?;
    let load = started.elapsed();
    ensure!(set.len() == policies, "{} policies were loaded", set.len());

    let groups: Vec<String> = (0..GROUPS).map(|index| format!("team-{index}")).collect();
    let alice = Subject::user("alice", &groups);
    let context = RequestContext {
        method: "GET",
        path: "/companies/4711",
        instance: "any",
        reason: None,
        approved: false,
        time: 1_800_000_000,
        client_ip: Ipv4Addr::LOCALHOST.into(),
        on_behalf: None,
    };
    let started = Instant::now();
    let decision = set.decide_request(&alice, "eu", "bench", &context);
    let first = started.elapsed();
    ensure!(decision.permit, "the request must be permitted: a denial takes another way");
    Ok(Case {
        load,
        first,
        decision: best(|| drop(black_box(set.decide_request(&alice, "eu", "bench", &context)))),
        with_new_subject: best(|| {
            let subject = Subject::user("alice", &groups);
            drop(black_box(set.decide_request(&subject, "eu", "bench", &context)));
        }),
    })
}

/// The one that permits comes last. Each has a condition on path and method, as real ones have.
fn write_policies(count: usize, about: usize) -> String {
    let mut text = String::new();
    for index in 0..count {
        let last = index + 1 == count;
        let service =
            if index + about >= count { "eu/bench".to_owned() } else { format!("eu/other-{index}") };
        let group = if last { "team-7".to_owned() } else { format!("team-{}", index % GROUPS + GROUPS / 2) };
        let path = if last { "/companies/*".to_owned() } else { format!("/area-{index}/*") };
        text.push_str(&format!(
            "@id(\"rule-{index}\")\npermit (principal in Group::\"{group}\", action == Action::\"request\", resource == Service::\"{service}\")\nwhen {{ [\"GET\", \"HEAD\"].contains(context.method) && context.path like \"{path}\" }};\n",
        ));
    }
    text
}

/// Time of one call: the best of several batches, so that what else the machine does counts least.
fn best(mut call: impl FnMut()) -> Duration {
    let batch = || {
        let started = Instant::now();
        let mut calls = 0;
        while started.elapsed() < BATCH {
            for _ in 0..16 {
                call();
            }
            calls += 16;
        }
        started.elapsed() / calls
    };
    std::iter::repeat_with(batch).take(BEST_OF).min().unwrap_or_default()
}
