//! How a command fails: what is shown, and the exit code that scripts see.

use crate::config::Refusal;
use crate::terminal::{clean, clean_block, clean_json};
use doorman_client::{ClientError, Problem};
use serde_json::json;

/// Exit codes; `doorman --help` lists them.
pub mod exit {
    /// The command failed.
    pub const FAILED: u8 = 1;
    /// `audit verify` could not look.
    pub const NOT_LOOKED: u8 = 2;
    /// There is no credential, or it is no good any more.
    pub const UNAUTHENTICATED: u8 = 3;
    /// Policy, or the state of things, does not allow it.
    pub const REFUSED: u8 = 4;
    /// There is no such thing.
    pub const NOT_FOUND: u8 = 5;
    /// Doorman or what is behind it cannot be reached.
    pub const UNAVAILABLE: u8 = 6;
    /// The service's answer is an error, and `--fail` was given.
    pub const SERVICE_ERROR: u8 = 22;
    /// The configuration is not valid (`EX_USAGE`).
    pub const CONFIG: u8 = 64;
}

/// A failure with an exit code of its own and advice.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// What happened.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without advice.
    pub fn new(code: u8, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// With advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The command has already said everything; only the exit code is left.
#[derive(Debug, thiserror::Error)]
#[error("")]
pub struct Silent(pub u8);

/// Shows `error` on standard error and returns the exit code.
pub fn report(error: &anyhow::Error, json: bool) -> u8 {
    if let Some(Silent(code)) = error.downcast_ref() {
        return *code;
    }
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        if json {
            let faults: Vec<_> = refusal.faults().iter().map(crate::config::Fault::to_row).collect();
            eprintln!("{}", clean_json(&json!({ "valid": false, "problems": faults }).to_string()));
        } else {
            eprintln!("{}", clean_block(&refusal.to_string()));
        }
        return exit::CONFIG;
    }
    if let Some(ClientError::Problem(problem)) = error.downcast_ref() {
        show_problem(problem, json);
        return code_of(problem);
    }
    let (code, hint) = match (error.downcast_ref::<Failure>(), error.downcast_ref::<ClientError>()) {
        (Some(failure), _) => (failure.code, failure.hint.clone()),
        (_, Some(ClientError::Unreachable(_))) => (
            exit::UNAVAILABLE,
            Some("is Doorman running there? --url or DOORMAN_URL say where it is".to_owned()),
        ),
        (_, Some(ClientError::NotDoorman { .. })) => {
            (exit::FAILED, Some("--url or DOORMAN_URL must name Doorman's own address".to_owned()))
        }
        _ => (exit::FAILED, None),
    };
    if json {
        let row = json!({ "detail": format!("{error:#}"), "hint": hint, "exit": code });
        eprintln!("{}", clean_json(&row.to_string()));
    } else {
        eprintln!("doorman: {}", clean_block(&format!("{error:#}")));
        if let Some(hint) = hint {
            eprintln!("  next: {}", clean(&hint));
        }
    }
    code
}

fn show_problem(problem: &Problem, json: bool) {
    if json {
        eprintln!("{}", clean_json(&serde_json::to_string(problem).unwrap_or_default()));
        return;
    }
    eprintln!("doorman: {} ({})", clean(&problem.title), clean(&problem.code));
    if let Some(detail) =
        problem.detail.as_deref().filter(|detail| detail.trim_end_matches('.') != problem.title)
    {
        eprintln!("  {}", clean(detail));
    }
    for error in &problem.errors {
        eprintln!("  {}: {}", clean(&error.field), clean(&error.detail));
    }
    if let Some(hint) = problem.hint.as_deref().or_else(|| own_hint(&problem.code)) {
        eprintln!("  next: {}", clean(hint));
    }
    if let Some(id) = &problem.audit_id {
        eprintln!("  on record: doorman audit show {}", clean(id));
    }
}

/// Advice where Doorman gave none, in terms of this program.
fn own_hint(code: &str) -> Option<&'static str> {
    match code {
        "unauthenticated" | "token_expired" | "token_revoked" => Some("doorman login"),
        "reason_required" => Some("give --reason TEXT"),
        "unknown_region" => Some("doorman regions"),
        "unknown_service" => Some("doorman services REGION"),
        "unknown_instance" => Some("doorman instances REGION SERVICE"),
        _ => None,
    }
}

fn code_of(problem: &Problem) -> u8 {
    match problem.status {
        401 => exit::UNAUTHENTICATED,
        403 => exit::REFUSED,
        404 => exit::NOT_FOUND,
        502..=504 => exit::UNAVAILABLE,
        _ => exit::FAILED,
    }
}
