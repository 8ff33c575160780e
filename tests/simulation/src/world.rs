//! What everything simulated shares: nodes, lines between tills and nodes, and what was seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::line::Store;
use crate::nodes::SimulatedNode;
use crate::till::Seen;

/// After a node was alone, what it said then may still be found out for so long.
const LATELY: Duration = Duration::from_secs(30);

/// What the lines between tills and nodes do.
#[derive(Debug, Clone, Copy, Default)]
pub struct Storm {
    /// Of a hundred requests, so many never arrive; and as many answers.
    pub lost: u32,
    /// So many arrive twice.
    pub doubled: u32,
    /// Everything takes up to so long, so that what was sent first may come last.
    pub late_ms: u64,
}

/// Counts of what happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests answered.
    pub answered: u64,
    /// Requests that nothing came back for.
    pub unanswered: u64,
    /// Told 91: the register is away.
    pub refused_away: u64,
    /// Told 96: it can't be recorded.
    pub refused_unrecorded: u64,
    /// Told 77 or A0.
    pub refused_keys: u64,
    /// Answers of nodes that were alone.
    pub stand_ins: u64,
    /// Repeats that were told something else, one of the two by a node that was alone.
    pub doubled: u64,
    /// Batches that didn't balance, for the same reason.
    pub unbalanced: u64,
    /// Crashes.
    pub crashes: u64,
}

/// A change that was made in the city.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// A holder has another star.
    Star(u32, u8),
    /// Another rule book is in force.
    Rules(u32),
}

/// Everything that is simulated.
pub struct World {
    /// The dice.
    pub chance: Chance,
    /// Nodes, by number less one.
    pub nodes: Vec<Arc<SimulatedNode>>,
    /// The store.
    pub store: Arc<Store>,
    /// When it began, by the true clock and by the timers.
    pub began: (Timestamp, Instant),
    /// Changes, and when they were made.
    pub changes: Mutex<Vec<(Instant, Change)>>,
    storm: Mutex<Storm>,
    seen: Mutex<Vec<Seen>>,
    counts: Mutex<Counts>,
    violations: Mutex<Vec<String>>,
    alone: Mutex<Option<Instant>>,
    healed: AtomicBool,
}

impl World {
    /// Nothing has happened yet.
    pub fn new(chance: Chance, nodes: Vec<Arc<SimulatedNode>>, store: Arc<Store>, began: (Timestamp, Instant)) -> Self {
        Self {
            chance,
            nodes,
            store,
            began,
            changes: Mutex::default(),
            storm: Mutex::default(),
            seen: Mutex::default(),
            counts: Mutex::default(),
            violations: Mutex::default(),
            alone: Mutex::default(),
            healed: AtomicBool::new(false),
        }
    }

    /// A till's frame to a node, and what comes back of it.
    pub async fn carry(&self, node: usize, frame: Vec<u8>) -> Option<Vec<u8>> {
        let storm = *self.storm.lock();
        if self.chance.happens(storm.doubled) {
            let (other, frame) = (self.chance.one_of(&self.nodes)?.clone(), frame.clone());
            let late = self.chance.millis(0, storm.late_ms + 50);
            tokio::spawn(async move {
                sleep(late).await;
                other.exchange(frame).await
            });
        }
        self.carry_once(node, frame).await
    }

    /// The same, but it arrives once.
    pub async fn carry_once(&self, node: usize, frame: Vec<u8>) -> Option<Vec<u8>> {
        let storm = *self.storm.lock();
        let node = self.nodes.get(node)?.clone();
        sleep(self.chance.millis(0, storm.late_ms + 2)).await;
        if self.chance.happens(storm.lost) {
            return std::future::pending().await;
        }
        let answer = node.exchange(frame).await?;
        sleep(self.chance.millis(0, storm.late_ms + 2)).await;
        if self.chance.happens(storm.lost) {
            return std::future::pending().await;
        }
        Some(answer).filter(|answer| !answer.is_empty())
    }

    /// From now on.
    pub fn set_storm(&self, storm: Storm) {
        *self.storm.lock() = storm;
    }

    /// Something that must never happen did.
    pub fn violated(&self, what: String) {
        let at = self.began.1.elapsed();
        self.violations.lock().push(format!("{at:.3?}: {what}"));
    }

    /// What must never happen, and did.
    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().clone()
    }

    /// An answer arrived.
    pub fn seen(&self, seen: Seen) {
        let mut counts = self.counts.lock();
        counts.answered += 1;
        counts.stand_ins += u64::from(seen.told.stand_in);
        self.seen.lock().push(seen);
    }

    /// All answers that arrived.
    pub fn all_seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    /// Counts of what happened.
    pub fn counts(&self) -> Counts {
        *self.counts.lock()
    }

    /// Nothing came back.
    pub fn count_unanswered(&self) {
        self.counts.lock().unanswered += 1;
    }

    /// A request was refused for the switch's sake.
    pub fn count_refused(&self, code: &str) {
        let mut counts = self.counts.lock();
        match code {
            "91" => counts.refused_away += 1,
            "96" => counts.refused_unrecorded += 1,
            _ => counts.refused_keys += 1,
        }
    }

    /// A repeat was told something else.
    pub fn count_doubled(&self) {
        self.counts.lock().doubled += 1;
    }

    /// A batch didn't balance; gives whether nothing can explain that.
    pub fn count_unbalanced(&self) -> bool {
        self.counts.lock().unbalanced += 1;
        !self.was_ever_alone()
    }

    /// A node crashes.
    pub fn crash(&self, node: &SimulatedNode) {
        self.counts.lock().crashes += 1;
        node.crash();
    }

    /// Looks whether any node is alone.
    pub fn look(&self) {
        if self.nodes.iter().any(|node| node.is_alone()) {
            *self.alone.lock() = Some(Instant::now());
        }
    }

    /// Whether a node was alone lately: then it may have said what another would not have.
    pub fn was_alone_lately(&self) -> bool {
        self.look();
        self.alone.lock().is_some_and(|when| when.elapsed() < LATELY)
    }

    /// Whether a node ever was: what it sent late may have moved a batch.
    pub fn was_ever_alone(&self) -> bool {
        self.look();
        self.alone.lock().is_some()
    }

    /// There are no faults any more.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::Relaxed);
    }

    /// Waits until there are no faults any more.
    pub async fn until_healed(&self) {
        while !self.healed.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(100)).await;
        }
    }
}
