//! The commands, as clap reads them.

use crate::commands::{
    audit, bulk, catalog, config, curl, db, jobs, keys, policy, request, runs, service_account, session,
    token,
};
use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// One audited door to live systems.
#[derive(Parser)]
#[command(name = "doorman", version, about, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
First steps:
  doorman demo                                   everything in one process, with users and services
  doorman login --username alice                 in another terminal; the password is alice-demo
  doorman request GET eu/echo/hello
  doorman audit list

Exit codes: 0 done · 1 failed · 2 wrong command line · 3 not logged in · 4 refused · 5 not found ·
6 unavailable, nothing came back · 22 the service answered with an error (request --fail) ·
64 invalid configuration";

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Run everything in one process, to try it: two regions, sample services, users, an embedded directory
    #[command(display_order = 1)]
    Demo(DemoArgs),
    /// Run the door in the management region
    #[command(display_order = 2)]
    Api(ServerArgs),
    /// Run the proxy of a region
    #[command(display_order = 3)]
    Proxy(ServerArgs),
    /// Run the checking of credentials apart from `api`
    #[command(display_order = 4)]
    Auth(ServerArgs),
    /// Check configuration files, or print one to begin with
    #[command(display_order = 5, subcommand)]
    Config(config::ConfigCommand),
    /// List, rotate and publish signing keys
    #[command(display_order = 6, subcommand)]
    Keys(keys::KeysCommand),
    /// Check policies, or explain what they say about one request
    #[command(display_order = 7, subcommand)]
    Policy(policy::PolicyCommand),
    /// Make, rotate, disable and list service accounts
    #[command(display_order = 8, subcommand)]
    ServiceAccount(service_account::ServiceAccountCommand),
    /// Bring the database up to date, or check it
    #[command(display_order = 8, subcommand)]
    Db(db::DbCommand),
    /// Log in with the directory's password
    #[command(display_order = 9)]
    Login(session::LoginArgs),
    /// Revoke the credential and forget it
    #[command(display_order = 10)]
    Logout(session::LogoutArgs),
    /// Say who is logged in, and what they may do
    #[command(display_order = 11)]
    Whoami(session::WhoamiArgs),
    /// Make, list and revoke personal tokens for scripts
    #[command(display_order = 11, subcommand)]
    Token(token::TokenCommand),
    /// List and end sessions
    #[command(display_order = 11, subcommand)]
    Sessions(token::SessionsCommand),
    /// List the regions that you may reach
    #[command(display_order = 12)]
    Regions(catalog::RegionsArgs),
    /// List the services of a region
    #[command(display_order = 13)]
    Services(catalog::ServicesArgs),
    /// List the instances of a service
    #[command(display_order = 14)]
    Instances(catalog::InstancesArgs),
    /// Send a request through the door
    #[command(display_order = 15)]
    Request(request::RequestArgs),
    /// Send a request through the door with curl's own arguments
    #[command(display_order = 16)]
    Curl(curl::CurlArgs),
    /// Read the audit log
    #[command(display_order = 17, subcommand)]
    Audit(audit::AuditCommand),
    /// Send one request for each row of a file, in waves
    #[command(display_order = 18)]
    Bulk(Box<bulk::BulkArgs>),
    /// Save, change and start jobs: bulk work that is done more than once
    #[command(display_order = 19, subcommand)]
    Jobs(jobs::JobsCommand),
    /// Follow and control what runs, and see what became of each item
    #[command(display_order = 20, subcommand)]
    Runs(runs::RunsCommand),
    /// Print the completions for a shell
    #[command(display_order = 21)]
    Completions(CompletionsArgs),
}

/// How the demo runs.
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman demo
  doorman demo --data /tmp/door --reset --listen 127.0.0.1:9000
  DOORMAN__DATABASE__URL=postgres://doorman@localhost/doorman doorman demo")]
pub struct DemoArgs {
    /// Where its database, keys, policies and statements are kept
    #[arg(long, value_name = "DIR", default_value = "doorman-data")]
    pub data: PathBuf,
    /// Where the door listens; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8440")]
    pub listen: SocketAddr,
    /// Begin anew: delete --data, if a demo began it
    #[arg(long)]
    pub reset: bool,
}

/// How a server is started.
#[derive(Args)]
#[command(after_help = "\
`doorman config example ROLE` prints a commented file; `doorman config check FILE` checks one.
DOORMAN__SECTION__KEY in the environment overrides a setting.")]
pub struct ServerArgs {
    /// The configuration
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
}

/// For which shell.
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman completions bash > /etc/bash_completion.d/doorman
  doorman completions zsh > \"${fpath[1]}/_doorman\"")]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}

impl Command {
    /// Whether errors, too, are to be JSON.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Demo(_)
            | Self::Api(_)
            | Self::Proxy(_)
            | Self::Auth(_)
            | Self::Curl(_)
            | Self::Completions(_) => false,
            Self::Config(command) => command.is_json(),
            Self::Keys(command) => command.is_json(),
            Self::Policy(command) => command.is_json(),
            Self::Db(command) => command.is_json(),
            Self::Login(args) => args.output.json,
            Self::Logout(args) => args.output.json,
            Self::Whoami(args) => args.output.json,
            Self::ServiceAccount(command) => command.is_json(),
            Self::Token(command) => command.is_json(),
            Self::Sessions(command) => command.is_json(),
            Self::Regions(args) => args.output.json,
            Self::Services(args) => args.output.json,
            Self::Instances(args) => args.output.json,
            Self::Request(args) => args.output.json,
            Self::Audit(command) => command.is_json(),
            Self::Bulk(args) => args.output.json,
            Self::Jobs(command) => command.is_json(),
            Self::Runs(command) => command.is_json(),
        }
    }
}
