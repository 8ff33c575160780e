//! The commands, one file each.

mod audit;
mod conform;
mod demo;
mod doctor;
mod explain;
mod export;
mod import;
mod init;
mod load;
mod output;
mod replay;
mod serve;
mod swipe;
mod terminal;
mod token;

mod deployment;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};

/// Xingka (星卡): the card-and-POS service of a city's integrity card.
#[derive(Parser)]
#[command(name = "xingka", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Init(init::Init),
    Import(import::Import),
    Export(export::Export),
    Swipe(swipe::Swipe),
    Load(load::Load),
    Conform(conform::Conform),
    Audit(audit::Audit),
    Explain(explain::Explain),
    Replay(replay::Replay),
    Terminal(terminal::TerminalCommand),
    Token(token::TokenCommand),
    Doctor(doctor::Doctor),
}

/// Which deployment a command works on.
#[derive(Args, Debug, Clone)]
pub struct ConfigArg {
    /// The deployment's configuration file
    #[arg(long, value_name = "FILE", default_value = crate::config::FILE_NAME)]
    pub config: PathBuf,
}

/// How a command prints its result.
#[derive(Args, Debug, Clone, Copy)]
pub struct JsonArg {
    /// Print one JSON object on standard output, and nothing else there
    #[arg(long)]
    pub json: bool,
}

/// Ends the program with exit code 2, as clap does for what it finds wrong itself.
fn wrong_usage(what: &str) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, what).exit()
}

impl Cli {
    /// A service tells what it does; other commands print it. `XINGKA_LOG` says otherwise.
    pub fn log_level(&self) -> tracing::Level {
        let usual = match self.command {
            Command::Serve(_) => tracing::Level::INFO,
            _ => tracing::Level::WARN,
        };
        std::env::var("XINGKA_LOG").map_or(usual, |name| {
            name.parse().unwrap_or_else(|_| wrong_usage("XINGKA_LOG must be error, warn, info, debug or trace"))
        })
    }

    /// Runs the command; an error is one that the operator must see.
    pub async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Demo(command) => command.run().await,
            Command::Serve(command) => command.run().await,
            Command::Init(command) => command.run().await,
            Command::Import(command) => command.run().await,
            Command::Export(command) => command.run().await,
            Command::Swipe(command) => command.run().await,
            Command::Load(command) => command.run().await,
            Command::Conform(command) => command.run().await,
            Command::Audit(command) => command.run().await,
            Command::Explain(command) => command.run().await,
            Command::Replay(command) => command.run().await,
            Command::Terminal(command) => command.run().await,
            Command::Token(command) => command.run().await,
            Command::Doctor(command) => command.run().await,
        }
    }
}
