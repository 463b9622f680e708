//! `doorman audit reconcile`: whether the log has everything that the regions served, by the receipts of the proxies.

mod receipts;

use super::audit_verify::known_keys;
use crate::output::{OutputArgs, conclude, print_line, remark};
use anyhow::Context as _;
use clap::Args;
use doorman_core::Digest;
use doorman_core::id::AuditId;
use doorman_core::receipt::{End, Ended, Frame, Frames, Judged, LogStart, Receipt, StatementBook};
use doorman_core::retention::Tombstone;
use doorman_core::sha256;
use doorman_core::statement::{Statement, WriterId};
use doorman_core::time::format_rfc3339;
use doorman_store::{Database, DatabaseConfig, StoreError, StoredEntry};
use receipts::Shelves;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// Receipts that are looked up at once.
const AT_ONCE: usize = 500;
/// Findings that are listed; all are counted.
const LISTED: usize = 1_000;

/// `doorman audit reconcile`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit reconcile --data doorman-data
  doorman audit reconcile --database postgres://reader@db/doorman --keys history.json
  doorman audit reconcile --database sqlite:copy.db --keys history.json --receipts /mnt/eu/receipts --json

Without --receipts, what `api` has collected is held against the log; with it, the files of a proxy too, so that a
database that lost both its entries and the receipts is found out.
Exit codes: 0 the log has everything that was served · 1 it has not; what it lacks is on standard output · 2 it could not
be looked at. Attempts whose outcome only a region knows are listed and are no fault.")]
pub struct ReconcileArgs {
    /// An api's data directory: its database and keys, and in a demo its proxies' receipts
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// sqlite:PATH, mysql://…, mariadb://… or postgres://…
    #[arg(long, value_name = "URL", env = "DOORMAN__DATABASE__URL", hide_env_values = true)]
    database: Option<String>,
    /// Public keys of all time: history.json beside an api's keys
    #[arg(long, value_name = "FILE", required_unless_present = "data")]
    keys: Option<PathBuf>,
    /// A directory of a proxy's receipts: `receipts` in its data directory, or a copy of it
    #[arg(long, value_name = "DIR")]
    receipts: Vec<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReconcileArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

/// What is wrong with a request that a region served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Lack {
    /// Its writer signed that the attempt is in the log, and it is not.
    Lost,
    /// The attempt is in the log, and says something else than its writer signed.
    Changed,
    /// Nobody signed an attempt for it.
    NeverLogged,
    /// Its pass was honoured before.
    Repeated,
}

impl Lack {
    fn describe(self) -> &'static str {
        match self {
            Self::Lost => "was in the log, as its writer signed, and is not any more",
            Self::Changed => "is in the log with another content than its writer signed",
            Self::NeverLogged => "was served without a committed attempt: no statement of a writer covers it",
            Self::Repeated => "was served again under a pass that had been used",
        }
    }
}

/// A request that was served and is not in the log as it was served.
#[derive(Serialize)]
struct Missing {
    kind: Lack,
    audit_id: AuditId,
    time: String,
    region: String,
    proxy: String,
    method: String,
    service: String,
    subject: String,
}

/// An attempt of which the log does not know how it ended.
#[derive(Serialize)]
struct OnlyThere {
    audit_id: AuditId,
    region: String,
    proxy: String,
    /// `answered`, `unsent` or `unknown`; `null` when the proxy saw no end either.
    end: Option<&'static str>,
    status: Option<u16>,
    /// The instance that answered, or the code of what went wrong.
    what: Option<String>,
}

/// What was found.
#[derive(Default, Serialize)]
struct Finding {
    reconciled: bool,
    /// Receipts that were looked at.
    receipts: u64,
    /// Of these, whose entries went by retention.
    retained: u64,
    /// Requests that are not in the log as they were served.
    missing_count: u64,
    missing: Vec<Missing>,
    /// Attempts whose outcome only the region knows.
    outcomes_count: u64,
    outcomes: Vec<OnlyThere>,
    /// Files whose end could not be read.
    damaged: Vec<String>,
    /// Until when each collected proxy is known to be read whole.
    proxies: Vec<Known>,
}

#[derive(Serialize)]
struct Known {
    proxy: String,
    region: String,
    complete_until: Option<String>,
    incomplete_before: Option<String>,
}

/// Reconciles; fails with exit code 1 when something is missing and 2 when it could not be looked at.
pub async fn run(args: ReconcileArgs) -> anyhow::Result<()> {
    conclude(look(&args).await, args.output, show, |finding| finding.reconciled)
}

async fn look(args: &ReconcileArgs) -> anyhow::Result<Finding> {
    let keys = known_keys(args.keys.as_deref(), args.data.as_deref())?;
    let own = args.data.as_ref().map(|data| format!("sqlite:{}", data.join("doorman.db").display()));
    let url = args.database.as_ref().or(own.as_ref()).context("--data or --database is needed")?;
    let mut shelves = Shelves::default();
    for directory in &args.receipts {
        shelves.add(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    }
    if let Some(data) = &args.data {
        shelves.add_proxies(&data.join("proxies"))?;
    }
    let database =
        Database::connect(&DatabaseConfig::existing(url)).await.context("the database cannot be opened")?;
    let mut reconciler = Reconciler::new(&database, StatementBook::new(keys.clone()));
    for (body, signature) in database.tombstones().await? {
        if let Some(tombstone) = Tombstone::verified(&keys, &body, &signature) {
            let below = reconciler.retained.entry(tombstone.writer).or_default();
            *below = tombstone.below.max(*below);
        }
    }
    reconciler.read_all(shelves).await?;
    let finding = reconciler.finish().await?;
    database.close().await;
    Ok(finding)
}

/// One receipt, held until its entry is looked up.
struct Held {
    audit_id: AuditId,
    at_ms: u64,
    leaf: Digest,
    judged: Judged,
    statement: Option<Statement>,
    index: u32,
    method: String,
    service: String,
    subject: String,
}

struct Reconciler<'a> {
    database: &'a Database,
    book: StatementBook,
    /// Who wrote what is being read: region and proxy.
    region: String,
    proxy: String,
    held: Vec<Held>,
    ends: Vec<(AuditId, End, String)>,
    /// Attempts without an outcome, by id, until the segment with their end was read.
    open: BTreeMap<AuditId, OnlyThere>,
    has_index: bool,
    /// Below which batch each writer's entries went by retention.
    retained: HashMap<WriterId, u64>,
    finding: Finding,
}

impl<'a> Reconciler<'a> {
    fn new(database: &'a Database, book: StatementBook) -> Self {
        Self {
            database,
            book,
            region: String::new(),
            proxy: String::new(),
            held: Vec::new(),
            ends: Vec::new(),
            open: BTreeMap::new(),
            has_index: true,
            retained: HashMap::new(),
            finding: Finding::default(),
        }
    }

    /// Files first; what was collected of the same files is then the same.
    async fn read_all(&mut self, shelves: Shelves) -> anyhow::Result<()> {
        let mut read = BTreeSet::new();
        for path in shelves.files() {
            let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let Some(Frame::Started(start)) = Frames::new(&bytes).next() else {
                if !bytes.is_empty() {
                    self.finding.damaged.push(path.display().to_string());
                }
                continue;
            };
            read.extend(receipts::number_of(path).map(|number| (start.proxy, number)));
            if self.read(&bytes).await? < bytes.len() {
                self.finding.damaged.push(path.display().to_string());
            }
            self.end_segment().await?;
        }
        for source in self.database.receipt_sources().await? {
            let time = |ms: u64| (ms > 0).then(|| format_rfc3339(ms));
            self.finding.proxies.push(Known {
                proxy: source.proxy.to_string(),
                region: source.region.clone(),
                complete_until: time(source.complete_ms),
                incomplete_before: time(source.gap_ms),
            });
            let (mut after, mut segment) = (None, None);
            while let Some(piece) = self.database.next_receipts(source.proxy, 0, after).await? {
                after = Some((piece.segment, piece.start));
                if segment != Some(piece.segment) {
                    self.end_segment().await?;
                    segment = Some(piece.segment);
                    (self.region, self.proxy) = (source.region.clone(), source.proxy.to_string());
                }
                if !read.contains(&(source.proxy, piece.segment)) {
                    self.read(&piece.frames).await?;
                }
            }
            self.end_segment().await?;
        }
        Ok(())
    }

    /// Reads frames; gives how many bytes were whole frames.
    async fn read(&mut self, bytes: &[u8]) -> anyhow::Result<usize> {
        let mut frames = Frames::new(bytes);
        for frame in frames.by_ref() {
            match frame {
                Frame::Started(LogStart { proxy, region, .. }) => {
                    (self.region, self.proxy) = (region.to_owned(), proxy.to_string());
                }
                Frame::Gap { .. } => {}
                Frame::Statement { body, signature } => {
                    self.book.take(body, &signature);
                }
                Frame::Honoured(receipt) => self.hold(&receipt),
                Frame::Ended(Ended { audit_id, end, what, .. }) => {
                    self.ends.push((audit_id, end, what.to_owned()));
                }
            }
            if self.held.len() >= AT_ONCE || self.ends.len() >= AT_ONCE {
                self.look_up().await?;
            }
        }
        Ok(frames.read_bytes())
    }

    fn hold(&mut self, receipt: &Receipt<'_>) {
        self.finding.receipts += 1;
        self.held.push(Held {
            audit_id: receipt.audit_id,
            at_ms: receipt.at_ms,
            leaf: receipt.leaf(),
            judged: self.book.judge(receipt),
            statement: self.book.statement(receipt.writer, receipt.number).cloned(),
            index: receipt.index,
            method: receipt.method.to_owned(),
            service: receipt.service.to_owned(),
            subject: receipt.subject.to_owned(),
        });
    }

    async fn end_segment(&mut self) -> anyhow::Result<()> {
        self.look_up().await?;
        self.book.forget();
        for (_, open) in std::mem::take(&mut self.open) {
            self.finding.outcomes_count += 1;
            if self.finding.outcomes.len() < LISTED {
                self.finding.outcomes.push(open);
            }
        }
        Ok(())
    }

    /// Holds what was read against the log.
    async fn look_up(&mut self) -> anyhow::Result<()> {
        let held = std::mem::take(&mut self.held);
        let ids: Vec<AuditId> = held.iter().map(|held| held.audit_id).collect();
        let entries = self.database.stored_entries(&ids).await?;
        let entries: HashMap<AuditId, StoredEntry> =
            entries.into_iter().map(|(_, entry)| (entry.id, entry)).collect();
        for held in held {
            let lack = self.lack_of(&held, entries.get(&held.audit_id)).await?;
            if let Some(kind) = lack {
                self.finding.missing_count += 1;
                if self.finding.missing.len() < LISTED {
                    self.finding.missing.push(Missing {
                        kind,
                        audit_id: held.audit_id,
                        time: format_rfc3339(held.at_ms),
                        region: self.region.clone(),
                        proxy: self.proxy.clone(),
                        method: held.method,
                        service: held.service,
                        subject: held.subject,
                    });
                }
            }
        }
        self.look_up_outcomes(&ids).await?;
        for (id, end, what) in std::mem::take(&mut self.ends) {
            if let Some(open) = self.open.get_mut(&id) {
                let (name, status) = match end {
                    End::Answered(status) => ("answered", Some(status)),
                    End::Unsent => ("unsent", None),
                    End::Unknown => ("unknown", None),
                };
                (open.end, open.status, open.what) = (Some(name), status, Some(what));
            }
        }
        Ok(())
    }

    async fn lack_of(&mut self, held: &Held, entry: Option<&StoredEntry>) -> anyhow::Result<Option<Lack>> {
        if held.judged == Judged::Repeated {
            return Ok(Some(Lack::Repeated));
        }
        if entry.is_some_and(|entry| leaf_of(entry) == held.leaf) {
            return Ok(None);
        }
        let Some(statement) = held.statement.as_ref().filter(|_| held.judged == Judged::Proven) else {
            return Ok(Some(Lack::NeverLogged));
        };
        // A second pass for the same attempt is an entry of its own, at its place in the batch.
        let (writer, number) = (statement.writer, statement.number);
        let there = self.database.entry_at(writer, number, held.index).await?;
        Ok(match (there, entry) {
            (Some(there), _) if leaf_of(&there) == held.leaf => None,
            (Some(_), _) | (None, Some(_)) => Some(Lack::Changed),
            (None, None) if self.retained.get(&writer).is_some_and(|below| number < *below) => {
                self.finding.retained += 1;
                None
            }
            (None, None) => Some(Lack::Lost),
        })
    }

    async fn look_up_outcomes(&mut self, ids: &[AuditId]) -> anyhow::Result<()> {
        if !self.has_index {
            return Ok(());
        }
        let open = match self.database.without_outcome(ids).await {
            Ok(open) => open,
            Err(StoreError::Sql(error)) => {
                self.has_index = false;
                remark(&format!("Outcomes were not compared, since the audit index is not there: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        for audit_id in open {
            let (region, proxy) = (self.region.clone(), self.proxy.clone());
            let only = OnlyThere { audit_id, region, proxy, end: None, status: None, what: None };
            self.open.insert(audit_id, only);
        }
        Ok(())
    }

    async fn finish(self) -> anyhow::Result<Finding> {
        let mut finding = self.finding;
        finding.reconciled = finding.missing_count == 0 && finding.damaged.is_empty();
        Ok(finding)
    }
}

fn leaf_of(entry: &StoredEntry) -> Digest {
    doorman_core::merkle::leaf_hash(&sha256(&entry.claims), &sha256(&entry.record))
}

fn show(finding: &Finding) -> anyhow::Result<()> {
    for Missing { kind, audit_id, time, region, method, service, subject, .. } in &finding.missing {
        print_line(&format!(
            "entry {audit_id} ({method} {region}/{service} by {subject}, {time}) {}",
            kind.describe()
        ))?;
    }
    for path in &finding.damaged {
        print_line(&format!("{path} cannot be read to its end: it was cut or changed"))?;
    }
    for only in &finding.outcomes {
        let end = match (only.end, only.status) {
            (Some("answered"), Some(status)) => {
                format!("{} answered {status}", only.what.as_deref().unwrap_or("the service"))
            }
            (Some("unsent"), _) => "no byte of it was sent".to_owned(),
            (Some(_), _) => "it was sent, and no answer came".to_owned(),
            (None, _) => "it was sent; the proxy saw no end".to_owned(),
        };
        print_line(&format!("outcome of {} is known to region {} only: {end}", only.audit_id, only.region))?;
    }
    for known in finding.proxies.iter().filter(|known| known.incomplete_before.is_some()) {
        remark(&format!(
            "Proxy {} of {} may lack receipts from before {}.",
            known.proxy,
            known.region,
            known.incomplete_before.as_deref().unwrap_or_default()
        ));
    }
    let counted = format!("{} requests that the regions served", finding.receipts);
    if finding.reconciled {
        print_line(&format!("The log has all of the {counted}."))?;
    } else {
        remark(&format!("Of the {counted}, {} are not in the log as served.", finding.missing_count));
    }
    if finding.retained > 0 {
        print_line(&format!("Of these, {} are in no log any more, by retention.", finding.retained))?;
    }
    Ok(())
}
