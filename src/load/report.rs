//! What came of a load.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::collect::Collected;
use super::mix::Kind;
use super::record::{Count, Recorder};
use super::{Plan, events::Action};

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Requests sent, repeats not counted.
    pub sent: u64,
    /// Right answers.
    pub answered: u64,
    /// Answers missing, or wrong in anything: type, STAN, terminal, MAC or code.
    pub errors: u64,
    /// Answers a second.
    pub per_s: f64,
    /// Microseconds that half of the answers took at most.
    pub p50_us: u64,
    /// Nine in ten.
    pub p90_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// 999 in a thousand.
    pub p999_us: u64,
    /// The longest.
    pub max_us: u64,
    /// What went wrong, how often.
    pub error_kinds: BTreeMap<String, u64>,
    /// Each kind of request.
    pub kinds: BTreeMap<&'static str, OfKind>,
    /// Sign-ins because the switch said so.
    pub sign_ins: u64,
    /// Lines made again.
    pub reconnects: u64,
    /// Requests sent again because their line was lost.
    pub repeats: u64,
    /// Stars changed.
    pub star_changes: u64,
    /// Of a storm, where there was one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub storm: Option<Storm>,
    /// Resident memory of the process that was watched, when the load began.
    pub rss_first_mib: Option<u64>,
    /// When it ended.
    pub rss_last_mib: Option<u64>,
    /// Its descriptors, when the load began.
    pub fds_first: Option<u64>,
    /// When it ended.
    pub fds_last: Option<u64>,
}

/// One kind of request.
#[derive(Debug, Serialize)]
pub struct OfKind {
    /// How many were sent.
    pub count: u64,
    /// How many were answered right.
    pub answered: u64,
    /// Microseconds that half of the answers took at most.
    pub p50_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
}

/// A storm's times.
#[derive(Debug, Serialize)]
pub struct Storm {
    /// From the drop until every terminal had an answer again; null where one had none.
    pub storm_back_us: Option<u64>,
    /// And until the 99th percentile over a sliding second was below twice what it was before the
    /// storm; null where it wasn't by the end.
    pub storm_calm_us: Option<u64>,
}

impl Outcome {
    /// Of what was collected.
    pub fn new(collected: &Collected, recorder: &Recorder, plan: &Plan, took: Duration) -> Self {
        let Collected { by_kind, all, usage: [first, last], storm_us: [storm_back_us, storm_calm_us] } = collected;
        let at = |quantile| all.value_at_quantile(quantile);
        let storm = plan.actions.iter().any(|(_, action)| *action == Action::Storm);
        let kinds = Kind::ALL.into_iter().filter_map(|kind| {
            let micros = &by_kind[kind as usize];
            // Whoever waited for an answer in the storm came back with that one.
            let count = if kind == Kind::Return { micros.len() } else { recorder.sent_of(kind) };
            (count > 0).then(|| (kind.name(), OfKind::new(count, micros)))
        });
        Self {
            sent: recorder.sent_in_mix(),
            answered: all.len(),
            errors: recorder.errors(),
            per_s: (all.len() as f64 / took.as_secs_f64() * 10.0).round() / 10.0,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: all.max(),
            error_kinds: recorder.error_kinds(),
            kinds: kinds.collect(),
            sign_ins: recorder.counted(Count::SignIn),
            reconnects: recorder.counted(Count::Reconnect),
            repeats: recorder.counted(Count::Repeat),
            star_changes: recorder.counted(Count::StarChange),
            storm: storm.then_some(Storm { storm_back_us: *storm_back_us, storm_calm_us: *storm_calm_us }),
            rss_first_mib: first.rss_mib,
            rss_last_mib: last.rss_mib,
            fds_first: first.descriptors,
            fds_last: last.descriptors,
        }
    }

    /// For people, line by line.
    pub fn lines(&self) -> Vec<String> {
        let Self { sent, answered, errors, per_s, p50_us, p90_us, p99_us, p999_us, max_us, .. } = self;
        let mut lines = vec![
            format!("{sent} sent, {answered} answered, {errors} errors, {per_s} a second"),
            format!("µs: half within {p50_us}, 90 % {p90_us}, 99 % {p99_us}, 99.9 % {p999_us}, longest {max_us}"),
        ];
        for (name, OfKind { count, p50_us, p99_us, .. }) in &self.kinds {
            lines.push(format!("  {name}: {count}; µs: half within {p50_us}, 99 % {p99_us}"));
        }
        let counts = [
            (self.sign_ins, "sign-ins because the switch said so"),
            (self.reconnects, "lines made again"),
            (self.repeats, "requests sent again"),
            (self.star_changes, "stars changed"),
        ];
        lines.extend(counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
        lines.extend(self.storm.iter().map(Storm::line));
        if let (Some(from), Some(to), Some(first), Some(last)) =
            (self.rss_first_mib, self.rss_last_mib, self.fds_first, self.fds_last)
        {
            lines.push(format!("memory from {from} to {to} MiB, descriptors from {first} to {last}"));
        }
        lines.extend(self.error_kinds.iter().map(|(what, count)| format!("error, {count} times: {what}")));
        lines
    }
}

impl OfKind {
    fn new(count: u64, micros: &Histogram<u64>) -> Self {
        let (p50_us, p99_us) = (micros.value_at_quantile(0.5), micros.value_at_quantile(0.99));
        Self { count, answered: micros.len(), p50_us, p99_us }
    }
}

impl Storm {
    fn line(&self) -> String {
        let back = self.storm_back_us.map_or_else(
            || "not every terminal came back".to_owned(),
            |micros| format!("every terminal was back after {micros} µs"),
        );
        match self.storm_calm_us {
            Some(micros) => format!("storm: {back}; the 99th percentile was below twice what it was after {micros} µs"),
            None => format!("storm: {back}; the 99th percentile was not below twice what it was by the end"),
        }
    }
}
