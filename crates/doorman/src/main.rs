//! The one binary: the servers, the operator's commands and the client's.

mod cli;
mod commands;
mod config;
mod connection;
mod credentials;
mod failure;
mod output;
mod roles;
mod terminal;

use clap::{CommandFactory as _, Parser as _};
use cli::{Cli, Command};
use config::{Environment, Files};
use std::process::ExitCode;

/// The send path allocates and frees small things on a few threads, which is what this allocator is best at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // As `.cargo/config.toml` tells the allocator, for builds that bring C flags of their own.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Fails only where a provider was installed before; there is one provider in this program.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let command = Cli::parse().command;
    let json = command.is_json();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(failure::report(&error, json)),
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let environment = Environment::of_process();
    match command {
        Command::Demo(args) => roles::demo::run(args, &environment),
        Command::Api(args) => roles::api::run(config::load(&args.config, &environment, Files::Checked)?),
        Command::Proxy(args) => roles::proxy::run(config::load(&args.config, &environment, Files::Checked)?),
        Command::Auth(args) => roles::auth::run(config::load(&args.config, &environment, Files::Checked)?),
        Command::Config(command) => commands::config::run(command, &environment),
        Command::Keys(command) => commands::keys::run(command, &environment),
        Command::Policy(command) => wait(commands::policy::run(command, &environment)),
        Command::Db(command) => wait(commands::db::run(command, &environment)),
        Command::Login(args) => wait(commands::session::login(args)),
        Command::Logout(args) => wait(commands::session::logout(args)),
        Command::Whoami(args) => wait(commands::session::whoami(args)),
        Command::ServiceAccount(command) => wait(commands::service_account::run(command)),
        Command::Token(command) => wait(commands::token::run(command)),
        Command::Sessions(command) => wait(commands::token::run_sessions(command)),
        Command::Regions(args) => wait(commands::catalog::regions(args)),
        Command::Services(args) => wait(commands::catalog::services(args)),
        Command::Instances(args) => wait(commands::catalog::instances(args)),
        Command::Request(args) => wait(commands::request::run(args)),
        Command::Curl(args) => wait(commands::curl::run(args)),
        Command::Audit(command) => wait(commands::audit::run(command)),
        Command::Bulk(args) => wait(commands::bulk::run(*args)),
        Command::Jobs(command) => wait(commands::jobs::run(command)),
        Command::Runs(command) => wait(commands::runs::run(command)),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Cli::command(), "doorman", &mut script);
            output::write_out(&script)
        }
    }
}

/// Runs a client command to its end.
fn wait(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}
