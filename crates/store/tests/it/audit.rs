//! Lists of the log: every filter, alone and with others, against a filter in memory, with part of the log not indexed.

use crate::rig::{Kind, NOW, Rig, Writer, contract};
use doorman_core::id::AuditId;
use doorman_core::peers::{PeerBook, PeerList, Snapshot};
use doorman_core::record::{Kind as Of, OutcomeState, Record};
use doorman_core::statement::WriterId;
use doorman_store::{AuditFilter, AuditItem, Database, Journal, StatusFilter, StoreError};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::time::Duration;

contract! {
    every_list_equals_a_filter_in_memory
    an_outcome_is_seen_at_once_and_the_better_one_counts
    an_outcome_indexed_before_its_attempt_finds_it_later
    retries_and_second_passes_are_linked
    a_cursor_from_elsewhere_is_refused
    a_step_is_full_while_there_is_more
    replicas_that_index_at_once_index_once
    open_attempts_of_lapsed_writers_are_swept
    batches_are_read_back_in_order_with_their_entries
    a_changed_index_row_is_found_and_an_honest_index_is_not_blamed
    an_entry_that_no_statement_covers_is_found
    what_each_writer_found_at_its_start_can_be_told_again
}

const BUDGET: Duration = Duration::from_secs(60);

/// One entry as the test knows it.
#[derive(Clone, Debug)]
struct Known {
    record: Record<'static>,
    outcome: Option<Record<'static>>,
}

fn pick(values: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![1 => Just(None), 5 => proptest::sample::select(values).prop_map(Some)]
}

const PEOPLE: &[&str] = &["user:alice", "user:bob", "service:reports-ui", "user:zoë"];
const PLACES: &[&str] = &["eu", "us"];
const SERVICES: &[&str] = &["echo", "companies"];
const INSTANCES: &[&str] = &["any", "i-1", "i-2"];
const PATHS: &[&str] = &["/companies", "/companies/17", "/Companies/17", "/a%20b", "/100%", "/a_b?"];
const REASONS: &[&str] = &["Ticket 17", "ÄRGER", "50% _done_", "a'b\\c\0d"];
const RUNS: &[&str] = &["run-1", "run-2"];

prop_compose! {
    fn any_entry()(
        people in (pick(PEOPLE), pick(PEOPLE)),
        place in (pick(PLACES), pick(SERVICES), pick(INSTANCES), pick(&["GET", "POST"])),
        text in (pick(PATHS), pick(REASONS), pick(RUNS)),
        kind in prop_oneof![5 => Just(Of::Request), 1 => Just(Of::Login), 1 => Just(Of::Policy)],
        denied in proptest::bool::weighted(0.2),
        outcome in proptest::option::of((
            proptest::sample::select(vec![OutcomeState::Done, OutcomeState::Unsent, OutcomeState::Unknown]),
            proptest::sample::select(vec![200u16, 204, 404, 500, 503]),
            pick(&["i-1", "i-2"]),
        )),
    ) -> Known {
        let mut record = Record::new(kind, AuditId::default(), NOW);
        let text_of = |value: Option<&'static str>| value.map(Into::into);
        (record.actor, record.subject) = (text_of(people.0), text_of(people.1));
        (record.region, record.service, record.instance) = (text_of(place.0), text_of(place.1), text_of(place.2));
        (record.method, record.path, record.reason, record.run) =
            (text_of(place.3), text_of(text.0), text_of(text.1), text_of(text.2));
        if kind == Of::Request && denied {
            record.decision = Some("deny".into());
            record.status = Some(403);
        }
        let is_sent = kind == Of::Request && !denied;
        let outcome = outcome.filter(|_| is_sent).map(|(state, status, instance)| {
            let mut outcome = Record::new(Of::Outcome, AuditId::default(), NOW);
            outcome.state = Some(state);
            outcome.status = (state == OutcomeState::Done).then_some(status);
            outcome.instance = text_of(instance);
            outcome
        });
        Known { record, outcome }
    }
}

prop_compose! {
    fn any_filter(last_ms: u64)(
        people in (few(PEOPLE), few(PEOPLE), few(PEOPLE)),
        place in (few(PLACES), few(SERVICES), few(INSTANCES), few(&["GET", "POST"])),
        text in (few(&["/companies", "/Comp", "/a", "/100%", "/companies/17"]),
            few(&["ticket", "ärger", "%", "_", "ALICE", "companies", "nothing like it", "'", "zoË"]), few(RUNS)),
        status in proptest::option::weighted(0.2, prop_oneof![
            proptest::sample::select(vec![404u16, 200, 403, 299]).prop_map(StatusFilter::Exact),
            (2u16..6).prop_map(StatusFilter::Class),
        ]),
        outcome in proptest::option::weighted(0.15, proptest::sample::select(vec![
            OutcomeState::Done, OutcomeState::Denied, OutcomeState::Unknown, OutcomeState::Abandoned,
        ])),
        kind in proptest::option::weighted(0.15, proptest::sample::select(vec![Of::Request, Of::Login, Of::Policy])),
        times in (proptest::option::weighted(0.15, NOW..last_ms), proptest::option::weighted(0.15, NOW..last_ms)),
    ) -> AuditFilter {
        let text_of = |value: Option<&'static str>| value.map(str::to_owned);
        AuditFilter {
            actor: text_of(people.0), subject: text_of(people.1), own_of: text_of(people.2),
            region: text_of(place.0), service: text_of(place.1), instance: text_of(place.2), method: text_of(place.3),
            path: text_of(text.0), q: text_of(text.1), run: text_of(text.2),
            status, outcome, kind, from_ms: times.0, to_ms: times.1,
        }
    }
}

fn few(values: &'static [&'static str]) -> impl Strategy<Value = Option<&'static str>> {
    proptest::option::weighted(0.12, proptest::sample::select(values))
}

/// What the filter means, written down a second time.
fn holds(filter: &AuditFilter, known: &Known) -> bool {
    let Known { record, outcome } = known;
    let is = |wanted: &Option<String>, has: Option<&str>| wanted.is_none() || wanted.as_deref() == has;
    let state = match outcome {
        Some(outcome) => outcome.state,
        None => {
            record.decision.as_deref().filter(|decision| *decision == "deny").map(|_| OutcomeState::Denied)
        }
    };
    let status = outcome.as_ref().map_or(record.status, |outcome| outcome.status);
    let instance =
        outcome.as_ref().and_then(|outcome| outcome.instance.as_deref()).or(record.instance.as_deref());
    let ms = record.id.unix_ms();
    let (actor, subject) = (record.actor.as_deref(), record.subject.as_deref());
    let texts =
        [&record.path, &record.reason, &record.actor, &record.subject, &record.region, &record.service];
    let mut texts =
        texts.into_iter().chain([&record.instance, &record.method, &record.job, &record.run]).flatten();
    is(&filter.actor, actor)
        && is(&filter.subject, subject)
        && (is(&filter.own_of, actor) || is(&filter.own_of, subject))
        && is(&filter.region, record.region.as_deref())
        && is(&filter.service, record.service.as_deref())
        && is(&filter.instance, instance)
        && is(&filter.method, record.method.as_deref())
        && is(&filter.run, record.run.as_deref())
        && filter.kind.is_none_or(|kind| kind == record.kind)
        && filter.outcome.is_none_or(|wanted| Some(wanted) == state)
        && filter.from_ms.is_none_or(|from| ms >= from)
        && filter.to_ms.is_none_or(|to| ms < to)
        && filter
            .path
            .as_ref()
            .is_none_or(|path| record.path.as_ref().is_some_and(|of| of.starts_with(path.as_str())))
        && filter.q.as_ref().is_none_or(|q| texts.any(|text| text.to_lowercase().contains(&q.to_lowercase())))
        && match filter.status {
            None => true,
            Some(StatusFilter::Exact(wanted)) => status == Some(wanted),
            Some(StatusFilter::Class(class)) => status.map(|status| status / 100) == Some(class),
        }
}

fn bytes(record: &Record<'_>) -> Vec<u8> {
    serde_json::to_vec(record).unwrap()
}

async fn pages(database: &Database, filter: &AuditFilter, limit: u32, budget: Duration) -> Vec<AuditItem> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let page = database.audit_page(filter, cursor.as_deref(), limit, budget).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        assert_ne!(
            page.next_cursor.as_ref().or(Some(&String::new())),
            cursor.as_ref(),
            "a cursor that does not move"
        );
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return items;
        }
    }
}

async fn every_list_equals_a_filter_in_memory(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut runner = TestRunner::deterministic();
    let mut some = async |strategy: BoxedStrategy<Known>| strategy.new_tree(&mut runner).unwrap().current();
    let mut writers = [Writer::new(1), Writer::new(2)];
    let mut journals = [writers[0].open(&rig.database).await, writers[1].open(&rig.database).await];
    let mut all: Vec<Known> = Vec::new();
    let mut late: Vec<Vec<u8>> = Vec::new();
    let mut ms = NOW;
    for round in 0..60usize {
        let (writer, journal) = (&mut writers[round % 2], &mut journals[round % 2]);
        let mut batch = Vec::new();
        // Outcomes of the round before, which the other writer may have committed.
        for outcome in late.drain(..) {
            let id = writer.next_id(ms);
            let mut record = Record::from_bytes(&outcome).unwrap();
            record.id = id;
            let known = all.iter_mut().find(|known| Some(known.record.id) == record.attempt).unwrap();
            let stored = bytes(&record);
            known.outcome.as_mut().unwrap().id = id;
            batch.push((id, stored));
        }
        for _ in 0..1 + round % 13 {
            ms += 3;
            let mut known = some(any_entry().boxed()).await;
            known.record.id = writer.next_id(ms);
            batch.push((known.record.id, bytes(&known.record)));
            if let Some(outcome) = &mut known.outcome {
                outcome.attempt = Some(known.record.id);
                if round % 3 == 0 {
                    outcome.id = writer.next_id(ms);
                    batch.push((outcome.id, bytes(outcome)));
                } else {
                    late.push(bytes(outcome));
                }
            }
            all.push(known);
        }
        writer.write_entries(journal, &batch).await.unwrap();
        if round % 7 == 0 && round < 50 {
            rig.database.index_step(20).await.unwrap();
        }
    }
    for known in &mut all {
        // Those of the last round were never written.
        known.outcome.take_if(|outcome| outcome.id == AuditId::default());
    }
    all.sort_by_key(|known| std::cmp::Reverse(known.record.id));
    let mut runner = TestRunner::deterministic();
    for round in 0..3 {
        for case in 0..40 {
            let filter = if case == 0 {
                AuditFilter::default()
            } else {
                any_filter(ms).new_tree(&mut runner).unwrap().current()
            };
            let expected: Vec<_> = all.iter().filter(|known| holds(&filter, known)).collect();
            let limit = [1, 3, 50, 1000][case % 4];
            let budget = if case % 5 == 0 { Duration::ZERO } else { BUDGET };
            let found = pages(&rig.database, &filter, limit, budget).await;
            let ids = |items: &[AuditItem]| items.iter().map(|item| item.id).collect::<Vec<_>>();
            assert_eq!(
                ids(&found),
                expected.iter().map(|known| known.record.id).collect::<Vec<_>>(),
                "{filter:?}"
            );
            for (item, known) in found.iter().zip(expected) {
                assert_eq!(item.record, bytes(&known.record));
                assert_eq!(item.outcome, known.outcome.as_ref().map(bytes), "{:?}", known.record.id);
            }
        }
        // Once more with all but a rest indexed, then with all.
        rig.database.index_step(if round == 0 { 30 } else { 10_000 }).await.unwrap();
    }
}

/// An attempt, an outcome of it, and a record that refers to it.
fn attempt(id: AuditId) -> Vec<u8> {
    bytes(&Record::new(Of::Request, id, NOW))
}

/// So many batches of so many attempts each.
async fn write_attempts(writer: &mut Writer, journal: &mut Journal, batches: usize, each: usize) {
    for _ in 0..batches {
        let batch: Vec<_> = (0..each).map(|_| writer.next_id(NOW)).map(|id| (id, attempt(id))).collect();
        writer.write_entries(journal, &batch).await.unwrap();
    }
}

fn outcome(id: AuditId, attempt: AuditId, state: OutcomeState) -> Vec<u8> {
    let mut record = Record::new(Of::Outcome, id, NOW);
    (record.attempt, record.state) = (Some(attempt), Some(state));
    bytes(&record)
}

async fn outcome_of(database: &Database, id: AuditId) -> Option<OutcomeState> {
    let item = database.audit_entry(id).await.unwrap().unwrap();
    let listed = pages(database, &AuditFilter::default(), 10, BUDGET).await;
    assert!(listed.contains(&item), "{item:?} is not in {listed:?}");
    item.outcome.map(|outcome| Record::from_bytes(&outcome).unwrap().state.unwrap())
}

async fn an_outcome_is_seen_at_once_and_the_better_one_counts(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    let id = writer.next_id(NOW);
    writer.write_entries(&mut journal, &[(id, attempt(id))]).await.unwrap();
    assert_eq!(outcome_of(&rig.database, id).await, None);
    for (state, counts) in [
        (OutcomeState::Unknown, OutcomeState::Unknown),
        (OutcomeState::Done, OutcomeState::Done),
        (OutcomeState::Abandoned, OutcomeState::Done),
    ] {
        let of = writer.next_id(NOW);
        writer.write_entries(&mut journal, &[(of, outcome(of, id, state))]).await.unwrap();
        assert_eq!(outcome_of(&rig.database, id).await, Some(counts));
        rig.database.index_step(100).await.unwrap();
        assert_eq!(outcome_of(&rig.database, id).await, Some(counts));
        assert!(rig.database.audit_entry(of).await.unwrap().is_none());
    }
    assert!(rig.database.audit_entry(AuditId([9; 16])).await.unwrap().is_none());
}

async fn an_outcome_indexed_before_its_attempt_finds_it_later(kind: Kind) {
    let rig = Rig::new(kind).await;
    // Statements of both writers are indexed one by one, and the outcome's writer comes first.
    let (mut sweeper, mut dead) = (Writer::new(1), Writer::new(2));
    let mut dead_journal = dead.open(&rig.database).await;
    let mut journal = sweeper.open(&rig.database).await;
    let ids: Vec<_> = (0..5).map(|_| dead.next_id(NOW)).collect();
    for id in &ids {
        dead.write_entries(&mut dead_journal, &[(*id, attempt(*id))]).await.unwrap();
    }
    let of = sweeper.next_id(NOW);
    let last = ids[4];
    sweeper.write_entries(&mut journal, &[(of, outcome(of, last, OutcomeState::Unknown))]).await.unwrap();
    for _ in 0..6 {
        rig.database.index_step(1).await.unwrap();
        assert_eq!(outcome_of(&rig.database, last).await, Some(OutcomeState::Unknown));
    }
    assert_eq!(rig.database.index_step(1).await.unwrap(), 0);
}

async fn retries_and_second_passes_are_linked(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    let id = writer.next_id(NOW);
    writer.write_entries(&mut journal, &[(id, attempt(id))]).await.unwrap();
    let [pass, first, second] = [(); 3].map(|()| writer.next_id(NOW));
    let mut record = Record::new(Of::Pass, pass, NOW);
    record.attempt = Some(id);
    let mut batch = vec![(pass, bytes(&record))];
    for retry in [first, second] {
        let mut record = Record::new(Of::Request, retry, NOW);
        record.retry_of = Some(id);
        batch.push((retry, bytes(&record)));
    }
    writer.write_entries(&mut journal, &batch).await.unwrap();
    for _ in 0..3 {
        let item = rig.database.audit_entry(id).await.unwrap().unwrap();
        assert_eq!((item.retries, item.passes), (vec![first, second], vec![pass]));
        rig.database.index_step(1).await.unwrap();
    }
}

async fn a_cursor_from_elsewhere_is_refused(kind: Kind) {
    let rig = Rig::new(kind).await;
    for cursor in ["", "zz", "00", "' OR 1=1 --"] {
        let refused = rig.database.audit_page(&AuditFilter::default(), Some(cursor), 5, BUDGET).await;
        assert!(matches!(refused, Err(StoreError::Cursor)), "{cursor}: {refused:?}");
    }
}

/// Whoever asks again at once while a step is full keeps up with any number of entries.
async fn a_step_is_full_while_there_is_more(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    write_attempts(&mut writer, &mut journal, 10, 7).await;
    let mut taken = Vec::new();
    for _ in 0..5 {
        taken.push(rig.database.index_step(20).await.unwrap());
    }
    assert_eq!(taken, [21, 21, 21, 7, 0]);
}

async fn replicas_that_index_at_once_index_once(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    write_attempts(&mut writer, &mut journal, 20, 30).await;
    let steps = [(); 4].map(|()| {
        let database = rig.database.clone();
        tokio::spawn(async move {
            let mut taken = 0;
            for _ in 0..30 {
                taken += database.index_step(60).await.unwrap();
            }
            taken
        })
    });
    let mut taken = 0;
    for step in steps {
        taken += step.await.unwrap();
    }
    assert_eq!(taken, 600);
    assert_eq!(pages(&rig.database, &AuditFilter::default(), 100, BUDGET).await.len(), 600);
}

async fn open_attempts_of_lapsed_writers_are_swept(kind: Kind) {
    let rig = Rig::new(kind).await;
    let (mut dead, mut live) = (Writer::new(1), Writer::new(2));
    let mut journals = [dead.open(&rig.database).await, live.open(&rig.database).await];
    let settled = dead.next_id(NOW);
    let of = dead.next_id(NOW);
    let batch = [(settled, attempt(settled)), (of, outcome(of, settled, OutcomeState::Done))];
    dead.write_entries(&mut journals[0], &batch).await.unwrap();
    let mut expected = Vec::new();
    for _ in 0..700 {
        expected.push(dead.next_id(NOW));
    }
    let batch: Vec<_> = expected.iter().map(|id| (*id, attempt(*id))).collect();
    dead.write_entries(&mut journals[0], &batch).await.unwrap();
    let busy = live.next_id(NOW);
    live.write_entries(&mut journals[1], &[(busy, attempt(busy))]).await.unwrap();
    while rig.database.index_step(1000).await.unwrap() > 0 {}
    journals[1].renew_lease(live.id, NOW + 60_000, 60_000).await.unwrap();

    let sweep = async |now| {
        let (mut found, mut after) = (Vec::new(), Some(AuditId::default()));
        while let Some(from) = after {
            let (open, next) = rig.database.attempts_to_sweep(now, from).await.unwrap();
            found.extend(open.iter().map(|attempt| (attempt.id, attempt.writer)));
            after = next;
        }
        found
    };
    assert_eq!(sweep(NOW + 60_000).await, []);
    assert_eq!(sweep(NOW + 60_001).await, expected.iter().map(|id| (*id, dead.id)).collect::<Vec<_>>());
    journals[1].close_writer(live.id, NOW + 70_000).await.unwrap();
    assert_eq!(sweep(NOW + 70_001).await.len(), 701);
}

async fn batches_are_read_back_in_order_with_their_entries(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writers = [Writer::new(1), Writer::new(2)];
    for round in 0..90 {
        let writer = &mut writers[round % 2];
        let mut journal = writer.open_again(&rig.database, round < 2).await;
        let count = if round == 20 { 2500 } else { 1 + round * 7 % 50 };
        writer.write(&mut journal, count).await.unwrap();
    }
    let ids: Vec<_> = writers.iter().map(|writer| writer.id).collect();
    assert_eq!(rig.database.statement_writers().await.unwrap(), ids);
    assert_eq!(rig.database.writers().await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), ids);
    assert_eq!(rig.database.stray_entry().await.unwrap(), None);
    for writer in &writers {
        for from in [0, 1, 30, 44] {
            let mut reader = rig.database.read_batches(writer.id, from).await.unwrap();
            let mut number = from;
            let mut rest = None;
            while let Some(batch) = reader.next().await.unwrap() {
                let index = batch.first_index as usize;
                let rest = rest.get_or_insert_with(|| &writer.written[index..]);
                assert_eq!((batch.number, batch.count), (number, batch.entries.len() as u64));
                assert_eq!(batch.statement, format!("statement {number} of {}", writer.id).into_bytes());
                assert_eq!(batch.signature.is_some(), number + 1 < writer.next);
                let (now, later) = rest.split_at(batch.entries.len());
                assert_eq!(batch.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), now);
                assert_eq!((Some(&batch.span.0), Some(&batch.span.1)), (now.first(), now.last()));
                *rest = later;
                number += 1;
            }
            assert_eq!((number, rest), (writer.next, Some([].as_slice())));
        }
    }
}

async fn a_changed_index_row_is_found_and_an_honest_index_is_not_blamed(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writers = [Writer::new(1), Writer::new(2)];
    for writer in &writers {
        writer.open(&rig.database).await;
    }
    let record = |kind: Of, id: AuditId| {
        let mut record = Record::new(kind, id, NOW);
        record.path = Some("/a".into());
        record.reason = Some("r".into());
        (id, record.to_bytes())
    };
    let outcome = |id: AuditId, attempt: AuditId, state| {
        let mut record = Record::new(Of::Outcome, id, NOW);
        (record.attempt, record.state) = (Some(attempt), Some(state));
        (id, record.to_bytes())
    };
    let mut attempts = Vec::new();
    for round in 0..6 {
        let writer = &mut writers[round % 2];
        let mut journal = rig.database.open_journal().await.unwrap();
        let ids: Vec<_> = (0..4).map(|_| writer.next_id(NOW + round as u64)).collect();
        writer
            .write_entries(
                &mut journal,
                // The first is a change of Doorman's own, whose end is an outcome as well.
                &ids.iter()
                    .enumerate()
                    .map(|(at, id)| record(if at == 0 { Of::Run } else { Of::Request }, *id))
                    .collect::<Vec<_>>(),
            )
            .await
            .unwrap();
        // Outcomes of the other writer's attempts too, some with ids before them, and two of one attempt.
        let ends: Vec<_> = [(0, OutcomeState::Done), (1, OutcomeState::Unknown), (1, OutcomeState::Done)]
            .map(|(at, state)| {
                outcome(writers[1 - round % 2].next_id(NOW + 2 * round as u64), ids[at], state)
            })
            .into();
        let other = &mut writers[1 - round % 2];
        other.write_entries(&mut journal, &ends).await.unwrap();
        attempts.extend(ids);
        if round != 4 {
            while rig.database.index_step(100).await.unwrap() > 0 {}
        }
        assert_eq!(rig.database.first_index_difference().await.unwrap(), None, "{round}");
    }
    attempts.sort();
    let url = if kind == Kind::Sqlite { format!("{}.index", rig.url) } else { rig.url.clone() };
    let literal = |id: AuditId| {
        let hex: String = id.0.iter().map(|byte| format!("{byte:02x}")).collect();
        if kind == Kind::Postgres { format!("'\\x{hex}'") } else { format!("x'{hex}'") }
    };
    for (change, at) in [
        ("UPDATE audit_index SET actor = 'user:eve' WHERE id = ", 20),
        ("UPDATE audit_index SET outcome = 'done' WHERE id = ", 15),
        ("DELETE FROM audit_index WHERE id = ", 10),
        ("UPDATE audit_index SET status = 200 WHERE id = ", 4),
    ] {
        rig.run_at(&url, &format!("{change}{}", literal(attempts[at]))).await.unwrap();
        assert_eq!(rig.database.first_index_difference().await.unwrap(), Some(attempts[at]), "{change}");
    }
    let made_up = format!(
        "INSERT INTO audit_index (id, kind, search) VALUES ({}, 'request', '')",
        literal(AuditId([1; 16]))
    );
    rig.run_at(&url, &made_up).await.unwrap();
    rig.run_at(&url, "DELETE FROM audit_index WHERE kind <> 'request'").await.unwrap();
    let found = rig.database.first_index_difference().await.unwrap();
    assert!(found.is_some_and(|id| id <= attempts[4]), "{found:?}");
}

async fn an_entry_that_no_statement_covers_is_found(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writers = [Writer::new(1), Writer::new(2)];
    for writer in &mut writers {
        let mut journal = writer.open_again(&rig.database, true).await;
        writer.write(&mut journal, 3).await.unwrap();
    }
    let insert = |id: &str, writer: &str| {
        let literal = |hex: &str| match kind {
            Kind::Postgres => format!("'\\x{hex}'"),
            _ => format!("x'{hex}'"),
        };
        let blank = literal("00");
        format!(
            "INSERT INTO journal (id, writer, claims, record) VALUES ({}, {}, {blank}, {blank})",
            literal(id),
            literal(writer)
        )
    };
    let found = |tag: u8, id: u8| Some((WriterId([tag; 16]), AuditId([id; 16])));
    rig.run(&insert(&"ff".repeat(16), &"01".repeat(16))).await.unwrap();
    assert_eq!(rig.database.stray_entry().await.unwrap(), found(1, 0xff));
    rig.run(&insert(&"02".repeat(16), &"03".repeat(16))).await.unwrap();
    assert_eq!(rig.database.stray_entry().await.unwrap(), found(3, 2));
}

async fn what_each_writer_found_at_its_start_can_be_told_again(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writers: Vec<Writer> = (1..=4).map(Writer::new).collect();
    let mut found = Vec::new();
    for started in 0..4 {
        let mut journal = rig.database.open_journal().await.unwrap();
        let id = writers[started].id;
        found.push((id, journal.register_writer(id, NOW + started as u64, 1000).await.unwrap()));
        for writer in writers.iter_mut().take(started + 1).skip(started / 2) {
            writer.write(&mut journal, 2).await.unwrap();
        }
    }
    let mut book = PeerBook::default();
    for row in rig.database.writers().await.unwrap() {
        book.insert(row.id, PeerList::from_bytes(&row.peers).unwrap());
    }
    for (id, known) in found {
        let known: Snapshot = known.into_iter().map(|(peer, number, _)| (peer, number)).collect();
        assert_eq!(book.snapshot(id), Some(&known));
    }
}
