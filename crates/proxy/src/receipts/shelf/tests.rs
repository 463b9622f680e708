use super::*;
use doorman_core::id::AuditId;
use doorman_core::receipt::{End, Ended, Frames};
use proptest::prelude::*;
use std::time::Duration;

fn shelf(dir: &Path, keep: Duration, max_bytes: u64) -> Shelf {
    Shelf::open(ReceiptSettings { dir: dir.to_owned(), keep, max_bytes }, BootId([1; 16]), "eu").unwrap()
}

const AGES: Duration = Duration::from_secs(1_000_000);

/// A frame that tells which it is.
fn frame(number: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ended = Ended { audit_id: AuditId([0; 16]), at_ms: 1, end: End::Answered(number), what: "" };
    Frame::Ended(ended).put(&mut bytes);
    bytes
}

fn statuses(reading: &Reading) -> Vec<u16> {
    let frames = reading.pieces.iter().flat_map(|piece| Frames::new(&piece.bytes));
    frames
        .filter_map(|frame| match frame {
            Frame::Ended(Ended { end: End::Answered(status), .. }) => Some(status),
            _ => None,
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However threads write and files follow each other, and wherever reading stops: each frame comes exactly once.
    #[test]
    fn a_collector_gets_every_frame_once(steps in proptest::collection::vec((0usize..3, 0u8..4), 1..80), max in 40usize..200) {
        let dir = tempfile::tempdir().unwrap();
        let shelf = shelf(dir.path(), AGES, u64::MAX);
        let mut threads: [Option<(u64, File)>; 3] = [None, None, None];
        let (mut written, mut got) = (0u16, Vec::new());
        let mut cursor = Cursor::default();
        for (thread, what) in steps {
            match what {
                0 => {
                    if let Some((number, _)) = threads[thread].take() {
                        shelf.end(number);
                    }
                }
                3 => {
                    let reading = shelf.read(cursor.to_string().parse().unwrap(), max).unwrap();
                    got.extend(statuses(&reading));
                    cursor = reading.cursor;
                }
                _ => {
                    let (_, file) = threads[thread].get_or_insert_with(|| shelf.begin().unwrap());
                    file.write_all(&frame(written)).unwrap();
                    written += 1;
                }
            }
        }
        loop {
            let reading = shelf.read(cursor, max).unwrap();
            got.extend(statuses(&reading));
            cursor = reading.cursor;
            if reading.complete {
                break;
            }
        }
        got.sort_unstable();
        prop_assert_eq!(got, (0..written).collect::<Vec<_>>());
    }

    #[test]
    fn a_cursor_reads_as_it_was_written_and_nothing_else_panics(low in 0u64..99, offsets in proptest::collection::btree_map(0u64..99, 0u64..1_000, 0..5), text in ".{0,20}") {
        let cursor = Cursor { low, offsets };
        prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        let _ = text.parse::<Cursor>();
    }
}

#[test]
fn one_directory_is_one_proxys_and_it_keeps_its_id() {
    let dir = tempfile::tempdir().unwrap();
    let first = shelf(dir.path(), AGES, u64::MAX);
    let settings = ReceiptSettings { dir: dir.path().to_owned(), keep: AGES, max_bytes: u64::MAX };
    let second = Shelf::open(settings, BootId([2; 16]), "eu");
    assert!(matches!(second, Err(ReceiptError::Locked(_))));
    let id = first.proxy();
    drop(first);
    assert_eq!(shelf(dir.path(), AGES, u64::MAX).proxy(), id);
}

fn is_gap_in(shelf: &Shelf) -> bool {
    let reading = shelf.read(Cursor::default(), 1 << 20).unwrap();
    reading
        .pieces
        .iter()
        .flat_map(|piece| Frames::new(&piece.bytes))
        .any(|frame| matches!(frame, Frame::Gap { .. }))
}

#[test]
fn a_machine_that_started_anew_may_have_lost_receipts_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let first = shelf(dir.path(), AGES, u64::MAX);
    let (number, mut file) = first.begin().unwrap();
    file.write_all(&frame(1)).unwrap();
    first.end(number);
    drop(first);
    let second = shelf(dir.path(), AGES, u64::MAX);
    assert!(!is_gap_in(&second), "a process that was killed loses nothing");
    drop(second);
    fs::write(dir.path().join("receipts").join(MACHINE_FILE), "another start").unwrap();
    assert!(is_gap_in(&shelf(dir.path(), AGES, u64::MAX)));
}

#[test]
fn what_was_collected_goes_in_time_and_what_was_not_only_for_want_of_room() {
    let dir = tempfile::tempdir().unwrap();
    let write = |shelf: &Shelf, status| {
        let (number, mut file) = shelf.begin().unwrap();
        file.write_all(&frame(status)).unwrap();
        shelf.end(number);
    };
    let everything = |shelf: &Shelf| statuses(&shelf.read(Cursor::default(), 1 << 20).unwrap());
    let room = shelf(dir.path(), Duration::ZERO, u64::MAX);
    write(&room, 1);
    room.tidy().unwrap();
    assert_eq!(everything(&room), [1], "not collected yet");
    let cursor = room.read(Cursor::default(), 1 << 20).unwrap().cursor;
    write(&room, 2);
    // Coming back with the cursor is what says that it was stored.
    room.read(cursor, 1 << 20).unwrap();
    room.tidy().unwrap();
    assert_eq!(everything(&room), [2]);
    drop(room);
    let tight = shelf(dir.path(), AGES, frame(0).len() as u64);
    write(&tight, 3);
    tight.tidy().unwrap();
    assert_eq!(everything(&tight), [3]);
    assert!(is_gap_in(&tight));
}
