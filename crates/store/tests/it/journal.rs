//! Batches: what is committed, what is refused, and that nothing changes afterwards.

use crate::rig::{Kind, NOW, Rig, Writer, contract};
use doorman_core::sha256;
use doorman_core::statement::WriterId;
use doorman_store::CommitError;

contract! {
    batches_of_every_size_are_committed_whole
    a_new_writer_learns_every_known_writers_last_statement
    a_statement_number_is_taken_once
    a_batch_checked_before_a_revocation_is_refused_and_told_what_was_revoked
    a_failed_commit_leaves_the_journal_usable
    resolve_tells_whether_a_batch_is_there
    the_log_cannot_be_changed
    migrating_twice_does_nothing
    a_record_of_a_megabyte_is_kept_to_the_byte
}

async fn batches_of_every_size_are_committed_whole(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    journal.register_writer(writer.id, NOW, 1000).await.unwrap();
    for count in (1..20).chain([31, 32, 33, 64, 100, 255, 256, 257, 300, 600]) {
        writer.write(&mut journal, count).await.unwrap_or_else(|error| panic!("{count}: {error:?}"));
    }
    assert_eq!(rig.count("journal").await, writer.written.len() as u64);
    assert_eq!(rig.count("statement").await, writer.next);
    assert_eq!(rig.count("statement_signature").await, writer.next - 1);
}

async fn a_new_writer_learns_every_known_writers_last_statement(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let (mut one, mut two) = (Writer::new(1), Writer::new(2));
    assert_eq!(journal.register_writer(one.id, NOW, 1000).await.unwrap(), []);
    one.write(&mut journal, 1).await.unwrap();
    assert_eq!(journal.register_writer(two.id, NOW, 1000).await.unwrap().len(), 1);
    one.write(&mut journal, 2).await.unwrap();
    two.write(&mut journal, 3).await.unwrap();
    let mut known = journal.register_writer(WriterId([3; 16]), NOW, 1000).await.unwrap();
    known.sort();
    let hash =
        |number: u64, writer: &Writer| sha256(format!("statement {number} of {}", writer.id).as_bytes());
    assert_eq!(known, [(one.id, 1, hash(1, &one)), (two.id, 0, hash(0, &two))]);
}

async fn a_statement_number_is_taken_once(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    writer.write(&mut journal, 1).await.unwrap();
    writer.next = 0;
    let refused = writer.write(&mut journal, 3).await;
    assert!(matches!(refused, Err(CommitError::NotCommitted(_))), "{refused:?}");
    assert_eq!(rig.count("journal").await, 1);
}

async fn a_batch_checked_before_a_revocation_is_refused_and_told_what_was_revoked(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    writer.write(&mut journal, 1).await.unwrap();
    assert_eq!(rig.database.revoke_sessions(&[[7; 16], [8; 16]], NOW).await.unwrap(), 1);
    let refused = writer.write(&mut journal, 2).await;
    let Err(CommitError::EpochMoved { epoch: 1, mut revoked }) = refused else { panic!("{refused:?}") };
    revoked.sort_unstable();
    assert_eq!(revoked, [[7; 16], [8; 16]]);
    assert_eq!((rig.count("journal").await, rig.count("statement").await), (1, 1));
    writer.epoch = 1;
    writer.write(&mut journal, 2).await.unwrap();
    assert_eq!((rig.count("journal").await, rig.count("statement").await), (3, 2));
}

async fn a_failed_commit_leaves_the_journal_usable(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    writer.write(&mut journal, 1).await.unwrap();
    let taken = std::mem::replace(&mut writer.next, 0);
    writer.write(&mut journal, 1).await.unwrap_err();
    writer.next = taken;
    writer.write(&mut journal, 1).await.unwrap();
    assert_eq!(rig.count("journal").await, 2);
}

async fn resolve_tells_whether_a_batch_is_there(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    assert!(!rig.database.resolve(writer.id, 0).await.unwrap());
    writer.write(&mut journal, 1).await.unwrap();
    assert!(rig.database.resolve(writer.id, 0).await.unwrap());
    assert!(!rig.database.resolve(writer.id, 1).await.unwrap());
    writer.write(&mut journal, 1).await.unwrap();
}

async fn the_log_cannot_be_changed(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    writer.write(&mut journal, 3).await.unwrap();
    writer.write(&mut journal, 3).await.unwrap();
    for table in ["journal", "statement", "statement_signature"] {
        for sql in [format!("DELETE FROM {table}"), format!("UPDATE {table} SET writer = writer")] {
            let error = rig.run(&sql).await.expect_err(&sql).to_string();
            assert!(error.contains("append-only"), "{sql}: {error}");
        }
    }
    assert_eq!(rig.count("journal").await, 6);
}

async fn migrating_twice_does_nothing(kind: Kind) {
    let rig = Rig::new(kind).await;
    rig.database.migrate().await.unwrap();
    rig.database.check_durability().await.unwrap();
    rig.database.ping().await.unwrap();
}

async fn a_record_of_a_megabyte_is_kept_to_the_byte(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut journal = rig.database.open_journal().await.unwrap();
    let mut writer = Writer::new(1);
    let large = "\u{1f511}'\\\0x".repeat(120_000);
    assert!(large.len() * 2 < rig.database.max_batch_bytes().await.unwrap());
    writer.write_records(&mut journal, &[large.clone(), "small".into()]).await.unwrap();
    assert_eq!(rig.record(writer.written[0]).await, large.as_bytes());
}

#[tokio::test]
async fn sqlites_log_begins_anew_while_batches_keep_coming() {
    let rig = Rig::new(Kind::Sqlite).await;
    let mut writer = Writer::new(1);
    let mut journal = writer.open(&rig.database).await;
    let record = "x".repeat(3_000);
    for _ in 0..400 {
        writer.write_records(&mut journal, &vec![record.clone(); 40]).await.unwrap();
    }
    let log = std::fs::metadata(format!("{}-wal", rig.url.trim_start_matches("sqlite:"))).unwrap().len();
    assert!(log < 40 << 20, "{log} of some 80 MB are still in the write-ahead log");
    assert_eq!(rig.count("journal").await, 16_000);
}
