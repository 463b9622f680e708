//! Who may do what: Cedar policies, checked against an embedded schema, reloaded when they change, default deny.
//!
//! Pure apart from reading policy files. Decisions come out as plain values with the names of the policies behind them; what follows
//! from a decision is for the callers to enforce. Guide: `docs/policy.md`.
//!
//! ```
//! use doorman_policy::{PolicySet, RequestContext, Subject};
//!
//! let set = PolicySet::from_texts(&[("demo.cedar", r#"
//!     @id("developers-echo")
//!     permit (principal in Group::"developers", action == Action::"request", resource in Region::"eu")
//!     when { context.method == "GET" };
//! "#)])?;
//! let alice = Subject::user("alice", &["developers".to_owned()]);
//! let context = RequestContext {
//!     method: "GET", path: "/", instance: "any", reason: None, approved: false, time: 1_700_000_000,
//!     client_ip: std::net::Ipv4Addr::LOCALHOST.into(), on_behalf: None,
//! };
//! assert!(set.decide_request(&alice, "eu", "echo", &context).permit);
//! assert!(!set.decide_request(&alice, "us", "echo", &context).permit);
//! # Ok::<(), doorman_policy::PolicyError>(())
//! ```

mod check;
mod compile;
mod context;
mod demo;
mod explain;
mod problem;
mod question;
mod resource;
mod schema;
mod set;
mod slice;
mod source;
mod store;
mod subject;

pub use check::{CheckReport, check};
pub use context::{ContextUse, Reads, RequestContext};
pub use demo::demo_policies;
pub use explain::{Candidate, DenialKind, Explanation, Remedy, Verdict};
pub use problem::{PolicyError, Problem};
pub use resource::{Resource, action};
pub use schema::SCHEMA;
pub use set::{Decision, PolicySet};
pub use store::{PolicyStore, ReloadOutcome};
pub use subject::Subject;

#[cfg(test)]
mod soundness;
