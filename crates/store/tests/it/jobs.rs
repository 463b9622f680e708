//! Items of runs: claimed, sent with their attempts, ended with their outcomes, by one holder at a time.

use crate::rig::{Kind, NOW, Rig, Writer, contract};
use doorman_core::id::AuditId;
use doorman_core::rollout::{Counts, ItemState};
use doorman_store::{
    Batch, Chunk, CommitError, Entry, InputAbout, InputRow, ItemEnd, ItemFilter, ItemMark, JobRow, Journal,
    RunRow, RunStep, StoreError,
};

contract! {
    an_item_is_sent_under_its_fence_alone_and_once
    a_claim_takes_over_what_a_lapsed_lease_left
    a_claim_whose_holder_does_not_know_of_it_lapses
    only_running_runs_give_new_items_and_only_released_ones
    items_are_listed_by_state_and_counted_by_chunk
    what_a_receipt_tells_later_moves_the_item_and_its_count_together_and_once
    of_two_changes_of_one_run_the_second_must_look_again
    jobs_keep_their_history_and_names_are_unique_in_a_folder
    an_input_is_there_whole_or_not_at_all
}

const RUN: [u8; 16] = [7; 16];

fn run(total: u64, until_item: u64) -> RunRow {
    RunRow {
        id: RUN,
        job: [1; 16],
        state: "running".into(),
        is_open: true,
        version: 1,
        spec: "{}".into(),
        progress: "{}".into(),
        input: None,
        total,
        next_item: 0,
        until_item,
        started_by: "user:dave".into(),
        started_ms: NOW,
        ended_ms: None,
    }
}

/// Commits one attempt for each mark, and the outcomes that end items.
async fn commit(
    writer: &mut Writer,
    journal: &mut Journal,
    marks: &[ItemMark],
    ended: &[ItemEnd],
) -> Result<Vec<AuditId>, CommitError> {
    let ids: Vec<AuditId> = (0..marks.len().max(1)).map(|_| writer.next_id(NOW)).collect();
    let entries: Vec<Entry<'_>> =
        ids.iter().map(|id| Entry { id: *id, claims: b"claims", record: b"{\"it\":\"is\"}" }).collect();
    let sending: Vec<_> = marks.iter().copied().zip(ids.iter().copied()).collect();
    let batch = Batch {
        writer: writer.id,
        epoch: writer.epoch,
        number: writer.next,
        statement: b"statement",
        first_index: 0,
        entries: &entries,
        signatures: &[],
        sending: &sending,
        ended,
    };
    journal.commit(&batch).await?;
    writer.next += 1;
    Ok(ids)
}

fn mark(chunk: &Chunk, item: u64) -> ItemMark {
    ItemMark { run: RUN, item, fence: chunk.fence }
}

fn end(item: u64, audit: AuditId, state: ItemState) -> ItemEnd {
    let error = (state == ItemState::Failed).then(|| "status 500: it's \\ broken".to_owned());
    ItemEnd { run: RUN, item, audit, state, status: Some(500), error, due_ms: None }
}

async fn claim(rig: &Rig, holder: &str, now_ms: u64, size: u64) -> Option<Chunk> {
    let lease = u64::from(holder.as_bytes()[0]) + now_ms;
    rig.database.claim_chunk(&RUN, holder, (now_ms, now_ms + 100), size, lease).await.unwrap()
}

async fn state_of(rig: &Rig, item: u64) -> ItemState {
    rig.database.item_fence(&RUN, item).await.unwrap().unwrap().0.state
}

async fn an_item_is_sent_under_its_fence_alone_and_once(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    rig.database.insert_run(&run(10, 10)).await.unwrap();
    let chunk = claim(&rig, "a", NOW, 4).await.unwrap();
    assert_eq!((chunk.first_item, chunk.size, chunk.items.len()), (0, 4, 4));
    let ids = commit(&mut writer, &mut journal, &[mark(&chunk, 0), mark(&chunk, 1)], &[]).await.unwrap();
    assert_eq!(state_of(&rig, 1).await, ItemState::Sending);
    let before = rig.count("journal").await;
    // One that was sent already, beside one that was not: the batch is not there, and only the one is to blame.
    let lost = commit(&mut writer, &mut journal, &[mark(&chunk, 2), mark(&chunk, 0)], &[]).await;
    let Err(CommitError::ItemsLost(lost)) = lost else { panic!("{lost:?}") };
    assert_eq!(lost.len(), 1);
    assert_eq!((rig.count("journal").await, state_of(&rig, 2).await), (before, ItemState::Pending));
    let wrong = ItemMark { fence: chunk.fence + 1, ..mark(&chunk, 2) };
    assert!(matches!(commit(&mut writer, &mut journal, &[wrong], &[]).await, Err(CommitError::ItemsLost(_))));
    // The connection is in order, and ends go with the next attempts.
    let ends = [end(0, ids[0], ItemState::Done), end(1, ids[1], ItemState::Failed)];
    commit(&mut writer, &mut journal, &[mark(&chunk, 2)], &ends).await.unwrap();
    let items = rig.database.items_page(&RUN, &ItemFilter { limit: 10, ..Default::default() }).await.unwrap();
    let seen: Vec<_> = items.iter().map(|item| (item.state, item.attempts)).collect();
    use ItemState::{Done, Failed, Pending, Sending};
    assert_eq!(seen, [(Done, 1), (Failed, 1), (Sending, 1), (Pending, 0)]);
    assert_eq!(items[1].error.as_deref(), Some("status 500: it's \\ broken"));
    assert_eq!((items[1].status, items[1].audit), (Some(500), Some(ids[1].0)));
    // An end of another attempt than the item's last changes nothing.
    commit(&mut writer, &mut journal, &[], &[end(2, ids[0], ItemState::Done)]).await.unwrap();
    assert_eq!(state_of(&rig, 2).await, Sending);
    writer.epoch = 9;
    let moved = commit(&mut writer, &mut journal, &[mark(&chunk, 3)], &[]).await;
    assert!(matches!(moved, Err(CommitError::EpochMoved { epoch: 0, .. })), "{moved:?}");
}

async fn a_claim_takes_over_what_a_lapsed_lease_left(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    rig.database.insert_run(&run(4, 4)).await.unwrap();
    let old = claim(&rig, "a", NOW, 4).await.unwrap();
    let ids = commit(&mut writer, &mut journal, &[mark(&old, 0), mark(&old, 1)], &[]).await.unwrap();
    commit(&mut writer, &mut journal, &[], &[end(0, ids[0], ItemState::Done)]).await.unwrap();
    assert_eq!(claim(&rig, "b", NOW + 50, 4).await, None, "the lease holds");
    assert_eq!(rig.database.renew_chunks(&RUN, "a", &[0], NOW + 300).await.unwrap(), [0]);
    assert_eq!(claim(&rig, "b", NOW + 200, 4).await, None, "it was renewed");
    let new = claim(&rig, "b", NOW + 300, 4).await.unwrap();
    assert_eq!(new.fence, old.fence + 1);
    let left: Vec<_> = new.items.iter().map(|item| (item.item, item.state, item.audit)).collect();
    use ItemState::{Pending, Sending};
    assert_eq!(left, [(1, Sending, Some(ids[1].0)), (2, Pending, None), (3, Pending, None)]);
    assert!(matches!(
        commit(&mut writer, &mut journal, &[mark(&old, 2)], &[]).await,
        Err(CommitError::ItemsLost(_))
    ));
    assert!(rig.database.renew_chunks(&RUN, "a", &[0], NOW + 900).await.unwrap().is_empty());
    rig.database.settle_items(old.fence, &[end(3, AuditId::default(), ItemState::Failed)]).await.unwrap();
    assert_eq!(state_of(&rig, 3).await, Pending, "the old fence settles nothing");
    let unknown = [end(1, ids[1], ItemState::Unknown)];
    rig.database.settle_items(new.fence, &unknown).await.unwrap();
    assert_eq!(state_of(&rig, 1).await, ItemState::Unknown);
    // Whoever had sent it tells after all how it ended.
    commit(&mut writer, &mut journal, &[], &[end(1, ids[1], ItemState::Done)]).await.unwrap();
    assert_eq!(state_of(&rig, 1).await, ItemState::Done);
    let share = rig.database.share_of(&RUN, "c", NOW + 310).await.unwrap();
    assert_eq!((share.holders, share.place), (2, 1));
}

async fn a_claim_whose_holder_does_not_know_of_it_lapses(kind: Kind) {
    let rig = Rig::new(kind).await;
    rig.database.insert_run(&run(6, 6)).await.unwrap();
    claim(&rig, "a", NOW, 3).await.unwrap();
    let lost = claim(&rig, "a", NOW, 3).await.unwrap();
    assert_eq!(rig.database.renew_chunks(&RUN, "a", &[0], NOW + 900).await.unwrap(), [0]);
    assert!(rig.database.renew_chunks(&RUN, "a", &[], NOW + 900).await.unwrap().is_empty());
    let again = claim(&rig, "a", NOW + 200, 3).await.unwrap();
    assert_eq!((again.first_item, again.fence, again.items.len()), (3, lost.fence + 1, 3));
    assert_eq!(rig.database.renew_chunks(&RUN, "a", &[0, 3], NOW + 900).await.unwrap(), [0, 3]);
}

async fn only_running_runs_give_new_items_and_only_released_ones(kind: Kind) {
    let rig = Rig::new(kind).await;
    rig.database.insert_run(&run(10, 3)).await.unwrap();
    assert_eq!(claim(&rig, "a", NOW, 2).await.unwrap().size, 2);
    assert_eq!(claim(&rig, "b", NOW, 2).await.unwrap().size, 1, "a wave's end is a chunk's end");
    assert_eq!(claim(&rig, "b", NOW, 2).await, None);
    let step =
        |state, until_item| RunStep { state, is_open: true, progress: "{}", until_item, ended_ms: None };
    assert!(rig.database.step_run(&RUN, 1, &step("paused", 10)).await.unwrap());
    assert_eq!(claim(&rig, "b", NOW, 2).await, None);
    assert_eq!(claim(&rig, "b", NOW + 200, 2).await, None, "nothing of it was being sent");
    assert!(rig.database.step_run(&RUN, 2, &step("running", 10)).await.unwrap());
    assert_eq!(claim(&rig, "b", NOW, 100).await.unwrap().size, 7);
}

async fn items_are_listed_by_state_and_counted_by_chunk(kind: Kind) {
    let rig = Rig::new(kind).await;
    rig.database.insert_run(&run(1_000, 1_000)).await.unwrap();
    let mut chunks = Vec::new();
    for tag in 0..10u64 {
        let chunk = claim(&rig, "a", NOW + tag, 100).await.unwrap();
        let ends: Vec<_> = (chunk.first_item..chunk.first_item + 100)
            .map(|item| {
                let state = if item % 250 == 9 { ItemState::Failed } else { ItemState::Done };
                end(item, AuditId::default(), state)
            })
            .collect();
        rig.database.settle_items(chunk.fence, &ends).await.unwrap();
        chunks.push(chunk);
    }
    for chunk in &chunks {
        let counts = rig.database.count_chunk(&RUN, chunk.first_item, Some(chunk.fence)).await.unwrap();
        assert_eq!(counts.total(), 100);
    }
    let counts = rig.database.count_items(&RUN, 0, 1_000).await.unwrap();
    assert_eq!(counts, Counts { done: 996, failed: 4, ..Counts::default() });
    let filter = ItemFilter { state: Some(ItemState::Failed), from: 10, limit: 2 };
    let failed = rig.database.items_page(&RUN, &filter).await.unwrap();
    assert_eq!(failed.iter().map(|item| item.item).collect::<Vec<_>>(), [259, 509]);
    assert_eq!(claim(&rig, "b", NOW + 900, 1).await, None, "ended chunks are closed");
    assert_eq!(rig.database.reopen_failed(&RUN, false).await.unwrap(), 4);
    let again = claim(&rig, "b", NOW + 900, 1).await.unwrap();
    assert_eq!(again.items.iter().map(|item| item.item).collect::<Vec<_>>(), [9]);
    rig.database.skip_pending(&RUN).await.unwrap();
    let counts = rig.database.count_items(&RUN, 0, 1_000).await.unwrap();
    assert_eq!((counts.skipped, counts.pending), (4, 0));
}

async fn what_a_receipt_tells_later_moves_the_item_and_its_count_together_and_once(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    rig.database.insert_run(&run(4, 4)).await.unwrap();
    let first = claim(&rig, "a", NOW, 2).await.unwrap();
    let second = claim(&rig, "b", NOW, 2).await.unwrap();
    let marks = [mark(&first, 0), mark(&first, 1), mark(&second, 2), mark(&second, 3)];
    let ids = commit(&mut writer, &mut journal, &marks, &[]).await.unwrap();
    for chunk in [&first, &second] {
        let items = [chunk.first_item, chunk.first_item + 1];
        let unknown = items.map(|item| end(item, ids[item as usize], ItemState::Unknown));
        rig.database.settle_items(chunk.fence, &unknown).await.unwrap();
        rig.database.count_chunk(&RUN, chunk.first_item, None).await.unwrap();
    }
    let counts = async || rig.database.count_items(&RUN, 0, 4).await.unwrap();
    assert_eq!(counts().await, Counts { unknown: 4, ..Counts::default() });
    for _ in 0..2 {
        rig.database.settle_late(&end(3, ids[3], ItemState::Done)).await.unwrap();
        rig.database.settle_late(&end(0, ids[0], ItemState::Failed)).await.unwrap();
        assert_eq!(counts().await, Counts { done: 1, failed: 1, unknown: 2, ..Counts::default() });
    }
    // Of another attempt than the item's last, or of an item that ended: nothing.
    rig.database.settle_late(&end(1, ids[2], ItemState::Done)).await.unwrap();
    rig.database.settle_late(&end(3, ids[3], ItemState::Failed)).await.unwrap();
    assert_eq!(counts().await, Counts { done: 1, failed: 1, unknown: 2, ..Counts::default() });
    assert_eq!(rig.database.reopen_failed(&RUN, true).await.unwrap(), 3);
    assert_eq!(counts().await, Counts { done: 1, pending: 3, ..Counts::default() });
}

async fn of_two_changes_of_one_run_the_second_must_look_again(kind: Kind) {
    let rig = Rig::new(kind).await;
    rig.database.insert_run(&run(10, 10)).await.unwrap();
    let step =
        RunStep { state: "paused", is_open: true, progress: "{\"a\":1}", until_item: 5, ended_ms: None };
    assert!(rig.database.step_run(&RUN, 1, &step).await.unwrap());
    assert!(!rig.database.step_run(&RUN, 1, &step).await.unwrap());
    let stored = rig.database.run(&RUN).await.unwrap().unwrap();
    assert_eq!((stored.version, stored.until_item, &*stored.progress), (2, 5, "{\"a\":1}"));
    assert_eq!(rig.database.unfinished_runs(&[1; 16]).await.unwrap(), (true, false));
    assert_eq!(rig.database.open_runs().await.unwrap(), [(RUN, 2)]);
}

fn job(tag: u8, folder: &str, name: &str) -> JobRow {
    JobRow {
        id: [tag; 16],
        folder: folder.into(),
        name: name.into(),
        version: 1,
        definition: format!("{{\"name\":\"{name}\"}}"),
        input: None,
        is_deleted: false,
        created_ms: NOW,
        created_by: "user:dave".into(),
        updated_ms: NOW,
        updated_by: "user:dave".into(),
        run_as: None,
        next_ms: Some(NOW + 5),
    }
}

async fn jobs_keep_their_history_and_names_are_unique_in_a_folder(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    database.insert_job(&job(1, "ops", "a"), "user:dave").await.unwrap();
    assert_eq!(database.job(&[1; 16]).await.unwrap(), Some(job(1, "ops", "a")));
    let same = database.insert_job(&job(2, "ops", "a"), "user:dave").await;
    assert!(matches!(same, Err(StoreError::Conflict)), "{same:?}");
    database.insert_job(&job(2, "dev", "a"), "user:dave").await.unwrap();
    let renamed = JobRow { version: 2, ..job(1, "ops", "b") };
    assert!(database.update_job(&renamed, "updated", "service:reports-ui").await.unwrap());
    assert!(!database.update_job(&renamed, "updated", "user:dave").await.unwrap(), "the version has passed");
    let due = database.due_jobs(NOW + 5, 10).await.unwrap();
    assert_eq!(due.len(), 2);
    assert!(database.advance_schedule(&renamed, NOW + 5, Some(NOW + 9)).await.unwrap());
    assert!(!database.advance_schedule(&renamed, NOW + 5, Some(NOW + 9)).await.unwrap(), "one does it");
    let deleted = JobRow { version: 3, is_deleted: true, ..renamed };
    assert!(database.update_job(&deleted, "deleted", "user:dave").await.unwrap());
    database.insert_job(&job(3, "ops", "b"), "user:dave").await.unwrap();
    let page = database.jobs_page(None, None, 10).await.unwrap();
    assert_eq!(page.iter().map(|job| job.id[0]).collect::<Vec<_>>(), [3, 2]);
    let history = database.job_history(&[1; 16], None, 10).await.unwrap();
    let told: Vec<_> = history.iter().map(|edit| (edit.version, &*edit.change, &*edit.actor)).collect();
    assert_eq!(
        told,
        [(3, "deleted", "user:dave"), (2, "updated", "service:reports-ui"), (1, "create", "user:dave")]
    );
}

async fn an_input_is_there_whole_or_not_at_all(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    let rows: Vec<_> = (0..1_200)
        .map(|number| InputRow { number, line: number + 2, content: format!("{{\"id\":\"{number} ü\"}}") })
        .collect();
    database.begin_input(&[4; 16], NOW).await.unwrap();
    database.add_input_rows(&[4; 16], &rows).await.unwrap();
    assert_eq!(database.input(&[4; 16]).await.unwrap(), None);
    let about =
        InputAbout { columns: vec!["id".into()], rows: 1_200, duplicates: 1, bytes: 9, sha256: "ab".into() };
    database.finish_input(&[4; 16], &about).await.unwrap();
    assert_eq!(database.input(&[4; 16]).await.unwrap(), Some(about));
    assert_eq!(database.input_rows(&[4; 16], 600, 602).await.unwrap(), rows[600..602]);
    assert_eq!(database.stray_inputs(NOW + 1).await.unwrap(), [[4; 16]]);
    database.drop_input(&[4; 16]).await.unwrap();
    assert_eq!(rig.count("job_input_row").await, 0);
}
