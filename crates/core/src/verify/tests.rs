use super::*;
use crate::export::{self, ExportReader};
use crate::id::{AuditId, IdSequence};
use crate::keys::{KeyUse, SigningKey};
use crate::merkle::{self, Tree};
use crate::pass::{BodyClaim, BootId, Claims};
use crate::record::{Kind, Record};
use crate::statement::{self, peers_digest};
use crate::{Digest, sha256};
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Clone)]
struct Entry {
    id: AuditId,
    claims: Vec<u8>,
    record: Vec<u8>,
}

impl Entry {
    fn stored(&self) -> StoredEntry<'_> {
        StoredEntry { id: self.id, claims: &self.claims, record: &self.record }
    }
}

#[derive(Clone)]
struct Batch {
    stored: StoredStatement,
    entries: Vec<Entry>,
}

#[derive(Clone, Default)]
struct Writer {
    batches: Vec<Batch>,
}

/// A database and, beside it, the statements files.
#[derive(Clone)]
struct Log {
    keys: PublicKeys,
    book: PeerBook,
    writers: BTreeMap<WriterId, Writer>,
    files: BTreeMap<WriterId, Vec<StatementLine>>,
}

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap()
}

fn ring(key: &SigningKey) -> PublicKeys {
    let mut keys = PublicKeys::default();
    keys.push(KeyUse::Statement, key.public());
    keys
}

fn attempt(id: AuditId, text: &str) -> Entry {
    let path = format!("/{text}");
    let claims = Claims {
        audit_id: id,
        expires_ms: 1,
        audience: BootId([1; 16]),
        fence: 0,
        method: "GET",
        region: "eu",
        service: "echo",
        selector: "any",
        path: &path,
        query: None,
        headers: [0; 32],
        body: BodyClaim::empty(),
        actor: "user:a",
        subject: "user:a",
    };
    let mut record = Record::new(Kind::Request, id, id.unix_ms());
    record.path = Some(path.as_str().into());
    record.actor = Some("user:a".into());
    record.reason = Some("because".into());
    Entry { id, claims: claims.to_bytes(), record: record.to_bytes() }
}

fn plain(id: AuditId, text: &str) -> Entry {
    let mut record = Record::new(Kind::Login, id, id.unix_ms());
    record.reason = Some(text.to_owned().into());
    Entry { id, claims: Vec::new(), record: record.to_bytes() }
}

fn seal(key: &SigningKey, statement: &mut Statement, entries: &[Entry]) -> StoredStatement {
    let leaves: Vec<Digest> = entries.iter().map(|entry| entry.stored().leaf()).collect();
    statement.root = Tree::new(leaves.clone()).root();
    statement.count = entries.len() as u32;
    let body = statement.to_bytes();
    let signature = Some(statement::sign(key, &body));
    let line = StatementLine { writer: statement.writer, number: statement.number, body, signature, leaves };
    StoredStatement { line, span: Some((entries[0].id, entries[entries.len() - 1].id)) }
}

impl Log {
    /// Each plan is a writer with the sizes of its batches. A writer starts when the one before is through half of its.
    fn build(key: &SigningKey, plans: &[Vec<usize>]) -> Self {
        let mut log = Self {
            keys: ring(key),
            book: PeerBook::default(),
            writers: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        let mut base = None;
        for (turn, sizes) in plans.iter().enumerate() {
            let writer = WriterId([turn as u8 + 1; 16]);
            let mut ids = IdSequence::new(turn as u64);
            // The newest writer goes on after the next has started.
            let known = |(other, log): (&WriterId, &Writer)| {
                let last =
                    if Some(*other) == base { (log.batches.len() - 1) / 2 } else { log.batches.len() - 1 };
                (*other, last as u64)
            };
            let now: Snapshot = log.writers.iter().map(known).collect();
            let hashed: Vec<_> = now
                .iter()
                .map(|(w, n)| (*w, *n, sha256(&log.writers[w].batches[*n as usize].stored.line.body)))
                .collect();
            let list = log.book.describe(base, &now);
            log.book.insert(writer, list);
            let mut chain = Statement {
                writer,
                kid: key.id(),
                number: 0,
                previous: [0; 32],
                root: [0; 32],
                first_index: 0,
                count: 0,
                time_ms: 0,
                peers: Some(peers_digest(&hashed)),
            };
            let mut own = Writer::default();
            for (step, size) in sizes.iter().enumerate() {
                let entries: Vec<Entry> = (0..*size)
                    .map(|n| {
                        let id = ids.next_id(1_000 + turn as u64 * 10 + step as u64);
                        if n % 2 == 0 { attempt(id, &format!("{turn}/{step}/{n}")) } else { plain(id, "x") }
                    })
                    .collect();
                let stored = seal(key, &mut chain, &entries);
                chain.previous = sha256(&stored.line.body);
                chain.number += 1;
                chain.first_index += *size as u64;
                chain.peers = None;
                own.batches.push(Batch { stored, entries });
            }
            log.files.insert(writer, own.batches.iter().map(|batch| batch.stored.line.clone()).collect());
            for batch in &mut own.batches {
                batch.stored.line.leaves.clear();
            }
            log.writers.insert(writer, own);
            base = Some(writer);
        }
        log
    }

    /// Reads it as a database is read: with each statement come the entries up to the last that it names.
    fn verify(&self) -> Report {
        let mut verifier = LogVerifier::new(self.keys.clone(), self.book.clone());
        for (writer, log) in &self.writers {
            let mut entries: Vec<_> = log.batches.iter().flat_map(|batch| &batch.entries).collect();
            entries.sort_by_key(|entry| entry.id);
            let mut entries = entries.into_iter().peekable();
            for batch in &log.batches {
                let number = batch.stored.line.number;
                let witness =
                    self.files.get(writer).and_then(|lines| lines.iter().find(|l| l.number == number));
                verifier.statement(*writer, batch.stored.clone(), witness.cloned());
                let (_, last) = batch.stored.span.unwrap();
                while let Some(entry) = entries.next_if(|entry| entry.id <= last) {
                    verifier.entry(*writer, &entry.stored());
                }
            }
            if let Some(stray) = entries.next() {
                verifier.stray(*writer, stray.id);
            }
        }
        for (writer, lines) in &self.files {
            let last =
                self.writers.get(writer).and_then(|log| log.batches.last()).map(|b| b.stored.line.number);
            if let Some(line) = lines.iter().find(|line| last.is_none_or(|last| line.number > last)) {
                verifier.beyond(*writer, line);
            }
        }
        verifier.finish()
    }
}

impl Log {
    fn export(&self) -> Vec<String> {
        let mut text = export::begin(7);
        for writer in self.writers.keys() {
            text.push_str(&export::writer(*writer, &self.book.list(*writer).unwrap().to_bytes()));
        }
        for batch in self.writers.values().flat_map(|log| &log.batches) {
            let first = Statement::from_bytes(&batch.stored.line.body).unwrap().first_index;
            text.push_str(&export::batch(&batch.stored.line, first, batch.entries.iter().map(Entry::stored)));
        }
        text.push_str(&export::end(
            self.writers.values().flat_map(|log| &log.batches).map(|b| b.entries.len() as u64).sum(),
        ));
        text.lines().map(str::to_owned).collect()
    }
}

/// What an attacker does to one place.
#[derive(Clone, Copy, Debug)]
enum Attack {
    EditReason,
    EditClaims,
    EditId,
    DropEntry,
    SwapContents,
    SwapIds,
    InsertEntry,
    DropStatement,
    DropBatch,
    Truncate,
    ReplaceStatement,
    ReplaceSigned,
    FlipSignature,
    DropSignature,
    DropWriter,
    EditFile,
}

const ATTACKS: [Attack; 16] = [
    Attack::EditReason,
    Attack::EditClaims,
    Attack::EditId,
    Attack::DropEntry,
    Attack::SwapContents,
    Attack::SwapIds,
    Attack::InsertEntry,
    Attack::DropStatement,
    Attack::DropBatch,
    Attack::Truncate,
    Attack::ReplaceStatement,
    Attack::ReplaceSigned,
    Attack::FlipSignature,
    Attack::DropSignature,
    Attack::DropWriter,
    Attack::EditFile,
];

/// What the first fault must say: its kinds, statement, and place in the batch.
struct Expected(&'static [FaultKind], u64, u64);

fn tamper(
    key: &SigningKey,
    log: &mut Log,
    attack: Attack,
    writer: WriterId,
    pick: &Index,
) -> Option<Expected> {
    use FaultKind as F;
    let batches = &mut log.writers.get_mut(&writer)?.batches;
    let at = pick.index(batches.len());
    let (number, is_last) = (at as u64, at + 1 == batches.len());
    let batch = &mut batches[at];
    let count = batch.entries.len();
    let n = pick.index(count * 7) % count;
    let entry = &mut batch.entries[n];
    let place = n as u64;
    Some(match attack {
        Attack::EditReason => {
            let text = String::from_utf8(entry.record.clone()).unwrap();
            entry.record = text.replace("\"reason\":\"", "\"reason\":\"not ").into_bytes();
            Expected(&[F::Edited], number, place)
        }
        Attack::EditClaims => {
            match entry.claims.get_mut(40) {
                Some(byte) => *byte ^= 1,
                None => entry.claims.push(1),
            }
            Expected(&[F::Edited], number, place)
        }
        Attack::EditId => {
            entry.id.0[15] ^= 1;
            Expected(&[F::Edited, F::Dropped], number, place)
        }
        Attack::DropEntry => {
            batch.entries.remove(n);
            Expected(&[F::Dropped], number, place)
        }
        Attack::SwapContents | Attack::SwapIds if count > n + 1 => {
            let (one, two) = (batch.entries[n].id, batch.entries[n + 1].id);
            batch.entries.swap(n, n + 1);
            (batch.entries[n].id, batch.entries[n + 1].id) = (one, two);
            Expected(&[F::Reordered], number, place)
        }
        Attack::InsertEntry => {
            let mut id = entry.id;
            id.0[15] += 1;
            let forged = attempt(id, "forged");
            batch.entries.insert(n + 1, forged);
            let is_behind = n + 1 == count;
            let (number, place) = if is_behind { (number + 1, 0) } else { (number, place + 1) };
            Expected(&[F::Inserted], number, place)
        }
        Attack::DropStatement if !is_last || count > 0 => {
            let entries = batches.remove(at).entries;
            match batches.get_mut(at) {
                Some(next) => {
                    next.entries.splice(0..0, entries);
                    Expected(&[F::StatementMissing], number, 0)
                }
                None => {
                    let last = batches.last_mut()?;
                    last.entries.extend(entries);
                    Expected(&[F::Inserted], number, 0)
                }
            }
        }
        Attack::DropBatch if !is_last => {
            batches.remove(at);
            Expected(&[F::StatementMissing], number, 0)
        }
        Attack::Truncate if at > 0 => {
            batches.truncate(at);
            Expected(&[F::Truncated], number, 0)
        }
        Attack::ReplaceStatement | Attack::ReplaceSigned => {
            let mut statement = Statement::from_bytes(&batch.stored.line.body).unwrap();
            let other = self::key();
            let is_insider = matches!(attack, Attack::ReplaceSigned);
            batch.entries[n] = plain(batch.entries[n].id, "forged");
            let signer = if is_insider { key } else { &other };
            statement.kid = signer.id();
            batch.stored = seal(signer, &mut statement, &batch.entries);
            batch.stored.line.leaves.clear();
            Expected(&[F::StatementReplaced], number, 0)
        }
        Attack::FlipSignature => {
            batch.stored.line.signature.as_mut()?[5] ^= 1;
            Expected(&[F::BadSignature], number, 0)
        }
        Attack::DropSignature if !is_last => {
            batch.stored.line.signature = None;
            log.files.remove(&writer);
            Expected(&[F::BadSignature], number, 0)
        }
        Attack::DropWriter => {
            log.writers.remove(&writer);
            Expected(&[F::WriterMissing], 0, 0)
        }
        Attack::EditFile => {
            let line = &mut log.files.get_mut(&writer)?[at];
            line.body[60] ^= 1;
            Expected(&[F::FileChanged], number, 0)
        }
        _ => return None,
    })
}

fn plans() -> impl Strategy<Value = Vec<Vec<usize>>> {
    proptest::collection::vec(proptest::collection::vec(1usize..9, 1..6), 1..5)
}

proptest! {
    #[test]
    fn an_untouched_log_is_whole(plans in plans(), with_files in any::<bool>()) {
        let mut log = Log::build(&key(), &plans);
        if !with_files {
            log.files.clear();
        }
        let report = log.verify();
        prop_assert_eq!(&report.faults, &[]);
        prop_assert_eq!(report.entries, plans.iter().flatten().sum::<usize>() as u64);
        prop_assert_eq!(report.statements, plans.iter().flatten().count() as u64);
        prop_assert_eq!(report.writers, plans.len() as u64);
    }

    #[test]
    fn any_single_change_is_found_and_named(plans in plans(), attack in 0..ATTACKS.len(), writer in any::<Index>(), pick in any::<Index>()) {
        let key = key();
        let mut log = Log::build(&key, &plans);
        let writer = WriterId([writer.index(plans.len()) as u8 + 1; 16]);
        let attack = ATTACKS[attack];
        let before = log.clone();
        if let Some(Expected(kinds, number, place)) = tamper(&key, &mut log, attack, writer, &pick) {
            let report = log.verify();
            let fault = report.faults.iter().find(|fault| fault.writer == writer);
            let fault = fault.unwrap_or_else(|| panic!("{attack:?} of {writer}: {report:?}"));
            prop_assert!(kinds.contains(&fault.kind), "{:?}: {:?}", attack, fault);
            let first = before.writers[&writer].batches.iter().take(number as usize).map(|b| b.entries.len() as u64).sum::<u64>();
            prop_assert_eq!((fault.statement, fault.index, fault.among), (number, first + place, 1), "{:?}: {:?}", attack, fault);
        }
    }

    #[test]
    fn an_export_is_whole_until_any_of_its_lines_changes(plans in plans(), at in any::<Index>(), other in any::<Index>(), what in 0..5) {
        let log = Log::build(&key(), &plans);
        let export = log.export();
        let verify = |lines: &[String]| {
            let mut reader = ExportReader::new(log.keys.clone());
            let broken = lines.iter().find_map(|line| reader.line(line).err());
            let (report, ended) = reader.finish();
            (report, broken.map_or(ended, Err))
        };
        let (report, ended) = verify(&export);
        prop_assert_eq!((&report.faults, ended), (&Vec::new(), Ok(())));
        prop_assert_eq!(report.entries, plans.iter().flatten().sum::<usize>() as u64);

        // Formatting may change.
        let pretty = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap().to_string();
        prop_assert_eq!(verify(&export.iter().map(pretty).collect::<Vec<_>>()), (report, Ok(())));

        let mut changed = export.clone();
        let at = at.index(export.len());
        match what {
            0 => drop(changed.remove(at)),
            1 => changed.truncate(at),
            2 => changed.swap(at, other.index(export.len())),
            3 => changed[at] = export[other.index(export.len())].clone(),
            _ => changed[at] = changed[at].replace("user:a", "user:b"),
        }
        // The first writer knew nobody, so that its empty list says nothing; and the order of lists does not matter.
        let is_harmless = match what {
            0 | 3 => at == 1,
            2 => [at, other.index(export.len())].iter().all(|at| export[*at].starts_with("{\"writer\"")),
            _ => false,
        };
        if changed != export && !is_harmless {
            let (report, ended) = verify(&changed);
            prop_assert!(!report.faults.is_empty() || ended.is_err(), "{} {}", what, at);
        }
    }

    #[test]
    fn without_files_a_change_is_still_found_though_not_always_to_the_entry(plans in plans(), attack in 0..ATTACKS.len(), writer in any::<Index>(), pick in any::<Index>()) {
        let key = key();
        let mut log = Log::build(&key, &plans);
        log.files.clear();
        let writer = WriterId([writer.index(plans.len()) as u8 + 1; 16]);
        let attack = ATTACKS[attack];
        let before = log.clone();
        // A tail, and a last writer, can only be missed by what stands outside of the database.
        let needs_files = matches!(attack, Attack::Truncate | Attack::DropWriter | Attack::EditFile | Attack::ReplaceSigned);
        if !needs_files && let Some(Expected(_, number, place)) = tamper(&key, &mut log, attack, writer, &pick) {
            let report = log.verify();
            let fault = report.faults.iter().find(|fault| fault.writer == writer);
            let fault = fault.unwrap_or_else(|| panic!("{attack:?} of {writer}: {report:?}"));
            let first = before.writers[&writer].batches.iter().take(number as usize).map(|b| b.entries.len() as u64).sum::<u64>();
            let bad = first + place;
            prop_assert_eq!(fault.statement, number);
            prop_assert!((fault.index..fault.index + fault.among).contains(&bad), "{:?}: {:?}", attack, fault);
        }
    }
}

fn two_writers() -> (SigningKey, Log) {
    let key = key();
    let log = Log::build(&key, &[vec![2, 3, 1], vec![4, 2]]);
    (key, log)
}

fn only_fault(report: &Report) -> &Fault {
    assert_eq!(report.faults.len(), 1, "{report:?}");
    &report.faults[0]
}

#[test]
fn a_writer_that_a_later_one_knew_is_missed_without_any_file() {
    let (_, mut log) = two_writers();
    log.files.clear();
    log.writers.remove(&WriterId([1; 16]));
    assert_eq!(only_fault(&log.verify()).kind, FaultKind::WriterMissing);
    // Taking its traces out of the lists does not help.
    log.book = PeerBook::default();
    assert_eq!(only_fault(&log.verify()).kind, FaultKind::PeersChanged);
}

#[test]
fn a_tail_that_a_later_writer_knew_is_missed_without_any_file() {
    let (_, mut log) = two_writers();
    log.files.clear();
    log.writers.get_mut(&WriterId([1; 16])).unwrap().batches.truncate(1);
    let report = log.verify();
    let fault = only_fault(&report);
    assert_eq!((fault.kind, fault.statement, fault.index), (FaultKind::Truncated, 1, 2));
}

#[test]
fn a_log_may_be_ahead_of_its_files() {
    let (_, mut log) = two_writers();
    for lines in log.files.values_mut() {
        lines.truncate(1);
    }
    assert_eq!(log.verify().faults, []);
}

#[test]
fn only_a_writers_last_statement_may_be_unsigned_and_is_then_named() {
    let (_, mut log) = two_writers();
    log.files.clear();
    let unsign = |log: &mut Log, tag: u8, at: usize| {
        log.writers.get_mut(&WriterId([tag; 16])).unwrap().batches[at].stored.line.signature = None;
    };
    unsign(&mut log, 1, 2);
    unsign(&mut log, 2, 1);
    let report = log.verify();
    assert_eq!(report.faults, []);
    let places: Vec<_> =
        report.unsigned.iter().map(|last| (last.statement, last.index, last.entries)).collect();
    assert_eq!(places, [(2, 5, 1), (1, 4, 2)]);
    // The later writer knew of the first's second statement; had that been the last, it would be vouched for.
    log.writers.get_mut(&WriterId([1; 16])).unwrap().batches.truncate(2);
    unsign(&mut log, 1, 1);
    assert_eq!(log.verify().unsigned.len(), 1);
}

#[test]
fn an_entry_that_contradicts_its_own_pass_is_named_even_when_it_is_signed() {
    let key = key();
    let mut log = Log::build(&key, &[vec![3]]);
    let batch = &mut log.writers.get_mut(&WriterId([1; 16])).unwrap().batches[0];
    let id = batch.entries[2].id;
    batch.entries[2] = Entry { claims: attempt(id, "other").claims, ..attempt(id, "this") };
    let mut statement = Statement::from_bytes(&batch.stored.line.body).unwrap();
    batch.stored = seal(&key, &mut statement, &batch.entries);
    log.files.clear();
    let report = log.verify();
    let fault = only_fault(&report);
    assert_eq!((fault.kind, fault.index, fault.entry), (FaultKind::Contradicted, 2, Some(id)));
}

#[test]
fn leaves_that_lie_blame_nobody_falsely() {
    let (_, mut log) = two_writers();
    for line in log.files.values_mut().flatten() {
        line.leaves.reverse();
        line.leaves.push(merkle::leaf_hash(&[0; 32], &[0; 32]));
    }
    assert_eq!(log.verify().faults, []);
    let batch = &mut log.writers.get_mut(&WriterId([1; 16])).unwrap().batches[1];
    batch.entries[1].record.extend_from_slice(b" ");
    let report = log.verify();
    let fault = only_fault(&report);
    assert_eq!((fault.kind, fault.statement, fault.index, fault.among), (FaultKind::Edited, 1, 2, 3));
}
