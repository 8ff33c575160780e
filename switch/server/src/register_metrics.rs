//! What is counted about the register.

use metrics::{Counter, Gauge, counter, gauge};
use xingka_core::capsule::{Record, WithdrawnFor};

use crate::home::Need;

/// Counters and gauges about the register.
pub(crate) struct RegisterMetrics {
    asked: [Counter; 6],
    lost: [Counter; 4],
    /// Stand-in answers given for requests that another node had answered too.
    doubled: Counter,
    /// Times at which it couldn't be had.
    pub(crate) away: Counter,
    /// Requests refused because their terminal was moved to and fro.
    pub(crate) moved_to_and_fro: Counter,
    /// Records that it hasn't taken in.
    pub(crate) lag_records: Gauge,
    /// 1 while it can be asked.
    pub(crate) reachable: Gauge,
}

/// What this file's counters count, for whoever reads them.
pub(crate) const COUNTERS: [(&str, &str); 5] = [
    ("xingka_register_asked_total", "Questions to the register, by what was asked for"),
    ("xingka_register_lost_total", "Records that didn't stand and were decided again, by why"),
    ("xingka_register_doubled_total", "Stand-in answers for requests that another node had answered too"),
    ("xingka_register_away_total", "Times at which the register couldn't be had"),
    ("xingka_moved_to_and_fro_total", "Requests refused because other nodes wanted their terminal too"),
];

/// And its gauges.
pub(crate) const GAUGES: [(&str, &str); 2] = [
    ("xingka_register_lag_records", "Committed records that the register hasn't taken in"),
    ("xingka_register_reachable", "1 while the register can be asked"),
];

impl RegisterMetrics {
    pub(crate) fn new() -> Self {
        let asked = |what: &'static str| counter!("xingka_register_asked_total", "for" => what);
        let lost = |why: &'static str| counter!("xingka_register_lost_total", "why" => why);
        let reachable = gauge!("xingka_register_reachable");
        reachable.set(1.0);
        Self {
            asked: ["keys", "home", "still-home", "batch", "counts", "sale"].map(asked),
            lost: ["moved", "exhausted", "unconfirmed", "doubled"].map(lost),
            doubled: counter!("xingka_register_doubled_total"),
            away: counter!("xingka_register_away_total"),
            moved_to_and_fro: counter!("xingka_moved_to_and_fro_total"),
            lag_records: gauge!("xingka_register_lag_records"),
            reachable,
        }
    }

    /// Something was asked for.
    pub(crate) fn asked(&self, need: &Need) {
        let [keys, home, still_home, batch, counts, sale] = &self.asked;
        let counter = match need {
            Need::Keys(_) => keys,
            Need::Home(..) => home,
            Need::StillHome(_) => still_home,
            Need::Batch(_) => batch,
            Need::Counts(..) => counts,
            Need::Sale(_) => sale,
        };
        counter.increment(1);
    }

    /// A record didn't stand.
    pub(crate) fn lost(&self, record: &Record, reason: WithdrawnFor) {
        let [moved, exhausted, unconfirmed, doubled] = &self.lost;
        let counter = match reason {
            WithdrawnFor::Moved => moved,
            WithdrawnFor::Exhausted(_) => exhausted,
            WithdrawnFor::Unconfirmed => unconfirmed,
            WithdrawnFor::Doubled => doubled,
        };
        counter.increment(1);
        if let (Record::StandIn(_), WithdrawnFor::Doubled) = (record, reason) {
            self.doubled.increment(1);
        }
    }
}
