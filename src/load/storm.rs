//! The reconnect storm: how long until everything is as before.
//!
//! Two times, from the moment in which all lines are dropped: until every terminal has had an
//! answer again; and until, after that, the 99th percentile over a sliding second is below
//! twice what it was over the whole time before. Refused: waiting until it stays there. A
//! machine has a bad second now and then, and the last one of the run would count.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Slots in a sliding second.
const SLOTS: usize = 10;

/// Watches latencies around a storm.
pub struct StormWatch {
    before: Histogram<u64>,
    slots: VecDeque<Histogram<u64>>,
    now: Histogram<u64>,
    terminals: u64,
    back: u64,
    slowest_back_us: u64,
    calm_us: Option<u64>,
}

impl StormWatch {
    /// For so many terminals; `empty` is a histogram like those to be kept.
    pub fn new(terminals: usize, empty: &Histogram<u64>) -> Self {
        let (before, now) = (empty.clone(), empty.clone());
        let (slots, terminals) = (VecDeque::new(), terminals as u64);
        Self { before, slots, now, terminals, back: 0, slowest_back_us: 0, calm_us: None }
    }

    /// An answer of the mix.
    pub fn answered(&mut self, micros: u64) {
        self.now.saturating_record(micros);
    }

    /// A terminal's first answer after the storm.
    pub fn came_back(&mut self, micros: u64) {
        self.back += 1;
        self.slowest_back_us = self.slowest_back_us.max(micros);
    }

    /// A tenth of a second is over; `since_storm` where there has been one.
    pub fn tick(&mut self, since_storm: Option<Duration>) {
        if since_storm.is_none() {
            self.before += &self.now;
        }
        if self.slots.len() == SLOTS {
            self.slots.pop_front();
        }
        self.slots.push_back(self.now.clone());
        self.now.reset();
        let all_back = since_storm.filter(|_| self.back_us().is_some());
        if let Some(since) = all_back.filter(|_| self.calm_us.is_none() && self.is_calm()) {
            self.calm_us = Some(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn is_calm(&self) -> bool {
        let mut second = self.now.clone();
        self.slots.iter().for_each(|slot| second += slot);
        let p99 = |micros: &Histogram<u64>| micros.value_at_quantile(0.99);
        p99(&second) < 2 * p99(&self.before)
    }

    /// Until the last terminal was back; nothing where one never was.
    pub fn back_us(&self) -> Option<u64> {
        (self.back >= self.terminals).then_some(self.slowest_back_us)
    }

    /// Until latencies were as before; nothing where they never were.
    pub fn calm_us(&self) -> Option<u64> {
        self.calm_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_back_before_it_is_calm() {
        let empty = Histogram::new_with_bounds(1, 600_000_000, 2).unwrap();
        let mut watch = StormWatch::new(2, &empty);
        fn second(watch: &mut StormWatch, micros: u64, since: Option<u64>) -> (Option<u64>, Option<u64>) {
            for _ in 0..SLOTS {
                (0..100).for_each(|_| watch.answered(micros));
                watch.tick(since.map(Duration::from_secs));
            }
            (watch.back_us(), watch.calm_us())
        }
        assert_eq!(second(&mut watch, 1_000, None), (None, None));
        watch.came_back(70);
        assert_eq!(second(&mut watch, 1_500, Some(1)), (None, None));
        watch.came_back(90);
        assert_eq!(second(&mut watch, 5_000, Some(2)), (Some(90), None));
        // The slow ones leave the sliding second with its last slot.
        assert_eq!(second(&mut watch, 1_500, Some(3)), (Some(90), Some(3_000_000)));
    }
}
