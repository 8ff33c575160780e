//! What tills know: whom to send to, and what they saw.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::chance::Chance;
use crate::till::Seen;

/// After a node was alone, what it said then may still be found out for so long.
const LATELY: Duration = Duration::from_secs(30);

/// The lines between tills and nodes, simulated or real.
pub trait Lines: Send + Sync {
    /// How many nodes there are.
    fn nodes(&self) -> usize;

    /// A frame to a node, and what comes back of it. `once`: it must not arrive twice.
    fn carry(&self, node: usize, frame: Vec<u8>, once: bool) -> BoxFuture<'_, Option<Vec<u8>>>;

    /// Whether a node may be alone, without the store.
    fn is_any_alone(&self) -> bool;
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

/// What all tills share.
pub struct Stage {
    /// The dice.
    pub chance: Chance,
    /// Whom they send to.
    pub lines: Arc<dyn Lines>,
    /// When it began.
    pub began: Instant,
    seen: Mutex<Vec<Seen>>,
    counts: Mutex<Counts>,
    refusals: Mutex<Vec<(Instant, String)>>,
    violations: Mutex<Vec<String>>,
    alone: Mutex<Option<Instant>>,
    healed: AtomicBool,
}

impl Stage {
    /// Nothing has happened yet.
    pub fn new(chance: Chance, lines: Arc<dyn Lines>) -> Self {
        Self {
            chance,
            lines,
            began: Instant::now(),
            seen: Mutex::default(),
            counts: Mutex::default(),
            refusals: Mutex::default(),
            violations: Mutex::default(),
            alone: Mutex::default(),
            healed: AtomicBool::new(false),
        }
    }

    /// A node crashed.
    pub fn count_crash(&self) {
        self.counts.lock().crashes += 1;
    }

    /// When requests weren't answered, or were told to come again, and by which code; none for no answer.
    pub fn refusals(&self) -> Vec<(Instant, String)> {
        self.refusals.lock().clone()
    }

    /// Something that must never happen did.
    pub fn violated(&self, what: String) {
        let at = self.began.elapsed();
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
        self.refusals.lock().push((Instant::now(), String::new()));
    }

    /// A request was refused for the switch's sake.
    pub fn count_refused(&self, code: &str) {
        let mut counts = self.counts.lock();
        self.refusals.lock().push((Instant::now(), code.to_owned()));
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

    /// Looks whether any node is alone.
    pub fn look(&self) {
        if self.lines.is_any_alone() {
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

    /// Whether there are none.
    pub fn is_healed(&self) -> bool {
        self.healed.load(Ordering::Relaxed)
    }

    /// Waits until there are no faults any more.
    pub async fn until_healed(&self) {
        while !self.is_healed() {
            sleep(Duration::from_millis(100)).await;
        }
    }
}
