//! `doorman service-account`: programs that call by themselves or for users.

use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_fields, print_json, print_line, print_table, remark};
use clap::{Args, Subcommand};
use doorman_client::{
    Client, List, NewServiceAccount, ServiceAccount, ServiceAccountPatch, ServiceAccountSecret,
};
use serde_json::json;
use std::time::Duration;

const PATH: [&str; 3] = ["auth", "v1", "service-accounts"];

/// `doorman service-account`
#[derive(Subcommand)]
pub enum ServiceAccountCommand {
    /// Make a service account; its secret is shown this once
    Create(CreateArgs),
    /// List the service accounts
    List(ListArgs),
    /// Show one service account
    Show(NamedArgs),
    /// Make a new secret, shown this once; the present one stays good for a while
    Rotate(RotateArgs),
    /// Refuse an account from now on, and end its sessions
    Disable(NamedArgs),
    /// Accept a disabled account again
    Enable(NamedArgs),
    /// Delete an account, and end its sessions
    Delete(NamedArgs),
}

/// `doorman service-account create`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman service-account create reports-ui --owner erin --description 'internal reports' --network 10.0.0.0/8
  doorman service-account create svc-etl --owner erin --directory     an account of the directory; its password is its secret

Policies say what it may do, and for whom (action `delegate`).")]
pub struct CreateArgs {
    /// Its name: 1 to 64 of a-z, 0-9, '.', '_', '-'
    name: String,
    /// Who answers for it: a user's name
    #[arg(long, value_name = "USER")]
    owner: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Take its secret from this network only (CIDR; may be given several times)
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// It is an account of the directory: its password there is its secret
    #[arg(long)]
    directory: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman service-account list`
#[derive(Args)]
pub struct ListArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Which account.
#[derive(Args)]
pub struct NamedArgs {
    /// Its name
    name: String,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman service-account rotate`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman service-account rotate reports-ui
  doorman service-account rotate reports-ui --overlap 0s     the secret has leaked: it ends now, with all its sessions")]
pub struct RotateArgs {
    /// Its name
    name: String,
    /// How long the present secret stays good beside the new one; at most 30 days
    #[arg(long, value_name = "DURATION", default_value = "1d", value_parser = crate::config::parse_duration)]
    overlap: Duration,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl ServiceAccountCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Create(args) => args.output.json,
            Self::List(args) => args.output.json,
            Self::Rotate(args) => args.output.json,
            Self::Show(args) | Self::Disable(args) | Self::Enable(args) | Self::Delete(args) => {
                args.output.json
            }
        }
    }
}

/// Does what was asked.
pub async fn run(command: ServiceAccountCommand) -> anyhow::Result<()> {
    match command {
        ServiceAccountCommand::Create(args) => create(args).await,
        ServiceAccountCommand::List(args) => list(&args).await,
        ServiceAccountCommand::Show(args) => {
            let client = args.connection.client()?;
            show(&client.read::<ServiceAccount>(&of(&args.name), &()).await?, args.output)
        }
        ServiceAccountCommand::Rotate(args) => {
            let body = json!({ "overlap_seconds": args.overlap.as_secs() });
            let [auth, v1, accounts] = PATH;
            let path = [auth, v1, accounts, &args.name, "rotate"];
            show_secret(&args.connection.client()?.post(&path, &body).await?, args.output)
        }
        ServiceAccountCommand::Disable(args) => set_disabled(&args, true).await,
        ServiceAccountCommand::Enable(args) => set_disabled(&args, false).await,
        ServiceAccountCommand::Delete(args) => {
            args.connection.client()?.delete(&of(&args.name), &()).await?;
            if args.output.json {
                return print_json(&json!({ "name": args.name, "deleted": true }));
            }
            print_line(&format!("{} is gone.", args.name))
        }
    }
}

fn of(name: &str) -> [&str; 4] {
    let [auth, v1, accounts] = PATH;
    [auth, v1, accounts, name]
}

async fn create(args: CreateArgs) -> anyhow::Result<()> {
    let new = NewServiceAccount {
        name: args.name,
        owner: args.owner,
        description: args.description,
        networks: args.networks,
        directory: args.directory,
    };
    show_secret(&args.connection.client()?.post(&PATH, &new).await?, args.output)
}

async fn set_disabled(args: &NamedArgs, disabled: bool) -> anyhow::Result<()> {
    let patch = ServiceAccountPatch { disabled: Some(disabled), ..ServiceAccountPatch::default() };
    show(&args.connection.client()?.patch(&of(&args.name), &patch).await?, args.output)
}

async fn list(args: &ListArgs) -> anyhow::Result<()> {
    let accounts = all(&args.connection.client()?).await?;
    if args.output.json {
        return print_json(&List { items: accounts, next_cursor: None });
    }
    let rows = accounts.into_iter().map(|account| {
        let used = account.last_used_at.clone().unwrap_or_else(|| "never".to_owned());
        let state = if account.disabled { "disabled" } else { "enabled" };
        vec![
            account.name.clone(),
            account.owner.clone(),
            state.to_owned(),
            proof(&account),
            used,
            account.description,
        ]
    });
    let headings = ["NAME", "OWNER", "STATE", "SECRETS", "LAST USED", "DESCRIPTION"];
    print_table(&headings, rows.collect(), "There is no service account.")
}

async fn all(client: &Client) -> anyhow::Result<Vec<ServiceAccount>> {
    let (mut all, mut cursor) = (Vec::new(), None);
    loop {
        let query = json!({ "limit": 500, "cursor": cursor });
        let page: List<ServiceAccount> = client.read(&PATH, &query).await?;
        all.extend(page.items);
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok(all),
        }
    }
}

fn proof(account: &ServiceAccount) -> String {
    if account.directory { "directory".to_owned() } else { account.secrets.to_string() }
}

fn show_secret(made: &ServiceAccountSecret, output: OutputArgs) -> anyhow::Result<()> {
    if output.json {
        return print_json(made);
    }
    show(&made.about, output)?;
    let Some(secret) = &made.secret else { return Ok(()) };
    remark("\nIts secret, shown this once:");
    print_line(secret)
}

fn show(account: &ServiceAccount, output: OutputArgs) -> anyhow::Result<()> {
    if output.json {
        return print_json(account);
    }
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    print_fields(&[
        ("name", some(&account.name)),
        ("owner", some(&account.owner)),
        ("description", some(&account.description)),
        ("networks", some(&account.networks.join(", ")).or_else(|| some("all"))),
        ("state", some(if account.disabled { "disabled" } else { "enabled" })),
        ("secrets", Some(proof(account))),
        ("made", some(&account.created_at)),
        ("last used", account.last_used_at.clone().or_else(|| some("never"))),
    ])
}
