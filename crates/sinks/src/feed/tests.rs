use super::*;
use async_trait::async_trait;
use doorman_core::id::IdSequence;
use doorman_core::merkle::{Tree, leaf_hash};
use doorman_core::record::{Kind, Record};
use doorman_core::{keys::KeyId, sha256};
use doorman_store::{Batch, DatabaseConfig, Entry, Journal};
use parking_lot::Mutex;

/// Takes lines, and fails when told to, after having taken them: what was not acknowledged comes again.
#[derive(Clone, Default)]
struct Taking(Arc<Mutex<(Vec<Line>, usize)>>);

#[async_trait]
impl Sink for Taking {
    async fn send(&mut self, lines: &[Line]) -> Result<(), SinkError> {
        let mut taken = self.0.lock();
        taken.0.extend_from_slice(lines);
        if taken.1 > 0 {
            taken.1 -= 1;
            return Err(SinkError::Refused("full".into()));
        }
        Ok(())
    }
}

struct Log {
    database: Database,
    journal: Journal,
    ids: IdSequence,
    next: u64,
    first_index: u64,
    _dir: tempfile::TempDir,
}

const WRITER: WriterId = WriterId([1; 16]);
const NOW: u64 = 1_000_000;

impl Log {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("d.db").display());
        let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
        database.migrate().await.unwrap();
        let mut journal = database.open_journal().await.unwrap();
        journal.register_writer(WRITER, NOW, 60_000).await.unwrap();
        Self { database, journal, ids: IdSequence::new(1), next: 0, first_index: 0, _dir: dir }
    }

    /// One batch, with the signature of the one before.
    async fn write(&mut self, count: usize) {
        let records: Vec<_> = (0..count)
            .map(|_| {
                let id = self.ids.next_id(NOW);
                (id, Record::new(Kind::Login, id, NOW).to_bytes())
            })
            .collect();
        let leaves = records.iter().map(|(_, record)| leaf_hash(&sha256(b""), &sha256(record))).collect();
        let statement = Statement {
            writer: WRITER,
            kid: KeyId([0; 8]),
            number: self.next,
            previous: [0; 32],
            root: Tree::new(leaves).root(),
            first_index: self.first_index,
            count: count as u32,
            time_ms: NOW,
            peers: None,
        };
        let entries: Vec<_> =
            records.iter().map(|(id, record)| Entry { id: *id, claims: b"", record }).collect();
        let signatures: Vec<_> =
            self.next.checked_sub(1).map(|before| (before, [7; 64])).into_iter().collect();
        let batch = Batch {
            writer: WRITER,
            epoch: 0,
            number: self.next,
            statement: &statement.to_bytes(),
            first_index: self.first_index,
            entries: &entries,
            signatures: &signatures,
            sending: &[],
            ended: &[],
        };
        self.journal.commit(&batch).await.unwrap();
        self.next += 1;
        self.first_index += count as u64;
    }

    fn feeder(&self, holder: &str, sink: &Taking) -> Feeder {
        let feed = Feed {
            database: self.database.clone(),
            now_ms: Arc::new(|| NOW),
            holder: holder.into(),
            states: SinkStates::default(),
        };
        Feeder { feed, lease: "sink:s".into(), name: "s".into(), sink: Box::new(sink.clone()) }
    }
}

fn shape(sink: &Taking) -> String {
    std::mem::take(&mut sink.0.lock().0)
        .iter()
        .map(|line| {
            assert!(line.json.starts_with(&format!("{{\"{}\":", line.what)), "{line:?}");
            line.what.chars().next().unwrap()
        })
        .collect()
}

#[tokio::test]
async fn a_sink_gets_signed_batches_in_order_and_what_it_did_not_take_again() {
    let mut log = Log::new().await;
    let sink = Taking::default();
    let mut feeder = log.feeder("one", &sink);
    for count in [2, 1, 3] {
        log.write(count).await;
    }
    sink.0.lock().1 = 1;
    assert!(feeder.feed().await.is_err());
    assert_eq!(shape(&sink), "wseese", "the last batch has no signature yet");
    feeder.feed().await.unwrap();
    assert_eq!(shape(&sink), "wseese", "all of it again");
    feeder.feed().await.unwrap();
    assert_eq!(shape(&sink), "");
    log.write(1).await;
    // A process that starts anew goes on where the position is.
    log.feeder("one", &sink).feed().await.unwrap();
    assert_eq!(shape(&sink), "seee");
    log.feeder("another replica", &sink).feed().await.unwrap();
    log.journal.close_writer(WRITER, NOW).await.unwrap();
    log.feeder("another replica", &sink).feed().await.unwrap();
    assert_eq!(shape(&sink), "", "one replica feeds");
    feeder.feed().await.unwrap();
    assert_eq!(shape(&sink), "se", "a writer that is gone signs no more");
}
