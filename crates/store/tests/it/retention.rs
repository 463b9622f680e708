//! Retention: whole batches go, under a tombstone, and only for the account that may.

use crate::rig::{Kind, NOW, Rig, Writer, contract};
use doorman_core::keys::SigningKey;
use doorman_core::receipt::ProxyId;
use doorman_core::retention::Tombstone;
use doorman_store::{Collected, Database, DatabaseConfig, ReceiptPiece, ReceiptSource, Retainable};

contract! {
    only_retention_deletes_entries_and_only_whole_batches
    receipts_go_with_the_entries_and_leave_a_gap_that_collecting_does_not_close
}

/// The database as `doorman_retention` reaches it; SQLite has no accounts.
async fn as_retention(rig: &Rig, kind: Kind) -> Database {
    let grants = match kind {
        Kind::Sqlite => return rig.database.clone(),
        Kind::MariaDb => [
            "CREATE USER IF NOT EXISTS doorman_retention@'%' IDENTIFIED BY 'secret'",
            "CREATE USER IF NOT EXISTS doorman_retention@localhost IDENTIFIED BY 'secret'",
            "GRANT ALL ON *.* TO doorman_retention@'%'",
            "GRANT ALL ON *.* TO doorman_retention@localhost",
        ]
        .as_slice(),
        Kind::Postgres => [
            "DO $$ BEGIN CREATE ROLE doorman_retention LOGIN PASSWORD 'secret'; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO doorman_retention",
            "GRANT DELETE ON journal, audit_index, audit_link, audit_orphan, receipt_piece TO doorman_retention",
            "GRANT UPDATE ON receipt_source, writer TO doorman_retention",
            "GRANT INSERT ON retention, journal, statement, statement_signature, writer TO doorman_retention",
        ]
        .as_slice(),
    };
    for sql in grants {
        rig.run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
    let mut url: url::Url = rig.url.parse().unwrap();
    url.set_username("doorman_retention").unwrap();
    url.set_password(Some("secret")).unwrap();
    Database::connect(&DatabaseConfig::existing(url.as_str())).await.unwrap()
}

async fn only_retention_deletes_entries_and_only_whole_batches(kind: Kind) {
    let rig = Rig::new(kind).await;
    let (mut old, mut young) = (Writer::new(1), Writer::new(2));
    let mut journal = old.open(&rig.database).await;
    for count in [3, 2] {
        old.write(&mut journal, count).await.unwrap();
    }
    let mut journal = young.open(&rig.database).await;
    young.write(&mut journal, 4).await.unwrap();
    assert_eq!(rig.database.retainable(NOW - 1_000_000).await.unwrap(), []);
    let end = NOW + 1_000_000_000;
    let found = rig.database.retainable(end).await.unwrap();
    let of_old = Retainable { writer: old.id, below: 2, entries: 5, left: 5 };
    assert!(found.len() == 2 && found.contains(&of_old), "{found:?}");

    let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
    let tombstone =
        Tombstone { writer: old.id, kid: key.id(), below: 2, entries: 5, before_ms: end, time_ms: end };
    let signature = tombstone.sign(&key);
    if kind != Kind::Sqlite {
        let refused = rig.database.retain(&tombstone, &signature, |_| {}).await.unwrap_err();
        assert!(format!("{refused:?}").contains("append-only"), "{refused:?}");
        assert_eq!(rig.count("journal").await, 9);
    }
    let database = as_retention(&rig, kind).await;
    let mut heard = 0;
    assert_eq!(database.retain(&tombstone, &signature, |gone| heard = gone).await.unwrap(), 5);
    assert_eq!((heard, rig.count("journal").await, rig.count("statement").await), (5, 4, 3));
    assert_eq!(rig.database.tombstones().await.unwrap(), [(tombstone.to_bytes(), signature.to_vec())]);
    assert_eq!(database.retain(&tombstone, &signature, |_| {}).await.unwrap(), 0, "asked again");
    for sql in ["DELETE FROM journal", "DELETE FROM retention", "UPDATE retention SET below = 9"] {
        let error = rig.run(sql).await.expect_err(sql).to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
}

async fn receipts_go_with_the_entries_and_leave_a_gap_that_collecting_does_not_close(kind: Kind) {
    let rig = Rig::new(kind).await;
    let source = |proxy: u8, gap_ms| ReceiptSource {
        proxy: ProxyId([proxy; 16]),
        region: "eu".into(),
        cursor: "here".into(),
        complete_ms: NOW + 1_000,
        gap_ms,
    };
    let piece = |start: u64| ReceiptPiece {
        segment: start / 200,
        start,
        span_ms: (NOW + start, NOW + start + 1),
        frames: vec![7; 10],
    };
    let stored = Collected { source: source(1, 0), pieces: (0..500).map(piece).collect(), boots: vec![] };
    rig.database.store_receipts(&stored).await.unwrap();
    let young = Collected { source: source(2, 0), pieces: vec![piece(900)], boots: vec![] };
    rig.database.store_receipts(&young).await.unwrap();
    let before = NOW + 451;
    assert_eq!(rig.database.retainable_receipts(before).await.unwrap(), 450);
    if kind != Kind::Sqlite {
        let refused = rig.database.retain_receipts(before).await.unwrap_err();
        assert!(format!("{refused:?}").contains("append-only"), "{refused:?}");
    }
    let database = as_retention(&rig, kind).await;
    assert_eq!(database.retain_receipts(before).await.unwrap(), 450);
    assert_eq!((database.retain_receipts(before).await.unwrap(), rig.count("receipt_piece").await), (0, 51));
    // As a collector does that read the source before.
    let again = Collected { pieces: vec![], ..stored };
    rig.database.store_receipts(&again).await.unwrap();
    let gaps: Vec<u64> =
        rig.database.receipt_sources().await.unwrap().iter().map(|source| source.gap_ms).collect();
    assert_eq!(gaps, [before, 0]);
    let error = rig.run("DELETE FROM receipt_piece").await.unwrap_err().to_string();
    assert!(error.contains("append-only"), "{error}");
}
