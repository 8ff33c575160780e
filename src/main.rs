//! `xingka`, the card-and-POS service of a city's integrity card, in one program.
//!
//! One file a command in [`commands`]; this is the only place that puts the parts
//! together.

mod city_maker;
mod commands;
mod config;
mod line;
mod load;
mod wallet;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = commands::Cli::parse();
    start_log(cli.log_level());
    raise_descriptor_limit();
    dump_no_core();
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

/// Each connection is a descriptor, and the usual soft limit is far below what a city has
/// terminals. Where it can't be raised, `serve` refuses connections one by one and says so.
fn raise_descriptor_limit() {
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        tracing::warn!(%error, "the limit of open files can't be raised");
    }
}

/// Session keys and, for a moment, a PIN are in memory: a crash must not write them to a disk.
fn dump_no_core() {
    if let Err(error) = rlimit::Resource::CORE.set(0, 0) {
        tracing::warn!(%error, "core dumps can't be turned off");
    }
}

/// What the program tells its operator goes to standard error, one line each.
fn start_log(level: tracing::Level) {
    let colours = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours);
    log.with_target(false).with_max_level(level).init();
}
