//! The city in one process: terminals, nodes and the stores they share, on simulated time and one seed.
//!
//! Nodes are the real ones, from the frame to the answer: the spine, the journal's committing, the shipper, what
//! follows a failed write or a store that is away. Simulated is what they stand on: the disk, the line to
//! the store, the store (whose rules are the real ones), the clock, the terminals' lines. Everything that
//! isn't decided is drawn from the seed, and time passes only while everybody waits: the same seed is the
//! same history, and a minute of it takes some milliseconds.
//!
//! Things go wrong all the time ([`faults`]); in the end they stop, every till settles, every record arrives,
//! and then what tills saw is held against what disks hold and what stands ([`checks`]). Planted bugs
//! ([`xingka_core::planted`]) have to be found by that: a simulation that finds nothing proves nothing.

pub mod chance;
pub mod checks;
pub mod disk;
pub mod faults;
pub mod line;
pub mod nodes;
pub mod people;
pub mod stage;
pub mod till;
pub mod world;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use chance::Chance;
use line::Store;
use nodes::SimulatedNode;
use stage::Counts;
use till::Till;
use world::World;

/// How large it is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// Nodes.
    pub nodes: u16,
    /// Tills.
    pub tills: usize,
    /// What each of them asks for before it settles.
    pub requests: usize,
    /// How long things go wrong.
    pub faults: Duration,
    /// Whether to tell what came into the store.
    pub trace: bool,
}

impl Default for Size {
    fn default() -> Self {
        Self { nodes: 3, tills: 5, requests: 60, faults: Duration::from_secs(40), trace: false }
    }
}

/// What came of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What happened.
    pub counts: Counts,
    /// What must never happen, and did.
    pub violations: Vec<String>,
    /// What came into the store, where that was wanted.
    pub trace: Vec<String>,
    /// A number that stands for everything that tills saw.
    pub history: u64,
}

/// Everything has to be over by then: faults end, tills settle, records arrive.
const OVER_AFTER: Duration = Duration::from_secs(600);

/// After the last request, records have so long to arrive.
const ARRIVED_AFTER: Duration = Duration::from_secs(60);

/// Runs one seed.
///
/// # Errors
/// Where the system gives no runtime.
pub fn run(seed: u64, size: Size) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(simulate(seed, size)))
}

async fn simulate(seed: u64, size: Size) -> Outcome {
    let world = build(seed, size);
    for node in &world.nodes {
        node.start().await;
    }
    let faults = tokio::spawn(faults::until(world.clone(), world.began.1 + size.faults));
    let changes = tokio::spawn(faults::changes(world.clone()));
    let watch = tokio::spawn(watch(world.clone()));
    let mut working = JoinSet::new();
    for number in 0..size.tills {
        working.spawn(Till::new(number, &world.stage).work(size.requests));
    }
    let mut slips = Vec::new();
    let worked = timeout(OVER_AFTER, async {
        while let Some(till) = working.join_next().await {
            match till {
                Ok(till) => slips.extend(till.slips),
                Err(fault) => world.stage.violated(format!("a till ended early: {fault}")),
            }
        }
    });
    if worked.await.is_err() {
        world.stage.violated(format!("after {OVER_AFTER:?} tills still haven't been answered"));
    }
    if faults.await.is_err() {
        world.stage.violated("the faults ended early".to_owned());
    }
    changes.abort();
    let arrived = async {
        while !world.nodes.iter().all(|node| node.has_caught_up()) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    if timeout(ARRIVED_AFTER, arrived).await.is_err() {
        world.stage.violated(format!("after {ARRIVED_AFTER:?} the store still doesn't have every record"));
    }
    watch.abort();
    checks::all(&world, &slips);
    let trace = if size.trace { checks::trace(&world) } else { Vec::new() };
    Outcome {
        seed,
        counts: world.stage.counts(),
        violations: world.stage.violations(),
        trace,
        history: history(&world),
    }
}

fn build(seed: u64, size: Size) -> Arc<World> {
    let chance = Chance::new(seed);
    // 2026-11-23 10:00 UTC: a working day, far from midnight.
    let began = (jiff::Timestamp::constant(1_795_428_000, 0), Instant::now());
    let store = Arc::new(Store::default());
    store.news.lock().push(people::everything(size.tills));
    store.register.put_rules(people::rules(1));
    let nodes = (1..=size.nodes).map(|number| SimulatedNode::new(number, &store, &chance, began)).collect();
    Arc::new(World::new(chance, nodes, store, began))
}

/// Looks at the nodes now and then, so that it is known when one was alone.
async fn watch(world: Arc<World>) {
    loop {
        world.stage.look();
        sleep(Duration::from_millis(20)).await;
    }
}

fn history(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    for seen in world.stage.all_seen() {
        (seen.terminal, seen.batch, seen.stan, seen.mti).hash(&mut hasher);
        (&seen.told.code, seen.told.amount_fen, seen.told.decision_id).hash(&mut hasher);
        (seen.at - world.began.1).hash(&mut hasher);
    }
    hasher.finish()
}
