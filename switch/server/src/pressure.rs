//! Shedding: when answers would come too late, those that can wait longest are told so at once.
//!
//! Pressure is the time by which an answer would be late: how long the oldest record has waited for
//! its commit, or how late the runtime runs a task that was due. Every class of requests is served
//! until pressure passes its part of the answer deadline: reports first, then banks, halls and
//! shops; reversals last, because they undo what somebody else still waits for. Whoever is shed gets a
//! sealed 91, which changes nothing: the terminal repeats or goes on offline.
//!
//! Refused: shedding by queue length (says nothing about time), by processor load (a machine may be
//! busy with somebody else's work and still be in time), and closing connections (a terminal that
//! gets no answer reverses, which makes two requests out of one).

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use xingka_core::city::MerchantKind;
use xingka_wire::messages::Request;

use crate::node::Node;

/// How often it is measured.
const EVERY: Duration = Duration::from_millis(10);

/// Who is shed, the first ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Settlements and batch uploads: the terminal tries again later.
    Report,
    /// At a bank's counter.
    Bank,
    /// At a hall's.
    Hall,
    /// At a shop's POS.
    Pos,
    /// Reversals.
    Reversal,
}

impl Class {
    pub(crate) const ALL: [Self; 5] = [Self::Report, Self::Bank, Self::Hall, Self::Pos, Self::Reversal];

    pub(crate) const fn of(request: &Request<'_>, place: MerchantKind) -> Self {
        match (request, place) {
            (Request::Reversal(_), _) => Self::Reversal,
            (Request::Settlement(_) | Request::BatchUpload(_) | Request::BatchUploadEnd(_), _) => Self::Report,
            (_, MerchantKind::Merchant) => Self::Pos,
            (_, MerchantKind::Hall) => Self::Hall,
            (_, MerchantKind::Bank) => Self::Bank,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Bank => "bank",
            Self::Hall => "hall",
            Self::Pos => "pos",
            Self::Reversal => "reversal",
        }
    }

    /// Eighths of the answer deadline up to which it is served.
    const fn eighths(self) -> u32 {
        match self {
            Self::Report => 1,
            Self::Bank => 2,
            Self::Hall => 3,
            Self::Pos => 4,
            Self::Reversal => 7,
        }
    }
}

/// By how much answers would be late now.
#[derive(Default)]
pub(crate) struct Pressure(AtomicU64);

impl Pressure {
    /// In microseconds.
    pub(crate) fn micros(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether a request of this class is to be told to come later.
    pub(crate) fn sheds(&self, class: Class, answer_deadline: Duration) -> bool {
        Duration::from_micros(self.micros()) > answer_deadline * class.eighths() / 8
    }

    fn set(&self, pressure: Duration) {
        self.0.store(u64::try_from(pressure.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// How long the journal's oldest record has waited, to a tick.
#[derive(Default)]
struct Waiting(VecDeque<(Instant, u64)>);

impl Waiting {
    fn measure(&mut self, now: Instant, committed: u64, newest: u64) -> Duration {
        while self.0.front().is_some_and(|(_, sequence)| *sequence <= committed) {
            self.0.pop_front();
        }
        // What a failed commit took with it waits for nothing any more.
        while self.0.back().is_some_and(|(_, sequence)| *sequence > newest) {
            self.0.pop_back();
        }
        if newest > committed && self.0.back().is_none_or(|(_, sequence)| *sequence < newest) {
            self.0.push_back((now, newest));
        }
        self.0.front().map_or(Duration::ZERO, |(since, _)| now - *since)
    }
}

/// Measures as long as the node runs.
pub(crate) async fn watch(node: std::sync::Arc<Node>) {
    let mut waiting = Waiting::default();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due = ticks.tick().await;
        let now = Instant::now();
        let (committed, newest) = node.journal.standing();
        let late = now.saturating_duration_since(due);
        node.pressure.set(late.max(waiting.measure(now, committed, newest)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_shed_before_the_next() {
        let pressure = Pressure::default();
        let deadline = Duration::from_millis(800);
        let shed = |ms| {
            pressure.set(Duration::from_millis(ms));
            Class::ALL.iter().filter(|class| pressure.sheds(**class, deadline)).count()
        };
        assert_eq!([0, 100, 101, 200, 201, 301, 401, 700, 701].map(shed), [0, 0, 1, 1, 2, 3, 4, 4, 5]);
        assert!(Class::ALL.is_sorted());
    }

    #[test]
    fn a_record_waits_from_the_tick_that_saw_it_until_its_commit() {
        let mut waiting = Waiting::default();
        let start = Instant::now();
        let mut at =
            |ms, committed, newest| waiting.measure(start + Duration::from_millis(ms), committed, newest).as_millis();
        assert_eq!([at(0, 5, 5), at(10, 5, 6), at(30, 5, 9), at(40, 6, 9), at(50, 9, 9)], [0, 0, 20, 10, 0]);
        assert_eq!([at(60, 9, 20), at(90, 9, 20), at(100, 9, 9), at(110, 9, 10)], [0, 30, 0, 0], "20 failed");
    }
}
