//! `xingka terminal`: what an operator does about single terminals, or all.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::{Args, Subcommand};
use serde_json::json;
use xingka_core::ids::TerminalId;
use xingka_security::components::{Component, combine};
use xingka_security::key_block::unwrap;
use xingka_security::{Cipher, check_value};
use zeroize::Zeroizing;

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
    /// Give a terminal another master key: in components, or in a key block; read from standard input
    #[command(after_help = "Example: xingka terminal set-key QZ000001 --config city/xingka.toml < components.txt\n\n\
        Components: two or three lines, each a component in hexadecimal and its check value. A key block: one line, \
        X9.143 version D, with --kbpk naming its protection key (file:PATH or env:NAME). The terminal signs in with \
        the new key from the next time on; its session goes on until then.")]
    SetKey {
        /// Which one
        terminal: TerminalId,
        /// The key block protection key, where a key block is given
        #[arg(long, value_name = "SOURCE")]
        kbpk: Option<String>,
        /// The check value of the whole key
        #[arg(long, value_name = "HEX")]
        check_value: Option<String>,
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
            What::SetKey { terminal, kbpk, check_value, config, json } => {
                set_key(terminal, kbpk.as_deref(), check_value.as_deref(), &config, json).await
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

async fn set_key(
    terminal: TerminalId,
    kbpk: Option<&str>,
    expected: Option<&str>,
    config: &ConfigArg,
    json: JsonArg,
) -> Result<ExitCode> {
    let mut text = Zeroizing::new(String::new());
    std::io::Read::read_to_string(&mut std::io::stdin(), &mut text).context("reading the key from standard input")?;
    let key = match kbpk {
        Some(source) => key_in_block(source, text.trim(), expected)?,
        None => combine(Cipher::Tdes, &components(&text)?, expected)?,
    };
    let key = Zeroizing::new(<[u8; 16]>::try_from(key.as_slice()).context("a terminal's master key has 16 bytes")?);
    let deployment = Deployment::open(&config.config).await?;
    deployment.store.check_keys(&deployment.master, &deployment.card_hasher).await?;
    let wrapped = deployment.master.wrap_tmk(terminal, &key)?;
    let there = deployment.store.set_tmk(terminal, &wrapped).await?;
    ensure!(there, "there is no terminal {terminal}; `xingka export` lists them in terminals.csv");
    let shown = hex::encode_upper(deployment.master.check_tmk(terminal, &wrapped)?);
    if json.json {
        output::json(&json!({ "terminal": terminal.to_string(), "check_value": shown }))?;
    } else {
        output::line(format_args!("{terminal} has a new master key, check value {shown}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A line a component: hexadecimal, perhaps in groups, and its check value.
fn components(text: &str) -> Result<Vec<Component>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let read = |(line, number): (&str, usize)| {
        let (hex, check_value) = line.rsplit_once(char::is_whitespace).with_context(|| {
            format!("line {number} must hold a component in hexadecimal and, behind a space, its check value")
        })?;
        Ok(Component { hex: Zeroizing::new(hex.to_owned()), check_value: check_value.to_owned() })
    };
    lines.zip(1..).map(read).collect()
}

fn key_in_block(source: &str, block: &str, expected: Option<&str>) -> Result<Zeroizing<Vec<u8>>> {
    let kbpk = read_kbpk(source)?;
    let (header, key) = unwrap(&kbpk, block)?;
    ensure!(
        header.usage == *b"K0" && header.algorithm == b'T',
        "the key block holds a key for {}{}, not a terminal's master key (usage K0, algorithm T)",
        String::from_utf8_lossy(&header.usage),
        char::from(header.algorithm)
    );
    let right = hex::encode_upper(check_value(Cipher::Tdes, &key).unwrap_or_default());
    let as_expected = expected.is_none_or(|it| it.len() >= 6 && right.starts_with(&it.to_ascii_uppercase()));
    ensure!(as_expected, "the key in the block has not the check value {}", expected.unwrap_or_default());
    Ok(key)
}

fn read_kbpk(source: &str) -> Result<Zeroizing<Vec<u8>>> {
    let text = match source.split_once(':') {
        Some(("file", path)) => std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?,
        Some(("env", name)) => std::env::var(name).with_context(|| format!("the environment variable {name}"))?,
        // Not quoted: it may be the key itself.
        _ => bail!("--kbpk must be file:PATH or env:NAME"),
    };
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(hex::decode(text.trim()).context("what --kbpk names must be hexadecimal")?))
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
