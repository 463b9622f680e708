//! The real binary, from outside: what it prints, what it sends, how it exits.

mod audit;
mod config;
mod curl;
mod fake;
mod help;
mod local;
mod request;
mod session;
mod shell;
