//! `xingka token`: the token that keeps the master key.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::{ConfigArg, output};
use crate::config::Config;

/// Look after the token that keeps the master key
#[derive(Args)]
#[command(after_help = "Example: xingka token provision --config city/xingka.toml")]
pub struct TokenCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make the master keys in the token, where it has none
    #[command(after_help = "Example: xingka token provision --config city/xingka.toml\n\n\
        The configuration names the token: keys.master = \"pkcs11:/usr/lib/softhsm/libsofthsm2.so?token=city&pin=file:token.pin\". \
        The keys are the token's own and never leave it: back the token up by its maker's means, for without it \
        no terminal's key can be used again.")]
    Provision {
        #[command(flatten)]
        config: ConfigArg,
    },
}

impl TokenCommand {
    pub async fn run(self) -> Result<ExitCode> {
        let What::Provision { config } = self.what;
        let config = Config::load(&config.config)?;
        let source =
            config.token().context("the key `keys.master` names no token: pkcs11:LIBRARY?token=LABEL&pin=…")?;
        let made = source.open()?.provision()?;
        output::line(if made { "master keys made" } else { "it has its master keys already" });
        Ok(ExitCode::SUCCESS)
    }
}
