//! `doorman request`.

use crate::connection::ConnectionArgs;
use crate::failure::{Failure, Silent, exit};
use crate::output::{OutputArgs, print_json, print_line, remark, write_out};
use crate::terminal::{clean, clean_block};
use anyhow::Context as _;
use clap::Args;
use doorman_client::{Answer, DoorRequest};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::time::Instant;

/// `doorman request`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman request GET eu/companies/companies?page=2
  doorman request GET eu/companies@companies-2/health           one chosen instance
  doorman request GET eu/echo@all/                              every instance
  doorman request POST eu/companies/companies/7/migrate -d '{\"to\":\"v2\"}' --reason 'ticket 4711'

The body goes to standard output as it came; who answered and the audit id go to standard error.")]
pub struct RequestArgs {
    /// The HTTP method
    method: String,
    /// REGION/SERVICE[@INSTANCE]/path?query
    target: String,
    /// A header, as `Name: value`; more than once for more
    #[arg(long, short = 'H', value_name = "HEADER")]
    header: Vec<String>,
    /// The body; `@FILE` reads a file, `@-` standard input. JSON is sent as application/json
    #[arg(long, short, value_name = "DATA", allow_hyphen_values = true)]
    data: Option<String>,
    /// Why this is done, for the audit log
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<String>,
    /// Show the head of the answer too
    #[arg(long, short)]
    include: bool,
    /// Exit with 22 when the service answers 400 or above
    #[arg(long, short)]
    fail: bool,
    /// Say nothing on standard error about an answer
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Sends it and shows the answer.
pub async fn run(args: RequestArgs) -> anyhow::Result<()> {
    let client = args.connection.client()?;
    let request = DoorRequest {
        method: args.method.clone(),
        target: args.target.clone(),
        headers: args.header.iter().map(|header| parse_header(header)).collect::<Result<_, _>>()?,
        body: args.data.as_deref().map(read_data).transpose()?.map(Into::into),
        reason: args.reason.clone(),
    };
    let begun = Instant::now();
    let mut answer = client.request(&with_content_type(request)).await?.into_result().await?;
    if args.output.json {
        print_answer_json(&mut answer).await?;
    } else {
        if !args.quiet {
            remark(&summary(&answer, begun));
        }
        if args.include {
            print_head(&answer)?;
        }
        print_body(&mut answer).await?;
    }
    if args.fail && answer.status() >= 400 { Err(Silent(exit::SERVICE_ERROR).into()) } else { Ok(()) }
}

fn parse_header(text: &str) -> anyhow::Result<(String, String)> {
    match text.split_once(':') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.trim().to_owned())),
        _ => Err(Failure::new(exit::FAILED, format!("`{text}` is no header"))
            .hint("write it as 'Name: value'")
            .into()),
    }
}

fn read_data(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some("-") => {
            let mut data = Vec::new();
            std::io::stdin().lock().read_to_end(&mut data).context("standard input")?;
            Ok(data)
        }
        Some(path) => std::fs::read(path).with_context(|| path.to_owned()),
    }
}

fn with_content_type(mut request: DoorRequest) -> DoorRequest {
    let is_named = request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let is_json = request
        .body
        .as_ref()
        .is_some_and(|body| serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok());
    if is_json && !is_named {
        request.headers.push(("content-type".to_owned(), "application/json".to_owned()));
    }
    request
}

fn summary(answer: &Answer, begun: Instant) -> String {
    let mut parts = vec![answer.status_line()];
    parts.extend(answer.instance().map(|instance| format!("instance {instance}")));
    parts.extend(answer.audit_id().map(|id| format!("audit {id}")));
    parts.push(format!("{} ms", begun.elapsed().as_millis()));
    parts.join(" · ")
}

fn print_head(answer: &Answer) -> anyhow::Result<()> {
    print_line(&answer.status_line())?;
    for (name, value) in answer.headers() {
        print_line(&format!("{name}: {}", clean(&String::from_utf8_lossy(value.as_bytes()))))?;
    }
    print_line("")
}

/// A terminal gets text fit for it; a file or a pipe gets the bytes.
async fn print_body(answer: &mut Answer) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() {
        while let Some(chunk) = answer.chunk().await? {
            write_out(&chunk)?;
        }
        return Ok(());
    }
    let is_text =
        answer.headers().get("content-type").and_then(|value| value.to_str().ok()).is_none_or(|kind| {
            ["text/", "json", "xml", "javascript", "urlencoded"].iter().any(|part| kind.contains(part))
        });
    // Characters can lie across chunks; what is incomplete waits for the next.
    let mut held = Vec::new();
    let mut ends_line = true;
    while let Some(chunk) = answer.chunk().await? {
        if !is_text {
            remark("The body is binary; send it to a file with `> FILE`.");
            return Ok(());
        }
        held.extend_from_slice(&chunk);
        let whole = match std::str::from_utf8(&held) {
            Ok(_) => held.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => held.len(),
        };
        let rest = held.split_off(whole);
        let text = clean_block(&String::from_utf8_lossy(&held));
        ends_line = text.ends_with('\n') || (text.is_empty() && ends_line);
        write_out(text.as_bytes())?;
        held = rest;
    }
    if ends_line { Ok(()) } else { print_line("") }
}

async fn print_answer_json(answer: &mut Answer) -> anyhow::Result<()> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
    }
    let mut headers = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in answer.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    let (encoding, body) = match String::from_utf8(body) {
        Ok(text) => ("text", text),
        Err(error) => {
            use base64::Engine as _;
            ("base64", base64::engine::general_purpose::STANDARD.encode(error.as_bytes()))
        }
    };
    print_json(&json!({
        "status": answer.status(),
        "audit_id": answer.audit_id(),
        "instance": answer.instance(),
        "headers": headers,
        "body": body,
        "body_encoding": encoding,
    }))
}
