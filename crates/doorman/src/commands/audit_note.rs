//! What operators do to the log on the command line is written down in it, by a writer of its own: beside a running `api`,
//! signed and chained like everything else.

use crate::config::{Environment, Keeping};
use anyhow::Context as _;
use doorman_auth::{Clock, KeyRing, Revocations};
use doorman_core::id::AuditId;
use doorman_core::keys::KeyUse;
use doorman_core::record::{Kind, Record};
use doorman_door::journal::{Draft, JournalConfig, Surroundings, Writer};
use doorman_store::Database;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What belongs to a log beside its database.
pub(super) struct Belongings {
    /// The database's URL, as its own processes reach it.
    pub url: String,
    /// Where the private keys are.
    pub keys: PathBuf,
    /// Where the statements are written; `None` where only the keys' place is known.
    pub statements: Option<PathBuf>,
}

impl Belongings {
    /// Those of an api's data directory, or of the file of an `api`.
    pub fn find(data: Option<&Path>, config: Option<&Path>) -> anyhow::Result<Option<Self>> {
        if let Some(data) = data {
            return Ok(Some(Self {
                url: format!("sqlite:{}", data.join("doorman.db").display()),
                keys: data.join("keys"),
                statements: Some(data.join("statements")),
            }));
        }
        let Some(file) = config else { return Ok(None) };
        let keeping = Keeping::load(file, &Environment::of_process())?;
        Ok(Some(Self {
            url: keeping.database.read_url()?.expose().to_owned(),
            keys: keeping.keys.dir,
            statements: keeping.statements,
        }))
    }
}

/// Writes a `system` entry: who did what, in `detail`. When it returns, the entry is durable and signed.
pub(super) async fn write_down(
    database: &Database,
    belongings: &Belongings,
    detail: impl IntoIterator<Item = (&'static str, String)>,
) -> anyhow::Result<AuditId> {
    let clock = Clock::open(&belongings.keys.join("clock"))?;
    let ring = KeyRing::open_or_create(&belongings.keys, &[KeyUse::Statement], clock.clone())?;
    let mut record = Record::new(Kind::System, AuditId::default(), clock.now_ms());
    record.channel = Some("cli".into());
    record.decision = Some("permit".into());
    record.detail.insert("by".into(), operator().into());
    record.detail.extend(detail.into_iter().map(|(name, value)| (name.into(), value.into())));
    let scratch = tempfile::tempdir()?;
    let statements = belongings.statements.clone();
    let config = JournalConfig {
        statements: statements.unwrap_or_else(|| scratch.path().to_owned()),
        ..JournalConfig::default()
    };
    let now = clock.clone();
    let around = Surroundings {
        now_ms: Box::new(move || now.now_ms()),
        // Made a moment ago, a key signs from then on.
        signing_key: Box::new(move || ring.signing_key(KeyUse::Statement, clock.now_ms(), |_| true)),
        revocations: Arc::new(Revocations::open(database).await?),
        policy_version: Box::new(|| 0),
    };
    let refused = "the log does not take the entry that says what is done; nothing is done";
    let writer = Writer::start(database.clone(), config, around).await.context(refused)?;
    let written = writer.handle().write(Draft::new(record)).await;
    tokio::task::spawn_blocking(move || writer.close()).await?;
    written.context(refused)
}

/// Whoever runs this, as the operating system knows them: `root@host`.
fn operator() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    // The owner of one's own entry is one's effective user.
    let uid = std::fs::metadata("/proc/self").map_or_else(|_| "?".to_owned(), |own| own.uid().to_string());
    let accounts = read("/etc/passwd");
    let mut lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let name = lines.find(|line| line.get(2) == Some(&uid.as_str()));
    let name = name.and_then(|line| line.first().map(|name| (*name).to_owned()));
    let host = read("/proc/sys/kernel/hostname");
    format!("{}@{}", name.unwrap_or(uid), host.trim())
}
