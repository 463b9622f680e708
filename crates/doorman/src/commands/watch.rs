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

/// Follows a run until it has ended, or has stopped by itself. The run goes on when this ends early.
///
/// # Errors
/// [`Silent`] when not every item was done; whatever the connection says when it is gone for good.
pub async fn follow(client: &Client, mut run: Run, output: OutputArgs) -> anyhow::Result<()> {
    let mut view = View::new(&run, output);
    view.show(&run)?;
    let mut failures = 0;
    while !has_ended(run.state) {
        match follow_once(client, &mut run, &mut view).await {
            Ok(()) => failures = 0,
            Err(error) if !is_passing(&error) || failures >= MOST_FAILURES => return Err(error),
            Err(_) => failures += 1,
        }
        if !has_ended(run.state) {
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
        if has_ended(run.state) {
            break;
        }
    }
    Ok(())
}

/// Whether nothing more happens until a person does something about it. A gate is part of the way, and is waited for.
fn has_ended(state: RunState) -> bool {
    state.is_over() || state == RunState::Stopped
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
            _ if run.counts.failed > 0 => {
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
