//! `xingka load`: a load generator.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use xingka_server::Service;
use xingka_wire::mac::{MacAlgorithm, UnknownMac};
use xingka_wire::pan::Pan;

use super::deployment::{Deployment, plain};
use super::{JsonArg, init, output, wrong_usage};
use crate::city_maker::{self, Size};
use crate::line;
use crate::load::{self, Echo, Loader, Mix, Outcome, Peer, Plan};

/// Make load: many terminals swiping at once
#[derive(Args)]
#[command(after_help = "Example: xingka load --terminals 1000 --seconds 10\n\n\
    Without --config it makes its own city and node in a temporary folder. With --rate requests come \
    at equal distances and latencies count from the intended start; without, each terminal sends when \
    it has its answer.")]
pub struct Load {
    /// Terminals at once, each with one request outstanding
    #[arg(long, value_name = "N")]
    terminals: usize,
    /// Requests a second over all terminals
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// For how long
    #[arg(long, value_name = "S")]
    seconds: f64,
    /// What is asked
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Mix::Swipe)]
    mix: Mix,
    /// How the terminals of its own city seal their messages; `all` takes each MAC in turn
    #[arg(long, value_name = "NAME", default_value = "aes-cmac", conflicts_with = "config", value_parser = parse_mac)]
    mac: Macs,
    /// Which cards and amounts come in which order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Swipe at this deployment, which must be serving
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A cards.csv whose `pan` column names the cards to swipe; for --config, which keeps no card numbers
    #[arg(long, value_name = "FILE", requires = "config")]
    cards: Option<PathBuf>,
    /// The switch, where it isn't the one of the configuration
    #[arg(long, value_name = "ADDR", requires = "config")]
    host: Option<String>,
    /// Measure a bare echo of the same frames as well, in the same run
    #[arg(long, conflicts_with = "config")]
    beside_echo: bool,
    #[command(flatten)]
    json: JsonArg,
}

/// One MAC, or each in turn.
#[derive(Debug, Clone, Copy)]
struct Macs(Option<MacAlgorithm>);

fn parse_mac(name: &str) -> Result<Macs, UnknownMac> {
    if name == "all" { Ok(Macs(None)) } else { name.parse().map(|mac| Macs(Some(mac))) }
}

/// What is printed: the load's outcome, and the echo's beside it where wanted.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    outcome: Outcome,
    /// How many commits of the journal that took.
    #[serde(skip_serializing_if = "Option::is_none")]
    commits: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    echo_per_s: Option<f64>,
    /// What part of the echo's answers a second the switch gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_to_echo: Option<f64>,
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, commits: None, echo_per_s: None, ratio_to_echo: None }
    }
}

impl Load {
    pub async fn run(self) -> Result<ExitCode> {
        self.check_usage();
        let report = match &self.config {
            Some(config) => self.at(config).await?.into(),
            None => self.at_own_city().await?,
        };
        if self.json.json {
            output::json(&report)?;
        } else {
            show(&report);
        }
        Ok(if report.outcome.errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn check_usage(&self) {
        if self.terminals == 0 {
            wrong_usage("--terminals must be 1 or more");
        }
        if !(0.1..=86_400.0).contains(&self.seconds) {
            wrong_usage("--seconds must be from 0.1 to 86400");
        }
        if self.rate.is_some_and(|rate| !(0.1..=1e6).contains(&rate)) {
            wrong_usage("--rate must be from 0.1 to 1000000");
        }
    }

    fn macs(&self) -> &'static [MacAlgorithm] {
        let chosen = |mac: &&MacAlgorithm| Some(**mac) == self.mac.0;
        MacAlgorithm::ALL.iter().find(chosen).map_or(MacAlgorithm::ALL, std::slice::from_ref)
    }

    /// More trace numbers than one terminal can use in this run: no answer comes back in less
    /// than a fifth of a millisecond.
    fn stans(&self) -> u32 {
        let per_terminal_s = self.rate.map_or(5_000.0, |rate| rate / self.terminals as f64 + 1.0);
        // A batch has no more; a longer run begins to repeat itself, and says so in its errors.
        (per_terminal_s * self.seconds + 2.0).min(f64::from(xingka_terminal::LAST_STAN)) as u32
    }

    fn plan(&self) -> Plan {
        let duration = Duration::from_secs_f64(self.seconds);
        Plan { rate_per_s: self.rate, duration, mix: self.mix, seed: self.seed, peer: Peer::Switch }
    }

    async fn at(&self, config: &Path) -> Result<Outcome> {
        let deployment = Deployment::open(config).await?;
        let cards = match &self.cards {
            Some(file) => read_cards(file)?,
            // Nobody's, but well-formed: each is answered 14.
            None => vec![Pan::from_ascii(b"6299990000000000012").context("a card")?],
        };
        let loaders = loaders(&deployment, self.terminals, self.stans()).await?;
        let address = match &self.host {
            Some(host) => line::resolve(host).await?,
            None => deployment.config.address(false)?,
        };
        Ok(load::run(address, loaders, Arc::new(cards), self.plan()).await?.0)
    }

    async fn at_own_city(&self) -> Result<Report> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let places = self.terminals.div_ceil(4).max(1);
        let size =
            Size { holders: 10_000, shops: places, halls: places.div_ceil(4), terminals_each: 4, macs: self.macs() };
        let (deployment, cards) = make_city(folder.path(), size, self.seed).await?;
        let loaders = loaders(&deployment, self.terminals, self.stans()).await?;
        let service = deployment.start().await?;
        let cards = Arc::new(cards.iter().filter_map(|pan| Pan::from_ascii(pan.as_bytes())).collect());
        let loaded = self.load(&service, loaders, cards).await;
        service.stop().await?;
        loaded
    }

    async fn load(&self, service: &Service, loaders: Vec<Loader>, cards: Arc<Vec<Pan>>) -> Result<Report> {
        let (outcome, loaders) = load::run(plain(service)?, loaders, cards.clone(), self.plan()).await?;
        let mut report = Report { commits: Some(service.commits()), ..Report::from(outcome) };
        if self.beside_echo {
            let echo = Echo::start().await?;
            let plan = Plan { peer: Peer::Echo, ..self.plan() };
            let (beside, _) = load::run(echo.address(), loaders, cards, plan).await?;
            ensure!(beside.errors == 0, "the echo server gave {} wrong answers", beside.errors);
            report.ratio_to_echo = Some((report.outcome.per_s / beside.per_s * 1_000.0).round() / 1_000.0);
            report.echo_per_s = Some(beside.per_s);
        }
        Ok(report)
    }
}

/// A deployment with a synthetic city in `folder`, on a free port of loopback.
pub async fn make_city(folder: &Path, size: Size, seed: u64) -> Result<(Deployment, Vec<city_maker::Pan>)> {
    let made = init::make(&folder.join("deployment")).await?;
    let config = std::fs::read_to_string(&made.config)?;
    let on_free_port = config.replacen("[switch]", "[switch]\nlisten = \"127.0.0.1:0\"", 1);
    std::fs::write(&made.config, on_free_port)?;
    let city = folder.join("city");
    let cards = city_maker::make(&city, size, seed)?;
    let deployment = Deployment::open(&made.config).await?;
    let report = super::import::run(&deployment, &city, false).await?;
    let rejected = report.files.iter().find(|file| file.rejected > 0);
    ensure!(rejected.is_none(), "the synthetic city was rejected: {rejected:?}");
    Ok((deployment, cards))
}

/// The deployment's terminals, each with `stans` trace numbers of its own for this run.
async fn loaders(deployment: &Deployment, count: usize, stans: u32) -> Result<Vec<Loader>> {
    let known = deployment.store.terminals().await?;
    ensure!(known.len() >= count, "the city has {} terminals, fewer than --terminals {count}", known.len());
    let mut loaders = Vec::with_capacity(count);
    for known in known.iter().take(count) {
        let first_stan = deployment.store.take_stans(known.terminal.id, stans).await?;
        let terminal = line::terminal(known, &deployment.master, first_stan)?;
        loaders.push(Loader { terminal, kind: known.terminal.merchant.kind });
    }
    Ok(loaders)
}

fn read_cards(file: &Path) -> Result<Vec<Pan>> {
    let mut reader = csv::Reader::from_path(file).with_context(|| format!("reading {}", file.display()))?;
    let headers = reader.headers().with_context(|| format!("reading {}", file.display()))?;
    let column = headers.iter().position(|column| column.trim_start_matches('\u{feff}') == "pan");
    let column = column.with_context(|| format!("{} has no column `pan`", file.display()))?;
    let mut cards = Vec::new();
    for (row, line) in reader.records().zip(2..) {
        let row = row.with_context(|| format!("{}, line {line}", file.display()))?;
        let pan = row.get(column).and_then(|pan| Pan::from_ascii(pan.as_bytes()));
        cards.push(pan.with_context(|| format!("{}, line {line}: `pan` is no card number", file.display()))?);
    }
    ensure!(!cards.is_empty(), "{} has no cards", file.display());
    Ok(cards)
}

fn show(report: &Report) {
    let Outcome { sent, answered, errors, per_s, p50_us, p90_us, p99_us, p999_us, max_us } = &report.outcome;
    output::line(format_args!("{sent} sent, {answered} answered, {errors} errors, {per_s} a second"));
    output::line(format_args!(
        "µs: half within {p50_us}, 90 % {p90_us}, 99 % {p99_us}, 99.9 % {p999_us}, longest {max_us}"
    ));
    if let Some(commits) = report.commits {
        output::line(format_args!("{commits} commits of the journal"));
    }
    if let (Some(echo), Some(ratio)) = (report.echo_per_s, report.ratio_to_echo) {
        output::line(format_args!("a bare echo of the same frames: {echo} a second; the switch gives {ratio} of that"));
    }
}
