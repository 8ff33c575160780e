//! `xingka doctor`: checks a deployment and says what to do.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::json;
use xingka_server::{TlsFiles, check_tls_files};

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};
use crate::config::{ApiAddress, Config};
use crate::line::Line;

/// Check configuration, keys, store, journal, clock and port, and say what to do
#[derive(Args)]
#[command(after_help = "Example: xingka doctor --config city/xingka.toml")]
pub struct Doctor {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    json: JsonArg,
}

/// One thing that was looked at.
#[derive(Serialize)]
struct Check {
    what: &'static str,
    ok: bool,
    found: String,
}

impl Check {
    fn new(what: &'static str, result: Result<String>) -> Self {
        match result {
            Ok(found) => Self { what, ok: true, found },
            Err(error) => Self { what, ok: false, found: format!("{error:#}") },
        }
    }
}

impl Doctor {
    pub async fn run(self) -> Result<ExitCode> {
        let checks = self.checks().await;
        let well = checks.iter().all(|check| check.ok);
        if self.json.json {
            output::json(&json!({ "ok": well, "checks": checks }))?;
        } else {
            for Check { what, ok, found } in &checks {
                output::line(format_args!("{} {what:14} {found}", if *ok { "ok  " } else { "BAD " }));
            }
        }
        Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn checks(&self) -> Vec<Check> {
        let file = &self.config.config;
        let config = match Config::load(file) {
            Ok(config) => config,
            Err(error) => return vec![Check::new("configuration", Err(error))],
        };
        let mut checks = vec![
            Check::new("configuration", Ok(format!("{}", file.display()))),
            Check::new("key files", key_files(&config)),
            Check::new("clock", clock()),
        ];
        match Deployment::open(file).await {
            Err(error) => checks.push(Check::new("store", Err(error))),
            Ok(deployment) => {
                checks.push(Check::new("store", store(&deployment).await));
                checks.push(Check::new("keys", keys(&deployment).await));
                checks.push(Check::new("journal", journal(&deployment).await));
            }
        }
        checks.push(Check::new("switch", port(&config).await));
        if let Some((address, files)) = &config.tls {
            checks.push(Check::new("tls", tls(*address, files).await));
        }
        checks.push(Check::new("api", api_port(&config).await));
        checks
    }
}

fn key_files(config: &Config) -> Result<String> {
    for path in config.key_files() {
        let metadata = path.metadata().with_context(|| format!("reading {}", path.display()))?;
        let mode = metadata.permissions().mode() & 0o777;
        ensure!(
            mode & 0o077 == 0,
            "{} may be read by others (mode {mode:o}): chmod 600 {}",
            path.display(),
            path.display()
        );
    }
    Ok("readable by their owner only".into())
}

/// A clock before the program was written decides by the wrong day.
fn clock() -> Result<String> {
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock stands before 1970: set it")?;
    ensure!(now.as_secs() > 1_767_225_600, "the clock stands before 2026: set it");
    Ok("plausible".into())
}

async fn store(deployment: &Deployment) -> Result<String> {
    let counts = deployment.store.counts().await?;
    ensure!(counts.terminals > 0, "no terminals yet: xingka import CITY_FOLDER");
    Ok(format!(
        "{} holders, {} cards, {} merchants, {} terminals, {} benefits",
        counts.holders, counts.cards, counts.merchants, counts.terminals, counts.benefits
    ))
}

async fn keys(deployment: &Deployment) -> Result<String> {
    deployment.store.check_keys(&deployment.master, &deployment.card_hasher).await?;
    for known in deployment.store.terminals().await? {
        let id = known.terminal.id;
        deployment
            .master
            .check_tmk(id, &known.tmk_wrapped)
            .with_context(|| format!("the master key of terminal {id}"))?;
    }
    let room = if deployment.config.token().is_some() { "the token works" } else { "they work" };
    Ok(format!("{room} with every terminal's master key"))
}

async fn journal(deployment: &Deployment) -> Result<String> {
    let mut journal = deployment.journal().await?;
    let verified = journal.verify(&deployment.store.anchors().await?, &deployment.anchor_key()?).await?;
    Ok(format!("{} records, the chain is whole", verified.records))
}

/// Either the switch answers there, or the port is free for it. Plain TCP is for closed networks.
async fn port(config: &Config) -> Result<String> {
    let Some(address) = config.listen else { return Ok("no plain TCP, only TLS".into()) };
    let open = if address.ip().is_loopback() { "" } else { "; plain TCP: is that network closed? (`switch.tls`)" };
    if Line::connect(address, None).await.is_ok() {
        return Ok(format!("something answers at {address}{open}"));
    }
    free(address, "switch.listen").await.map(|found| found + open)
}

/// The certificates go together, and the switch's own is good for a while.
async fn tls(address: SocketAddr, files: &TlsFiles) -> Result<String> {
    let until = check_tls_files(files)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).context("the clock stands before 1970")?;
    let days = (until - i64::try_from(now.as_secs())?).div_euclid(86_400);
    let file = files.cert.display();
    ensure!(days >= 0, "the certificate {file} has expired: replace the file, the switch takes it on by itself");
    ensure!(
        days >= 30,
        "the certificate {file} expires in {days} days: replace the file, the switch takes it on by itself"
    );
    let here = match Line::connect(address, None).await {
        Ok(_) => format!("something answers at {address}"),
        Err(_) => free(address, "switch.tls.listen").await?,
    };
    Ok(format!("{here}; the certificate is good for {days} days"))
}

/// As for the switch: a port that a running node has is as it should be.
async fn api_port(config: &Config) -> Result<String> {
    let (ApiAddress::Default(address) | ApiAddress::Set(address)) = config.api;
    if Line::connect(address, None).await.is_ok() {
        return Ok(format!("something answers at {address}"));
    }
    free(address, "api.listen").await
}

async fn free(address: SocketAddr, key: &str) -> Result<String> {
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Ok(format!("{address} is free; nothing serves there now")),
        Err(error) => bail!("{address} can't be listened on: {error}; choose another with `{key}`"),
    }
}
