//! `doorman login`, `logout`, `whoami`.

use crate::connection::ConnectionArgs;
use crate::credentials::{Credential, Credentials, default_path};
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_fields, print_json, print_line, print_table, remark};
use anyhow::Context as _;
use clap::Args;
use doorman_client::LoginRequest;
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Write as _};

/// `doorman login`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman login --username alice
  doorman login --url https://doorman.example.com
  printf %s \"$PASSWORD\" | doorman login --username alice --password-stdin

The token is kept in $XDG_CONFIG_HOME/doorman/credentials.json, for you alone. Scripts can set DOORMAN_TOKEN instead.")]
pub struct LoginArgs {
    /// Who you are to the directory [default: asked for]
    #[arg(long, short, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    password_stdin: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `doorman logout`
#[derive(Args)]
pub struct LogoutArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `doorman whoami`
#[derive(Args)]
pub struct WhoamiArgs {
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Logs in and keeps the token.
pub async fn login(args: LoginArgs) -> anyhow::Result<()> {
    let client = args.connection.anonymous()?;
    if client.base().starts_with("http://") && !client.is_loopback() {
        remark("Warning: http:// sends the password readable to anybody on the way; use https://.");
    }
    let username = match args.username {
        Some(username) => username,
        None => ask_username()?,
    };
    let password = if args.password_stdin { read_line()? } else { ask_password(&username)? };
    let login = client.login(&LoginRequest { username, password, cookie: false }).await?;
    let path = default_path()?;
    let mut credentials = Credentials::load(&path)?;
    let credential = Credential {
        token: login.token,
        username: login.user.name.clone(),
        expires_at: login.expires_at.clone(),
    };
    credentials.current = Some(client.base());
    credentials.servers.insert(client.base(), credential);
    credentials.save(&path)?;
    if args.output.json {
        return print_json(
            &json!({ "url": client.base(), "expires_at": login.expires_at, "user": login.user }),
        );
    }
    print_line(&crate::terminal::clean(&format!(
        "Logged in to {} as {} until {}.",
        client.base(),
        login.user.name,
        login.expires_at
    )))
}

/// Revokes the token and forgets it; a token that is no good any more is forgotten too.
pub async fn logout(args: LogoutArgs) -> anyhow::Result<()> {
    let base = args.connection.anonymous()?.base();
    let revoked = match args.connection.client() {
        Ok(client) => client.logout().await.map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    let path = default_path()?;
    let mut credentials = Credentials::load(&path)?;
    let had_one = credentials.servers.remove(&base).is_some();
    if had_one {
        credentials.save(&path)?;
    }
    if let Err(error) = revoked {
        let is_over = error.downcast_ref::<doorman_client::ClientError>().and_then(|error| error.problem());
        let is_over = is_over.is_some_and(|problem| problem.status == 401)
            || error
                .downcast_ref::<Failure>()
                .is_some_and(|failure| had_one && failure.code == exit::UNAUTHENTICATED);
        if !is_over {
            let told = if had_one {
                "the token was forgotten here, but may still be good there"
            } else {
                "nothing was changed"
            };
            return Err(error.context(told));
        }
    }
    if args.output.json {
        print_json(&json!({ "url": base }))
    } else {
        print_line(&format!("Logged out of {base}."))
    }
}

/// Shows whose credential it is.
pub async fn whoami(args: WhoamiArgs) -> anyhow::Result<()> {
    let client = args.connection.client()?;
    let me = client.me().await?;
    if args.output.json {
        return print_json(&me);
    }
    let user = me.user.as_ref();
    print_fields(&[
        ("subject", Some(me.subject.clone())),
        ("actor", (me.actor != me.subject).then(|| me.actor.clone())),
        ("name", user.and_then(|user| user.display_name.clone())),
        ("email", user.and_then(|user| user.email.clone())),
        ("groups", Some(if me.groups.is_empty() { "none".to_owned() } else { me.groups.join(", ") })),
        ("until", me.expires_at.clone()),
        ("at", Some(client.base())),
    ])?;
    if me.may.is_empty() {
        return Ok(());
    }
    print_line("")?;
    let rows = me.may.into_iter().map(|allowed| vec![allowed.action, allowed.resource]).collect();
    print_table(&["MAY", "ON"], rows, "")
}

fn ask_username() -> anyhow::Result<String> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(exit::FAILED, "nobody is there to ask for a user name")
            .hint("give --username")
            .into());
    }
    eprint!("User name: ");
    std::io::stderr().flush()?;
    read_line()
}

fn ask_password(username: &str) -> anyhow::Result<String> {
    rpassword::prompt_password(format!("Password of {username}: ")).map_err(|_| {
        Failure::new(exit::FAILED, "nobody is there to ask for a password")
            .hint("give --password-stdin")
            .into()
    })
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input")?;
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
