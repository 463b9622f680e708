//! Retention: whole batches go, under a tombstone, and only for the account that may.

use crate::rig::{Kind, NOW, Rig, Writer, contract};
use doorman_core::keys::SigningKey;
use doorman_core::retention::Tombstone;
use doorman_store::{Database, DatabaseConfig, Retainable};

contract! {
    only_retention_deletes_entries_and_only_whole_batches
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
            "GRANT DELETE ON journal, audit_index, audit_link, audit_orphan TO doorman_retention",
            "GRANT INSERT ON retention TO doorman_retention",
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
