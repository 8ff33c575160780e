//! `xingka`, the card-and-POS service of a city's integrity card, in one program.
//!
//! One file a command in [`commands`]; this is the only place that puts the parts
//! together.

mod city_maker;
mod commands;
mod config;
mod line;
mod load;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    start_log(cli.log_level());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("xingka: the runtime can't be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(cli.run()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xingka: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the program tells its operator goes to standard error, one line each.
fn start_log(level: tracing::Level) {
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours);
    log.with_target(false).with_max_level(level).init();
}
