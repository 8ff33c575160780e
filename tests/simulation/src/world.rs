//! Everything simulated: nodes, the store, and the lines between tills and nodes.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::line::Store;
use crate::nodes::SimulatedNode;
use crate::stage::{Lines, Stage};

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

/// A change that was made in the city.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// A holder has another star.
    Star(u32, u8),
    /// Another rule book is in force.
    Rules(u32),
}

/// Lines that lose, double and delay.
pub struct SimulatedLines {
    nodes: Vec<Arc<SimulatedNode>>,
    chance: Chance,
    storm: Mutex<Storm>,
}

impl SimulatedLines {
    /// Fair ones.
    pub fn new(nodes: Vec<Arc<SimulatedNode>>, chance: Chance) -> Self {
        Self { nodes, chance, storm: Mutex::default() }
    }

    /// From now on.
    pub fn set(&self, storm: Storm) {
        *self.storm.lock() = storm;
    }

    /// Sends a copy of a frame to any node, later.
    fn double(&self, storm: Storm, frame: &[u8]) {
        if !self.chance.happens(storm.doubled) {
            return;
        }
        let Some(other) = self.chance.one_of(&self.nodes).cloned() else { return };
        let (late, frame) = (self.chance.millis(0, storm.late_ms + 50), frame.to_vec());
        tokio::spawn(async move {
            sleep(late).await;
            other.exchange(frame).await
        });
    }

    async fn carry_once(&self, storm: Storm, node: usize, frame: Vec<u8>) -> Option<Vec<u8>> {
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
}

impl Lines for SimulatedLines {
    fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn carry(&self, node: usize, frame: Vec<u8>, once: bool) -> BoxFuture<'_, Option<Vec<u8>>> {
        let storm = *self.storm.lock();
        if !once {
            self.double(storm, &frame);
        }
        self.carry_once(storm, node, frame).boxed()
    }

    fn is_any_alone(&self) -> bool {
        self.nodes.iter().any(|node| node.is_alone())
    }
}

/// Everything that is simulated.
pub struct World {
    /// What tills know.
    pub stage: Arc<Stage>,
    /// The dice.
    pub chance: Chance,
    /// Nodes, by number less one.
    pub nodes: Vec<Arc<SimulatedNode>>,
    /// The lines to them.
    pub lines: Arc<SimulatedLines>,
    /// The store.
    pub store: Arc<Store>,
    /// When it began, by the true clock and by the timers.
    pub began: (Timestamp, Instant),
    /// Changes, and when they were made.
    pub changes: Mutex<Vec<(Instant, Change)>>,
}

impl World {
    /// Nothing has happened yet.
    pub fn new(chance: Chance, nodes: Vec<Arc<SimulatedNode>>, store: Arc<Store>, began: (Timestamp, Instant)) -> Self {
        let lines = Arc::new(SimulatedLines::new(nodes.clone(), chance.clone()));
        let stage = Arc::new(Stage::new(chance.clone(), lines.clone()));
        Self { stage, chance, nodes, lines, store, began, changes: Mutex::default() }
    }

    /// A node crashes.
    pub fn crash(&self, node: &SimulatedNode) {
        self.stage.count_crash();
        node.crash();
    }
}
