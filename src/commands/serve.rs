//! `xingka serve`: runs the node.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};

/// Run the service until SIGTERM
#[derive(Args)]
#[command(after_help = "Example: xingka serve --config city/xingka.toml\n\n\
    Prints `ready switch=ADDR api=ADDR` on standard error once it answers. SIGTERM: no new work, \
    what is in flight is answered, exit code 0.")]
pub struct Serve {
    #[command(flatten)]
    config: ConfigArg,
    /// Which part of the service to run
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
    #[command(flatten)]
    json: JsonArg,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    /// The switch that terminals connect to
    Switch,
    /// The merchant API
    Api,
    /// The bank adapters
    Bank,
    /// Everything there is
    All,
}

impl Serve {
    pub async fn run(self) -> Result<ExitCode> {
        match self.role {
            Role::Switch | Role::All => {}
            Role::Api => {
                bail!("this version doesn't have the merchant API yet: run --role switch or all")
            }
            Role::Bank => {
                bail!("this version doesn't have bank adapters yet: run --role switch or all")
            }
        }
        // Before the node answers: a signal that comes early is not lost.
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let node = Deployment::open(&self.config.config).await?.start().await?;
        eprintln!("ready switch={} api=-", node.address());
        if self.json.json {
            output::json(&json!({ "switch": node.address(), "api": null }))?;
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        node.stop().await?;
        Ok(ExitCode::SUCCESS)
    }
}
