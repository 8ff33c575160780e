//! The arrival schedule: request by request at equal distances, dealt to terminals in turn.
//!
//! One thread sleeps until each intended start and wakes the terminal whose turn it is. Not
//! the runtime's timers: they round up to whole milliseconds, which would count as the
//! switch's. A terminal that still waits for an answer takes its turn afterwards, and its
//! latency counts from the intended start all the same: a switch that stalls can't hide the
//! requests that would have been sent meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// One terminal's turns that have come and weren't taken yet.
pub type Turns = Arc<Vec<Semaphore>>;

/// When requests are meant to start.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Requests a second over all terminals.
    pub rate_per_s: f64,
    /// How many terminals take turns.
    pub terminals: usize,
    /// For so long.
    pub duration: Duration,
}

impl Schedule {
    /// When a terminal is to begin its turn, counted from the start of the load.
    pub fn intended(&self, terminal: usize, turn: u64) -> Duration {
        self.of_request(turn * self.terminals as u64 + terminal as u64)
    }

    fn of_request(&self, request: u64) -> Duration {
        Duration::from_secs_f64(request as f64 / self.rate_per_s)
    }

    /// Wakes whose turn it is, until the end. Blocks.
    pub fn keep(&self, turns: &Turns, started: Instant) {
        for request in 0.. {
            let intended = self.of_request(request);
            if intended >= self.duration {
                return;
            }
            let ahead = (started + intended).saturating_duration_since(Instant::now());
            if !ahead.is_zero() {
                std::thread::sleep(ahead);
            }
            // Nobody holds the turns any more: the load has ended.
            if Arc::strong_count(turns) == 1 {
                return;
            }
            turns[(request % self.terminals as u64) as usize].add_permits(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_come_at_equal_distances_and_go_round() {
        let schedule = Schedule { rate_per_s: 100.0, terminals: 4, duration: Duration::from_secs(1) };
        let turns: Vec<Duration> =
            (0..3).flat_map(|turn| (0..4).map(move |who| schedule.intended(who, turn))).collect();
        assert!(turns.iter().zip(0..).all(|(at, number)| *at == Duration::from_millis(10 * number)));
        let turns: Turns = Arc::new((0..4).map(|_| Semaphore::new(0)).collect());
        let held = turns.clone();
        schedule.keep(&turns, Instant::now() - Duration::from_secs(2));
        assert!(held.iter().all(|turns| turns.available_permits() == 25));
    }
}
