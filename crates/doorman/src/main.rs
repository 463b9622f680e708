//! The one binary: servers and client commands.

mod cli;
mod config;
mod roles;

fn main() {}
