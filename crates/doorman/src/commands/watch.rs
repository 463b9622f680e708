//! Following a run: a bar for people, lines for logs, JSON for programs.

use super::runs::{summary, tell_errors};
use crate::failure::Silent;
use crate::failure::exit;
use crate::output::{OutputArgs, print_line, remark};
use crate::terminal::{clean, clean_json};
use clap::Args;
use doorman_client::{Client, ClientError, Run, RunState};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::time::Duration;

/// How often a broken connection is made anew before giving up.
const MOST_FAILURES: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);

/// The same on commands that start runs.
#[derive(Args, Clone, Copy)]
pub struct WatchArgs {
    /// Follow the run until it ends
    #[arg(long)]
    pub watch: bool,
}

/// What a shell says of a command that was interrupted.
const INTERRUPTED: u8 = 130;

/// Follows a run until it has ended, or has stopped by itself. The run goes on when this ends early.
///
/// # Errors
/// [`Silent`] when not every item was done, or somebody has interrupted this; whatever the connection says when it is gone
/// for good.
pub async fn follow(client: &Client, run: Run, output: OutputArgs) -> anyhow::Result<()> {
    let id = run.id.clone();
    if !output.json {
        remark(&format!("Run {id}. It goes on by itself; `doorman runs pause {id}` halts it."));
    }
    let interrupted = tokio::signal::ctrl_c();
    tokio::select! {
        ended = follow_to_end(client, run, output) => ended,
        _ = interrupted => {
            remark(&format!("\nThe run goes on. `doorman runs watch {id}` follows it, `doorman runs pause {id}` halts it."));
            Err(Silent(INTERRUPTED).into())
        }
    }
}

async fn follow_to_end(client: &Client, mut run: Run, output: OutputArgs) -> anyhow::Result<()> {
    let mut view = View::new(&run, output);
    view.show(&run)?;
    let mut failures = 0;
    while !has_ended(&run) {
        match follow_once(client, &mut run, &mut view).await {
            Ok(()) => failures = 0,
            Err(error) if !is_passing(&error) || failures >= MOST_FAILURES => return Err(error),
            Err(_) => failures += 1,
        }
        if !has_ended(&run) {
            tokio::time::sleep(PAUSE).await;
            if let Ok(now) = client.run(&run.id).await {
                run = now;
                view.show(&run)?;
            }
        }
    }
    view.end(&run)?;
    let is_good = run.state == RunState::Done && run.counts.failed + run.counts.unknown == 0;
    if is_good { Ok(()) } else { Err(Silent(exit::FAILED).into()) }
}

async fn follow_once(client: &Client, run: &mut Run, view: &mut View) -> anyhow::Result<()> {
    let mut events = client.run_events(&run.id).await?;
    while let Some(now) = events.next().await? {
        *run = now;
        view.show(run)?;
        if has_ended(run) {
            break;
        }
    }
    Ok(())
}

/// Whether nothing more happens until a person does something about it. A gate is part of the way, and is waited for, and so
/// is what was in flight when a run was cancelled or stopped itself.
fn has_ended(run: &Run) -> bool {
    run.ended_at.is_some() || (run.state == RunState::Stopped && run.counts.sending == 0)
}

/// Whether trying again may help.
fn is_passing(error: &anyhow::Error) -> bool {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Problem(problem)) => problem.status >= 500 || problem.status == 429,
        Some(ClientError::Unreachable(_) | ClientError::NotDoorman { .. }) => true,
        _ => false,
    }
}

/// How progress is shown.
enum View {
    Bar(ProgressBar),
    Lines { told: String },
    Json,
}

impl View {
    fn new(run: &Run, output: OutputArgs) -> Self {
        if output.json {
            return Self::Json;
        }
        if !std::io::stderr().is_terminal() {
            return Self::Lines { told: String::new() };
        }
        let bar = ProgressBar::with_draw_target(Some(run.counts.total()), ProgressDrawTarget::stderr());
        let template = "{bar:30} {pos}/{len} {percent}% · {elapsed} · {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("█▌ "));
        }
        bar.enable_steady_tick(Duration::from_millis(500));
        Self::Bar(bar)
    }

    fn show(&mut self, run: &Run) -> anyhow::Result<()> {
        match self {
            Self::Json => print_line(&clean_json(&serde_json::to_string(run)?)),
            Self::Bar(bar) => {
                bar.set_length(run.counts.total());
                bar.set_position(run.counts.ended());
                bar.set_message(clean(&summary(run)).into_owned());
                Ok(())
            }
            Self::Lines { told } => {
                // A line when something happens, not for every item.
                let now = format!("{:?} {} {:?} {}", run.state, run.wave, run.why, tenths(run));
                if *told != now {
                    remark(&format!("{}/{} · {}", run.counts.ended(), run.counts.total(), summary(run)));
                    *told = now;
                }
                Ok(())
            }
        }
    }

    fn end(self, run: &Run) -> anyhow::Result<()> {
        if let Self::Json = self {
            return Ok(());
        }
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
        print_line(&clean(&format!("{} · {}", run.id, summary(run))))?;
        tell_errors(run)?;
        let id = &run.id;
        if run.counts.unknown > 0 {
            remark(&format!(
                "Nobody knows how some ended; look at each: doorman runs items {id} --state unknown"
            ));
        }
        match run.state {
            RunState::Stopped => remark(&format!(
                "Go on with `doorman runs resume {id}`, or end it with `doorman runs cancel {id}`."
            )),
            RunState::Done if run.counts.failed > 0 && !run.dry_run => {
                remark(&format!("Send the failed ones again: doorman runs retry-failed {id}"))
            }
            _ => {}
        }
        Ok(())
    }
}

fn tenths(run: &Run) -> u64 {
    (run.counts.ended() * 10).checked_div(run.counts.total()).unwrap_or(0)
}
