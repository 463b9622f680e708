//! `doorman curl`: curl, through the door.
//!
//! The arguments are read only to find where requests go. The token reaches curl in a configuration file, never in an
//! argument, where every user of the machine could see it.

mod arguments;
mod options;

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Silent, exit};
use anyhow::Context as _;
use arguments::Plan;
use clap::Args;
use doorman_client::Client;
use std::ffi::OsString;
use std::io::Write as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::ExitStatus;
use tokio::signal::unix::{SignalKind, signal};

/// `doorman curl`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman curl eu/companies/companies?page=2
  doorman curl -sS -X POST eu/companies/companies/7/migrate --json '{\"to\":\"v2\"}' -H 'Doorman-Reason: ticket 4711'
  doorman curl -u service:password eu/legacy/status       its credentials; yours go in Doorman-Token

Everything after `curl` is curl's own, but for URLs: write REGION/SERVICE[@INSTANCE]/path. Doorman's address comes from
DOORMAN_URL or the last login. Exit codes are curl's.")]
pub struct CurlArgs {
    /// curl's arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "ARGS")]
    args: Vec<String>,
}

/// Becomes curl.
pub async fn run(args: CurlArgs) -> anyhow::Result<()> {
    let connection = ConnectionArgs::of_environment();
    let (client, token) = connection.client_and_token()?;
    let plan = Plan::new(&args.args, &client)?;
    let config = configuration(&plan, &token, &connection)?;
    if plan.reads_stdin { run_with_file(&plan, &config).await } else { become_curl(&plan, &config) }
}

/// curl's configuration file: what must not be an argument, and what keeps the credential on its way.
fn configuration(plan: &Plan, token: &str, connection: &ConnectionArgs) -> anyhow::Result<String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !token.bytes().all(is_token) {
        return Err(
            Failure::new(exit::UNAUTHENTICATED, "the token holds characters that no token has").into()
        );
    }
    let mut config = match plan.own_authorization {
        false => format!("header = \"Authorization: Bearer {token}\"\n"),
        true => format!("header = \"Doorman-Token: {token}\"\n"),
    };
    if !plan.own_proxy {
        config.push_str("noproxy = \"*\"\n");
    }
    if let Some(path) = connection.ca_file.as_ref().filter(|_| !plan.own_authorities) {
        let path = path.to_str().filter(|path| !path.contains(['"', '\\', '\n', '\r']));
        config
            .push_str(&format!("cacert = \"{}\"\n", path.context("DOORMAN_CA_FILE cannot be told to curl")?));
    }
    Ok(config)
}

fn curl(plan: &Plan, config: &str) -> std::process::Command {
    let mut command = std::process::Command::new("curl");
    command.arg("--config").arg(config).args(&plan.args).env_remove("DOORMAN_TOKEN");
    command
}

fn cannot_start(error: &std::io::Error) -> Failure {
    Failure::new(exit::FAILED, format!("curl cannot be started: {error}"))
        .hint("install curl, or use `doorman request`")
}

/// The configuration waits in a pipe as curl's standard input, and this process becomes curl.
fn become_curl(plan: &Plan, config: &str) -> anyhow::Result<()> {
    let (reader, mut writer) = std::io::pipe()?;
    writer.write_all(config.as_bytes())?;
    drop(writer);
    Err(cannot_start(&curl(plan, "-").stdin(reader).exec()).into())
}

/// Standard input is the request's: the configuration is a file for the owner alone, gone when curl has ended, also when it is
/// interrupted.
async fn run_with_file(plan: &Plan, config: &str) -> anyhow::Result<()> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(config.as_bytes())?;
    file.flush()?;
    let path =
        file.path().to_str().context("the directory for temporary files has a strange name")?.to_owned();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut child =
        tokio::process::Command::from(curl(plan, &path)).spawn().map_err(|error| cannot_start(&error))?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // The terminal has told curl as well; it ends by itself.
            _ = interrupt.recv() => {}
            _ = terminate.recv() => child.start_kill()?,
        }
    };
    drop(file);
    match code_of(status) {
        0 => Ok(()),
        code => Err(Silent(code).into()),
    }
}

fn code_of(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED)
}

impl Plan {
    /// Reads curl's arguments.
    ///
    /// # Errors
    /// When a request would go anywhere but through the door, or the credential could.
    fn new(args: &[String], client: &Client) -> anyhow::Result<Self> {
        arguments::plan(args, &|text| locate(text, client))
    }
}

/// The URL that `text` means.
fn locate(text: &str, client: &Client) -> anyhow::Result<OsString> {
    let base = client.base();
    if text.contains("://") {
        // A prefix, not a parsed host: what curl makes of the rest can then change only the path.
        return match text.strip_prefix(&base) {
            Some(rest) if rest.starts_with('/') => Ok(text.into()),
            _ => Err(Failure::new(exit::FAILED, format!("{text} is not on {base}"))
                .hint(
                    "the credential is sent to Doorman alone; write REGION/SERVICE/path, or use curl itself",
                )
                .into()),
        };
    }
    let path = text.split('?').next().unwrap_or_default();
    let (region, rest) = path.split_once('/').unwrap_or((path, ""));
    let service = rest.split(['/', '@']).next().unwrap_or_default();
    if !doorman_core::target::is_region_name(region) || !doorman_core::target::is_service_name(service) {
        return Err(Failure::new(exit::FAILED, format!("`{text}` is no REGION/SERVICE/path"))
            .hint("see `doorman regions` and `doorman services REGION`")
            .into());
    }
    Ok(format!("{base}/r/{text}").into())
}
