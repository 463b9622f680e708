//! `doorman audit retry`.

use crate::connection::ConnectionArgs;
use crate::output::{OutputArgs, print_json, remark, write_out};
use crate::terminal::clean_block;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use doorman_client::{BodyEncoding, RetryAnswer, RetryRequest, Same};
use serde_json::Value;
use std::io::{IsTerminal as _, Read as _};

/// `doorman audit retry`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit retry 0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f
  doorman audit retry 0199d0c2-7b1e-7cc3-98c4-dc0c0c07398f --confirm --reason 'ticket 4711' --body @body.json

Your own rights of now decide, and the new entry names the old one. Masked headers are left out. A body or query that was
masked, cut or streamed must be supplied. The answer's body goes to standard output, what is the same as the recorded answer to
standard error.")]
pub struct RetryArgs {
    /// The entry's id: `Doorman-Audit-Id` of an answer
    id: String,
    /// Yes, send it, though it may change something
    #[arg(long)]
    confirm: bool,
    /// Why this is done, for the audit log; the recorded reason is not taken over
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    /// The body in place of the recorded one; `@FILE` reads a file, `@-` standard input
    #[arg(long, value_name = "DATA", allow_hyphen_values = true)]
    body: Option<String>,
    /// The query in place of the recorded one, without `?`
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl RetryArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

/// Sends it again and shows the answer.
pub async fn run(args: RetryArgs) -> anyhow::Result<()> {
    let body = args.body.as_deref().map(read_body).transpose()?;
    let retry = RetryRequest {
        reason: args.reason,
        confirm: args.confirm,
        body: body.map(Value::String),
        query: args.query,
    };
    let answer = args.connection.client()?.audit_retry(&args.id, &retry).await?;
    if args.output.json {
        return print_json(&answer);
    }
    remark(&summary(&answer));
    print_body(&answer)
}

fn read_body(data: &str) -> anyhow::Result<String> {
    match data.strip_prefix('@') {
        None => Ok(data.to_owned()),
        Some("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input")?;
            Ok(text)
        }
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {path}")),
    }
}

fn summary(answer: &RetryAnswer) -> String {
    let by = answer.instance.as_deref().map(|instance| format!(" by {instance}")).unwrap_or_default();
    let id = answer.audit_id.as_deref().unwrap_or("unknown");
    let Same { status, headers, body, differing_headers } = &answer.same;
    let word = |same: &Option<bool>| match same {
        Some(true) => "same",
        Some(false) => "different",
        None => "not known",
    };
    let names = if differing_headers.is_empty() {
        String::new()
    } else {
        format!(" ({})", differing_headers.join(", "))
    };
    format!(
        "{}{by}, audit {id}; against the recorded answer: status {}, headers {}{names}, body {}",
        answer.status,
        word(status),
        word(headers),
        word(body)
    )
}

fn print_body(answer: &RetryAnswer) -> anyhow::Result<()> {
    match answer.body_encoding {
        BodyEncoding::Text if std::io::stdout().is_terminal() => {
            write_out(clean_block(&answer.body).as_bytes())?;
        }
        BodyEncoding::Text => write_out(answer.body.as_bytes())?,
        BodyEncoding::Base64 => write_out(&STANDARD.decode(&answer.body).unwrap_or_default())?,
    }
    if answer.body_truncated {
        remark(&format!("Only the beginning of {} bytes is shown.", answer.body_size));
    }
    Ok(())
}
