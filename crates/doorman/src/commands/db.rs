//! `doorman db migrate` and `check`.

use crate::config::{Environment, Keeping};
use crate::output::{OutputArgs, print_json, print_line};
use clap::{Args, Subcommand};
use doorman_core::secret::Secret;
use doorman_store::{Database, DatabaseConfig};
use serde_json::json;
use std::path::PathBuf;

/// What `doorman demo` uses in its default data directory.
const DEMO_DATABASE: &str = "sqlite:doorman-data/doorman.db";

/// `doorman db`
#[derive(Subcommand)]
pub enum DbCommand {
    /// Bring the schema up to date; `api` does this at every start too
    Migrate(DbArgs),
    /// Check that the database answers and would lose no acknowledged commit
    Check(DbArgs),
}

/// Which database.
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman db check --config api.toml
  doorman db migrate --database sqlite:doorman-data/doorman.db

A URL with a password is seen by others in the list of processes: set DOORMAN__DATABASE__URL instead, or use --config.")]
pub struct DbArgs {
    /// The file of `doorman api` or `doorman auth`
    #[arg(long, value_name = "FILE", conflicts_with = "database")]
    config: Option<PathBuf>,
    /// sqlite:PATH, mysql://…, mariadb://… or postgres://… [default: DOORMAN__DATABASE__URL, else the demo's]
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl DbCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Migrate(args) | Self::Check(args) => args.output.json,
        }
    }
}

impl DbArgs {
    async fn connect(&self, environment: &Environment) -> anyhow::Result<Database> {
        let url = match (&self.database, &self.config) {
            (Some(url), _) => Secret::new(url.clone()),
            (None, Some(file)) => Keeping::load(file, environment)?.database.read_url()?,
            (None, None) => {
                Secret::new(environment.setting(&["database", "url"]).unwrap_or(DEMO_DATABASE).to_owned())
            }
        };
        Ok(Database::connect(&DatabaseConfig::new(url.expose())).await?)
    }
}

/// Migrates or checks.
pub async fn run(command: DbCommand, environment: &Environment) -> anyhow::Result<()> {
    let (args, done) = match &command {
        DbCommand::Migrate(args) => (args, "The database is up to date."),
        DbCommand::Check(args) => {
            (args, "The database answers, and keeps every commit that it acknowledges.")
        }
    };
    let database = args.connect(environment).await?;
    match command {
        DbCommand::Migrate(_) => database.migrate().await?,
        DbCommand::Check(_) => {
            database.ping().await?;
            database.check_durability().await?;
        }
    }
    database.close().await;
    if args.output.json { print_json(&json!({ "done": true })) } else { print_line(done) }
}
