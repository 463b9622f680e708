//! `doorman audit prove` and `check-proof`.

use crate::commands::audit_verify::read_keys;
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_fields, print_json, print_line, remark};
use crate::terminal::clean_json;
use anyhow::Context as _;
use clap::Args;
use doorman_core::proof::{Proof, ProofError, Proven};
use doorman_core::time::format_rfc3339;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// `doorman audit prove`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit prove 0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f --output proof.json
  doorman audit check-proof proof.json --keys history.json

The proof holds the entry as it was recorded, and its outcome: hand it to whoever may read that.")]
pub struct ProveArgs {
    /// The entry's id: `Doorman-Audit-Id` of an answer
    id: String,
    /// Where to; standard output without it
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// `doorman audit check-proof`
#[derive(Args)]
#[command(after_help = "\
The keys are those of all time, history.json beside an api's keys: take a copy that you trust.
Exit codes: 0 the entry is in the log as the proof shows it · 1 the proof does not hold · 2 it could not be looked at")]
pub struct CheckProofArgs {
    /// The proof; - for standard input
    file: PathBuf,
    /// Public keys
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl CheckProofArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

/// Fetches a proof.
pub async fn run(args: ProveArgs) -> anyhow::Result<()> {
    let proof = args.connection.client()?.audit_proof(&args.id).await?;
    // The same JSON for any terminal.
    let text = clean_json(proof.get());
    match args.output {
        None => print_line(&text),
        Some(path) => {
            std::fs::write(&path, text + "\n").with_context(|| path.display().to_string())?;
            remark(&format!("The proof is in {}; `doorman audit check-proof` checks it.", path.display()));
            Ok(())
        }
    }
}

/// Checks one offline.
pub fn check(args: CheckProofArgs) -> anyhow::Result<()> {
    let looked = read_keys(&args.keys).and_then(|keys| Ok((keys, read(&args.file)?)));
    let (keys, text) = looked.map_err(|error| Failure::new(exit::NOT_LOOKED, format!("{error:#}")))?;
    let held = Proof::from_json(&text).and_then(|proof| Ok((proof.check(&keys)?, proof)));
    match held {
        Ok((proven, proof)) => show(&proven, &proof, args.output.json),
        Err(ProofError::NotAProof) => {
            Err(Failure::new(exit::NOT_LOOKED, ProofError::NotAProof.to_string()).into())
        }
        Err(error) => {
            if args.output.json {
                print_json(&json!({ "holds": false, "why": error.to_string() }))?;
            }
            Err(Failure::new(exit::FAILED, error.to_string()).into())
        }
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn show(proven: &Proven, proof: &Proof, json: bool) -> anyhow::Result<()> {
    let record: Value = serde_json::from_str(proof.record())?;
    let time = format_rfc3339(proven.time_ms);
    if json {
        return print_json(&json!({
            "holds": true, "proven": proven, "committed_at": time, "record": record,
        }));
    }
    print_line("The proof holds: the entry is in the log, as it is shown here.")?;
    let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    print_fields(&[
        ("id", Some(proven.id.to_string())),
        ("time", text("time")),
        ("kind", text("kind")),
        ("actor", text("actor")),
        ("subject", text("subject")),
        ("method", text("method")),
        ("region", text("region")),
        ("service", text("service")),
        ("path", text("path")),
        ("reason", text("reason")),
        ("committed", Some(time)),
        ("statement", Some(format!("{} of writer {}", proven.statement, proven.writer))),
        ("signed by", Some(proven.kid.to_string())),
        ("outcome", Some(if proven.with_outcome { "proven too" } else { "not in this proof" }.to_owned())),
    ])
}
