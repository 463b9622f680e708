//! The policy crate from outside: the demo's rights as a reviewed matrix, files, reloading, explanations.

#![allow(clippy::unwrap_used, reason = "test code")]

#[cfg(test)]
mod explaining;
#[cfg(test)]
mod files;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod reloading;

use doorman_policy::{PolicySet, RequestContext, Subject, demo_policies};

pub fn demo() -> PolicySet {
    PolicySet::from_texts(demo_policies()).unwrap()
}

pub fn set(text: &str) -> PolicySet {
    PolicySet::from_texts(&[("test.cedar", text)]).unwrap()
}

pub fn user(name: &str, groups: &[&str]) -> Subject {
    Subject::user(name, &groups.iter().map(ToString::to_string).collect::<Vec<_>>())
}

pub fn context(method: &'static str) -> RequestContext<'static> {
    RequestContext {
        method,
        path: "/companies/7",
        instance: "any",
        reason: None,
        approved: false,
        time: 1_700_000_000,
        client_ip: [127, 0, 0, 1].into(),
        on_behalf: None,
    }
}
