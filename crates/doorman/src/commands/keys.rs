//! `doorman keys list`, `rotate`, `retire`, `public`. They work on files, beside running processes.

use crate::config::{Environment, Keeping};
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_json, print_line, print_table, write_out};
use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use doorman_auth::keys::{KEY_SET_FILE, KeyRingError, retire as retire_key, rotate as rotate_keys};
use doorman_core::keys::{KeyId, KeyUse, PublicKeys};
use doorman_core::time::format_rfc3339;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `doorman keys`
#[derive(Subcommand)]
pub enum KeysCommand {
    /// List the keys that verify now
    List(PlaceArgs),
    /// Make new keys; the old ones go on verifying until nothing that they signed is shown any more
    Rotate(RotateArgs),
    /// Take a key out of use at once, as when it has leaked: what it signed is refused from now on
    Retire(RetireArgs),
    /// Print the public keys, as every proxy needs them
    Public(PlaceArgs),
}

/// Where the keys are.
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman keys list --config api.toml
  doorman keys public --data doorman-data > public.json")]
pub struct PlaceArgs {
    /// The demo's data directory
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
    /// The file of `doorman api` or `doorman auth`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman keys rotate`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman keys rotate --config api.toml
  doorman keys rotate --data doorman-data --use token --activate-in 0s

A running process sees the new keys by itself. A new key is published at once and signs only after --activate-in: copy
public.json to every proxy before that.")]
pub struct RotateArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only keys of this use [default: all]
    #[arg(long = "use", value_name = "USE")]
    uses: Vec<Use>,
    /// How long verifiers have to learn the new keys before they sign
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::config::parse_duration)]
    activate_in: Duration,
}

/// `doorman keys retire`
#[derive(Args)]
#[command(after_help = "\
Example:
  doorman keys retire 5f0c… --config api.toml

`doorman keys list` shows the ids. A new key takes its place if no other signs. Running processes see it within a second; copy
public.json to every proxy (and public.json of api to `doorman auth`) at once. Whose token it signed logs in again.")]
pub struct RetireArgs {
    /// The key's id, as `doorman keys list` shows it
    key: KeyId,
    #[command(flatten)]
    place: PlaceArgs,
}

/// What a key signs.
#[derive(Clone, Copy, ValueEnum)]
enum Use {
    /// Access tokens
    Token,
    /// Doorman-Identity, for live services
    Identity,
    /// Statements over the journal, and so passes
    Statement,
    /// Polls of proxies
    Control,
}

impl From<Use> for KeyUse {
    fn from(key_use: Use) -> Self {
        match key_use {
            Use::Token => Self::Token,
            Use::Identity => Self::Identity,
            Use::Statement => Self::Statement,
            Use::Control => Self::Control,
        }
    }
}

impl KeysCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::List(place) | Self::Public(place) => place.output.json,
            Self::Rotate(args) => args.place.output.json,
            Self::Retire(args) => args.place.output.json,
        }
    }
}

/// Lists, rotates or prints.
pub fn run(command: KeysCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        KeysCommand::List(place) => list(&place, environment),
        KeysCommand::Rotate(args) => rotate(&args, environment),
        KeysCommand::Retire(args) => retire(&args, environment),
        KeysCommand::Public(place) => {
            let path = place.directory(environment)?.join(KEY_SET_FILE);
            read_public(&path)?;
            write_out(&std::fs::read(&path)?)
        }
    }
}

impl PlaceArgs {
    fn directory(&self, environment: &Environment) -> anyhow::Result<PathBuf> {
        match (&self.data, &self.config) {
            (_, Some(file)) => Ok(Keeping::load(file, environment)?.keys.dir),
            (Some(data), None) => Ok(data.join("keys")),
            (None, None) => Ok(PathBuf::from("doorman-data/keys")),
        }
    }
}

fn list(place: &PlaceArgs, environment: &Environment) -> anyhow::Result<()> {
    let keys = read_public(&place.directory(environment)?.join(KEY_SET_FILE))?;
    let rows = KeyUse::ALL.into_iter().flat_map(|key_use| keys.ids(key_use).map(move |id| (key_use, id)));
    if place.output.json {
        let items: Vec<_> =
            rows.map(|(key_use, id)| json!({ "use": key_use.as_str(), "kid": id.to_string() })).collect();
        return print_json(&json!({ "items": items, "next_cursor": null }));
    }
    let rows = rows.map(|(key_use, id)| vec![key_use.as_str().to_owned(), id.to_string()]).collect();
    print_table(&["USE", "KEY"], rows, "There are no keys yet; the first start makes them.")
}

fn read_public(path: &Path) -> anyhow::Result<PublicKeys> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let failure = Failure::new(exit::FAILED, format!("{} cannot be read: {error}", path.display()));
        failure.hint("name the place with --data or --config; the first start of `doorman api` makes keys")
    })?;
    PublicKeys::from_jwks(&text).with_context(|| path.display().to_string())
}

fn retire(args: &RetireArgs, environment: &Environment) -> anyhow::Result<()> {
    let directory = args.place.directory(environment)?;
    retire_key(&directory, args.key).map_err(|error| match error {
        KeyRingError::UnknownKey { .. } => anyhow::Error::from(
            Failure::new(exit::NOT_FOUND, error.to_string())
                .hint("`doorman keys list` shows those there are"),
        ),
        error => error.into(),
    })?;
    if args.place.output.json {
        return print_json(&json!({ "kid": args.key.to_string(), "retired": true }));
    }
    print_line(&format!(
        "{} is retired. Copy {} to every proxy now.",
        args.key,
        directory.join(KEY_SET_FILE).display()
    ))
}

fn rotate(args: &RotateArgs, environment: &Environment) -> anyhow::Result<()> {
    let directory = args.place.directory(environment)?;
    if !directory.is_dir() {
        let failure = Failure::new(exit::FAILED, format!("{} is no directory of keys", directory.display()));
        return Err(failure.hint("name the place with --data or --config").into());
    }
    let uses: Vec<KeyUse> = match args.uses.as_slice() {
        [] => KeyUse::ALL.to_vec(),
        uses => uses.iter().copied().map(KeyUse::from).collect(),
    };
    let made = rotate_keys(&directory, &uses, args.activate_in)?;
    if args.place.output.json {
        let items: Vec<_> = made
            .iter()
            .map(|key| {
                let from = format_rfc3339(key.active_from_ms);
                json!({ "use": key.key_use.as_str(), "kid": key.id.to_string(), "active_from": from })
            })
            .collect();
        return print_json(&json!({ "items": items, "next_cursor": null }));
    }
    let rows = made.iter().map(|key| {
        vec![key.key_use.as_str().to_owned(), key.id.to_string(), format_rfc3339(key.active_from_ms)]
    });
    print_table(&["USE", "NEW KEY", "SIGNS FROM"], rows.collect(), "")?;
    print_line(&format!("\nCopy {} to every proxy before then.", directory.join(KEY_SET_FILE).display()))
}
