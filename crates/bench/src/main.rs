//! `doorman-bench`: what the door costs, measured against what people could run instead, on the machine at hand.
//!
//! Without a subcommand it runs the whole comparison; `cargo xtask bench` builds what is needed and calls it.

mod audit;
mod chains;
mod cli;
mod comparison;
mod credentials;
mod figures;
mod flush_delay;
mod load;
mod meter;
mod process;
mod procfs;
mod report;
mod rounds;
mod scenarios;
mod targets;
mod upstream;
mod wire;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let outcome = match arguments.command {
        None => comparison::run(&arguments.comparison),
        Some(cli::Command::Upstream(options)) => upstream::serve(options.listen, options.threads),
        Some(cli::Command::Load(options)) => cli::run_load(&options),
        Some(cli::Command::Audit(options)) => audit::run(&options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("doorman-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
