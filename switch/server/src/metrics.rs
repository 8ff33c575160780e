//! What the node counts about itself, for `/metrics`.
//!
//! Handles are made once and kept in fields: a request touches a few atomics and looks no
//! name up. Each node has a recorder of its own, so that several live in one process.

use metrics::{
    Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge, with_local_recorder as recorded_by,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use xingka_core::answer::{code_of, refusal_code};
use xingka_core::capsule::{GiveBackKind, Record};
use xingka_core::verdict::{Outcome, Refusal};
use xingka_wire::code::ResponseCode;
use xingka_wire::frame::FrameFault;

use crate::pressure::Class;
use crate::register_metrics::{self, RegisterMetrics};
use crate::tls::HandshakeFault;

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
    ResponseCode::AWAY,
    ResponseCode::MALFUNCTION,
    ResponseCode::UNKNOWN_TERMINAL,
    ResponseCode::WRONG_MAC,
];

/// Everything counted since the node started.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    outcomes: Vec<(ResponseCode, Counter)>,
    recorded: Recorded,
    pub(crate) echoes: Counter,
    pub(crate) repeats: Counter,
    pub(crate) unrecorded: Counter,
    pub(crate) dropped: Dropped,
    pub(crate) limited: Limited,
    pub(crate) connections: Gauge,
    pub(crate) newcomers: Gauge,
    pub(crate) put_out: Counter,
    shed: [(Class, Counter); 5],
    pressure: Gauge,
    pub(crate) ended: EndedBy,
    handshakes: Handshakes,
    pub(crate) register: RegisterMetrics,
    pub(crate) tls_reloads: Counter,
    pub(crate) tls_reloads_failed: Counter,
    journal_commits: Counter,
    journal_records: Gauge,
}

/// Records, by what they record.
struct Recorded {
    swipes: Counter,
    reversals: Counter,
    sign_ins: Counter,
    sign_offs: Counter,
    voids: Counter,
    refunds: Counter,
    offline: Counter,
    differences: Counter,
    settlements: Counter,
    unbalanced: Counter,
    uploads: Counter,
    withdrawn: Counter,
    uploads_undone: Counter,
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

/// Handshakes, by how they ended.
struct Handshakes {
    full: Counter,
    resumed: Counter,
    slow: Counter,
    broken: Counter,
    certificate: Counter,
    revoked: Counter,
    unnamed: Counter,
}

impl Handshakes {
    fn new() -> Self {
        let by = |how: &'static str| counter!("xingka_handshakes_total", "by" => how);
        Self {
            full: by("full"),
            resumed: by("resumed"),
            slow: by("slow"),
            broken: by("broken"),
            certificate: by("certificate"),
            revoked: by("revoked"),
            unnamed: by("unnamed"),
        }
    }
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
                recorded: Recorded::new(),
                echoes: counter!("xingka_echoes_total"),
                repeats: counter!("xingka_repeats_total"),
                unrecorded: counter!("xingka_unrecorded_total"),
                dropped: Dropped::new(),
                limited: Limited::new(),
                connections: gauge!("xingka_connections"),
                newcomers: gauge!("xingka_newcomers"),
                put_out: counter!("xingka_newcomers_put_out_total"),
                shed: Class::ALL.map(|class| (class, counter!("xingka_shed_total", "class" => class.name()))),
                pressure: gauge!("xingka_pressure_seconds"),
                ended: EndedBy::new(),
                handshakes: Handshakes::new(),
                tls_reloads: counter!("xingka_tls_reloads_total", "outcome" => "taken"),
                tls_reloads_failed: counter!("xingka_tls_reloads_total", "outcome" => "failed"),
                register: RegisterMetrics::new(),
                journal_commits: counter!("xingka_journal_commits_total"),
                journal_records: gauge!("xingka_journal_records"),
            }
        })
    }

    /// A record was given to the journal.
    pub(crate) fn recorded(&self, record: &Record) {
        self.recorded.count(record);
        let outcome = match record.plain() {
            Record::Swipe(swipe) => swipe.verdict.outcome,
            Record::Offline(offline) => offline.swipe.verdict.outcome,
            Record::GiveBack(give_back) => give_back.outcome,
            Record::Settlement(settlement) => settlement.outcome,
            Record::Uploaded(uploaded) => uploaded.outcome,
            Record::UploadEnd(end) => end.outcome,
            Record::Withdrawn(_) => return,
            Record::Reversal(_) | Record::SignIn(_) | Record::SignOff(_) | Record::StandIn(_) => Outcome::Approved,
        };
        self.outcome(code_of(outcome));
    }

    /// A request was refused before a decision.
    pub(crate) fn refused(&self, refusal: Refusal) {
        self.outcome(refusal_code(refusal));
    }

    /// A terminal shook hands.
    pub(crate) fn greeted(&self, resumed: bool) {
        let Handshakes { full, resumed: again, .. } = &self.handshakes;
        if resumed { again.increment(1) } else { full.increment(1) }
    }

    /// A handshake came to nothing.
    pub(crate) fn not_greeted(&self, fault: &HandshakeFault) {
        let Handshakes { slow, broken, certificate, revoked, unnamed, .. } = &self.handshakes;
        let counter = match fault {
            HandshakeFault::Slow => slow,
            HandshakeFault::Broken(_) => broken,
            HandshakeFault::Certificate(_) => certificate,
            HandshakeFault::Revoked(_) => revoked,
            HandshakeFault::Unnamed => unnamed,
        };
        counter.increment(1);
    }

    /// A request was told to come later.
    pub(crate) fn shed(&self, class: Class) {
        if let Some((_, counter)) = self.shed.iter().find(|(of, _)| *of == class) {
            counter.increment(1);
        }
    }

    fn outcome(&self, code: ResponseCode) {
        if let Some((_, counter)) = self.outcomes.iter().find(|(known, _)| *known == code) {
            counter.increment(1);
        }
    }

    /// Everything in Prometheus' text format.
    pub(crate) fn render(&self, journal_commits: u64, journal_records: u64, pressure_micros: u64) -> String {
        self.pressure.set(pressure_micros as f64 / 1e6);
        self.journal_commits.absolute(journal_commits);
        // Exact up to 2^53, which no journal reaches.
        self.journal_records.set(journal_records as f64);
        self.handle.render()
    }
}

impl Recorded {
    fn new() -> Self {
        let what = |what: &'static str| counter!("xingka_recorded_total", "what" => what);
        Self {
            swipes: what("swipe"),
            reversals: what("reversal"),
            sign_ins: what("sign-in"),
            sign_offs: what("sign-off"),
            voids: what("void"),
            refunds: what("refund"),
            offline: what("offline-upload"),
            differences: counter!("xingka_offline_differences_total"),
            settlements: what("settlement"),
            unbalanced: counter!("xingka_settlements_unbalanced_total"),
            uploads: what("batch-upload"),
            withdrawn: what("withdrawal"),
            uploads_undone: counter!("xingka_uploads_undone_total"),
        }
    }

    fn count(&self, record: &Record) {
        let counter = match record.plain() {
            Record::Swipe(_) => &self.swipes,
            Record::Reversal(_) => &self.reversals,
            Record::SignIn(_) => &self.sign_ins,
            Record::SignOff(_) => &self.sign_offs,
            Record::GiveBack(give_back) if give_back.ask.kind == GiveBackKind::Void => &self.voids,
            Record::GiveBack(_) => &self.refunds,
            Record::StandIn(_) | Record::Withdrawn(_) => &self.withdrawn,
            Record::Offline(offline) => {
                self.differences.increment(u64::from(offline.differs));
                &self.offline
            }
            Record::Settlement(settlement) => {
                self.unbalanced.increment(u64::from(!settlement.balanced()));
                &self.settlements
            }
            Record::Uploaded(_) => &self.uploads,
            Record::UploadEnd(end) => {
                self.uploads_undone.increment(end.undone.len() as u64);
                &self.uploads
            }
        };
        counter.increment(1);
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

fn describe() {
    let counters = [
        ("xingka_outcomes_total", "Decisions and refusals, by response code"),
        ("xingka_recorded_total", "Records given to the journal, by what they record"),
        ("xingka_offline_differences_total", "Offline purchases that the switch would have decided otherwise"),
        ("xingka_settlements_unbalanced_total", "Settlements whose totals were not the switch's"),
        ("xingka_uploads_undone_total", "Transactions undone at a batch upload's end, their answers having been lost"),
        ("xingka_echoes_total", "Echoes answered"),
        ("xingka_repeats_total", "Requests answered from the record of the first time"),
        ("xingka_unrecorded_total", "Answers that became 96 because their record was not committed in time"),
        ("xingka_frames_dropped_total", "Bytes that were no frame, by what was wrong"),
        ("xingka_limited_total", "Requests over a limit, by whose limit it was"),
        ("xingka_handshakes_total", "TLS handshakes, by how they ended"),
        ("xingka_tls_reloads_total", "Changed certificate files, by whether they could be used"),
        ("xingka_shed_total", "Requests told to come later because answers would have been late, by class"),
        ("xingka_connections_ended_total", "Connections that ended, by how"),
        ("xingka_newcomers_put_out_total", "Newcomers put out to make room for the next one"),
        ("xingka_journal_commits_total", "Commits of the journal"),
    ];
    counters
        .into_iter()
        .chain(register_metrics::COUNTERS)
        .for_each(|(name, about)| describe_counter!(name, Unit::Count, about));
    let gauges = [
        ("xingka_connections", "Connections open now"),
        ("xingka_newcomers", "Connections on which no request has been authentic yet"),
        ("xingka_journal_records", "Records in the journal"),
        ("xingka_pressure_seconds", "By how much an answer would be late now"),
    ];
    gauges
        .into_iter()
        .chain(register_metrics::GAUGES)
        .for_each(|(name, about)| describe_gauge!(name, Unit::Count, about));
}
