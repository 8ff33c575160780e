//! What a request with a MAC wants done, and what was looked up for it before the ledger is
//! locked: under the lock there are only look-ups in the ledger, a decision and its record.

use std::sync::Arc;

use xingka_core::answer::Source;
use xingka_core::authenticate::{Admitted, Authentic};
use xingka_core::capsule::{Capsule, GiveBackAsk, GiveBackKind, Given, RequestKey};
use xingka_core::city::Card;
use xingka_core::decide::decide;
use xingka_core::facts::{Ask, AskedCard, Counts, Facts};
use xingka_core::follow_up;
use xingka_core::ids::{BenefitId, DecisionId, HolderNo, Place, TerminalId};
use xingka_core::ledger::Ledger;
use xingka_core::planted::{self, Bug};
use xingka_core::record::{Prepared, record_offline, record_reversal, record_swipe};
use xingka_core::rules::RuleBook;
use xingka_core::time::Moment;
use xingka_core::verdict::Verdict;
use xingka_store::register::SaleAt;
use xingka_wire::encode::EncodeFault;
use xingka_wire::messages::{BatchUpload, BatchUploadEnd, OfflineUpload, Request, Settlement};

use crate::home::{Known, Need};
use crate::node::Node;

/// What a request wants done.
pub(crate) enum Errand {
    /// An inquiry, purchase or counter service.
    Decide(Box<Question>),
    /// A purchase that the terminal decided, to be judged again as of its own moment.
    Judge { question: Box<Question>, of: Moment, given: Given },
    /// A void or refund, and its card.
    GiveBack(Box<GiveBackAsk>, Option<Card>),
    /// A reversal.
    Reverse,
    /// A settlement.
    Settle(Box<Settlement>),
    /// One transaction of a batch upload.
    Upload(Box<BatchUpload>),
    /// A batch upload's end.
    EndUpload(Box<BatchUploadEnd>),
}

/// A question to decide, with what a decision needs from outside the ledger.
pub(crate) struct Question {
    ask: Ask,
    facts: Facts,
    rules: Arc<RuleBook>,
}

/// When an errand is run, and its record's place.
pub(crate) type At = (Moment, Place);

impl Errand {
    /// Looks up what a request needs; `None` for housekeeping, which has other ways.
    pub(crate) fn of(node: &Node, authentic: &Authentic<'_>, now: Moment) -> Option<Self> {
        match &authentic.message().request {
            Request::StarInquiry(_) | Request::Purchase(_) | Request::CounterService(_) => {
                Question::of(node, authentic).map(|question| Self::Decide(Box::new(question)))
            }
            Request::OfflineUpload(upload) => Self::judge(node, authentic, upload, now),
            Request::Void(_) | Request::Refund(_) => {
                let ask = GiveBackAsk::of(&authentic.message().request, &node.hasher)?;
                let card = card(node, &ask.card);
                Some(Self::GiveBack(Box::new(ask), card))
            }
            Request::Reversal(_) => Some(Self::Reverse),
            Request::Settlement(settlement) => Some(Self::Settle(Box::new(*settlement))),
            Request::BatchUpload(upload) => Some(Self::Upload(Box::new(upload.clone()))),
            Request::BatchUploadEnd(end) => Some(Self::EndUpload(Box::new(*end))),
            Request::SignIn(_) | Request::SignOff(_) | Request::Echo(_) => None,
        }
    }

    fn judge(node: &Node, authentic: &Authentic<'_>, upload: &OfflineUpload<'_>, now: Moment) -> Option<Self> {
        let question = Box::new(Question::of(node, authentic)?);
        // The codec has checked that there is such a time.
        let of = now.latest_shown(upload.local_date, upload.local_time).unwrap_or(now);
        Some(Self::Judge { question, of, given: Given::of(&upload.given) })
    }

    /// What has to be asked for first. Where others use benefits too, uses are asked for by every request
    /// that depends on them; else once a holder.
    pub(crate) fn needs(&self, node: &Node, ledger: &Ledger, key: &RequestKey, known: &Known) -> Option<Need> {
        match self {
            Self::Decide(question) | Self::Judge { question, .. } => {
                let (holder, limited) = question.limited()?;
                if !node.is_shared() {
                    return ledger.missing_counts(holder, limited).map(|missing| Need::of(missing, key.merchant));
                }
                (known.counted != Some(holder)).then(|| Need::Counts(holder, limited.to_vec()))
            }
            Self::GiveBack(ask, _) if ask.kind == GiveBackKind::Refund => {
                let sale = SaleAt { merchant: key.merchant, batch: ask.original.batch, stan: ask.original.stan };
                let here = |seller: &TerminalId| ledger.has_batch(&(*seller, sale.merchant, sale.batch));
                let there = known.sellers.as_ref().is_some_and(|sellers| sellers.iter().all(here));
                (!there).then_some(Need::Sale(sale))
            }
            _ => None,
        }
    }

    /// Whether it can do without what others know, as a stand-in: no limited benefit applies then. A refund
    /// needs its purchase, from wherever, and a batch is closed by whoever knows all of it.
    pub(crate) fn may_stand_in(&self) -> bool {
        match self {
            Self::GiveBack(ask, _) => ask.kind != GiveBackKind::Refund,
            Self::Decide(_) | Self::Judge { .. } | Self::Reverse => true,
            Self::Settle(_) | Self::Upload(_) | Self::EndUpload(_) => false,
        }
    }

    /// Does it with what the ledger knows, and makes the record.
    pub(crate) fn run(self, admitted: &Admitted<'_>, ledger: &Ledger, at: At) -> Result<Prepared, EncodeFault> {
        let (now, place) = at;
        match self {
            Self::Decide(question) => {
                let (capsule, verdict) = question.decide(admitted, ledger, (now, at));
                record_swipe(admitted, capsule, verdict, place)
            }
            Self::Judge { question, of, given } => {
                let judged = question.decide(admitted, ledger, (of, at));
                record_offline(admitted, judged, given, now, place)
            }
            Self::GiveBack(ask, card) => follow_up::give_back(admitted, *ask, card, ledger, at),
            Self::Reverse => record_reversal(admitted, now, ledger.originals(&admitted.asked().key), place),
            Self::Settle(settlement) => follow_up::settle(admitted, &settlement, ledger, at),
            Self::Upload(upload) => follow_up::upload(admitted, &upload, ledger, at),
            Self::EndUpload(end) => follow_up::end_upload(admitted, &end, ledger, at),
        }
    }
}

impl Question {
    fn of(node: &Node, authentic: &Authentic<'_>) -> Option<Self> {
        let ask = Ask::of(&authentic.message().request, &node.hasher)?;
        let card = card(node, &ask.card);
        let terminal = authentic.terminal();
        let facts = Facts {
            merchant: terminal.merchant,
            scope: terminal.scope,
            card,
            holder: card.and_then(|card| node.city.holder(card.holder_no)),
            reversed_before: false,
            counts: Counts::default(),
        };
        Some(Self { ask, facts, rules: node.city.rules() })
    }

    /// Whose uses, and which limited benefits, the decision has to know.
    fn limited(&self) -> Option<(HolderNo, &[BenefitId])> {
        let (card, holder) = (self.facts.card?, self.facts.holder?);
        let limited = self.rules.limited(self.facts.merchant.id, holder.star(), holder.category);
        (!limited.is_empty()).then_some((card.holder_no, limited))
    }

    /// Decides as of a moment, which is another than the one it is done at for what a terminal
    /// decided earlier.
    fn decide(self, admitted: &Admitted<'_>, ledger: &Ledger, (of, at): (Moment, At)) -> (Capsule, Verdict) {
        let Self { ask, mut facts, rules } = self;
        facts.reversed_before = ledger.reversed_before(&admitted.asked().key);
        if let (Some(card), Some(holder)) = (&facts.card, &facts.holder) {
            let limited = rules.limited(facts.merchant.id, holder.star(), holder.category);
            facts.counts = match admitted.source() {
                Source::Live => ledger.counts(card.holder_no, limited, of.date),
                Source::StandIn if planted::has(Bug::StandInGuesses) => Counts::default(),
                Source::StandIn => Counts::unknown(limited),
            };
        }
        let verdict = decide(&ask, &facts, &rules, of);
        if planted::has(Bug::CapsuleWithoutCounts) {
            facts.counts = Counts::default();
        }
        let (now, place) = at;
        let id = DecisionId::new(now.epoch_ms, place);
        (Capsule { id, at: of, rules: rules.version(), ask, facts }, verdict)
    }
}

fn card(node: &Node, asked: &AskedCard) -> Option<Card> {
    match asked {
        AskedCard::Number { key, .. } => node.city.card(key),
        // No credential has been issued yet, so none is known.
        AskedCard::Credential(_) => None,
    }
}
