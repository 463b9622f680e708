//! `audit verify` on real databases, statements files and exports, untouched and tampered with.

use crate::shell::Shell;
use doorman_core::export;
use doorman_core::id::{AuditId, IdSequence};
use doorman_core::keys::{KeyUse, PublicKeys, SigningKey};
use doorman_core::merkle::Tree;
use doorman_core::record::{Kind, Record};
use doorman_core::statement::{self, Statement, StatementLine, WriterId, peers_digest};
use doorman_core::verify::StoredEntry;
use doorman_core::{merkle, sha256};
use doorman_store::{Batch, Database, DatabaseConfig, Entry};
use std::path::Path;

/// When the first writer starts: years ago.
const NOW: u64 = 1_600_000_000_000;

struct Sealed {
    line: StatementLine,
    first_index: u64,
    entries: Vec<(AuditId, Vec<u8>)>,
}

/// Two writers, the second started when the first had ended, each with batches of these sizes.
const SIZES: [usize; 4] = [3, 1, 5, 2];

fn seal(key: &SigningKey, tag: u8, peers: &[(WriterId, u64, [u8; 32])]) -> Vec<Sealed> {
    let writer = WriterId([tag; 16]);
    let (mut ids, mut previous, mut first_index) = (IdSequence::new(tag.into()), [0; 32], 0);
    let batch = |(number, size): (u64, usize)| {
        let entries: Vec<_> = (0..size)
            .map(|n| {
                let id = ids.next_id(NOW + u64::from(tag) * 1_000 + number);
                let mut record = Record::new(Kind::Login, id, NOW);
                record.reason = Some(format!("because {tag} {number} {n}").into());
                (id, record.to_bytes())
            })
            .collect();
        let leaves: Vec<_> =
            entries.iter().map(|(_, record)| merkle::leaf_hash(&sha256(b""), &sha256(record))).collect();
        let statement = Statement {
            writer,
            kid: key.id(),
            number,
            previous,
            root: Tree::new(leaves.clone()).root(),
            first_index,
            count: size as u32,
            time_ms: NOW,
            peers: (number == 0).then(|| peers_digest(peers)),
        };
        let body = statement.to_bytes();
        let signature = Some(statement::sign(key, &body));
        previous = sha256(&body);
        first_index += size as u64;
        let line = StatementLine { writer, number, body, signature, leaves };
        Sealed { line, first_index: statement.first_index, entries }
    };
    (0u64..).zip(SIZES).map(batch).collect()
}

/// A data directory with a log of two writers; the last `cut` batches are in the statements files only.
pub struct Log {
    pub shell: Shell,
    batches: Vec<Sealed>,
    peers: Vec<(WriterId, Vec<u8>)>,
}

impl Log {
    pub fn new(cut: usize) -> Self {
        let shell = Shell::new();
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        let mut keys = PublicKeys::default();
        keys.push(KeyUse::Statement, key.public());
        shell.write("d/keys/history.json", &keys.to_jwks());
        let first = seal(&key, 1, &[]);
        let last = &first[SIZES.len() - 1].line;
        let second = seal(&key, 2, &[(last.writer, last.number, sha256(&last.body))]);
        let batches: Vec<Sealed> = first.into_iter().chain(second).collect();
        for batch in &batches {
            let path = shell.path().join("d/statements").join(format!("{}.jsonl", batch.line.writer));
            let lines = std::fs::read_to_string(&path).unwrap_or_default();
            shell.write(path.to_str().unwrap(), &format!("{lines}{}\n", batch.line.to_json()));
        }
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let stored = &batches[..batches.len() - cut];
        let peers = runtime.block_on(store(&shell.path().join("d/doorman.db"), stored));
        Self { shell, batches, peers }
    }

    fn verify(&self) -> (i32, serde_json::Value) {
        let ended = self.shell.run(&["audit", "verify", "--data", "d", "--json"]);
        (ended.code, serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}")))
    }

    /// The newest entry in the database.
    pub fn last_entry(&self) -> serde_json::Value {
        let url = format!("sqlite:{}", self.shell.path().join("d/doorman.db").display());
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let newest = runtime.block_on(async {
            let database = Database::connect(&DatabaseConfig::existing(&url)).await.unwrap();
            let mut all = Vec::new();
            for writer in database.writers().await.unwrap() {
                let mut batches = database.read_batches(writer.id, 0).await.unwrap();
                while let Some(batch) = batches.next().await.unwrap() {
                    all.extend(batch.entries);
                }
            }
            database.close().await;
            all.into_iter().max_by_key(|entry| entry.id).unwrap()
        });
        serde_json::from_slice(&newest.record).unwrap()
    }

    /// Changes bytes of a file, as somebody can who has it: no trigger fires.
    fn change(&self, path: &str, from: &str, to: &str) {
        let path = self.shell.path().join(path);
        let mut bytes = std::fs::read(&path).unwrap();
        assert_eq!(from.len(), to.len());
        let mut hits = 0;
        for at in 0..bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                hits += 1;
            }
        }
        assert_eq!(hits, 1, "{from}");
        std::fs::write(path, bytes).unwrap();
    }

    fn export(&self) -> String {
        let mut text = export::begin(NOW);
        for (writer, list) in &self.peers {
            text.push_str(&export::writer(*writer, list));
        }
        let stored = |(id, record)| StoredEntry { id, claims: b"", record };
        for Sealed { line, first_index, entries } in &self.batches {
            let entries = entries.iter().map(|(id, record)| stored((*id, record.as_slice())));
            text.push_str(&export::batch(line, *first_index, entries));
        }
        text + &export::end(2 * SIZES.iter().sum::<usize>() as u64)
    }

    fn verify_export(&self, text: &str) -> crate::shell::Ended {
        self.shell.write("log.jsonl", text);
        self.shell.run(&["audit", "verify", "--export", "log.jsonl", "--keys", "d/keys/history.json"])
    }
}

async fn store(path: &Path, batches: &[Sealed]) -> Vec<(WriterId, Vec<u8>)> {
    let url = format!("sqlite:{}", path.display());
    let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
    database.migrate().await.unwrap();
    let mut journal = database.open_journal().await.unwrap();
    let mut unsaved: Vec<(u64, [u8; 64])> = Vec::new();
    for Sealed { line, first_index, entries } in batches {
        if line.number == 0 {
            unsaved.clear();
            let at = NOW + u64::from(line.writer.0[0]);
            journal.register_writer(line.writer, at, 1_000).await.unwrap();
        }
        let entries: Vec<_> =
            entries.iter().map(|(id, record)| Entry { id: *id, claims: b"", record }).collect();
        let batch = Batch {
            writer: line.writer,
            epoch: 0,
            number: line.number,
            statement: &line.body,
            first_index: *first_index,
            entries: &entries,
            signatures: &unsaved,
            sending: &[],
            ended: &[],
        };
        journal.commit(&batch).await.unwrap();
        unsaved = vec![(line.number, line.signature.unwrap())];
    }
    while database.index_step(1_000).await.unwrap() > 0 {}
    let peers = database.writers().await.unwrap().into_iter().map(|row| (row.id, row.peers)).collect();
    drop(journal);
    database.close().await;
    peers
}

#[test]
fn an_untouched_log_is_whole_with_and_without_its_files() {
    let log = Log::new(0);
    let (code, found) = log.verify();
    assert_eq!(
        (code, found["whole"].as_bool(), found["entries"].as_u64()),
        (0, Some(true), Some(22)),
        "{found}"
    );
    assert_eq!((found["writers"].as_u64(), found["unsigned"].as_array().unwrap().len()), (Some(2), 0));
    let url = format!("sqlite:{}", log.shell.path().join("d/doorman.db").display());
    let told = log.shell.run(&["audit", "verify", "--database", &url, "--keys", "d/keys/history.json"]).ok();
    assert!(told.starts_with("The log is whole: 22 entries in 8 statements of 2 writers"), "{told}");
    // Without files nobody has the signatures of the last statements; the second writer vouched for the first's.
    assert!(told.contains("Not signed yet: the last 2 entries of writer 02020202-"), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");
}

#[test]
fn an_edited_entry_is_named() {
    let log = Log::new(0);
    log.change("d/doorman.db", "because 1 2 3", "because 1 2 4");
    let (code, found) = log.verify();
    let fault = &found["faults"][0];
    let id = log.batches[2].entries[3].0;
    assert_eq!((code, fault["kind"].as_str()), (1, Some("edited")), "{found}");
    assert_eq!((fault["index"].as_u64(), fault["entry"].as_str()), (Some(7), Some(id.to_string().as_str())));
    let told = log.shell.run(&["audit", "verify", "--data", "d"]);
    assert_eq!(told.code, 1);
    assert!(told.stdout.starts_with(&format!("entry {id} (number 7 of writer 01010101-")), "{}", told.stdout);
}

#[test]
fn a_log_behind_its_files_is_truncated_and_one_ahead_is_whole() {
    let log = Log::new(2);
    let (code, found) = log.verify();
    let fault = &found["faults"][0];
    assert_eq!(
        (code, fault["kind"].as_str(), fault["statement"].as_u64()),
        (1, Some("truncated"), Some(2)),
        "{found}"
    );
    assert_eq!(Log::new(4).verify().1["faults"][0]["kind"], "writer_missing");

    let log = Log::new(0);
    let file = format!("d/statements/{}.jsonl", WriterId([2; 16]));
    let text = std::fs::read_to_string(log.shell.path().join(&file)).unwrap();
    // Two lines and a torn one.
    let kept = text.match_indices('\n').nth(1).unwrap().0 + 100;
    log.shell.write(&file, &text[..kept]);
    assert_eq!(log.verify().0, 0);
}

#[test]
fn a_changed_statements_file_is_named() {
    let log = Log::new(0);
    let file = format!("d/statements/{}.jsonl", WriterId([1; 16]));
    let text = std::fs::read_to_string(log.shell.path().join(&file)).unwrap();
    log.shell.write(&file, &text.replacen("\"number\":1", "\"number\":7", 1));
    let (code, found) = log.verify();
    assert_eq!(
        (code, &found["faults"][0]["kind"], &found["faults"][0]["statement"]),
        (1, &"file_changed".into(), &1.into()),
        "{found}"
    );
}

#[test]
fn an_index_that_shows_something_else_is_named() {
    let log = Log::new(0);
    log.change("d/doorman.db.index", "because 2 0 1", "because 2 0 2");
    let (code, found) = log.verify();
    assert_eq!(
        (code, found["whole"].as_bool(), found["faults"].as_array().unwrap().len()),
        (1, Some(false), 0),
        "{found}"
    );
    assert_eq!(found["index_differs"], log.batches[4].entries[1].0.to_string());
}

#[test]
fn an_export_is_verified_and_a_changed_one_is_not() {
    let log = Log::new(0);
    let text = log.export();
    assert!(log.verify_export(&text).ok().starts_with("The log is whole: 22 entries"));
    let id = log.batches[2].entries[3].0;
    let told = log.verify_export(&text.replace("because 1 2 3", "because not"));
    assert!(told.code == 1 && told.stdout.starts_with(&format!("entry {id} ")), "{told:?}");
    let cut: Vec<&str> = text.lines().take(9).collect();
    let told = log.verify_export(&cut.join("\n"));
    assert!(told.code == 1 && told.stdout.contains("cut off"), "{told:?}");
    let told = log.verify_export(&text.replace("\"statement\"", "\"sentence\""));
    assert!(told.code == 1 && told.stdout.contains("line 4 is not a line of an export"), "{told:?}");
}

#[test]
fn what_retention_deleted_is_excused_by_its_tombstone_and_nothing_else_is() {
    let log = Log::new(0);
    let retain = ["audit", "retain", "--data", "d", "--older-than", "400d"];
    let told = log.shell.run(&[retain.as_slice(), &["--dry-run"]].concat()).ok();
    assert!(told.contains("22 entries from before") && told.contains("would be deleted"), "{told}");
    assert_eq!(log.verify().1["entries"], 22);
    log.shell.run(&["audit", "retain", "--data", "d", "--older-than", "1h"]).failed(1);
    let told = log.shell.run(&[retain.as_slice(), &["--json"]].concat()).ok();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["entries"], told["writers"].as_array().unwrap().len()), (&22.into(), 2), "{told}");
    let (code, found) = log.verify();
    assert_eq!((code, &found["entries"], &found["retained"]), (0, &1.into(), &22.into()), "{found}");
    let told = log.last_entry();
    assert_eq!((&told["kind"], &told["detail"]["action"]), (&"system".into(), &"retain".into()), "{told}");
    assert_eq!((&told["detail"]["entries"], &told["channel"]), (&"22".into(), &"cli".into()), "{told}");
    assert!(told["detail"]["by"].as_str().unwrap().contains('@'), "{told}");
    // The tombstone is what excuses it: with another signature everything is missing.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = format!("sqlite:{}", log.shell.path().join("d/doorman.db").display());
    let (body, signature) = runtime.block_on(async {
        let database = Database::connect(&DatabaseConfig::existing(&url)).await.unwrap();
        let found = database.tombstones().await.unwrap().swap_remove(0);
        database.close().await;
        found
    });
    assert!(!body.is_empty());
    let mut bytes = std::fs::read(log.shell.path().join("d/doorman.db")).unwrap();
    let at = bytes.windows(64).position(|window| window == signature).unwrap();
    bytes[at] ^= 1;
    std::fs::write(log.shell.path().join("d/doorman.db"), bytes).unwrap();
    let (code, found) = log.verify();
    assert_eq!((code, &found["faults"][0]["kind"]), (1, &"dropped".into()), "{found}");
}

#[test]
fn what_cannot_be_looked_at_is_told_from_what_is_not_whole() {
    let log = Log::new(0);
    assert!(log.shell.run(&["audit", "verify", "--data", "nowhere"]).failed(2).contains("history.json"));
    let keys = ["--keys", "d/keys/history.json"];
    let at = |more: &[&str]| log.shell.run(&[["audit", "verify"].as_slice(), &keys, more].concat());
    assert!(at(&["--database", "sqlite:nothing.db"]).failed(2).contains("cannot be opened"));
    assert!(!log.shell.path().join("nothing.db").exists());
    assert!(at(&[]).failed(2).contains("--export"));
    log.shell.write("text", "hello\n");
    assert!(at(&["--export", "text"]).failed(2).contains("not an export"));
    log.shell.write("empty.json", "{\"keys\":[]}");
    let told = log.shell.run(&["audit", "verify", "--data", "d", "--keys", "empty.json"]).failed(2);
    assert!(told.contains("no key for statements"), "{told}");
}
