//! A database server that is killed while batches are committed: what was acknowledged is there, what was refused is
//! not, and what nobody knows is settled by asking.

use crate::rig::{NOW, Writer};
use doorman_core::id::AuditId;
use doorman_store::{CommitError, Database, DatabaseConfig, StoreError};
use doorman_testkit::{mariadb, postgres};
use std::time::Duration;

async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(mut ask: impl FnMut() -> F) -> T {
    for _ in 0..200 {
        match ask().await {
            Ok(answer) => return answer,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("the server did not come back");
}

async fn no_batch_is_lost_or_made_up(url: &str, kill: impl Fn(), restart: impl Fn()) {
    let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
    database.migrate().await.unwrap();
    let mut writer = Writer::new(1);
    let mut journal = database.open_journal().await.unwrap();
    journal.register_writer(writer.id, NOW, 1000).await.unwrap();
    let mut expected: Vec<AuditId> = Vec::new();
    let mut unknown = 0;
    for round in 0..4u64 {
        let batch = |writer: &mut Writer| {
            (0..7).map(|_| (writer.next_id(NOW), vec![b'x'; 20_000])).collect::<Vec<_>>()
        };
        for _ in 0..5 {
            let entries = batch(&mut writer);
            writer.write_entries(&mut journal, &entries).await.unwrap();
            expected.extend(entries.iter().map(|(id, _)| *id));
        }
        // Batches go on until the server is gone.
        let committing = async {
            loop {
                let entries = batch(&mut writer);
                match writer.write_entries(&mut journal, &entries).await {
                    Ok(()) => expected.extend(entries.iter().map(|(id, _)| *id)),
                    Err(CommitError::NotCommitted(_)) => return None,
                    Err(CommitError::Unknown(_)) => return Some(entries),
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let killing = async {
            tokio::time::sleep(Duration::from_millis(15 + 11 * round)).await;
            tokio::task::block_in_place(&kill);
        };
        let (in_doubt, ()) = tokio::join!(committing, killing);
        tokio::task::block_in_place(&restart);
        let number = writer.next;
        let is_there = patiently(|| database.resolve(writer.id, number)).await;
        match in_doubt {
            Some(entries) if is_there => {
                unknown += 1;
                expected.extend(entries.iter().map(|(id, _)| *id));
                writer.skip(entries.len());
            }
            Some(_) => unknown += 1,
            None => assert!(!is_there, "a refused batch was committed"),
        }
    }
    let mut reader = database.read_batches(writer.id, 0).await.unwrap();
    let mut found = Vec::new();
    while let Some(batch) = reader.next().await.unwrap() {
        found.extend(batch.entries.iter().map(|entry| entry.id));
    }
    assert_eq!(found, expected);
    assert!(unknown > 0, "the server never died within a commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_mariadb_loses_and_makes_up_nothing() {
    let server = mariadb::Server::start().unwrap();
    let url = server.database().unwrap();
    no_batch_is_lost_or_made_up(&url, || server.daemon().kill(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_loses_and_makes_up_nothing() {
    let server = postgres::Server::start().unwrap();
    let url = server.database().unwrap();
    no_batch_is_lost_or_made_up(&url, || server.daemon().kill(), || server.restart().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_commit_takes_its_number_or_never_comes() {
    // The server is frozen within a commit, as by a stalled disk, and the writer gives up waiting.
    let server = postgres::Server::start().unwrap();
    let database = Database::connect(&DatabaseConfig::new(server.database().unwrap())).await.unwrap();
    database.migrate().await.unwrap();
    let mut writer = Writer::new(1);
    let mut journal = database.open_journal().await.unwrap();
    writer.write(&mut journal, 1).await.unwrap();
    tokio::task::block_in_place(|| server.daemon().pause());
    let given_up = tokio::time::timeout(Duration::from_millis(100), writer.write(&mut journal, 2)).await;
    assert!(given_up.is_err());
    tokio::task::block_in_place(|| server.daemon().resume());
    // Whoever comes first has the number; both together never do.
    let ours = writer.write(&mut journal, 1).await;
    let mut reader = database.read_batches(writer.id, 1).await.unwrap();
    let batch = reader.next().await.unwrap().unwrap();
    match ours {
        Ok(()) => assert_eq!(batch.entries.len(), 1),
        Err(CommitError::NotCommitted(StoreError::Conflict)) => assert_eq!(batch.entries.len(), 2),
        Err(error) => panic!("{error:?}"),
    }
    assert!(reader.next().await.unwrap().is_none());
}
