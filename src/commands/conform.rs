//! `xingka conform`: certifies a switch, or a terminal.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use serde::Serialize;
use xingka_conform::bench::Bench;
use xingka_conform::report::Report;
use xingka_conform::switch::{Line, certify};
use xingka_conform::terminal;
use xingka_wire::dialect::Dialect;
use xingka_wire::mac::MacAlgorithm;

use super::deployment::{Deployment, plain};
use super::{JsonArg, init, output, wrong_usage};
use crate::line;
use crate::wallet::{self, Wallet};

/// Certify a switch as a terminal maker would, or a terminal as a switch would
#[derive(Args)]
#[command(after_help = "Examples:\n\
    xingka conform                                             this switch, in a city of its own, with each MAC, plain and TLS\n\
    xingka conform --write-bench bench                         a bench to certify another switch with\n\
    xingka import bench/city --config city/xingka.toml\n\
    xingka conform --host 127.0.0.1:8583 --bench bench/aes-cmac.toml --html report.html\n\
    xingka conform --listen 127.0.0.1:9583 --bench bench/aes-cmac.toml   a terminal that connects there\n\n\
    Exits with 1 if a case failed. Reports hold the bench's card numbers in full: use test cards only.")]
pub struct Conform {
    /// The switch to certify; without it one is made
    #[arg(long, value_name = "ADDR")]
    host: Option<String>,
    /// The terminals and cards to use; by default those that --write-bench writes for the MAC (aes-cmac)
    #[arg(long, value_name = "FILE")]
    bench: Option<PathBuf>,
    /// Certify the terminal that connects here: it is to be the bench's shop terminal
    #[arg(long, value_name = "ADDR", conflicts_with = "host")]
    listen: Option<SocketAddr>,
    /// How long the terminal, and whoever stands at it, may take for each step
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "listen")]
    patience_s: u64,
    /// Connect with TLS: a folder with ca.pem, and ID.pem and ID.key of each terminal of the bench
    #[arg(long, value_name = "DIR", requires = "host")]
    tls: Option<PathBuf>,
    /// Only this MAC
    #[arg(long, value_name = "NAME", conflicts_with = "bench")]
    mac: Option<MacAlgorithm>,
    /// How its terminals talk
    #[arg(long, value_name = "NAME", default_value = "cup", conflicts_with = "bench", value_parser = parse_profile)]
    profile: &'static Dialect,
    /// Write benches and the city they need into a folder, and do nothing else
    #[arg(long, value_name = "DIR", conflicts_with = "host")]
    write_bench: Option<PathBuf>,
    /// The first trace number; by default one that earlier runs are unlikely to have used
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=999_999))]
    first_stan: Option<u32>,
    /// Write the report as a page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArg,
}

/// What is printed.
#[derive(Serialize)]
struct Outcome {
    passed: bool,
    reports: Vec<Report>,
}

/// How long to wait for a connection.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

fn parse_profile(name: &str) -> Result<&'static Dialect, String> {
    Dialect::by_name(name).ok_or_else(|| "it must be cup, cup-gbk or ascii87".to_owned())
}

impl Conform {
    pub async fn run(self) -> Result<ExitCode> {
        if let Some(folder) = &self.write_bench {
            return self.write(folder);
        }
        let reports = match (&self.host, self.listen, &self.bench) {
            (Some(host), ..) => vec![self.at(host).await?],
            (None, Some(address), _) => vec![self.listen(address).await?],
            (None, None, Some(_)) => wrong_usage("--bench needs --host or --listen"),
            _ => self.at_own_city().await?,
        };
        if let Some(html) = &self.html {
            let pages: String = reports.iter().map(Report::to_html).collect();
            std::fs::write(html, pages).with_context(|| format!("writing {}", html.display()))?;
        }
        let outcome = Outcome { passed: reports.iter().all(|report| report.passed), reports };
        if self.json.json {
            output::json(&outcome)?;
        } else {
            outcome.reports.iter().for_each(show);
        }
        Ok(if outcome.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn benches(&self) -> Vec<Bench> {
        let macs = MacAlgorithm::ALL.iter().filter(|mac| self.mac.is_none_or(|only| only == **mac));
        macs.map(|mac| Bench::made_for(*mac, self.profile)).collect()
    }

    /// The one that was named, or the one that `--write-bench` writes.
    fn bench(&self) -> Result<Bench> {
        match &self.bench {
            Some(file) => read_bench(file),
            None => Ok(Bench::made_for(self.mac.unwrap_or(MacAlgorithm::AesCmac), self.profile)),
        }
    }

    fn write(&self, folder: &Path) -> Result<ExitCode> {
        let benches = self.benches();
        write_city(&folder.join("city"), &benches)?;
        for bench in &benches {
            let file = folder.join(format!("{}.toml", bench.shop.mac));
            std::fs::write(&file, bench.to_toml()).with_context(|| format!("writing {}", file.display()))?;
        }
        output::line(format_args!(
            "{} benches in {}; put its city into the switch first: xingka import {}",
            benches.len(),
            folder.display(),
            folder.join("city").display()
        ));
        Ok(ExitCode::SUCCESS)
    }

    /// Plays a switch to a terminal; what is to be done there is said on standard error.
    async fn listen(&self, address: SocketAddr) -> Result<Report> {
        let bench = self.bench()?;
        let listener = TcpListener::bind(address).with_context(|| format!("can't listen on {address}"))?;
        eprintln!("listening on {}: have terminal {} connect", listener.local_addr()?, bench.shop.terminal);
        let mut random = [[0; 16]; 3];
        getrandom::fill(random.as_flattened_mut()).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
        let patience = Duration::from_secs(self.patience_s);
        let certified = tokio::task::spawn_blocking(move || {
            terminal::certify(&bench, &listener, &random, patience, &mut |action| eprintln!("now: {action}"))
        });
        Ok(certified.await.context("the kit ended")??)
    }

    async fn at(&self, host: &str) -> Result<Report> {
        let bench = self.bench()?;
        let address = line::resolve(host).await?;
        let wallet = self.tls.as_deref().map(Wallet::open).transpose()?;
        self.certify(bench, address, wallet).await
    }

    async fn at_own_city(&self) -> Result<Vec<Report>> {
        let folder = tempfile::tempdir().context("making a temporary folder")?;
        let benches = self.benches();
        let city = folder.path().join("city");
        write_city(&city, &benches)?;
        let made = init::make(&folder.path().join("deployment")).await?;
        let config = std::fs::read_to_string(&made.config)?;
        let tls = folder.path().join("tls");
        let terminals: Vec<String> = benches.iter().flat_map(Bench::terminals).collect();
        wallet::make(&tls, &["127.0.0.1".into()], terminals.iter().map(String::as_str))?;
        std::fs::write(&made.config, config.replacen("[switch]", &switch_section(&tls), 1))?;
        let deployment = Deployment::open(&made.config).await?;
        let imported = super::import::run(&deployment, &city, false).await?;
        ensure!(imported.files.iter().all(|file| file.rejected == 0), "the bench's city was rejected");
        let service = deployment.start().await?;
        let mut reports = Vec::new();
        let wallet = Wallet::open(&tls)?;
        for bench in benches {
            reports.push(self.certify(bench.clone(), plain(&service)?, None).await?);
            let address = service.tls_address().context("a switch without TLS")?;
            reports.push(self.certify(bench, address, Some(wallet.clone())).await?);
        }
        service.stop().await?;
        Ok(reports)
    }

    async fn certify(&self, bench: Bench, address: SocketAddr, wallet: Option<Wallet>) -> Result<Report> {
        let first_stan = self.first_stan.unwrap_or_else(fresh_stan);
        let over = if wallet.is_some() { ", TLS" } else { "" };
        let about = format!("{address}, {}, {}{over}", bench.shop.profile, bench.shop.mac);
        let patience = Duration::from_millis(bench.answer_within_ms) + Duration::from_secs(1);
        let certified = tokio::task::spawn_blocking(move || {
            let dial = |terminal: &str| connect(address, terminal, wallet.as_ref(), patience);
            certify(&bench, about, first_stan, &dial)
        });
        certified.await.context("the kit ended")
    }
}

fn read_bench(file: &Path) -> Result<Bench> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    Bench::from_toml(&text).with_context(|| format!("in {}", file.display()))
}

/// Both doors open, on free ports of loopback.
fn switch_section(tls: &Path) -> String {
    let file = |name: &str| format!("{:?}", tls.join(name).display().to_string());
    format!(
        "[switch]\nlisten = \"127.0.0.1:0\"\ntls = {{ listen = \"127.0.0.1:0\", cert = {}, key = {}, client_ca = {}, crl = {} }}",
        file("switch.pem"),
        file("switch.key"),
        file("ca.pem"),
        file("crl.pem")
    )
}

fn connect(
    address: SocketAddr,
    terminal: &str,
    wallet: Option<&Wallet>,
    patience: Duration,
) -> io::Result<Box<dyn Line>> {
    let stream = TcpStream::connect_timeout(&address, CONNECT_PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    let Some(wallet) = wallet else { return Ok(Box::new(stream)) };
    let certificate = wallet.of(terminal).map_err(io::Error::other)?;
    let name = ServerName::IpAddress(address.ip().into());
    let session = ClientConnection::new(certificate, name).map_err(io::Error::other)?;
    Ok(Box::new(StreamOwned::new(session, stream)))
}

/// Counts on with the clock, two hundred a second, so that a run begins behind the one before it.
fn fresh_stan() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_millis() / 5 % 900_000) as u32 + 1
}

fn write_city(folder: &Path, benches: &[Bench]) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for (name, text) in Bench::city(benches) {
        let file = folder.join(name);
        std::fs::write(&file, text).with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

fn show(report: &Report) {
    let passed = report.cases.iter().filter(|case| case.passed).count();
    output::line(format_args!(
        "{} ({}): {passed} of {} cases passed",
        report.subject,
        report.about,
        report.cases.len()
    ));
    for (case, step, finding) in report.findings() {
        output::line(format_args!(
            "  {}, {}: {} must be {}, is {}",
            case.id, step.what, finding.place, finding.expected, finding.seen
        ));
        if let Some(why) = &finding.explanation {
            output::line(format_args!("    {why}"));
        }
    }
}
