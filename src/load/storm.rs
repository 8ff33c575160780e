//! The reconnect storm: how long until everything is as before.
//!
//! Two times, from the moment in which all lines are dropped: until every terminal has had an
//! answer again, and until the 99th percentile over a sliding second stays below twice what
//! it was before.

use std::collections::VecDeque;
use std::time::Duration;

use hdrhistogram::Histogram;

/// Slots in a sliding second.
const SLOTS: usize = 10;

/// Watches latencies around a storm.
pub struct StormWatch {
    slots: VecDeque<Histogram<u64>>,
    now: Histogram<u64>,
    before_us: Option<u64>,
    terminals: u64,
    back: u64,
    slowest_back_us: u64,
    calm_after: Option<Duration>,
    disturbed: bool,
}

impl StormWatch {
    /// For so many terminals; `empty` is a histogram like those to be kept.
    pub fn new(terminals: usize, empty: &Histogram<u64>) -> Self {
        Self {
            slots: VecDeque::new(),
            now: empty.clone(),
            before_us: None,
            terminals: terminals as u64,
            back: 0,
            slowest_back_us: 0,
            calm_after: None,
            disturbed: false,
        }
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
        if self.slots.len() == SLOTS {
            self.slots.pop_front();
        }
        self.slots.push_back(self.now.clone());
        self.now.reset();
        let Some(p99) = self.p99() else { return };
        match since_storm {
            None => self.before_us = Some(p99),
            Some(since) => {
                self.disturbed = self.before_us.is_some_and(|before| p99 >= 2 * before);
                if self.disturbed {
                    self.calm_after = Some(since);
                }
            }
        }
    }

    fn p99(&self) -> Option<u64> {
        let mut second = self.now.clone();
        self.slots.iter().for_each(|slot| second += slot);
        (!second.is_empty()).then(|| second.value_at_quantile(0.99))
    }

    /// Until the last terminal was back; nothing where one never was.
    pub fn back_us(&self) -> Option<u64> {
        (self.back >= self.terminals).then_some(self.slowest_back_us)
    }

    /// Until latencies were as before; nothing where they never were, 0 where they always were.
    pub fn calm_us(&self) -> Option<u64> {
        let calm = self.calm_after.map_or(0, |after| u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
        (!self.disturbed && self.before_us.is_some()).then_some(calm)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calm_is_when_the_last_bad_second_is_over() {
        let empty = Histogram::new_with_bounds(1, 600_000_000, 2).unwrap();
        let mut watch = StormWatch::new(2, &empty);
        let mut second = |micros: u64, since: Option<u64>| {
            (0..10).for_each(|_| {
                (0..100).for_each(|_| watch.answered(micros));
                watch.tick(since.map(Duration::from_secs));
            });
            (watch.calm_us(), watch.back_us())
        };
        assert_eq!(second(1_000, None), (Some(0), None));
        assert_eq!(second(5_000, Some(1)), (None, None));
        // The slow ones leave the sliding second with its last slot.
        assert_eq!(second(1_500, Some(2)), (Some(2_000_000), None));
        watch.came_back(70);
        watch.came_back(90);
        assert_eq!(watch.back_us(), Some(90));
    }
}
