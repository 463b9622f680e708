//! The real binary, from outside: what it prints, what it sends, how it exits.

#![allow(clippy::wrong_self_convention, reason = "`as_user` says under which name a request goes")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where it fails, in its helpers too"
)]

mod accounted;
mod accounts;
#[cfg(feature = "archive")]
mod archive;
mod audit;
mod auth;
mod bulk;
mod config;
mod curl;
mod delegation;
mod discovery;
mod failures;
mod fake;
mod framing;
mod grants;
mod hdfs;
mod headers;
mod help;
mod impersonate;
mod inputs;
mod jobs;
mod lifecycle;
mod links;
mod local;
mod log;
mod passes;
mod python;
mod receipts;
mod replicas;
mod request;
mod retry;
mod rights;
mod rollouts;
mod schedules;
mod secrets;
mod session;
mod shell;
mod sinks;
mod smoke;
mod stalls;
mod streams;
mod tail;
mod targets;
mod tokens;
mod verify;
#[allow(dead_code, reason = "a rig offers more than each test needs")]
mod world;
