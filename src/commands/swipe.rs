//! `xingka swipe`: one terminal, one swipe.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use xingka_core::city::MerchantKind;
use xingka_core::ids::TerminalId;
use xingka_core::money::Fen;
use xingka_terminal::Swipe as Card;
use xingka_wire::integrity::IntegrityRequest;
use xingka_wire::pan::Pan;

use super::deployment::Deployment;
use super::{ConfigArg, JsonArg, output, wrong_usage};
use crate::line::{self, Line, Seen};
use crate::wallet::Wallet;

/// Swipe a card at a terminal: signed in, MACed, over TCP
#[derive(Args)]
#[command(after_help = "Example: xingka swipe --terminal QZ000001 --pan 6299990000000000012 --amount 128.00\n\n\
    With an amount it is a purchase, without one a counter service at a hall, else an inquiry. \
    The terminal's STAN counts on from its last swipe.")]
pub struct Swipe {
    /// The terminal, eight characters
    #[arg(long, value_name = "ID")]
    terminal: TerminalId,
    /// The card's number
    #[arg(long)]
    pan: String,
    /// What there is to pay, in yuan
    #[arg(long, value_name = "YUAN")]
    amount: Option<Fen>,
    /// The hall matter or goods class
    #[arg(long, value_name = "CODE")]
    service: Option<String>,
    /// Decide, but use nothing up
    #[arg(long)]
    preview: bool,
    /// The switch, where it isn't the one of the configuration
    #[arg(long, value_name = "ADDR")]
    host: Option<String>,
    /// Connect with TLS: a folder with ca.pem, and ID.pem and ID.key of the terminal
    #[arg(long, value_name = "DIR")]
    tls: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    json: JsonArg,
}

impl Swipe {
    pub async fn run(self) -> Result<ExitCode> {
        // Not left to the argument's parser, which would repeat a card number with a slip in it.
        let Some(pan) = Pan::from_ascii(self.pan.as_bytes()) else {
            wrong_usage("what --pan gives is no card number: that has up to 19 digits");
        };
        let deployment = Deployment::open(&self.config.config).await?;
        let known = deployment.store.terminals().await?;
        let known = known.into_iter().find(|known| known.terminal.id == self.terminal);
        let known = known.with_context(|| format!("the city has no terminal {}", self.terminal))?;
        let address = match &self.host {
            Some(host) => line::resolve(host).await?,
            None => deployment.config.address(self.tls.is_some())?,
        };
        let wallet = self.tls.as_deref().map(Wallet::open).transpose()?;
        let certificate = wallet.map(|wallet| wallet.of(&self.terminal.to_string())).transpose()?;
        let next_stan = deployment.store.next_stan(self.terminal).await?;
        let mut terminal = line::terminal(&known, &deployment.master, next_stan)?;
        let mut line = Line::connect(address, certificate).await?;
        line.sign_in(&mut terminal).await?;
        // Housekeeping has no repeats, so the sign-in need not use a STAN up.
        terminal.set_next_stan(next_stan);
        let service = self.service.as_deref().map(str::as_bytes);
        let integrity = IntegrityRequest { service, preview: self.preview, ..IntegrityRequest::default() };
        let card = Card { integrity, ..Card::of(pan) };
        let seen = line
            .swipe(&mut terminal, |terminal, frame| match (self.amount, known.terminal.merchant.kind) {
                (Some(amount), _) => terminal.purchase(&card, amount.0, frame),
                (None, MerchantKind::Hall) => terminal.counter_service(&card, frame),
                (None, _) => terminal.star_inquiry(&card, None, frame),
            })
            .await?;
        if self.json.json {
            output::json(&seen)?;
        } else {
            show(&seen);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(seen: &Seen) {
    output::line(format_args!("code      {}", seen.code));
    let told = |what: &str, value: Option<String>| {
        if let Some(value) = value {
            output::line(format_args!("{what:9} {value}"));
        }
    };
    told("text", seen.text.clone());
    told("to pay", seen.payable_fen.map(|fen| Fen(fen).to_string()));
    told("off", seen.off_bp.map(|bp| format!("{}.{:02} %", bp / 100, bp % 100)));
    told("star", seen.star.map(|star| star.to_string()));
    told("priority", seen.priority.map(|priority| priority.to_string()));
    told("days", seen.days.map(|days| days.to_string()));
    told("benefits", seen.benefits.as_ref().map(|ids| format!("{ids:?}")));
    told("waivers", seen.waivers.as_ref().map(|ids| format!("{ids:?}")));
    told("decision", seen.decision_id.clone());
    told("took", Some(format!("{} µs", seen.micros)));
}
