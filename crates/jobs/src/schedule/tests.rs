use super::*;
use doorman_core::time::{format_rfc3339, parse_rfc3339};
use proptest::prelude::*;
use serde_json::json;

fn schedule(spec: serde_json::Value) -> Schedule {
    Schedule::check(&serde_json::from_value(spec).unwrap()).unwrap()
}

fn berlin(cron: &str) -> Schedule {
    schedule(json!({"cron": cron, "time_zone": "Europe/Berlin"}))
}

fn times(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let after = parse_rfc3339(after).unwrap();
    schedule
        .next_times(after, count)
        .into_iter()
        .map(|at| format_rfc3339(at).replace(":00.000Z", "Z"))
        .collect()
}

fn ms(text: &str) -> u64 {
    parse_rfc3339(text).unwrap()
}

#[test]
fn a_fixed_time_that_the_clock_skips_runs_when_the_clock_goes_on() {
    // On 29 March 2026 Berlin's clock goes from 02:00 (01:00 UTC) to 03:00.
    let told = times(&berlin("30 2 * * *"), "2026-03-28T00:00:00Z", 3);
    assert_eq!(told, ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"]);
}

#[test]
fn a_fixed_time_that_comes_twice_runs_once() {
    // On 25 October 2026 Berlin's clock goes from 03:00 (01:00 UTC) back to 02:00.
    let told = times(&berlin("30 2 * * *"), "2026-10-24T00:00:00Z", 4);
    assert_eq!(told, ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z", "2026-10-27T01:30Z"]);
}

#[test]
fn what_comes_again_and_again_keeps_its_distance() {
    for day in ["2026-03-29T00:00:00Z", "2026-10-25T00:00:00Z"] {
        let schedule = berlin("*/30 * * * *");
        let told = schedule.next_times(ms(day), 12);
        assert!(told.windows(2).all(|pair| pair[1] - pair[0] == 30 * 60_000), "{day}");
    }
    let hourly = berlin("15 * * * *").next_times(ms("2026-10-24T22:00:00Z"), 6);
    assert!(hourly.windows(2).all(|pair| pair[1] - pair[0] == 60 * 60_000));
}

#[test]
fn a_zone_on_the_other_side_and_one_without_summer_time_are_known() {
    // New York skips 02:00 on 8 March 2026 (07:00 UTC).
    let new_york = schedule(json!({"cron": "30 2 * * *", "time_zone": "America/New_York"}));
    assert_eq!(times(&new_york, "2026-03-07T12:00:00Z", 2), ["2026-03-08T07:00Z", "2026-03-09T06:30Z"]);
    let kolkata = schedule(json!({"cron": "0 9 * * MON", "time_zone": "Asia/Kolkata"}));
    assert_eq!(times(&kolkata, "2026-03-07T12:00:00Z", 2), ["2026-03-09T03:30Z", "2026-03-16T03:30Z"]);
    assert_eq!(
        times(&schedule(json!({"cron": "0 0 L 2 *"})), "2027-03-01T00:00:00Z", 1),
        ["2028-02-29T00:00Z"]
    );
}

#[test]
fn a_schedule_that_cannot_be_is_refused_with_its_fields() {
    let told = |spec: serde_json::Value| -> Vec<String> {
        let refused = Schedule::check(&serde_json::from_value(spec).unwrap()).unwrap_err();
        refused.into_iter().map(|problem| problem.field).collect()
    };
    assert_eq!(
        told(json!({"cron": "99 * * * *", "time_zone": "Mars/Base"})),
        ["schedule.time_zone", "schedule.cron"]
    );
    for bad in [
        "",
        "* * *",
        "* * * * * * *",
        "0 0 30 2 *",
        "* * * * * *",
        "*/10 * * * * *",
        "hello",
        "0 0 * * * UTC",
        "\u{0}",
    ] {
        assert_eq!(told(json!({ "cron": bad })), ["schedule.cron"], "{bad:?}");
    }
}

#[test]
fn what_was_missed_is_left_out_or_run_once() {
    let hourly = |missed: &str| schedule(json!({"cron": "0 * * * *", "missed": missed}));
    let (due, now) = (ms("2026-03-01T10:00:00Z"), ms("2026-03-01T13:30:00Z"));
    let skip = hourly("skip").due(due, now, Unfinished::default()).unwrap();
    assert_eq!(
        (skip.action, skip.missed, skip.next_ms),
        (Action::SkipMissed, 3, Some(ms("2026-03-01T14:00:00Z")))
    );
    let once = hourly("run_once").due(due, now, Unfinished::default()).unwrap();
    assert_eq!((once.action, once.at_ms, once.missed), (Action::Start, ms("2026-03-01T13:00:00Z"), 3));
    // A little late is in time; a time that was missed before it is none the less.
    let late = hourly("skip").due(due, ms("2026-03-01T11:00:30Z"), Unfinished::default()).unwrap();
    assert_eq!((late.action, late.missed), (Action::Start, 1));
    assert_eq!(hourly("skip").due(due, due - 1, Unfinished::default()), None);
}

#[test]
fn a_run_that_has_not_ended_lets_the_next_wait_or_fall_out() {
    let with = |overlap: &str, before| {
        let due = ms("2026-03-01T10:00:00Z");
        schedule(json!({"cron": "0 * * * *", "overlap": overlap})).due(due, due + 5, before).unwrap().action
    };
    let running = Unfinished { running: true, queued: false };
    assert_eq!(with("skip", Unfinished::default()), Action::Start);
    assert_eq!(with("skip", running), Action::SkipOverlap);
    assert_eq!(with("queue", running), Action::Queue);
    assert_eq!(with("queue", Unfinished { running: true, queued: true }), Action::SkipOverlap);
}

#[test]
fn a_schedule_that_rests_never_comes() {
    let resting = schedule(json!({"cron": "0 * * * *", "paused": true}));
    assert_eq!(resting.next_after(0), None);
    assert_eq!(resting.due(0, 1, Unfinished::default()), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_next_time_is_later_and_none_is_left_out(
        minute in 0..60u32, hour in 0..24u32, at in 1_700_000_000_000u64..1_900_000_000_000,
        zone in prop::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC", "Africa/Casablanca"]),
    ) {
        let schedule = schedule(json!({"cron": format!("{minute} {hour} * * *"), "time_zone": zone}));
        let next = schedule.next_after(at).unwrap();
        prop_assert!(next > at);
        // Once a day, whatever the clock does.
        prop_assert!(next - at <= 26 * 3_600_000);
        prop_assert_eq!(schedule.next_after(next - 1), Some(next));
    }

    #[test]
    fn no_text_panics(cron in ".{0,20}", zone in "[A-Za-z/_.]{0,12}") {
        let _ = Schedule::check(&serde_json::from_value(json!({"cron": cron, "time_zone": zone})).unwrap());
    }
}
