use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

fn plan_of(plan: serde_json::Value, regions: &[&str]) -> Result<Plan, Vec<String>> {
    let spec: PlanSpec = serde_json::from_value(plan).unwrap();
    let regions: Vec<String> = regions.iter().map(|region| (*region).to_owned()).collect();
    Plan::check(&spec, &regions).map_err(|problems| problems.iter().map(Problem::to_string).collect())
}

fn rollout(plan: serde_json::Value, rows: u64) -> Rollout {
    Rollout::new(plan_of(plan, &[]).unwrap(), rows, vec![RegionShare { region: None, copies: 1 }])
}

fn bounds(rollout: &Rollout) -> Vec<(u64, u64)> {
    rollout.waves().iter().map(|wave| (wave.from, wave.until)).collect()
}

#[test]
fn everything_that_is_wrong_with_a_plan_is_told_with_its_field() {
    let problems = plan_of(
        json!({
            "waves": [
                {"count": 0}, {"percent": 120}, {"count": 1, "percent": 2}, {}, {"count": 5, "gate": "manual", "bake": "5m"},
                {"percent": 50, "bake": "soon"}, {"percent": 50}, {"percent": 100}, {"count": 1}
            ],
            "concurrency": 0, "rate_per_second": -1, "timeout": "0s",
            "stop_when": {"failures": 0, "failure_rate": 5, "window": 0},
            "success": {"status": ["2x", "700", "204-200"], "body": {"ok": true, "/n": {"above": 1}, "/l": {"in": 3}}},
            "retries": {"max": 99, "backoff": "1m", "max_backoff": "1s"},
            "regions": {"mars": {"regions": {"x": {}}, "idempotent": true}}
        }),
        &["eu"],
    );
    let told = problems.unwrap_err();
    let fields: Vec<&str> = told.iter().map(|line| line.split(": ").next().unwrap()).collect();
    for field in [
        "plan.waves[0].count",
        "plan.waves[1].percent",
        "plan.waves[2]",
        "plan.waves[3]",
        "plan.waves[4].bake",
        "plan.waves[5].bake",
        "plan.waves[6].percent",
        "plan.waves[8]",
        "plan.concurrency",
        "plan.rate_per_second",
        "plan.timeout",
        "plan.stop_when.failures",
        "plan.stop_when.failure_rate",
        "plan.stop_when.window",
        "plan.success.status[0]",
        "plan.success.status[1]",
        "plan.success.status[2]",
        "plan.success.body.ok",
        "plan.success.body./n.above",
        "plan.success.body./l.in",
        "plan.retries.max",
        "plan.retries.max_backoff",
        "plan.regions.mars",
        "plan.regions.mars.regions",
        "plan.regions.mars.idempotent",
    ] {
        assert!(fields.contains(&field), "{field} in {told:#?}");
    }
    assert_eq!(fields.len(), 25, "each is told once: {told:#?}");
}

#[test]
fn counts_are_so_many_more_and_percents_are_of_all_that_was_sent() {
    let plan = json!({"waves": [{"count": 10, "gate": "auto", "bake": "5m"}, {"percent": 25, "gate": "manual"}, {"percent": 100}]});
    assert_eq!(bounds(&rollout(plan.clone(), 1000)), [(0, 10), (10, 250), (250, 1000)]);
    // A wave that others have taken already is empty, and its gate still stands.
    let small = rollout(plan.clone(), 20);
    assert_eq!(bounds(&small), [(0, 10), (10, 10), (10, 20)]);
    assert_eq!(small.waves()[1].gate, Gate::Manual);
    assert_eq!(bounds(&rollout(plan, 0)), [(0, 0), (0, 0), (0, 0)]);
    // What is left over is a wave; of few items, a percentage is at least one.
    assert_eq!(bounds(&rollout(json!({"waves": [{"percent": 1}]}), 3)), [(0, 1), (1, 3)]);
    assert_eq!(bounds(&rollout(json!({}), 3)), [(0, 3)]);
}

#[test]
fn regions_follow_one_another_each_by_its_own_plan() {
    let plan = json!({
        "waves": [{"count": 1, "gate": "manual"}], "concurrency": 8,
        "regions": {"us": {"waves": [{"percent": 50, "gate": "approval"}], "concurrency": 2}}
    });
    let plan = plan_of(plan, &["eu", "us"]).unwrap();
    let share = |region: &str, copies| RegionShare { region: Some(region.into()), copies };
    let rollout = Rollout::new(plan, 4, vec![share("eu", 1), share("us", 3)]);
    assert_eq!(bounds(&rollout), [(0, 1), (1, 4), (4, 10), (10, 16)]);
    assert_eq!(rollout.total(), 16);
    assert_eq!((rollout.plan_of(0).concurrency, rollout.plan_of(2).concurrency), (8, 2));
    assert_eq!(rollout.place(3), Some(Place { region: Some("eu"), row: 3, copy: 0 }));
    assert_eq!(rollout.place(4), Some(Place { region: Some("us"), row: 0, copy: 0 }));
    assert_eq!(rollout.place(9), Some(Place { region: Some("us"), row: 1, copy: 2 }));
    assert_eq!(rollout.place(16), None);
}

#[test]
fn what_a_region_inherits_is_not_told_twice() {
    let told = plan_of(json!({"timeout": "x", "regions": {"eu": {"concurrency": 0}}}), &["eu"]).unwrap_err();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].starts_with("plan.regions.eu.concurrency"), "{told:?}");
}

fn success(spec: serde_json::Value) -> SuccessRule {
    plan_of(json!({ "success": spec }), &[]).unwrap().region(None).success.clone()
}

#[test]
fn success_is_a_status_and_what_stands_in_the_body() {
    let rule = success(json!({}));
    assert!(rule.judge(204, None).is_ok() && rule.judge(301, None).is_err() && !rule.needs_body());
    let rule = success(json!({"status": ["2xx", "409", "500-502"]}));
    for (status, is_success) in
        [(200, true), (299, true), (409, true), (501, true), (503, false), (404, false)]
    {
        assert_eq!(rule.judge(status, None).is_ok(), is_success, "{status}");
    }
    let rule = success(json!({"body": {
        "/ok": true, "/n": {"gte": 1, "lt": 3}, "/state": {"in": ["done", "moved"]}, "/error": {"exists": false}, "/a~1b": {"ne": 1},
        "/nested": {"eq": {"x": 1}}
    }}));
    let judge = |body: serde_json::Value| rule.judge(200, Some(body.to_string().as_bytes()));
    let good = json!({"ok": true, "n": 1.0, "state": "done", "nested": {"x": 1}});
    assert_eq!(judge(good.clone()), Ok(()));
    for (field, value) in [
        ("ok", json!("true")),
        ("n", json!(3)),
        ("n", json!("1")),
        ("state", json!("started")),
        ("error", json!(null)),
        ("a/b", json!(1.0)),
        ("nested", json!({"x": 1, "y": 2})),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(judge(bad.clone()).is_err(), "{bad}");
    }
    assert!(rule.judge(200, Some(b"not json")).is_err() && rule.judge(200, None).is_err());
    assert!(rule.judge(500, Some(good.to_string().as_bytes())).is_err());
}

#[test]
fn nothing_that_may_have_arrived_is_tried_again_unless_the_job_is_idempotent() {
    let plan = plan_of(json!({"retries": {"max": 3, "backoff": "1s", "max_backoff": "3s"}}), &[]).unwrap();
    let rule = plan.region(None).retries;
    let wait = |is_idempotent, attempts, end| rule.wait(is_idempotent, attempts, end, 1.0);
    assert_eq!(wait(false, 1, AttemptEnd::NotSent), Some(Duration::from_secs(1)));
    assert_eq!(wait(false, 2, AttemptEnd::NotSent), Some(Duration::from_secs(2)));
    assert_eq!(wait(false, 3, AttemptEnd::NotSent), Some(Duration::from_secs(3)));
    assert_eq!(wait(false, 4, AttemptEnd::NotSent), None);
    for end in [AttemptEnd::Unknown, AttemptEnd::Answered { status: 503 }] {
        assert_eq!(wait(false, 1, end), None);
        assert!(wait(true, 1, end).is_some());
    }
    for end in [AttemptEnd::Denied, AttemptEnd::Succeeded, AttemptEnd::Answered { status: 404 }] {
        assert_eq!(wait(true, 1, end), None);
    }
    assert_eq!(rule.wait(false, 1, AttemptEnd::NotSent, 0.0), Some(Duration::from_millis(500)));
}

/// Sends everything that may be sent and lets it end; `fails` says which items fail.
fn drain(run: &mut Run, rollout: &Rollout, counts: &mut Counts, now_ms: u64, fails: impl Fn(u64) -> bool) {
    loop {
        if let Some(next) = run.tick(rollout, counts, now_ms) {
            *run = next;
        }
        if run.allowance(rollout, counts).count == 0 {
            return;
        }
        let index = counts.ended();
        let is_failure = fails(index);
        counts.pending -= 1;
        *(if is_failure { &mut counts.failed } else { &mut counts.done }) += 1;
        run.observe(rollout, is_failure);
    }
}

#[test]
fn a_gate_opens_by_time_by_a_person_or_by_another_person() {
    let plan = json!({"waves": [{"count": 1, "bake": "5m"}, {"count": 1, "gate": "manual"}, {"count": 1, "gate": "approval"}]});
    let rollout = rollout(plan, 4);
    let (mut run, mut counts) = (Run::new().start().unwrap(), Counts::of(4));
    drain(&mut run, &rollout, &mut counts, 1_000, |_| false);
    assert_eq!((run.state, run.wave, counts.done), (RunState::Waiting, 0, 1));
    assert_eq!(run.wakes_at_ms(&rollout), Some(301_000));
    assert_eq!(run.tick(&rollout, &counts, 300_999), None);
    drain(&mut run, &rollout, &mut counts, 301_000, |_| false);
    assert_eq!((run.state, run.wave, counts.done), (RunState::Waiting, 1, 2));
    assert_eq!(run.tick(&rollout, &counts, u64::MAX), None);
    let command = |run: &Run, command, by| run.command(&rollout, &counts, command, by, 400_000);
    let mut opened = command(&run, Command::Advance, By::Starter).unwrap().run;
    drain(&mut opened, &rollout, &mut counts, 400_000, |_| false);
    assert_eq!((opened.state, opened.wave), (RunState::Waiting, 2));
    let advance = |by| opened.command(&rollout, &counts, Command::Advance, by, 500_000);
    assert_eq!(advance(By::Starter), Err(Refusal::AnotherPerson));
    let mut last = advance(By::Another).unwrap().run;
    drain(&mut last, &rollout, &mut counts, 500_000, |_| false);
    assert_eq!((last.state, counts.done), (RunState::Done, 4));
}

#[test]
fn a_rollout_stops_itself_and_a_person_goes_on() {
    let rollout = rollout(json!({"stop_when": {"failures": 3}, "concurrency": 1}), 100);
    let (mut run, mut counts) = (Run::new().start().unwrap(), Counts::of(100));
    drain(&mut run, &rollout, &mut counts, 0, |index| index % 10 == 9);
    assert_eq!((run.state, counts.failed, counts.ended()), (RunState::Stopped, 3, 30));
    assert_eq!(run.why.as_deref(), Some("3 items failed, and stop_when.failures is 3"));
    let mut resumed = run.command(&rollout, &counts, Command::Resume, By::Starter, 0).unwrap().run;
    drain(&mut resumed, &rollout, &mut counts, 0, |index| index % 10 == 9);
    assert_eq!((resumed.state, counts.failed), (RunState::Stopped, 6));
}

#[test]
fn a_rate_is_measured_on_the_whole_window_and_at_a_gate_on_what_was_seen() {
    let plan = json!({"stop_when": {"failure_rate": 0.05, "window": 200}, "waves": [{"count": 10}]});
    let rollout = rollout(plan, 1_000);
    // The first failure of all is no rate of one.
    let (mut run, mut counts) = (Run::new().start().unwrap(), Counts::of(1_000));
    counts.pending = 999;
    counts.failed = 1;
    run.observe(&rollout, true);
    assert_eq!(run.tick(&rollout, &counts, 0), None);
    // But a first wave of ten with one failure does not open the next.
    let (mut run, mut counts) = (Run::new().start().unwrap(), Counts::of(1_000));
    drain(&mut run, &rollout, &mut counts, 0, |index| index == 3);
    assert_eq!((run.state, counts.ended()), (RunState::Stopped, 10));
    // Ten failures in a row are enough at once, though the window has not filled.
    let mut run = run.command(&rollout, &counts, Command::Resume, By::Starter, 0).unwrap().run;
    drain(&mut run, &rollout, &mut counts, 0, |_| true);
    assert_eq!((run.state, counts.failed), (RunState::Stopped, 11));
    // One in thirty never reaches one in twenty.
    let mut run = run.command(&rollout, &counts, Command::Resume, By::Starter, 0).unwrap().run;
    drain(&mut run, &rollout, &mut counts, 0, |index| index % 30 == 0);
    assert_eq!(run.state, RunState::Done);
}

#[test]
fn failed_items_are_tried_again_even_when_the_run_has_ended() {
    let rollout = rollout(json!({}), 10);
    let (mut run, mut counts) = (Run::new().start().unwrap(), Counts::of(10));
    drain(&mut run, &rollout, &mut counts, 0, |index| index < 4);
    assert_eq!(run.state, RunState::Done);
    let change =
        run.command(&rollout, &counts, Command::RetryFailed { with_unknown: false }, By::Starter, 0).unwrap();
    assert_eq!(
        (change.run.state, change.items),
        (RunState::Running, ItemChange::ReopenFailed { with_unknown: false })
    );
    let nothing = Counts { done: 10, ..Counts::default() };
    let again = run.command(&rollout, &nothing, Command::RetryFailed { with_unknown: true }, By::Starter, 0);
    assert_eq!(again, Err(Refusal::NothingFailed));
}

/// What a store does: items by state, and the run over them.
struct Model {
    rollout: Rollout,
    run: Run,
    items: Vec<ItemState>,
    now_ms: u64,
    most_ever: u64,
}

#[derive(Clone, Debug)]
enum Event {
    Send,
    End { nth: usize, state: ItemState },
    Command(Command, By),
    Halt,
    Pass(u64),
}

impl Model {
    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.items.iter().for_each(|state| *counts.get_mut(*state) += 1);
        counts
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Send => {
                let allowance = self.run.allowance(&self.rollout, &self.counts());
                let bound = usize::try_from(allowance.before).unwrap();
                let open = self.items.iter_mut().take(bound).filter(|state| **state == ItemState::Pending);
                open.take(usize::try_from(allowance.count).unwrap())
                    .for_each(|state| *state = ItemState::Sending);
            }
            Event::End { nth, state } => {
                let sending: Vec<usize> =
                    (0..self.items.len()).filter(|at| self.items[*at] == ItemState::Sending).collect();
                if let Some(at) = sending.get(nth % sending.len().max(1)) {
                    // A retry goes back to pending; so it does after `kill -9`, where nothing was sent.
                    self.items[*at] = if *state == ItemState::Pending { self.run.returned() } else { *state };
                    if *state != ItemState::Pending {
                        self.run.observe(&self.rollout, *state != ItemState::Done);
                    }
                }
            }
            Event::Command(command, by) => {
                let counts = self.counts();
                if let Ok(change) = self.run.command(&self.rollout, &counts, *command, *by, self.now_ms) {
                    self.run = change.run;
                    for state in &mut self.items {
                        match (change.items, *state) {
                            (ItemChange::SkipPending, ItemState::Pending) => *state = ItemState::Skipped,
                            (ItemChange::ReopenFailed { .. }, ItemState::Failed)
                            | (ItemChange::ReopenFailed { with_unknown: true }, ItemState::Unknown) => {
                                *state = ItemState::Pending;
                            }
                            _ => {}
                        }
                    }
                }
            }
            Event::Halt => {
                self.run = self.run.halt("the session has ended").unwrap_or_else(|| self.run.clone())
            }
            Event::Pass(ms) => self.now_ms += ms,
        }
        if let Some(next) = self.run.tick(&self.rollout, &self.counts(), self.now_ms) {
            self.run = next;
        }
    }

    fn check(&mut self, before: &Run, event: &Event) {
        let counts = self.counts();
        assert_eq!(counts.total(), self.items.len() as u64);
        // Nothing beyond the open waves was ever touched, but by cancelling.
        let bound = self.rollout.wave(self.run.wave).unwrap().until;
        let beyond = &self.items[usize::try_from(bound).unwrap()..];
        let untouched =
            if self.run.state == RunState::Cancelled { ItemState::Skipped } else { ItemState::Pending };
        assert!(beyond.iter().all(|state| *state == untouched), "{event:?}");
        // Waves open one after the other, when the one before has ended.
        assert!(self.run.wave >= before.wave);
        if self.run.wave > before.wave {
            let opened = self.rollout.wave(self.run.wave - 1).unwrap().until;
            let first = &self.items[..usize::try_from(opened).unwrap()];
            assert!(
                first.iter().all(|state| !matches!(state, ItemState::Pending | ItemState::Sending)),
                "a gate opened before its wave had ended"
            );
        }
        assert!(counts.sending <= self.most_ever);
        match self.run.state {
            RunState::Done => assert_eq!(counts.pending + counts.sending, 0),
            RunState::Cancelled => assert_eq!(counts.pending, 0),
            _ => {}
        }
        if self.run.state != RunState::Running {
            assert_eq!(self.run.allowance(&self.rollout, &counts), Allowance::default());
        }
        // What is stored reads back as what it was.
        let stored = serde_json::to_string(&self.run).unwrap();
        assert_eq!(serde_json::from_str::<Run>(&stored).unwrap(), self.run);
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let end = prop_oneof![
        8 => Just(ItemState::Done),
        2 => Just(ItemState::Failed),
        1 => Just(ItemState::Unknown),
        1 => Just(ItemState::Pending),
    ];
    let command = prop_oneof![
        2 => Just(Command::Pause),
        4 => Just(Command::Resume),
        1 => Just(Command::Cancel),
        4 => Just(Command::Advance),
        2 => any::<bool>().prop_map(|with_unknown| Command::RetryFailed { with_unknown }),
    ];
    let by = prop_oneof![Just(By::Starter), Just(By::Another)];
    prop_oneof![
        20 => Just(Event::Send),
        60 => (0..1_000usize, end).prop_map(|(nth, state)| Event::End { nth, state }),
        6 => (command, by).prop_map(|(command, by)| Event::Command(command, by)),
        1 => Just(Event::Halt),
        4 => (0..100_000u64).prop_map(Event::Pass),
    ]
}

fn any_plan() -> impl Strategy<Value = serde_json::Value> {
    let size = prop_oneof![
        (1..8u64).prop_map(|count| json!({ "count": count })),
        (1..100u32).prop_map(|percent| json!({ "percent": percent })),
    ];
    let gate = prop_oneof![
        Just(json!({})),
        Just(json!({"gate": "auto", "bake": "20s"})),
        Just(json!({"gate": "manual"})),
        Just(json!({"gate": "approval"})),
    ];
    let wave = (size, gate).prop_map(|(size, gate)| {
        let mut wave = size;
        wave.as_object_mut().unwrap().extend(gate.as_object().unwrap().clone());
        wave
    });
    let stop = prop_oneof![
        Just(json!({})),
        (1..10u64).prop_map(|failures| json!({ "failures": failures })),
        (1..20u32).prop_map(|window| json!({"failure_rate": 0.3, "window": window})),
    ];
    (prop::collection::vec(wave, 0..5), 1..6u32, stop).prop_map(|(waves, concurrency, stop)| {
        // Percents must grow; whatever does not is taken out.
        let mut reached = 0;
        let mut grows = |percent: u64| {
            let is_more = percent > reached;
            reached = reached.max(percent);
            is_more
        };
        let waves: Vec<_> =
            waves.into_iter().filter(|wave| wave["percent"].as_u64().is_none_or(&mut grows)).collect();
        json!({"waves": waves, "concurrency": concurrency, "stop_when": stop})
    })
}

proptest! {
    #[test]
    fn a_run_is_exactly_accounted_and_never_passes_its_gates(
        plan in any_plan(),
        rows in 0..40u64,
        events in prop::collection::vec(any_event(), 0..300),
    ) {
        let rollout = rollout(plan, rows);
        let most_ever = (0..rollout.waves().len()).map(|wave| rollout.plan_of(wave as u32).concurrency).max();
        let mut model = Model {
            run: Run::new().start().unwrap(),
            items: vec![ItemState::Pending; usize::try_from(rollout.total()).unwrap()],
            now_ms: 0,
            most_ever: u64::from(most_ever.unwrap_or(0)),
            rollout,
        };
        for event in &events {
            let before = model.run.clone();
            model.apply(event);
            model.check(&before, event);
        }
    }

    #[test]
    fn a_run_that_nothing_stops_ends(plan in any_plan(), rows in 0..60u64) {
        let mut plan = plan;
        plan["stop_when"] = json!({});
        let rollout = rollout(plan, rows);
        let (mut run, mut counts) = (Run::new().start().unwrap(), Counts::of(rollout.total()));
        let mut now_ms = 0;
        for _ in 0..=rollout.waves().len() {
            drain(&mut run, &rollout, &mut counts, now_ms, |index| index % 7 == 0);
            if run.state == RunState::Waiting {
                match run.wakes_at_ms(&rollout) {
                    Some(at) => now_ms = at,
                    None => run = run.command(&rollout, &counts, Command::Advance, By::Another, now_ms).unwrap().run,
                }
            }
        }
        prop_assert_eq!(run.state, RunState::Done);
        prop_assert_eq!(counts.ended(), counts.total());
    }

    #[test]
    fn waves_and_places_cover_every_item_once(plan in any_plan(), rows in 0..50u64, copies in prop::collection::vec(0..4u32, 1..4)) {
        let names: Vec<String> = (0..copies.len()).map(|number| format!("r{number}")).collect();
        let spec: PlanSpec = serde_json::from_value(plan).unwrap();
        let plan = Plan::check(&spec, &names).unwrap();
        let shares = names.iter().zip(&copies).map(|(name, copies)| RegionShare { region: Some(name.as_str().into()), copies: *copies });
        let rollout = Rollout::new(plan, rows, shares.collect());
        prop_assert_eq!(rollout.total(), copies.iter().map(|copies| rows * u64::from(*copies)).sum::<u64>());
        let mut at = 0;
        for wave in rollout.waves() {
            prop_assert_eq!(wave.from, at);
            prop_assert!(wave.until >= wave.from);
            for index in wave.from..wave.until {
                prop_assert_eq!(rollout.place(index).unwrap().region, wave.region.as_deref());
            }
            at = wave.until;
        }
        prop_assert_eq!(at, rollout.total());
        let places: std::collections::BTreeSet<_> = (0..rollout.total())
            .map(|index| { let place = rollout.place(index).unwrap(); (place.region, place.row, place.copy) })
            .collect();
        prop_assert_eq!(places.len() as u64, rollout.total());
    }
}
