//! `doorman token` and `doorman sessions`: what one has open, and its end.

use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_fields, print_json, print_line, print_table, remark};
use clap::{Args, Subcommand};
use doorman_client::{List, NewPersonalToken, PersonalToken, PersonalTokenSecret, Scopes, Session};
use doorman_core::time::format_rfc3339;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::time::Duration;

const TOKENS: [&str; 3] = ["auth", "v1", "tokens"];
const SESSIONS: [&str; 3] = ["auth", "v1", "sessions"];

/// `doorman token`
#[derive(Subcommand)]
pub enum TokenCommand {
    /// Make a personal token for a script; it is shown this once
    Create(CreateArgs),
    /// List live personal tokens
    List(ListArgs),
    /// Revoke a personal token
    Revoke(RevokeArgs),
}

/// `doorman sessions`
#[derive(Subcommand)]
pub enum SessionsCommand {
    /// List live sessions
    List(ListArgs),
    /// End a session, or all of somebody
    End(EndArgs),
}

/// `doorman token create`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman token create nightly-report --expires 90d --region eu --service companies --method GET
  export DOORMAN_TOKEN=$(doorman token create ci --expires 30d 2>/dev/null)

A personal token acts as you, within its scopes. It manages no credentials and cannot be delegated.")]
pub struct CreateArgs {
    /// What it is for
    name: String,
    /// How long it is good; at most 366 days
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = crate::config::parse_duration)]
    expires: Duration,
    /// Only in this region (may be given several times)
    #[arg(long = "region", value_name = "NAME")]
    regions: Vec<String>,
    /// Only this service (may be given several times)
    #[arg(long = "service", value_name = "NAME")]
    services: Vec<String>,
    /// Only this method (may be given several times)
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Whose.
#[derive(Args)]
pub struct ListArgs {
    /// Somebody else's (administrators): user:alice, service:reports-ui, or all
    #[arg(long, value_name = "PRINCIPAL")]
    of: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman token revoke`
#[derive(Args)]
pub struct RevokeArgs {
    /// Its id, as `doorman token list` shows it
    id: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman sessions end`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman sessions end 6f1c…                   one session
  doorman sessions end --all                   all of your own, with your personal tokens
  doorman sessions end --all --of user:bob     all of somebody else's (administrators)")]
pub struct EndArgs {
    /// Its id, as `doorman sessions list` shows it
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Every session and personal token
    #[arg(long)]
    all: bool,
    /// With --all: of this principal
    #[arg(long, value_name = "PRINCIPAL", requires = "all")]
    of: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl TokenCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Create(args) => args.output.json,
            Self::List(args) => args.output.json,
            Self::Revoke(args) => args.output.json,
        }
    }
}

impl SessionsCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::List(args) => args.output.json,
            Self::End(args) => args.output.json,
        }
    }
}

/// Makes, lists or revokes.
pub async fn run(command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create(args) => create(args).await,
        TokenCommand::List(args) => list_tokens(&args).await,
        TokenCommand::Revoke(args) => {
            let [auth, v1, tokens] = TOKENS;
            args.connection.client()?.delete(&[auth, v1, tokens, &args.id], &()).await?;
            ended(&args.id, args.output)
        }
    }
}

/// Lists or ends.
pub async fn run_sessions(command: SessionsCommand) -> anyhow::Result<()> {
    match command {
        SessionsCommand::List(args) => list_sessions(&args).await,
        SessionsCommand::End(args) => {
            let client = args.connection.client()?;
            let [auth, v1, sessions] = SESSIONS;
            match &args.id {
                Some(id) => {
                    client.delete(&[auth, v1, sessions, id], &()).await?;
                    ended(id, args.output)
                }
                None => {
                    client.delete(&SESSIONS, &json!({ "principal": args.of })).await?;
                    ended(args.of.as_deref().unwrap_or("all"), args.output)
                }
            }
        }
    }
}

fn ended(what: &str, output: OutputArgs) -> anyhow::Result<()> {
    if output.json { print_json(&json!({ "ended": what })) } else { print_line(&format!("Ended: {what}.")) }
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let listed = |list: Vec<String>| (!list.is_empty()).then_some(list);
    let ends_ms = u64::try_from(args.expires.as_millis()).unwrap_or(u64::MAX);
    let new = NewPersonalToken {
        name: args.name,
        expires_at: format_rfc3339(super::now_ms().saturating_add(ends_ms)),
        scopes: Scopes {
            regions: listed(args.regions),
            services: listed(args.services),
            methods: listed(args.methods.iter().map(|method| method.to_ascii_uppercase()).collect()),
        },
    };
    let made: PersonalTokenSecret = args.connection.client()?.post(&TOKENS, &new).await?;
    if args.output.json {
        return print_json(&made);
    }
    remark(&format!(
        "{} is good until {}. The token, shown this once:",
        made.about.name, made.about.expires_at
    ));
    print_line(&made.token)
}

/// Every page of a list.
async fn all<T: DeserializeOwned>(args: &ListArgs, path: &[&str]) -> anyhow::Result<Vec<T>> {
    let client = args.connection.client()?;
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let query = json!({ "principal": args.of, "limit": 500, "cursor": cursor });
        let page: List<T> = client.read(path, &query).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(all),
        }
    }
}

async fn list_tokens(args: &ListArgs) -> anyhow::Result<()> {
    let tokens: Vec<PersonalToken> = all(args, &TOKENS).await?;
    if args.output.json {
        return print_json(&List { items: tokens, next_cursor: None });
    }
    let rows = tokens.into_iter().map(|token| {
        let scopes = [token.scopes.regions, token.scopes.services, token.scopes.methods];
        let scopes: Vec<_> = scopes.into_iter().flatten().map(|list| list.join(",")).collect();
        let scopes = if scopes.is_empty() { "all".to_owned() } else { scopes.join(" ") };
        vec![
            token.id,
            token.name,
            token.expires_at,
            token.last_used_at.unwrap_or_else(|| "never".into()),
            scopes,
        ]
    });
    let headings = ["ID", "NAME", "EXPIRES", "LAST USED", "SCOPES"];
    print_table(&headings, rows.collect(), "There is no live personal token.")
}

async fn list_sessions(args: &ListArgs) -> anyhow::Result<()> {
    let sessions: Vec<Session> = all(args, &SESSIONS).await?;
    if args.output.json {
        return print_json(&List { items: sessions, next_cursor: None });
    }
    if let [only] = sessions.as_slice() {
        return print_fields(&[
            ("id", Some(only.id.clone())),
            ("principal", Some(only.principal.clone())),
            ("kind", Some(only.kind.clone())),
            ("expires", Some(only.expires_at.clone())),
            ("from", only.client_ip.clone()),
            ("with", only.user_agent.clone()),
        ]);
    }
    let rows = sessions.into_iter().map(|session| {
        let mark = if session.current { "*" } else { "" };
        let from = session.client_ip.unwrap_or_default();
        vec![
            format!("{}{mark}", session.id),
            session.principal,
            session.kind,
            session.expires_at,
            from,
            session.user_agent.unwrap_or_default(),
        ]
    });
    print_table(
        &["ID", "PRINCIPAL", "KIND", "EXPIRES", "FROM", "WITH"],
        rows.collect(),
        "There is no live session.",
    )
}
