//! `doorman policy check`, `explain` and `replay`. They work on files, the last on a log too, and ask no server.

use super::policy_replay::{self, ReplayArgs};
use crate::config::{ApiConfig, Environment, Files, load};
use crate::failure::{Failure, Silent, exit};
use crate::output::{OutputArgs, print_json, print_line, print_table};
use crate::terminal::clean_block;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use doorman_core::target::Target;
use doorman_policy::{
    Explanation, PolicySet, Remedy, RequestContext, Subject, Verdict, check as check_policies,
};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// `doorman policy`
#[derive(Subcommand)]
pub enum PolicyCommand {
    /// Check all policies of a directory
    Check(CheckArgs),
    /// Say how one request would be decided, and why
    Explain(Box<ExplainArgs>),
    /// List the requests of the log that a changed set of policies would decide otherwise
    Replay(ReplayArgs),
}

/// Where the policies are.
#[derive(Args)]
pub struct PlaceArgs {
    /// The directory of *.cedar files [default: doorman-data/policies]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    policies: Option<PathBuf>,
    /// The file of `doorman api`, which names it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// `doorman policy check`
#[derive(Args)]
#[command(after_help = "\
Example:
  doorman policy check --policies policies/

Exits with 0 when the policies can be put in force, warnings or not, and with 1 when they cannot.")]
pub struct CheckArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// `doorman policy explain`
#[derive(Args)]
#[command(after_help = "\
Examples:
  doorman policy explain --user alice --group developers POST us/companies/companies/7/migrate
  doorman policy explain --user bob --group oncall --reason 'ticket 4711' POST us/companies/companies/7/migrate

Exits with 0 when it is permitted and with 4 when it is not.")]
pub struct ExplainArgs {
    /// The HTTP method
    method: String,
    /// REGION/SERVICE[@INSTANCE]/path
    target: String,
    /// Who asks
    #[arg(long, value_name = "NAME", conflicts_with = "service", required_unless_present = "service")]
    user: Option<String>,
    /// A group of the user; more than once for more
    #[arg(long, value_name = "GROUP", requires = "user")]
    group: Vec<String>,
    /// The service account that asks for itself
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The service account that asks on the user's behalf
    #[arg(long, value_name = "NAME", requires = "user")]
    on_behalf: Option<String>,
    /// The reason given
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// As if it had been approved
    #[arg(long)]
    approved: bool,
    /// From where
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    client_ip: IpAddr,
    /// When (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME")]
    time: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl PolicyCommand {
    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        match self {
            Self::Check(args) => args.output.json,
            Self::Explain(args) => args.output.json,
            Self::Replay(args) => args.is_json(),
        }
    }
}

/// Checks, explains or replays.
pub async fn run(command: PolicyCommand, environment: &Environment) -> anyhow::Result<()> {
    match command {
        PolicyCommand::Check(args) => check(&args, environment),
        PolicyCommand::Explain(args) => explain(&args, environment),
        PolicyCommand::Replay(args) => policy_replay::run(args, environment).await,
    }
}

impl PlaceArgs {
    pub(super) fn directory(&self, environment: &Environment) -> anyhow::Result<PathBuf> {
        match (&self.policies, &self.config) {
            (_, Some(file)) => Ok(load::<ApiConfig>(file, environment, Files::Ignored)?.policy.dir),
            (Some(directory), None) => Ok(directory.clone()),
            (None, None) => Ok(PathBuf::from("doorman-data/policies")),
        }
    }
}

fn check(args: &CheckArgs, environment: &Environment) -> anyhow::Result<()> {
    let directory = args.place.directory(environment)?;
    let report = check_policies(&directory);
    if args.output.json {
        print_json(&report)?;
    } else {
        for (word, problems) in [("error", &report.errors), ("warning", &report.warnings)] {
            for problem in problems {
                print_line(&clean_block(&format!("{word}: {problem}")))?;
            }
        }
        let (files, policies) = (report.files, report.policies);
        let verdict = if report.errors.is_empty() { "can be put in force" } else { "would be refused" };
        print_line(&format!(
            "{}: {policies} policies in {files} files; they {verdict}.",
            directory.display()
        ))?;
    }
    if report.errors.is_empty() { Ok(()) } else { Err(Silent(exit::FAILED).into()) }
}

fn explain(args: &ExplainArgs, environment: &Environment) -> anyhow::Result<()> {
    let directory = args.place.directory(environment)?;
    let policies = PolicySet::load(&directory)?;
    let (path, query) = match args.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (args.target.as_str(), None),
    };
    let target = Target::parse(&format!("/r/{path}"), query).map_err(|error| {
        Failure::new(exit::FAILED, error.to_string()).hint("write REGION/SERVICE[@INSTANCE]/path")
    })?;
    let subject = match (&args.user, &args.service) {
        (Some(user), _) => Subject::user(user, &args.group),
        (None, service) => Subject::service(service.as_deref().unwrap_or_default()),
    };
    let context = RequestContext {
        method: &args.method,
        path: target.policy_path(),
        instance: target.selector().as_str(),
        reason: args.reason.as_deref(),
        approved: args.approved,
        time: unix_seconds(args.time.as_deref())?,
        client_ip: args.client_ip,
        on_behalf: args.on_behalf.as_deref(),
    };
    let explanation = policies.explain_request(&subject, target.region(), target.service(), &context);
    if args.output.json {
        print_json(&explanation)?
    } else {
        show(&explanation)?
    }
    if explanation.decision.permit { Ok(()) } else { Err(Silent(exit::REFUSED).into()) }
}

fn unix_seconds(text: Option<&str>) -> anyhow::Result<i64> {
    let seconds = match text {
        Some(text) => doorman_core::time::parse_rfc3339(text).context("--time is no RFC 3339 time")? / 1_000,
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
    };
    Ok(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn show(explanation: &Explanation) -> anyhow::Result<()> {
    let decision = &explanation.decision;
    let names: Vec<&str> = decision.policies.iter().map(|name| &**name).collect();
    print_line(&match (decision.permit, names.is_empty()) {
        (true, _) => format!("Permitted by {}.", names.join(", ")),
        (false, true) => "Denied: no policy permits it.".to_owned(),
        (false, false) => format!("Denied by {}.", names.join(", ")),
    })?;
    match explanation.would_permit_with {
        Some(Remedy::Reason) => print_line("It would be permitted with a reason.")?,
        Some(Remedy::Approval) => print_line("It would be permitted with an approval.")?,
        None => {}
    }
    if explanation.candidates.is_empty() {
        return print_line("No policy speaks about this service.");
    }
    print_line("")?;
    let rows = explanation.candidates.iter().map(|candidate| {
        let verdict = match &candidate.verdict {
            Verdict::Applies => "applies".to_owned(),
            Verdict::OtherPrincipal => "is about others".to_owned(),
            Verdict::NotMet => "does not fit this request".to_owned(),
            Verdict::Failed(message) => format!("failed: {message}"),
        };
        let place = format!("{}:{}", candidate.file, candidate.line);
        vec![candidate.name.to_string(), candidate.effect.to_owned(), verdict, place]
    });
    print_table(&["POLICY", "EFFECT", "HERE", "WHERE"], rows.collect(), "")
}
