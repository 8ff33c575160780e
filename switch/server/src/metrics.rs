//! What the node counts about itself, for `/metrics`.
//!
//! Handles are made once and kept in fields: a request touches a few atomics and looks no
//! name up. Each node has a recorder of its own, so that several live in one process.

use metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder as recorded_by,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use xingka_core::answer::{code_of, refusal_code};
use xingka_core::verdict::{Outcome, Refusal};
use xingka_wire::code::ResponseCode;
use xingka_wire::frame::FrameFault;

/// Every code that this switch answers with of its own.
const CODES: &[ResponseCode] = &[
    code_of(Outcome::Approved),
    code_of(Outcome::ApprovedVip),
    ResponseCode::INVALID_TRANSACTION,
    ResponseCode::INVALID_AMOUNT,
    ResponseCode::UNKNOWN_CARD,
    ResponseCode::NO_ORIGINAL,
    ResponseCode::FORMAT_ERROR,
    ResponseCode::UNKNOWN_MESSAGE,
    ResponseCode::LOST,
    ResponseCode::STOLEN,
    ResponseCode::EXPIRED,
    ResponseCode::NOT_PERMITTED,
    ResponseCode::FROZEN,
    ResponseCode::TOO_LATE,
    ResponseCode::OUT_OF_STEP,
    ResponseCode::DUPLICATE,
    ResponseCode::MALFUNCTION,
    ResponseCode::UNKNOWN_TERMINAL,
    ResponseCode::WRONG_MAC,
];

/// Everything counted since the node started.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    outcomes: Vec<(ResponseCode, Counter)>,
    pub(crate) swipes: Counter,
    pub(crate) reversals: Counter,
    pub(crate) sign_ins: Counter,
    pub(crate) sign_offs: Counter,
    pub(crate) echoes: Counter,
    pub(crate) repeats: Counter,
    pub(crate) unrecorded: Counter,
    pub(crate) dropped: Dropped,
    pub(crate) limited: Limited,
    pub(crate) connections: Gauge,
    pub(crate) newcomers: Gauge,
    pub(crate) put_out: Counter,
    pub(crate) ended: EndedBy,
    journal_commits: Counter,
    journal_records: Gauge,
}

/// Frames that were none, by what was wrong.
pub(crate) struct Dropped {
    length: Counter,
    dialect: Counter,
    tpdu: Counter,
    header: Counter,
    mti: Counter,
}

/// Requests and connections over a limit, by whose limit it was.
pub(crate) struct Limited {
    pub(crate) address: Counter,
    pub(crate) terminal: Counter,
    pub(crate) merchant: Counter,
    pub(crate) sign_in: Counter,
}

/// Connections that ended, by how.
pub(crate) struct EndedBy {
    pub(crate) closed: Counter,
    pub(crate) broken: Counter,
    pub(crate) refused: Counter,
    pub(crate) limited: Counter,
    pub(crate) too_slow: Counter,
    pub(crate) unframed: Counter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        recorded_by(&recorder, || {
            describe();
            Self {
                handle: recorder.handle(),
                outcomes: CODES.iter().map(|code| (*code, outcome(*code))).collect(),
                swipes: recorded("swipe"),
                reversals: recorded("reversal"),
                sign_ins: recorded("sign-in"),
                sign_offs: recorded("sign-off"),
                echoes: counter!("xingka_echoes_total"),
                repeats: counter!("xingka_repeats_total"),
                unrecorded: counter!("xingka_unrecorded_total"),
                dropped: Dropped::new(),
                limited: Limited::new(),
                connections: gauge!("xingka_connections"),
                newcomers: gauge!("xingka_newcomers"),
                put_out: counter!("xingka_newcomers_put_out_total"),
                ended: EndedBy::new(),
                journal_commits: counter!("xingka_journal_commits_total"),
                journal_records: gauge!("xingka_journal_records"),
            }
        })
    }

    /// A decision was made.
    pub(crate) fn decided(&self, outcome: Outcome) {
        self.outcome(code_of(outcome));
    }

    /// A request was refused before a decision.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.outcome(refusal_code(refusal));
    }

    fn outcome(&self, code: ResponseCode) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }

    /// Everything in Prometheus' text format.
    pub(crate) fn render(&self, journal_commits: u64, journal_records: u64) -> String {
        self.journal_commits.absolute(journal_commits);
        // Exact up to 2^53, which no journal reaches.
        self.journal_records.set(journal_records as f64);
        self.handle.render()
    }
}

impl Dropped {
    fn new() -> Self {
        let by = |fault: &'static str| counter!("xingka_frames_dropped_total", "fault" => fault);
        Self { length: by("length"), dialect: by("dialect"), tpdu: by("tpdu"), header: by("header"), mti: by("mti") }
    }

    pub(crate) fn count(&self, fault: FrameFault) {
        let counter = match fault {
            FrameFault::Length => &self.length,
            FrameFault::Dialect => &self.dialect,
            FrameFault::Tpdu => &self.tpdu,
            FrameFault::Header => &self.header,
            FrameFault::Mti => &self.mti,
        };
        counter.increment(1);
    }
}

impl Limited {
    fn new() -> Self {
        let by = |whose: &'static str| counter!("xingka_limited_total", "by" => whose);
        Self { address: by("address"), terminal: by("terminal"), merchant: by("merchant"), sign_in: by("sign-in") }
    }
}

impl EndedBy {
    fn new() -> Self {
        let by = |how: &'static str| counter!("xingka_connections_ended_total", "by" => how);
        Self {
            closed: by("closed"),
            broken: by("broken"),
            refused: by("refused"),
            limited: by("limited"),
            too_slow: by("too-slow"),
            unframed: by("unframed"),
        }
    }
}

fn outcome(code: ResponseCode) -> Counter {
    counter!("xingka_outcomes_total", "code" => code.to_string())
}

fn recorded(what: &'static str) -> Counter {
    counter!("xingka_recorded_total", "what" => what)
}

fn describe() {
    let counters = [
        ("xingka_outcomes_total", "Decisions and refusals, by response code"),
        ("xingka_recorded_total", "Records given to the journal, by what they record"),
        ("xingka_echoes_total", "Echoes answered"),
        ("xingka_repeats_total", "Requests answered from the record of the first time"),
        ("xingka_unrecorded_total", "Answers that became 96 because their record was not committed in time"),
        ("xingka_frames_dropped_total", "Bytes that were no frame, by what was wrong"),
        ("xingka_limited_total", "Requests over a limit, by whose limit it was"),
        ("xingka_connections_ended_total", "Connections that ended, by how"),
        ("xingka_newcomers_put_out_total", "Newcomers put out to make room for the next one"),
        ("xingka_journal_commits_total", "Commits of the journal"),
    ];
    counters.into_iter().for_each(|(name, about)| describe_counter!(name, Unit::Count, about));
    let gauges = [
        ("xingka_connections", "Connections open now"),
        ("xingka_newcomers", "Connections on which no request has been authentic yet"),
        ("xingka_journal_records", "Records in the journal"),
    ];
    gauges.into_iter().for_each(|(name, about)| describe_gauge!(name, Unit::Count, about));
}
