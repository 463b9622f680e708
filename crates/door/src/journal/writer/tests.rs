//! A COMMIT that reaches the database after the writer gave it up: real servers behind a wire that holds bytes back.

use super::*;
use crate::journal::Draft;
use doorman_core::record::{Kind, Record};
use doorman_core::sha256;
use doorman_core::statement::Statement;
use doorman_store::{DatabaseConfig, StoredBatch};
use doorman_testkit::{mariadb, postgres};
use parking_lot::Mutex;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// Hands bytes on, but those of a connection that is held: they arrive when it is let go, even if nobody waits any more.
struct Wire {
    address: SocketAddr,
    gates: Arc<Mutex<Vec<watch::Sender<bool>>>>,
}

impl Wire {
    async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, gates) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<_>>>::default());
        let opened = gates.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (gate, is_open) = watch::channel(true);
                opened.lock().push(gate);
                let server = TcpStream::connect(&server).await.unwrap();
                let ((client_in, mut client_out), (mut server_in, server_out)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(hand_on(client_in, server_out, is_open));
                tokio::spawn(async move { tokio::io::copy(&mut server_in, &mut client_out).await });
            }
        });
        Self { address, gates }
    }

    fn connections(&self) -> usize {
        self.gates.lock().len()
    }

    fn set(&self, connection: usize, is_open: bool) {
        self.gates.lock()[connection].send_replace(is_open);
    }
}

async fn hand_on(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut is_open: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let _ = is_open.wait_for(|open| *open).await;
        if to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

struct Rig {
    wire: Wire,
    /// Past the wire.
    direct: Database,
    writer: Writer,
    statements: tempfile::TempDir,
}

impl Rig {
    async fn new(url: String) -> Self {
        let direct = Database::connect(&DatabaseConfig::new(&url)).await.unwrap();
        direct.migrate().await.unwrap();
        let mut url = url::Url::parse(&url).unwrap();
        let wire = Wire::to(format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())).await;
        url.set_port(Some(wire.address.port())).unwrap();
        let database = Database::connect(&DatabaseConfig::new(url)).await.unwrap();
        let key = Arc::new(SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap());
        let around = Surroundings {
            now_ms: Box::new(|| 1_800_000_000_000),
            signing_key: Box::new(move || Some(key.clone())),
            revocations: Arc::new(Revocations::open(&direct).await.unwrap()),
            policy_version: Box::new(|| 0),
        };
        let statements = tempfile::tempdir().unwrap();
        let config = JournalConfig {
            statements: statements.path().to_owned(),
            commit_timeout: Duration::from_millis(400),
            ..JournalConfig::default()
        };
        let writer = Writer::start(database, config, around).await.unwrap();
        Self { wire, direct, writer, statements }
    }

    /// An attempt at this path.
    async fn attempt(&self, path: &'static str) -> Result<AuditId, CommitFailure> {
        let mut record = Record::new(Kind::Request, AuditId::default(), 0);
        record.path = Some(path.into());
        let draft = super::super::AttemptDraft {
            record: Draft::new(record),
            claims: vec![0; 64],
            keeps_id: false,
            sessions: [None, None],
            policy_version: 0,
            item: None,
        };
        let (sender, answer) = oneshot::channel();
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut attempts = vec![Attempt { draft, ack: Ack::Channel(sender), deadline }];
        self.writer.handle().push_all(&mut attempts, &mut Vec::new());
        answer.await.unwrap()
    }

    async fn batches(&self) -> Vec<StoredBatch> {
        let mut reader = self.direct.read_batches(self.writer.id(), 0).await.unwrap();
        let mut batches = Vec::new();
        while let Some(batch) = reader.next().await.unwrap() {
            batches.push(batch);
        }
        batches
    }

    async fn until_there_are(&self, count: usize) {
        let begun = Instant::now();
        while self.batches().await.len() < count {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", self.batches().await);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn a_late_batch_is_adopted(url: String) {
    let rig = Rig::new(url).await;
    // The writer's own connection was the last to be made.
    let journal = rig.wire.connections() - 1;
    rig.attempt("/first").await.unwrap();
    rig.wire.set(journal, false);
    assert_eq!(rig.attempt("/late").await, Err(CommitFailure::Unavailable));
    // The database was asked, and did not have it. Now it comes.
    assert_eq!(rig.batches().await.len(), 1);
    rig.wire.set(journal, true);
    rig.until_there_are(2).await;
    let next = rig.attempt("/next").await.expect("the batch gets the next number");
    rig.until_there_are(4).await;
    let batches = rig.batches().await;
    let records: Vec<Record<'_>> =
        batches.iter().map(|batch| Record::from_bytes(&batch.entries[0].record).unwrap()).collect();
    let paths: Vec<_> = records.iter().map(|record| record.path.as_deref()).collect();
    assert_eq!(paths, [Some("/first"), Some("/late"), Some("/next"), None]);
    assert_eq!(records[2].id, next);
    // Whoever asked for it was told that nothing was sent; the log says the same.
    assert_eq!(records[3].attempt, Some(records[1].id));
    assert_eq!(records[3].state, Some(doorman_core::record::OutcomeState::Abandoned));
    let mut previous = Digest::default();
    for (number, batch) in (0u64..).zip(&batches) {
        let statement = Statement::from_bytes(&batch.statement).unwrap();
        assert_eq!((statement.number, statement.previous, statement.first_index), (number, previous, number));
        previous = sha256(&batch.statement);
    }
    let file = rig.statements.path().join(format!("{}.jsonl", rig.writer.id()));
    let Rig { writer, statements, .. } = rig;
    tokio::task::spawn_blocking(move || writer.close()).await.unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap().lines().count(), 4);
    drop(statements);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_a_batch_that_comes_after_it_was_given_up_is_adopted() {
    a_late_batch_is_adopted(postgres::shared().unwrap().database().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_mariadb_a_batch_that_comes_after_it_was_given_up_is_adopted() {
    a_late_batch_is_adopted(mariadb::shared().unwrap().database().unwrap()).await;
}
