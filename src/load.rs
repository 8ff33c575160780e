//! The load generator: many terminals, each with one request outstanding.
//!
//! Closed loop: a terminal sends when it has its answer. At a rate: requests have an
//! intended start, one after the other at equal distances, dealt to the terminals in turn;
//! latencies count from it, so that a switch that stalls can't hide the requests that
//! would have been sent meanwhile.
//!
//! An [`Echo`] server stands beside the switch for comparison: it sends each frame back as
//! it came. The terminals do the same work with it (write, seal, verify), so that the
//! ratio of the two says what the switch itself costs, whatever the machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use xingka_core::city::MerchantKind;
use xingka_terminal::{Sent, Swipe, Terminal, TerminalFault};
use xingka_wire::pan::Pan;

use crate::line::Line;

/// A terminal that is to make load, and what kind of place it stands in.
pub struct Loader {
    /// It signs in first.
    pub terminal: Terminal,
    /// What it may ask.
    pub kind: MerchantKind,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mix {
    /// At shops 7 of 10 purchases and the rest inquiries, at halls and banks counter services
    Swipe,
    /// Star inquiries only
    Inquiry,
}

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A switch: its answers are checked.
    Switch,
    /// An [`Echo`]: the requests themselves come back, and are checked.
    Echo,
}

/// How long and how hard.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Requests a second over all terminals; closed loop without.
    pub rate_per_s: Option<f64>,
    /// For so long.
    pub duration: Duration,
    /// What is asked.
    pub mix: Mix,
    /// Which cards and amounts come in which order.
    pub seed: u64,
    /// Who is at the other end.
    pub peer: Peer,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Requests sent.
    pub sent: u64,
    /// Right answers.
    pub answered: u64,
    /// Lines broken, answers missing or wrong in STAN, type or MAC, and codes 94, 96 and A0.
    pub errors: u64,
    /// Answers a second.
    pub per_s: f64,
    /// Microseconds that half of the answers took at most.
    pub p50_us: u64,
    /// Nine in ten.
    pub p90_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// 999 in a thousand.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// One terminal's part.
struct Tally {
    sent: u64,
    answered: u64,
    errors: u64,
    micros: Histogram<u64>,
}

/// Signs all terminals in, then lets them ask.
pub async fn run(
    address: SocketAddr,
    loaders: Vec<Loader>,
    cards: Arc<Vec<Pan>>,
    plan: Plan,
) -> Result<(Outcome, Vec<Loader>)> {
    let count = loaders.len();
    let ready = Arc::new(tokio::sync::Barrier::new(count + 1));
    let (begin, begun) = tokio::sync::watch::channel(None);
    let mut tasks = JoinSet::new();
    for (number, loader) in loaders.into_iter().enumerate() {
        let (ready, mut begun, cards) = (ready.clone(), begun.clone(), cards.clone());
        tasks.spawn(async move {
            let signed_in = SignedIn::new(address, loader).await;
            ready.wait().await;
            let started = begun.wait_for(Option::is_some).await.ok().and_then(|started| *started);
            let work = Work { number, count, plan, cards, random: fastrand::Rng::with_seed(plan.seed ^ number as u64) };
            work.run(signed_in?, started.unwrap_or_else(Instant::now)).await
        });
    }
    ready.wait().await;
    let started = Instant::now();
    // Nobody to tell means that every terminal has failed already.
    let _ = begin.send(Some(started));
    let mut tallies = Vec::new();
    let mut loaders = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (tally, loader) = done.context("a terminal's task ended")??;
        tallies.push(tally);
        loaders.push(loader);
    }
    Ok((summarize(tallies, started.elapsed())?, loaders))
}

fn summarize(tallies: Vec<Tally>, took: Duration) -> Result<Outcome> {
    let mut micros = new_histogram()?;
    let (mut sent, mut answered, mut errors) = (0, 0, 0);
    for tally in tallies {
        sent += tally.sent;
        answered += tally.answered;
        errors += tally.errors;
        micros.add(&tally.micros)?;
    }
    let at = |quantile| micros.value_at_quantile(quantile);
    Ok(Outcome {
        sent,
        answered,
        errors,
        per_s: (answered as f64 / took.as_secs_f64() * 10.0).round() / 10.0,
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        max_us: micros.max(),
    })
}

fn new_histogram() -> Result<Histogram<u64>> {
    // Up to ten minutes, to two digits; grows as needed.
    Ok(Histogram::new_with_bounds(1, 600_000_000, 2)?)
}

struct SignedIn {
    line: Line,
    loader: Loader,
}

impl SignedIn {
    async fn new(address: SocketAddr, mut loader: Loader) -> Result<Self> {
        let mut line = Line::connect(address, None).await?;
        if !loader.terminal.is_signed_in() {
            line.sign_in(&mut loader.terminal).await?;
        }
        Ok(Self { line, loader })
    }
}

struct Work {
    number: usize,
    count: usize,
    plan: Plan,
    cards: Arc<Vec<Pan>>,
    random: fastrand::Rng,
}

impl Work {
    async fn run(mut self, signed_in: SignedIn, started: Instant) -> Result<(Tally, Loader)> {
        let SignedIn { mut line, mut loader } = signed_in;
        let mut tally = Tally { sent: 0, answered: 0, errors: 0, micros: new_histogram()? };
        let end = started + self.plan.duration;
        loop {
            let intended = self.intended_start(started, tally.sent);
            if intended >= end {
                return Ok((tally, loader));
            }
            sleep_until(intended).await;
            tally.sent += 1;
            match self.ask(&mut line, &mut loader).await {
                Ok(true) => {
                    tally.answered += 1;
                    let micros = u64::try_from(intended.elapsed().as_micros()).unwrap_or(u64::MAX);
                    tally.micros.saturating_record(micros);
                }
                Ok(false) => tally.errors += 1,
                Err(error) => {
                    tracing::debug!(%error, "a request failed");
                    tally.errors += 1;
                    // The line is gone, and with it this terminal.
                    return Ok((tally, loader));
                }
            }
        }
    }

    fn intended_start(&self, started: Instant, sent: u64) -> Instant {
        match self.plan.rate_per_s {
            None => Instant::now(),
            Some(rate) => {
                started + Duration::from_secs_f64((sent as f64 * self.count as f64 + self.number as f64) / rate)
            }
        }
    }

    /// One request; whether its answer is as it must be.
    async fn ask(&mut self, line: &mut Line, loader: &mut Loader) -> Result<bool> {
        let card = self.cards.get(self.random.usize(..self.cards.len())).context("no cards")?;
        let card = Swipe::of(card.clone());
        let (kind, mix, random) = (loader.kind, self.plan.mix, &mut self.random);
        let terminal = &mut loader.terminal;
        let mut frame = [0; 1_024];
        let sent = write(terminal, &mut frame, &card, kind, mix, random)?;
        let frame = frame.get(..sent.length).unwrap_or_default();
        let answer = line.exchange(frame).await?;
        match self.plan.peer {
            Peer::Echo => Ok(answer == frame && terminal.verifies(answer)?),
            Peer::Switch => Ok(!matches!(terminal.read(&sent, answer)?.code.as_bytes(), b"94" | b"96" | b"A0")),
        }
    }
}

fn write(
    terminal: &mut Terminal,
    frame: &mut [u8],
    card: &Swipe<'_>,
    kind: MerchantKind,
    mix: Mix,
    random: &mut fastrand::Rng,
) -> Result<Sent, TerminalFault> {
    match (mix, kind) {
        (Mix::Swipe, MerchantKind::Merchant) if random.u8(..10) < 7 => {
            terminal.purchase(card, random.u64(1..=50_000), frame)
        }
        (Mix::Swipe, MerchantKind::Hall | MerchantKind::Bank) => terminal.counter_service(card, frame),
        (Mix::Swipe | Mix::Inquiry, _) => terminal.star_inquiry(card, None, frame),
    }
}

/// A server that sends every frame back as it came: what the network alone costs.
pub struct Echo {
    address: SocketAddr,
    accepting: tokio::task::JoinHandle<()>,
}

impl Echo {
    /// On a free port of loopback.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening on loopback")?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(echo(stream));
            }
        });
        Ok(Self { address, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 8_192];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
