//! `xingka terminal`: what an operator does about single terminals, or all.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use xingka_core::ids::TerminalId;

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Look after terminals
#[derive(Args)]
#[command(after_help = "Example: xingka terminal rotate --all --config city/xingka.toml")]
pub struct TerminalCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Have a terminal, or all of them, fetch new session keys
    #[command(after_help = "Example: xingka terminal rotate QZ000001 --config city/xingka.toml\n\n\
        Works beside a running `serve`: from the next answer on, terminals are told to sign in again. Old keys \
        verify until a while after the new ones were first used, so no swipe is refused.")]
    Rotate {
        /// Which one
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        terminal: Option<TerminalId>,
        /// Every one
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        json: JsonArg,
    },
}

impl TerminalCommand {
    pub async fn run(self) -> Result<ExitCode> {
        let What::Rotate { terminal, config, json, .. } = self.what;
        let deployment = Deployment::open(&config.config).await?;
        let now_ms = jiff::Timestamp::now().as_millisecond();
        let asked = deployment.store.ask_for_new_keys(terminal, now_ms).await?;
        if let Some(terminal) = terminal {
            ensure!(asked == 1, "there is no terminal {terminal}; `xingka export` lists them in terminals.csv");
        }
        if json.json {
            output::json(&json!({ "asked": asked }))?;
        } else {
            output::line(format_args!("{asked} terminals will be told to sign in again"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
