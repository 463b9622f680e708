//! The audit index: what a list searches, derived from the journal. Each step moves some statements of each writer into
//! it, in one transaction with the cursor, so that any number of replicas may run steps.

mod check;
pub(crate) mod row;
pub(crate) mod sqlite;
mod step;
mod sweep;
pub(crate) mod tail;

pub use sweep::OpenAttempt;
