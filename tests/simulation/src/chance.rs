//! Everything that isn't decided: drawn from one seed, in the order in which it is asked for.

use std::ops::RangeBounds;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// The dice, shared by all who throw them.
#[derive(Debug, Clone)]
pub struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// Whether something happens that does so `percent` times of a hundred.
    pub fn happens(&self, percent: u32) -> bool {
        self.0.lock().u32(0..100) < percent
    }

    /// A number.
    pub fn number(&self, range: impl RangeBounds<usize>) -> usize {
        self.0.lock().usize(range)
    }

    /// One of several.
    pub fn one_of<'a, T>(&self, choices: &'a [T]) -> Option<&'a T> {
        (!choices.is_empty()).then(|| self.number(0..choices.len())).and_then(|at| choices.get(at))
    }

    /// A time between two.
    pub fn millis(&self, from: u64, to: u64) -> Duration {
        Duration::from_millis(self.0.lock().u64(from..=to))
    }
}
