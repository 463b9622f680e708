use super::*;
use crate::keys::{KeyUse, PublicKeys, SigningKey};
use crate::merkle::Tree;
use crate::{sha256, statement};
use proptest::prelude::*;

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
}

/// A signed batch of `count` entries, and the path of each.
fn batch(key: &SigningKey, count: usize) -> (Statement, [u8; 64], Vec<Vec<u8>>) {
    let leaves =
        (0..count).map(|i| merkle::leaf_hash(&sha256(&i.to_be_bytes()), &sha256(b"record"))).collect();
    let tree = Tree::new(leaves);
    let statement = Statement {
        writer: WriterId([9; 16]),
        kid: key.id(),
        number: 4,
        previous: [1; 32],
        root: tree.root(),
        first_index: 70,
        count: count as u32,
        time_ms: 5,
        peers: None,
    };
    let signature = statement::sign(key, &statement.to_bytes());
    let paths =
        (0..count).map(|i| tree.inclusion_path(i).copied().collect::<Vec<_>>().as_flattened().to_vec());
    (statement, signature, paths.collect())
}

fn receipt(index: usize, path: &[u8]) -> Receipt<'_> {
    Receipt {
        audit_id: AuditId([index as u8; 16]),
        at_ms: 10,
        expires_ms: 20,
        writer: WriterId([9; 16]),
        number: 4,
        index: index as u32,
        claims: sha256(&index.to_be_bytes()),
        record: sha256(b"record"),
        path,
        method: "POST",
        service: "companies",
        subject: "user:alice",
    }
}

proptest! {
    #[test]
    fn a_receipt_proves_its_own_entry_once_and_nothing_else(count in 1usize..40, pick in 0usize..40, bit in 0usize..256) {
        let key = key();
        let pick = pick % count;
        let (statement, signature, paths) = batch(&key, count);
        let mut keys = PublicKeys::default();
        let mut strangers = StatementBook::new(keys.clone());
        prop_assert_eq!(strangers.take(&statement.to_bytes(), &signature), None);
        prop_assert_eq!(strangers.judge(&receipt(pick, &paths[pick])), Judged::Unproven);
        keys.push(KeyUse::Statement, key.public());
        let mut book = StatementBook::new(keys);
        prop_assert!(book.take(&statement.to_bytes(), &signature).is_some());
        let mut changed = receipt(pick, &paths[pick]);
        changed.record[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(book.judge(&changed), Judged::Unproven);
        prop_assert_eq!(book.judge(&receipt(pick, &paths[pick])), Judged::Proven);
        prop_assert_eq!(book.judge(&receipt(pick, &paths[pick])), Judged::Repeated);
    }

    #[test]
    fn what_is_no_log_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut frames = Frames::new(&bytes);
        while frames.next().is_some() {}
        prop_assert!(frames.read_bytes() <= bytes.len());
    }

    #[test]
    fn a_log_cut_anywhere_gives_its_whole_frames(cut in 0usize..1_000) {
        let (_, _, paths) = batch(&key(), 5);
        let what = "x".repeat(20);
        let all = [
            Frame::Started(LogStart { proxy: ProxyId([1; 16]), boot: BootId([2; 16]), region: "eu", at_ms: 9 }),
            Frame::Gap { at_ms: 10 },
            Frame::Statement { body: b"body", signature: [3; 64] },
            Frame::Honoured(receipt(1, &paths[1])),
            Frame::Ended(Ended { audit_id: AuditId([1; 16]), at_ms: 11, end: End::Answered(204), what: &what }),
            Frame::Ended(Ended { audit_id: AuditId([2; 16]), at_ms: 12, end: End::Unsent, what: "timeout" }),
            Frame::Ended(Ended { audit_id: AuditId([3; 16]), at_ms: 13, end: End::Unknown, what: "" }),
        ];
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        for frame in &all {
            frame.put(&mut bytes);
            ends.push(bytes.len());
        }
        let cut = cut % (bytes.len() + 1);
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let mut frames = Frames::new(&bytes[..cut]);
        let read: Vec<_> = frames.by_ref().collect();
        prop_assert_eq!(&read[..], &all[..whole]);
        prop_assert_eq!(frames.read_bytes(), ends[..whole].last().copied().unwrap_or(0));
    }
}
