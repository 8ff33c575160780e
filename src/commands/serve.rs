//! `xingka serve`: runs the node.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use xingka_api::{Api, operations};

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output};
use crate::config::ApiAddress;

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
        // Certificates are taken on when they change; whoever asks for it out of habit does no harm.
        let _hang_up = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let deployment = Deployment::open(&self.config.config).await?;
        let listener = listen(deployment.config.api).await?;
        let node = deployment.start().await?;
        let api = listener.map(|listener| Api::start(listener, operations::routes(node.health()))).transpose()?;
        let address = api.as_ref().map(Api::address);
        let shown = address.map_or_else(|| "-".to_owned(), |address| address.to_string());
        let (plain, tls) = (node.address(), node.tls_address());
        let tls_shown = tls.filter(|_| plain.is_some()).map(|tls| format!(" tls={tls}")).unwrap_or_default();
        // Where there is TLS only, that is where the switch is.
        let switch = plain.or(tls).context("a switch that listens nowhere")?;
        eprintln!("ready switch={switch} api={shown}{tls_shown}");
        if self.json.json {
            output::json(&json!({ "switch": switch, "api": address, "tls": tls }))?;
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if let Some(api) = api {
            api.stop().await;
        }
        node.stop().await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The API's port. One that nobody chose may be somebody else's: swipes are answered
/// without it, and the log and the ready line say so.
async fn listen(address: ApiAddress) -> Result<Option<TcpListener>> {
    let (ApiAddress::Default(wanted) | ApiAddress::Set(wanted)) = address;
    match (TcpListener::bind(wanted).await, address) {
        (Ok(listener), _) => Ok(Some(listener)),
        (Err(error), ApiAddress::Default(_)) => {
            tracing::warn!(%error, "the API can't listen on {wanted}, so there is none; choose an address with `api.listen`");
            Ok(None)
        }
        (Err(error), ApiAddress::Set(_)) => {
            Err(error).with_context(|| format!("can't listen on {wanted}; choose another address with `api.listen`"))
        }
    }
}
