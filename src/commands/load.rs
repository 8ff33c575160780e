//! `xingka load`: a load generator.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use xingka_server::Service;
use xingka_wire::mac::{MacAlgorithm, UnknownMac};

use super::deployment::{Deployment, plain};
use super::{JsonArg, init, output, wrong_usage};
use crate::city_maker::{self, Size};
use crate::line;
use crate::load::{self, Action, Beside, Cards, Echo, Loader, Mix, Outcome, Peer, Plan, StarChanges};
use crate::wallet::Wallet;

/// Make load: many terminals swiping at once
#[derive(Args)]
#[command(after_help = "Example: xingka load --terminals 1000 --seconds 10\n\n\
    Without --config it makes its own city and node in a temporary folder. With --rate requests come \
    at equal distances and latencies count from the intended start; without, each terminal sends when \
    it has its answer.\n\n\
    A server apart, for thousands of terminals (each connection is a descriptor at both ends):\n\n  \
    xingka load --make-city big --terminals 10000\n  \
    xingka serve --config big/deployment/xingka.toml\n  \
    xingka load --config big/deployment/xingka.toml --cards big/city/cards.csv \\\n      \
    --terminals 10000 --rate 6095 --seconds 60 --mix lookup --hdr load.hlog")]
pub struct Load {
    /// Terminals at once, each with one request outstanding
    #[arg(long, value_name = "N")]
    terminals: usize,
    /// Requests a second over all terminals
    #[arg(long, value_name = "PER_S")]
    rate: Option<f64>,
    /// For how long
    #[arg(long, value_name = "S", required_unless_present = "make_city")]
    seconds: Option<f64>,
    /// What is asked
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Mix::Swipe)]
    mix: Mix,
    /// How the terminals of its own city seal their messages; `all` takes each MAC in turn
    #[arg(long, value_name = "NAME", default_value = "aes-cmac", conflicts_with = "config", value_parser = parse_mac)]
    mac: Macs,
    /// Holders of its own city, each with a card
    #[arg(long, value_name = "N", default_value_t = 10_000, conflicts_with = "config")]
    holders: usize,
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
    /// Only make a deployment and its city in this folder, for `serve` and later runs with --config
    #[arg(long, value_name = "DIR", conflicts_with_all = ["config", "rate", "beside_echo", "hdr"])]
    make_city: Option<PathBuf>,
    /// Write latencies in HdrHistogram's log format, one line a second and kind of request
    #[arg(long, value_name = "FILE")]
    hdr: Option<PathBuf>,
    /// At this second all terminals drop their lines and come back at once
    #[arg(long, value_name = "S")]
    reconnect_storm_at: Option<f64>,
    /// At this second every terminal is told to fetch new session keys
    #[arg(long, value_name = "S")]
    rotate_at: Option<f64>,
    /// Connect with TLS: a folder with ca.pem, and ID.pem and ID.key of each terminal
    #[arg(long, value_name = "DIR", requires = "config")]
    tls: Option<PathBuf>,
    /// Holders' stars that change meanwhile, through imports
    #[arg(long, value_name = "PER_S")]
    star_changes: Option<f64>,
    /// Say each ten seconds on standard error how it goes, also where that is no terminal
    #[arg(long)]
    progress: bool,
    /// The process (the server's, say) whose memory and descriptors are reported, instead of this one's
    #[arg(long, value_name = "PID")]
    pid: Option<u32>,
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

/// What was made for later runs.
#[derive(Serialize)]
struct MadeCity {
    config: PathBuf,
    cards: PathBuf,
    terminals: usize,
    holders: usize,
}

/// Descriptors beside those of connections: files, listeners, the store.
const OTHER_DESCRIPTORS: u64 = 100;

impl Load {
    pub async fn run(self) -> Result<ExitCode> {
        self.check_usage();
        if let Some(folder) = &self.make_city {
            return self.make_only(folder).await;
        }
        self.check_descriptors()?;
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
        let within = |value: Option<f64>, name: &str, least: f64, most: f64| {
            if value.is_some_and(|value| !(least..=most).contains(&value)) {
                wrong_usage(&format!("{name} must be from {least} to {most}"));
            }
        };
        if self.terminals == 0 || self.holders == 0 {
            wrong_usage("--terminals and --holders must be 1 or more");
        }
        within(self.seconds, "--seconds", 0.1, 86_400.0);
        within(self.rate, "--rate", 0.1, 1e6);
        within(self.star_changes, "--star-changes", 0.1, 1e5);
        within(self.reconnect_storm_at, "--reconnect-storm-at", 0.0, self.seconds());
        if self.beside_echo && (self.mix == Mix::Lookup || self.reconnect_storm_at.is_some()) {
            wrong_usage("--beside-echo goes with the mixes swipe and inquiry, without a storm");
        }
    }

    /// The limit was raised as far as it goes when the program started.
    fn check_descriptors(&self) -> Result<()> {
        let ends = if self.config.is_some() { 1 } else { 2 };
        let needed = self.terminals as u64 * ends + OTHER_DESCRIPTORS;
        let Ok(limit) = rlimit::Resource::NOFILE.get_soft() else { return Ok(()) };
        let advice = match ends {
            1 => "raise it with `ulimit -n`",
            _ => {
                "both ends are in this process: make the city apart with --make-city, run `xingka serve` on it and load it with --config"
            }
        };
        let terminals = self.terminals;
        ensure!(limit >= needed, "{terminals} terminals need {needed} descriptors, but the limit is {limit}: {advice}");
        Ok(())
    }

    /// A city for later runs.
    async fn make_only(&self, folder: &Path) -> Result<ExitCode> {
        let (deployment, _) = make_deployment(folder, self.size(), self.seed).await?;
        let made = MadeCity {
            config: deployment.config.file.clone(),
            cards: folder.join("city").join("cards.csv"),
            terminals: deployment.store.terminals().await?.len(),
            holders: self.holders,
        };
        if self.json.json {
            output::json(&made)?;
            return Ok(ExitCode::SUCCESS);
        }
        let MadeCity { config, cards, terminals, holders } = made;
        let (config, cards) = (config.display(), cards.display());
        output::line(format_args!("made {config}, {holders} holders and {terminals} terminals"));
        output::line(format_args!("next: xingka serve --config {config}"));
        output::line(format_args!(
            "then: xingka load --config {config} --cards {cards} --terminals {} --mix lookup --rate 1000 --seconds 10",
            self.terminals
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// A city with so many terminals at shops, four at each, and a sixth as many at halls and banks.
    fn size(&self) -> Size {
        let shops = self.terminals.div_ceil(4);
        let halls = (shops / 12).max(1);
        Size { holders: self.holders, shops, halls, terminals_each: 4, macs: self.macs() }
    }

    /// Nothing is loaded where they aren't given.
    fn seconds(&self) -> f64 {
        self.seconds.unwrap_or_default()
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
        (per_terminal_s * self.seconds() + 2.0).min(f64::from(xingka_terminal::LAST_STAN)) as u32
    }

    fn plan(&self) -> Plan {
        let storm = self.reconnect_storm_at.map(|at| (Duration::from_secs_f64(at), Action::Storm));
        Plan {
            rate_per_s: self.rate,
            duration: Duration::from_secs_f64(self.seconds()),
            mix: self.mix,
            seed: self.seed,
            peer: Peer::Switch,
            actions: storm.into_iter().collect(),
            hdr: self.hdr.clone(),
            progress: self.progress || std::io::stderr().is_terminal(),
            pid: self.pid,
        }
    }

    async fn at(&self, config: &Path) -> Result<Outcome> {
        let deployment = Deployment::open(config).await?;
        let cards = match &self.cards {
            Some(file) => read_cards(&deployment, file)?,
            // Nobody's, but well-formed: each is answered 14.
            None => Cards::new(Vec::new()),
        };
        let wallet = self.tls.as_deref().map(Wallet::open).transpose()?;
        let loaders = loaders(&deployment, (self.terminals, self.mix), self.stans(), wallet.as_ref()).await?;
        let address = match &self.host {
            Some(host) => line::resolve(host).await?,
            None => deployment.config.address(self.tls.is_some())?,
        };
        let beside = self.beside(config).await?;
        Ok(load::run(address, loaders, Arc::new(cards), self.plan(), beside).await?.0)
    }

    /// What happens beside the load, on stores opened for that alone.
    async fn beside(&self, config: &Path) -> Result<Beside> {
        let mut beside = Beside::default();
        if let Some(per_s) = self.star_changes {
            let Deployment { store, master, card_hasher, .. } = Deployment::open(config).await?;
            beside.stars = Some(StarChanges::prepare(store, (master, card_hasher), per_s).await?);
        }
        if let Some(at) = self.rotate_at {
            let store = Deployment::open(config).await?.store;
            beside.rotation = Some((store, Duration::from_secs_f64(at)));
        }
        Ok(beside)
    }

    async fn at_own_city(&self) -> Result<Report> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let (deployment, _) = make_city(folder.path(), self.size(), self.seed).await?;
        let loaders = loaders(&deployment, (self.terminals, self.mix), self.stans(), None).await?;
        let cards = Arc::new(read_cards(&deployment, &folder.path().join("city").join("cards.csv"))?);
        let beside = self.beside(&deployment.config.file).await?;
        let service = deployment.start().await?;
        let loaded = self.load(&service, loaders, cards, beside).await;
        service.stop().await?;
        loaded
    }

    async fn load(&self, service: &Service, loaders: Vec<Loader>, cards: Arc<Cards>, beside: Beside) -> Result<Report> {
        let (outcome, loaders) = load::run(plain(service)?, loaders, cards.clone(), self.plan(), beside).await?;
        let mut report = Report { commits: Some(service.commits()), ..Report::from(outcome) };
        if self.beside_echo {
            let echo = Echo::start().await?;
            let plan = Plan { peer: Peer::Echo, hdr: None, ..self.plan() };
            let (echoed, _) = load::run(echo.address(), loaders, cards, plan, Beside::default()).await?;
            ensure!(echoed.errors == 0, "the echo server gave {} wrong answers", echoed.errors);
            report.ratio_to_echo = Some((report.outcome.per_s / echoed.per_s * 1_000.0).round() / 1_000.0);
            report.echo_per_s = Some(echoed.per_s);
        }
        Ok(report)
    }
}

/// A deployment with a synthetic city in `folder`, on a free port of loopback.
pub async fn make_city(folder: &Path, size: Size, seed: u64) -> Result<(Deployment, Vec<city_maker::Pan>)> {
    let (deployment, cards) = make_deployment(folder, size, seed).await?;
    let file = deployment.config.file.clone();
    let config = std::fs::read_to_string(&file)?;
    let on_free_port = config.replacen("[switch]", "[switch]\nlisten = \"127.0.0.1:0\"", 1);
    std::fs::write(&file, on_free_port)?;
    deployment.store.close().await;
    Ok((Deployment::open(&file).await?, cards))
}

/// A deployment with a synthetic city, as `init` and `import` make it.
async fn make_deployment(folder: &Path, size: Size, seed: u64) -> Result<(Deployment, Vec<city_maker::Pan>)> {
    let made = init::make(&folder.join("deployment")).await?;
    let city = folder.join("city");
    let cards = city_maker::make(&city, size, seed)?;
    let deployment = Deployment::open(&made.config).await?;
    let report = super::import::run(&deployment, &city, false).await?;
    let rejected = report.files.iter().find(|file| file.rejected > 0);
    ensure!(rejected.is_none(), "the synthetic city was rejected: {rejected:?}");
    Ok((deployment, cards))
}

/// The deployment's terminals, each with `stans` trace numbers of its own for this run.
///
/// They come by id, and a city folder often has shops first. The mix `lookup` needs counters
/// too, so its terminals are from all over the city; other mixes take the first ones.
async fn loaders(
    deployment: &Deployment,
    (count, mix): (usize, Mix),
    stans: u32,
    wallet: Option<&Wallet>,
) -> Result<Vec<Loader>> {
    let known = deployment.store.terminals().await?;
    ensure!(known.len() >= count, "the city has {} terminals, fewer than --terminals {count}", known.len());
    let place = |number| if mix == Mix::Lookup { number * known.len() / count } else { number };
    let mut loaders = Vec::with_capacity(count);
    for known in (0..count).filter_map(|number| known.get(place(number))) {
        let first_stan = deployment.store.take_stans(known.terminal.id, stans).await?;
        let terminal = line::terminal(known, &deployment.master, first_stan)?;
        let certificate = wallet.map(|wallet| wallet.of(&known.terminal.id.to_string())).transpose()?;
        loaders.push(Loader { terminal, kind: known.terminal.merchant.kind, certificate });
    }
    Ok(loaders)
}

fn read_cards(deployment: &Deployment, file: &Path) -> Result<Cards> {
    let today = Timestamp::now().to_zoned(deployment.config.zone.clone()).date();
    Cards::read(file, &format!("{:04}-{:02}", today.year(), today.month()))
}

fn show(report: &Report) {
    report.outcome.lines().iter().for_each(output::line);
    if let Some(commits) = report.commits {
        output::line(format_args!("{commits} commits of the journal"));
    }
    if let (Some(echo), Some(ratio)) = (report.echo_per_s, report.ratio_to_echo) {
        output::line(format_args!("a bare echo of the same frames: {echo} a second; the switch gives {ratio} of that"));
    }
}
