//! `doorman policy replay`: which requests of the log a changed set of policies would decide otherwise.

use super::policy::PlaceArgs;
use crate::config::{Environment, parse_duration};
use crate::output::{OutputArgs, conclude, print_line, print_table};
use anyhow::{Context as _, bail};
use clap::Args;
use doorman_core::record::{Kind, Record};
use doorman_core::target::Target;
use doorman_core::time::parse_rfc3339;
use doorman_policy::{PolicySet, RequestContext, Subject};
use doorman_store::{AuditFilter, Database, DatabaseConfig};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Entries read at once.
const PAGE: u32 = 500;
const PAGE_BUDGET: Duration = Duration::from_secs(5);

/// `doorman policy replay`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman policy replay --policies changed/ --database sqlite:doorman-data/doorman.db
  doorman policy replay --policies changed/ --database postgres://reader@db/doorman --since 30d --groups groups.json

A person's groups are those of the login that the request came with. The database forgets logins some time after they ended:
for older requests give --groups, as in {\"alice\": [\"developers\"]}. Requests of people whose groups nobody tells are counted
and not judged.

Exits with 0 when every decision stays as it was, with 1 when some would differ, and with 2 when nothing could be compared.")]
pub struct ReplayArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// The database of the log
    #[arg(long, value_name = "URL", env = "DOORMAN__DATABASE__URL", hide_env_values = true)]
    database: String,
    /// How far back
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = parse_duration)]
    since: Duration,
    /// The groups of people, as JSON; they go before those of logins
    #[arg(long, value_name = "FILE")]
    groups: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

impl ReplayArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

/// What was compared.
#[derive(Default, Serialize)]
struct Comparison {
    /// Requests that were judged anew.
    judged: u64,
    /// Requests of people whose groups nobody tells.
    unknown_groups: u64,
    /// Decisions that would differ, the newest first; requests that are alike are told once.
    differences: Vec<Difference>,
}

/// Requests whose decision would be another.
#[derive(Serialize)]
struct Difference {
    /// The newest of them.
    audit_id: String,
    time: String,
    actor: String,
    subject: String,
    method: String,
    target: String,
    /// `permit` or `deny`.
    was: String,
    would_be: &'static str,
    /// The policies that would decide; none for a denial by default.
    policies: Vec<String>,
    /// How many are alike.
    count: u64,
}

/// Compares, and lists what would differ.
pub async fn run(args: ReplayArgs, environment: &Environment) -> anyhow::Result<()> {
    conclude(look(&args, environment).await, args.output, show, |comparison| {
        comparison.differences.is_empty()
    })
}

async fn look(args: &ReplayArgs, environment: &Environment) -> anyhow::Result<Comparison> {
    let policies = PolicySet::load(&args.place.directory(environment)?)?;
    let told = match &args.groups {
        None => HashMap::new(),
        Some(file) => {
            let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("{} holds no groups", file.display()))?
        }
    };
    let database = Database::connect(&DatabaseConfig::existing(&args.database))
        .await
        .context("the database cannot be opened")?;
    let mut replay = Replay { database: &database, policies, told, of_sessions: HashMap::new() };
    let comparison = replay.compare(args.since).await;
    database.close().await;
    let comparison = comparison?;
    if comparison.judged == 0 {
        let unknown = comparison.unknown_groups;
        bail!("no request of that time could be judged ({unknown} of people whose groups nobody tells)");
    }
    Ok(comparison)
}

struct Replay<'a> {
    database: &'a Database,
    policies: PolicySet,
    told: HashMap<String, Vec<String>>,
    of_sessions: HashMap<String, Option<Vec<String>>>,
}

impl Replay<'_> {
    async fn compare(&mut self, since: Duration) -> anyhow::Result<Comparison> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let from_ms = u64::try_from(now.saturating_sub(since).as_millis()).unwrap_or_default();
        let filter =
            AuditFilter { kind: Some(Kind::Request), from_ms: Some(from_ms), ..AuditFilter::default() };
        let mut comparison = Comparison::default();
        let mut alike: BTreeMap<[String; 6], usize> = BTreeMap::new();
        let mut cursor = None;
        loop {
            let page = self.database.audit_page(&filter, cursor.as_deref(), PAGE, PAGE_BUDGET).await?;
            for item in &page.items {
                let Ok(record) = Record::from_bytes(&item.record) else { continue };
                let Some(difference) = self.judge(&record, &mut comparison).await? else { continue };
                let Difference { actor, subject, method, target, was, policies, .. } = &difference;
                let key = [actor, subject, method, target, was, &policies.join(",")].map(Clone::clone);
                match alike.get(&key).and_then(|at| comparison.differences.get_mut(*at)) {
                    Some(known) => known.count += 1,
                    None => {
                        alike.insert(key, comparison.differences.len());
                        comparison.differences.push(difference);
                    }
                }
            }
            cursor = page.next_cursor;
            if cursor.is_none() {
                return Ok(comparison);
            }
        }
    }

    /// Judges one request as the policies would now, if the log tells all that they may ask for.
    async fn judge(
        &mut self,
        record: &Record<'_>,
        comparison: &mut Comparison,
    ) -> anyhow::Result<Option<Difference>> {
        let (Some(was), Some(actor), Some(subject)) = (&record.decision, &record.actor, &record.subject)
        else {
            return Ok(None);
        };
        let (Some(method), Some(region), Some(service), Some(path)) =
            (&record.method, &record.region, &record.service, &record.path)
        else {
            return Ok(None);
        };
        // What was refused for other reasons says nothing about policies.
        let by_policy = ["forbidden", "reason_required", "approval_required"];
        if was == "deny" && !record.error.as_deref().is_some_and(|code| by_policy.contains(&code)) {
            return Ok(None);
        }
        let selector = record.instance.as_deref().filter(|instance| *instance != "any");
        let at = selector.map(|instance| format!("@{instance}")).unwrap_or_default();
        let text = format!("/r/{region}/{service}{at}{path}");
        let Ok(target) = Target::parse_with(&text, record.query.as_deref(), |_, _| true) else {
            return Ok(None);
        };
        let whose = match subject.split_once(':') {
            Some(("user", name)) => match self.groups(name, record.session.as_deref()).await? {
                Some(groups) => Subject::user(name, &groups),
                None => {
                    comparison.unknown_groups += 1;
                    return Ok(None);
                }
            },
            Some(("service", name)) => Subject::service(name),
            _ => return Ok(None),
        };
        comparison.judged += 1;
        let on_behalf = (actor != subject).then(|| actor.split_once(':').map_or(&**actor, |(_, name)| name));
        let seconds = parse_rfc3339(&record.time).unwrap_or_default() / 1_000;
        let decide = |approved| {
            let context = RequestContext {
                method,
                path: target.policy_path(),
                instance: target.selector().as_str(),
                reason: record.reason.as_deref(),
                approved,
                time: i64::try_from(seconds).unwrap_or(i64::MAX),
                client_ip: record
                    .client_ip
                    .as_deref()
                    .and_then(|ip| ip.parse().ok())
                    .unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                on_behalf,
            };
            self.policies.decide_request(&whose, region, service, &context)
        };
        let mut decision = decide(false);
        // The log does not tell whether somebody had approved an item of a run; that it was permitted does.
        if !decision.permit && was == "permit" && record.run.is_some() {
            decision = decide(true);
        }
        let would_be = if decision.permit { "permit" } else { "deny" };
        Ok((was != would_be).then(|| Difference {
            audit_id: record.id.to_string(),
            time: record.time.to_string(),
            actor: actor.to_string(),
            subject: subject.to_string(),
            method: method.to_string(),
            target: text.trim_start_matches("/r/").to_owned(),
            was: was.to_string(),
            would_be,
            policies: decision.policies.iter().map(ToString::to_string).collect(),
            count: 1,
        }))
    }

    /// The groups of a person at a login.
    async fn groups(&mut self, name: &str, session: Option<&str>) -> anyhow::Result<Option<Vec<String>>> {
        if let Some(groups) = self.told.get(name) {
            return Ok(Some(groups.clone()));
        }
        let Some(session) = session else { return Ok(None) };
        if let Some(known) = self.of_sessions.get(session) {
            return Ok(known.clone());
        }
        let mut id = [0; 16];
        let row = match hex::decode_to_slice(session, &mut id) {
            Ok(()) => self.database.session(&id).await?,
            Err(_) => None,
        };
        let groups = row.filter(|row| row.principal == format!("user:{name}")).map(|row| row.groups);
        self.of_sessions.insert(session.to_owned(), groups.clone());
        Ok(groups)
    }
}

fn show(comparison: &Comparison) -> anyhow::Result<()> {
    let rows = comparison.differences.iter().map(|difference| {
        let by = if difference.policies.is_empty() {
            "no policy".to_owned()
        } else {
            difference.policies.join(", ")
        };
        vec![
            difference.count.to_string(),
            difference.subject.clone(),
            format!("{} {}", difference.method, difference.target),
            difference.was.clone(),
            difference.would_be.to_owned(),
            by,
            difference.audit_id.clone(),
        ]
    });
    let headings = ["COUNT", "SUBJECT", "REQUEST", "WAS", "WOULD BE", "BY", "NEWEST"];
    print_table(&headings, rows.collect(), "No decision would differ.")?;
    let left_out = match comparison.unknown_groups {
        0 => String::new(),
        left_out => format!(" {left_out} were not judged: nobody tells their people's groups (--groups)."),
    };
    print_line(&format!("{} requests were judged anew.{left_out}", comparison.judged))
}
