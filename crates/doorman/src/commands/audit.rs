//! `doorman audit`: `search` and `show`; the other commands have files of their own.

mod export;
mod prove;
mod retry;
mod tail;

#[cfg(feature = "archive")]
use super::audit_archive::{self, ArchiveArgs};
use super::audit_reconcile::{self, ReconcileArgs};
use super::audit_retain::{self, RetainArgs};
use super::audit_verify::{self, VerifyArgs};
use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_fields, print_json, print_line, print_table, remark};
use crate::terminal::clean_block;
use clap::{Args, Subcommand};
use doorman_client::{
    AuditEntry, AuditQuery, BodyEncoding, Decision, HeaderValue, Headers, Outcome, with_audit_filters,
};
use export::ExportArgs;
use prove::{CheckProofArgs, ProveArgs};
use retry::RetryArgs;
use tail::TailArgs;

/// `doorman audit`
#[derive(Subcommand)]
pub enum AuditCommand {
    /// List entries, newest first; every filter narrows
    #[command(visible_alias = "list")]
    Search(Box<SearchArgs>),
    /// Show one entry whole
    Show(ShowArgs),
    /// Show entries as they are written, and again when their outcome is known
    Tail(Box<TailArgs>),
    /// Send a recorded request again, as yourself, and compare the answers
    Retry(RetryArgs),
    /// Write entries to a file, as JSON lines or CSV; all of them can be verified
    Export(Box<ExportArgs>),
    /// Get a small proof that one entry is in the log
    Prove(ProveArgs),
    /// Check such a proof offline, with public keys
    CheckProof(CheckProofArgs),
    /// Verify offline that the log is whole: nothing edited, dropped, added, moved or cut off
    Verify(VerifyArgs),
    /// Hold what the regions served, by their proxies' receipts, against the log
    Reconcile(ReconcileArgs),
    /// Copy the log to Parquet files, which any tool can query and `verify --archive` proves
    #[cfg(feature = "archive")]
    Archive(ArchiveArgs),
    /// Delete the oldest entries under a signed tombstone; what is left verifies as before
    Retain(RetainArgs),
}

/// `doorman audit search`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit search --service companies --status 5xx
  doorman audit search --actor user:bob --from 2026-03-01T00:00:00Z --json
  doorman audit search --outcome denied --limit 100")]
pub struct SearchArgs {
    #[command(flatten)]
    filters: FilterArgs,
    /// Entries in a page
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which entries; the same on every command that reads the log.
#[derive(Args)]
struct FilterArgs {
    /// Whose credential it was, as user:alice
    #[arg(long, value_name = "WHO")]
    actor: Option<String>,
    /// On whose behalf it was, as user:alice
    #[arg(long, value_name = "WHO")]
    subject: Option<String>,
    /// The region
    #[arg(long)]
    region: Option<String>,
    /// The service
    #[arg(long)]
    service: Option<String>,
    /// The instance that answered or, while none has, was asked for
    #[arg(long)]
    instance: Option<String>,
    /// The HTTP method
    #[arg(long)]
    method: Option<String>,
    /// How the path begins
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
    /// The status, as 404, or a class, as 5xx
    #[arg(long)]
    status: Option<String>,
    /// How it ended: done, denied, unsent, unknown, abandoned
    #[arg(long)]
    outcome: Option<String>,
    /// What it is about: request, login, token, audit, policy, key, …
    #[arg(long)]
    kind: Option<String>,
    /// The run it belongs to
    #[arg(long)]
    run: Option<String>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Part of the path, the reason or a name, in any case
    #[arg(long, short, value_name = "TEXT")]
    q: Option<String>,
}

impl FilterArgs {
    fn query(self) -> AuditQuery {
        with_audit_filters!(self => AuditQuery { limit: None, cursor: None })
    }
}

/// `doorman audit show`
#[derive(Args)]
pub struct ShowArgs {
    /// The entry's id: `Doorman-Audit-Id` of an answer
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl AuditCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Search(args) => args.output.json,
            Self::Show(args) => args.output.json,
            Self::Tail(args) => args.is_json(),
            Self::Retry(args) => args.is_json(),
            Self::Export(args) => args.is_json(),
            Self::Prove(_) => false,
            Self::CheckProof(args) => args.is_json(),
            Self::Verify(args) => args.is_json(),
            Self::Reconcile(args) => args.is_json(),
            #[cfg(feature = "archive")]
            Self::Archive(args) => args.is_json(),
            Self::Retain(args) => args.is_json(),
        }
    }
}

/// Reads the log.
pub async fn run(command: AuditCommand) -> anyhow::Result<()> {
    match command {
        AuditCommand::Search(args) => search(*args).await,
        AuditCommand::Show(args) => show(args).await,
        AuditCommand::Tail(args) => tail::run(*args).await,
        AuditCommand::Retry(args) => retry::run(args).await,
        AuditCommand::Export(args) => export::run(*args).await,
        AuditCommand::Prove(args) => prove::run(args).await,
        AuditCommand::CheckProof(args) => prove::check(args),
        AuditCommand::Verify(args) => audit_verify::run(args).await,
        AuditCommand::Reconcile(args) => audit_reconcile::run(args).await,
        #[cfg(feature = "archive")]
        AuditCommand::Archive(args) => audit_archive::run(args).await,
        AuditCommand::Retain(args) => audit_retain::run(args).await,
    }
}

async fn search(args: SearchArgs) -> anyhow::Result<()> {
    let query = AuditQuery { limit: args.limit, cursor: args.cursor, ..args.filters.query() };
    let list = args.connection.client()?.audit_list(&query).await?;
    if args.output.json {
        return print_json(&list);
    }
    let rows = list.items.iter().map(row).collect();
    print_table(&["TIME", "WHO", "WHAT", "ENDED", "ID"], rows, "No entry matches that you may see.")?;
    if let Some(cursor) = list.next_cursor {
        remark(&format!("More: the same command with --cursor {cursor}"));
    }
    Ok(())
}

fn row(entry: &AuditEntry) -> Vec<String> {
    vec![entry.time.clone(), who(entry), what(entry), ended(entry), entry.id.clone()]
}

fn who(entry: &AuditEntry) -> String {
    match (&entry.actor, &entry.subject) {
        (Some(actor), Some(subject)) if actor != subject => format!("{actor} for {subject}"),
        (Some(name), _) | (None, Some(name)) => name.clone(),
        (None, None) => entry.client_ip.clone().unwrap_or_else(|| "-".to_owned()),
    }
}

fn what(entry: &AuditEntry) -> String {
    let (Some(region), Some(service)) = (&entry.region, &entry.service) else {
        return match entry.count {
            Some(count) => format!("{} × {count}", entry.kind),
            None => entry.kind.clone(),
        };
    };
    let instance = entry.instance.as_deref().filter(|instance| *instance != "any");
    let instance = instance.map(|instance| format!("@{instance}")).unwrap_or_default();
    let path = entry.path.as_deref().unwrap_or_default();
    let query = entry.query.as_deref().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{} {region}/{service}{instance}{path}{query}", entry.method.as_deref().unwrap_or("?"))
}

fn ended(entry: &AuditEntry) -> String {
    match (&entry.outcome, entry.decision) {
        (Some(outcome), _) => {
            let status = outcome.status.map(|status| format!(" {status}")).unwrap_or_default();
            let error = outcome.error.as_deref().map(|error| format!(" {error}")).unwrap_or_default();
            format!("{}{status}{error}", outcome.state.as_str())
        }
        (None, Some(Decision::Deny)) => "denied".to_owned(),
        (None, Some(Decision::Permit)) => "not known yet".to_owned(),
        (None, None) => String::new(),
    }
}

async fn show(args: ShowArgs) -> anyhow::Result<()> {
    let entry = args.connection.client()?.audit_entry(&args.id).await?;
    if args.output.json {
        return print_json(&entry);
    }
    let target = what(&entry);
    let decision = entry.decision.map(|decision| match decision {
        Decision::Permit => format!("permit by {}", named(&entry.policies)),
        Decision::Deny => format!("deny by {}", named(&entry.policies)),
    });
    print_fields(&[
        ("id", Some(entry.id.clone())),
        ("time", Some(entry.time.clone())),
        ("kind", Some(entry.kind.clone())),
        ("who", Some(who(&entry))),
        ("what", Some(target)),
        ("reason", entry.reason.clone()),
        ("decision", decision),
        ("from", entry.client_ip.clone()),
        ("by", entry.user_agent.clone()),
        ("channel", entry.channel.clone()),
        ("session", entry.session.clone()),
        ("repeats", entry.retry_of.clone()),
        ("repeated by", (!entry.retries.is_empty()).then(|| entry.retries.join(", "))),
        ("masked", (!entry.redacted.is_empty()).then(|| entry.redacted.join(", "))),
    ])?;
    let detail: Vec<_> =
        entry.detail.iter().map(|(name, value)| (name.as_str(), Some(value.clone()))).collect();
    print_fields(&detail)?;
    print_headers(&entry.headers)?;
    if let Some(body) = &entry.body {
        let note = match (entry.body_encoding, entry.body_truncated) {
            (Some(BodyEncoding::Base64), _) => " (base64)",
            (_, Some(true)) => " (only its beginning is kept)",
            _ => "",
        };
        print_line(&format!("\nbody{note}\n{}", clean_block(body)))?;
    }
    match &entry.outcome {
        Some(outcome) => show_outcome(&ended(&entry), outcome),
        None => Ok(()),
    }
}

fn show_outcome(ended: &str, outcome: &Outcome) -> anyhow::Result<()> {
    print_line("")?;
    print_fields(&[
        ("ended", Some(ended.to_owned())),
        ("instance", outcome.instance.clone()),
        ("took", outcome.duration_ms.map(|ms| format!("{ms} ms"))),
        ("sent", outcome.request_size.map(|size| format!("{size} bytes"))),
        ("received", outcome.body_size.map(|size| format!("{size} bytes"))),
        ("sha256", outcome.body_sha256.clone()),
    ])?;
    print_headers(&outcome.headers)
}

fn print_headers(headers: &Headers) -> anyhow::Result<()> {
    if headers.is_empty() {
        return Ok(());
    }
    print_line("\nheaders")?;
    for (name, value) in headers {
        let values = match value {
            HeaderValue::One(value) => std::slice::from_ref(value),
            HeaderValue::Many(values) => values,
        };
        for value in values {
            print_fields(&[("", Some(format!("{name}: {value}")))])?;
        }
    }
    Ok(())
}

fn named(policies: &[String]) -> String {
    if policies.is_empty() { "no policy".to_owned() } else { policies.join(", ") }
}
