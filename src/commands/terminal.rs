//! `xingka terminal`: what an operator does about single terminals, or all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use xingka_core::ids::TerminalId;

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};
use crate::wallet;

/// Look after terminals
#[derive(Args)]
#[command(after_help = "Example: xingka terminal rotate --all --config city/xingka.toml")]
pub struct TerminalCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make certificates for the switch and all terminals, under an authority of their own
    #[command(
        after_help = "Example: xingka terminal certificates city/tls --name 10.0.0.5 --config city/xingka.toml\n\n\
        For trials and closed networks. Run it again for new terminals: what is there stays. The keys of all \
        terminals lie in the folder afterwards: move each to its terminal, and ca.key to a safe."
    )]
    Certificates {
        /// Where to put them
        dir: PathBuf,
        /// A name or address at which terminals reach the switch; may be given several times
        #[arg(long, value_name = "NAME", default_values = ["127.0.0.1", "localhost"])]
        name: Vec<String>,
        #[command(flatten)]
        config: ConfigArg,
        #[command(flatten)]
        json: JsonArg,
    },
    /// Revoke a terminal's certificate: the switch takes the new list on by itself
    #[command(after_help = "Example: xingka terminal revoke QZ000001 city/tls\n\n\
        For folders that `xingka terminal certificates` made. Lines that are open go on; the terminal can't open another.")]
    Revoke {
        /// Which one
        terminal: TerminalId,
        /// The folder
        dir: PathBuf,
    },
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
        match self.what {
            What::Certificates { dir, name, config, json } => certificates(&dir, &name, &config, json).await,
            What::Revoke { terminal, dir } => {
                wallet::revoke(&dir, &terminal.to_string())?;
                output::line(format_args!("{terminal} is on the revocation list"));
                Ok(ExitCode::SUCCESS)
            }
            What::Rotate { terminal, config, json, .. } => rotate(terminal, &config, json).await,
        }
    }
}

async fn certificates(dir: &Path, names: &[String], config: &ConfigArg, json: JsonArg) -> Result<ExitCode> {
    let deployment = Deployment::open(&config.config).await?;
    let terminals: Vec<String> =
        deployment.store.terminals().await?.iter().map(|known| known.terminal.id.to_string()).collect();
    let made = wallet::make(dir, names, terminals.iter().map(String::as_str))?;
    if json.json {
        output::json(&json!({ "made": made, "terminals": terminals.len() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let dir = std::path::absolute(dir)?;
    let file = |name: &str| dir.join(name).display().to_string();
    output::line(format_args!("{made} certificates made, for {} terminals. For the configuration:", terminals.len()));
    output::line("[switch.tls]\nlisten = \"127.0.0.1:8584\"");
    for (key, name) in [("cert", "switch.pem"), ("key", "switch.key"), ("client_ca", "ca.pem"), ("crl", "crl.pem")] {
        output::line(format_args!("{key} = {:?}", file(name)));
    }
    Ok(ExitCode::SUCCESS)
}

async fn rotate(terminal: Option<TerminalId>, config: &ConfigArg, json: JsonArg) -> Result<ExitCode> {
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
