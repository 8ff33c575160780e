//! The load generator: many terminals, each with one request outstanding.
//!
//! Closed loop: a terminal sends when it has its answer. At a rate: requests have an
//! intended start, one after the other at equal distances, dealt to the terminals in turn;
//! latencies count from it (see [`pace`]).
//!
//! * [`mix`]: what is asked, [`cards`]: about which cards, [`request`]: how, and what must be answered;
//! * [`till`]: a terminal at work, on a [`link`] that comes back;
//! * [`events`] and [`stars`]: what happens meanwhile;
//! * [`record`] and [`collect`]: what is measured, [`report`]: what is said about it.
//!
//! An [`Echo`] server stands beside the switch for comparison.

mod cards;
mod collect;
mod echo;
mod events;
mod hdr;
mod link;
mod mix;
mod pace;
mod process;
mod record;
mod report;
mod request;
mod spoil;
mod stars;
mod storm;
mod till;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustls::ClientConfig;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use xingka_core::city::MerchantKind;
use xingka_store::Store;
use xingka_terminal::Terminal;

pub use cards::Cards;
pub use echo::Echo;
pub use events::Action;
pub use mix::Mix;
pub use report::Outcome;
pub use stars::StarChanges;

use collect::{Collected, Collector};
use events::Stage;
use link::Link;
use mix::Deck;
use pace::{Schedule, Turns};
use record::Recorder;
use till::{Shared, Till};

/// Terminals that connect and sign in at a time, so that they don't overrun the queue of a
/// listening socket before anything is measured.
const CONNECTING_AT_ONCE: usize = 256;

/// A terminal that is to make load, and what kind of place it stands in.
pub struct Loader {
    /// It signs in first.
    pub terminal: Terminal,
    /// What it may ask.
    pub kind: MerchantKind,
    /// What it connects with, where it is to connect with TLS.
    pub certificate: Option<Arc<ClientConfig>>,
}

/// What happens in the deployment while terminals swipe.
#[derive(Default)]
pub struct Beside {
    /// Holders' stars change.
    pub stars: Option<StarChanges>,
    /// At this moment after the beginning every terminal is told to fetch new keys.
    pub rotation: Option<(Store, Duration)>,
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
#[derive(Debug, Clone)]
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
    /// What happens meanwhile, and when.
    pub actions: Vec<(Duration, Action)>,
    /// Where histograms are written.
    pub hdr: Option<PathBuf>,
    /// Whether to say on standard error how it goes.
    pub progress: bool,
    /// The process whose memory and descriptors are reported; this one without.
    pub pid: Option<u32>,
}

impl Plan {
    /// When the storm comes, if one does.
    fn storm_at(&self) -> Option<Duration> {
        self.actions.iter().find(|(_, action)| *action == Action::Storm).map(|(at, _)| *at)
    }

    fn schedule(&self, terminals: usize) -> Option<Schedule> {
        self.rate_per_s.map(|rate_per_s| Schedule { rate_per_s, terminals, duration: self.duration })
    }
}

/// Signs all terminals in, then lets them ask.
pub async fn run(
    address: SocketAddr,
    loaders: Vec<Loader>,
    cards: Arc<Cards>,
    plan: Plan,
    beside: Beside,
) -> Result<(Outcome, Vec<Loader>)> {
    let count = loaders.len();
    let stage = Stage::new();
    let turns = || Turns::new((0..count).map(|_| Semaphore::new(0)).collect());
    let pace = plan.schedule(count).map(|schedule| (schedule, turns()));
    let deck = Mutex::new(Deck::new(plan.seed));
    let shared = Arc::new(Shared { plan, cards, recorder: Arc::default(), deck, pace });

    let tills = open(address, loaders, &shared, &stage).await?;
    let collecting = Collecting::begin(&shared, count, &stage)?;
    let started = Instant::now();
    let aside = begin_aside(&shared, &stage, started);
    let loaders = tokio::select! {
        loaders = work(tills, started) => loaders?,
        // An import can't be moved between threads, so it is no task of its own.
        never = happen(beside, &shared.recorder, started) => match never {},
    };
    let took = started.elapsed();
    drop(aside);
    let collected = collecting.end()?;
    Ok((Outcome::new(&collected, &shared.recorder, &shared.plan, took), loaders))
}

/// What happens beside the terminals; ends when it is dropped.
fn begin_aside(shared: &Shared, stage: &Stage, started: Instant) -> JoinSet<()> {
    let mut aside = JoinSet::new();
    aside.spawn(stage.clone().play(shared.plan.actions.clone(), started));
    if let Some((schedule, turns)) = shared.pace.clone() {
        std::thread::spawn(move || schedule.keep(&turns, started.into_std()));
    }
    aside
}

async fn happen(beside: Beside, recorder: &Recorder, started: Instant) -> Infallible {
    tokio::select! {
        never = change_stars(beside.stars, recorder, started) => never,
        never = rotate(beside.rotation, started) => never,
    }
}

async fn rotate(rotation: Option<(Store, Duration)>, started: Instant) -> Infallible {
    if let Some((store, at)) = rotation {
        tokio::time::sleep_until(started + at).await;
        let asked = store.ask_for_new_keys(None, jiff::Timestamp::now().as_millisecond()).await;
        if let Err(error) = asked {
            tracing::error!(%error, "new session keys could not be asked for");
        }
    }
    std::future::pending().await
}

async fn change_stars(changes: Option<StarChanges>, recorder: &Recorder, started: Instant) -> Infallible {
    match changes {
        Some(changes) => changes.run(recorder, started).await,
        None => std::future::pending().await,
    }
}

/// Connects all terminals and signs them in. Where one can't, none of the others goes on:
/// this may be another city's switch, on which their sign-ins would make keys.
async fn open(address: SocketAddr, loaders: Vec<Loader>, shared: &Arc<Shared>, stage: &Stage) -> Result<Vec<Till>> {
    let connecting = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
    let (mut tills, mut opening) = (Vec::new(), JoinSet::new());
    for (number, loader) in loaders.into_iter().enumerate() {
        let (shared, connecting) = (shared.clone(), connecting.clone());
        let storm = shared.plan.storm_at().map(|_| stage.storm.subscribe());
        opening.spawn(async move {
            let _permit = connecting.acquire().await;
            let seed = shared.plan.seed ^ !(number as u64);
            let certificate = loader.certificate.clone();
            let link = Link::connect((address, certificate), storm, seed, shared.recorder.clone()).await?;
            Till::open(number, loader, link, shared).await
        });
        if number == 0 {
            // One alone at first: it shows whether the keys are right.
            tills = join_all(&mut opening).await?;
        }
    }
    tills.extend(join_all(&mut opening).await?);
    Ok(tills)
}

/// Lets all terminals ask, until the last one has its last answer.
async fn work(tills: Vec<Till>, started: Instant) -> Result<Vec<Loader>> {
    let mut working = JoinSet::new();
    tills.into_iter().for_each(|till| drop(working.spawn(async move { Ok(till.work(started).await) })));
    join_all(&mut working).await
}

async fn join_all<T: 'static>(tasks: &mut JoinSet<Result<T>>) -> Result<Vec<T>> {
    let mut all = Vec::with_capacity(tasks.len());
    while let Some(done) = tasks.join_next().await {
        all.push(done.context("a terminal's task ended")??);
    }
    Ok(all)
}

/// The thread that adds up.
struct Collecting {
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Result<Collected>>,
}

impl Collecting {
    fn begin(shared: &Shared, terminals: usize, stage: &Stage) -> Result<Self> {
        let storm_at = stage.storm.subscribe();
        let collector = Collector::new(shared.recorder.clone(), &shared.plan, terminals, storm_at)?;
        let (stop, stopped) = mpsc::channel();
        Ok(Self { stop, thread: std::thread::spawn(move || collector.run(&stopped)) })
    }

    fn end(self) -> Result<Collected> {
        drop(self.stop);
        self.thread.join().map_err(|_| anyhow!("the thread that adds up what is measured ended"))?
    }
}
