//! Revocation against commits: no batch that was checked before a revocation commits after it.

use crate::rig::{Kind, NOW, Rig, Writer, contract};
use doorman_store::CommitError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

contract! {
    no_batch_of_an_older_epoch_commits_after_a_revocation_returned
    revocations_are_listed_from_any_epoch_and_pruned_by_age
}

async fn no_batch_of_an_older_epoch_commits_after_a_revocation_returned(kind: Kind) {
    let rig = Rig::new(kind).await;
    let revoked = Arc::new(AtomicU64::new(0));
    let writers = [1, 2, 3].map(|tag| {
        let (database, revoked) = (rig.database.clone(), revoked.clone());
        tokio::spawn(async move {
            let mut journal = database.open_journal().await.unwrap();
            let mut writer = Writer::new(tag);
            let mut refused = 0;
            while writer.next < 40 {
                let before = revoked.load(Ordering::SeqCst);
                match writer.write(&mut journal, 3).await {
                    Ok(()) => {
                        assert!(writer.epoch >= before, "epoch {} after {before} was revoked", writer.epoch)
                    }
                    Err(CommitError::EpochMoved { epoch, revoked }) => {
                        // One more may have come before the list was read.
                        assert!(revoked.len() as u64 >= epoch - writer.epoch);
                        writer.epoch = epoch;
                        refused += 1;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            refused
        })
    });
    for session in 0..30u8 {
        let epoch = rig.database.revoke_sessions(&[[session; 16]], NOW).await.unwrap();
        revoked.store(epoch, Ordering::SeqCst);
        assert_eq!(epoch, u64::from(session) + 1);
    }
    let mut refused = 0;
    for writer in writers {
        refused += writer.await.unwrap();
    }
    assert!(refused > 0, "the race never happened");
    assert_eq!(rig.count("journal").await, 3 * 40 * 3);
}

async fn revocations_are_listed_from_any_epoch_and_pruned_by_age(kind: Kind) {
    let rig = Rig::new(kind).await;
    let database = &rig.database;
    assert_eq!(database.revocations_since(0).await.unwrap(), (0, vec![]));
    database.revoke_sessions(&[[1; 16]], NOW).await.unwrap();
    database.revoke_sessions(&[[2; 16], [2; 16]], NOW + 10).await.unwrap();
    assert_eq!(database.revocations_since(0).await.unwrap(), (2, vec![[1; 16], [2; 16]]));
    assert_eq!(database.revocations_since(1).await.unwrap(), (2, vec![[2; 16]]));
    assert_eq!(database.prune_revocations(NOW + 5).await.unwrap(), 1);
    assert_eq!(database.revocations_since(0).await.unwrap(), (2, vec![[2; 16]]));
}
