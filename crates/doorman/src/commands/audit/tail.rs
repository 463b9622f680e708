//! `doorman audit tail`.

use super::{FilterArgs, ended, what, who};
use crate::connection::ConnectionArgs;
use crate::failure::{Failure, exit};
use crate::output::{OutputArgs, print_line, remark};
use crate::terminal::{clean, clean_json};
use clap::Args;
use doorman_client::{AuditEntry, AuditStreamQuery};
use serde::Deserialize;

/// `doorman audit tail`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman audit tail --service companies
  doorman audit tail --outcome denied --json | jq .actor

An entry is shown when it is written and once more when its outcome is known. Ends with the session, at the latest.")]
pub struct TailArgs {
    #[command(flatten)]
    filters: FilterArgs,
    #[command(flatten)]
    connection: ConnectionArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl TailArgs {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.output.json
    }
}

#[derive(Deserialize)]
struct End {
    code: String,
    detail: String,
}

/// Shows entries until the server or the user ends it.
pub async fn run(args: TailArgs) -> anyhow::Result<()> {
    let client = args.connection.client()?;
    let mut events = client.audit_stream(&AuditStreamQuery::of(args.filters.query())).await?;
    if !args.output.json {
        remark("Following the log; Ctrl-C ends it.");
    }
    while let Some(event) = events.next().await? {
        match event.name.as_str() {
            "entry" if args.output.json => print_line(&clean_json(&event.data))?,
            "entry" => print_line(&line(&serde_json::from_str(&event.data)?))?,
            "end" => {
                let end: End = serde_json::from_str(&event.data)?;
                return Err(Failure::new(code_of(&end.code), end.detail).into());
            }
            _ => {}
        }
    }
    Err(Failure::new(exit::UNAVAILABLE, "the server ended the tail")
        .hint("run it again; `doorman audit search --from TIME` shows what came in between")
        .into())
}

fn code_of(code: &str) -> u8 {
    match code {
        "unauthenticated" | "token_expired" | "token_revoked" => exit::UNAUTHENTICATED,
        "forbidden" => exit::REFUSED,
        _ => exit::UNAVAILABLE,
    }
}

fn line(entry: &AuditEntry) -> String {
    let cells = [&entry.time, &who(entry), &what(entry), &ended(entry), &entry.id];
    cells.map(|cell| clean(cell).into_owned()).join("  ")
}
