use super::*;
use doorman_core::id::AuditId;

fn batches() -> Vec<ArchivedBatch> {
    let entry = |n: u8, record: &str| ArchivedEntry {
        id: AuditId([n; 16]),
        claims: vec![n; 3],
        record: record.as_bytes().to_vec(),
    };
    let batch = |number, entries: Vec<ArchivedEntry>| ArchivedBatch {
        number,
        statement: vec![number as u8],
        signature: (number != 2).then(|| vec![9; 64]),
        span: (AuditId([1; 16]), AuditId([2; 16])),
        entries,
    };
    vec![
        batch(0, vec![]),
        batch(1, vec![entry(1, r#"{"actor":"user:a","kind":"request","path":"/ü"}"#), entry(2, "{}")]),
        batch(2, vec![entry(3, r#"{"kind":"outcome","status":200}"#)]),
    ]
}

#[tokio::test]
async fn what_was_archived_is_read_back_to_the_byte_and_a_changed_column_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let archive = Archive::open(dir.path().to_str().unwrap(), true, []).unwrap();
    assert_eq!(archive.manifest().await.unwrap(), None);
    let part = archive.put_part("w", &batches()).await.unwrap();
    assert_eq!((part.rows, archive.part(&part).await.unwrap()), (3, batches()));
    let mut row = part::entries_file("w", &batches()).unwrap();
    // As somebody would who wants a query to show another actor than the record names.
    let hit = row.windows(6).position(|window| window == b"user:a").unwrap();
    row[hit + 5] = b'b';
    let path = dir.path().join(&part.entries);
    std::fs::write(&path, row).unwrap();
    assert!(matches!(archive.part(&part).await, Err(ArchiveError::Changed(_) | ArchiveError::Parquet(_))));
    std::fs::remove_file(path).unwrap();
    assert!(matches!(archive.part(&part).await, Err(ArchiveError::Store(_))));
    assert!(matches!(Archive::open("ftp://x/y", true, []), Err(ArchiveError::Place(_))));
}
