//! What follows swipes, judged: voids and refunds, and the end of a batch.
//!
//! Pure, as [`mod@crate::decide`] is: what a void or refund comes to is a function of the question,
//! the purchase as it stands and the moment, all of which are in its record.

use alloc::boxed::Box;

use xingka_wire::encode::EncodeFault;
use xingka_wire::messages::{self as wire, Request};

use crate::answer::{compose_code, compose_totals};
use crate::authenticate::Admitted;
use crate::capsule::{
    BatchTotals, GiveBack, GiveBackAsk, GiveBackFacts, GiveBackKind, OriginalRef, Record, RequestKey, Settlement,
    UploadEnd, Uploaded,
};
use crate::city::Card;
use crate::decide::{YUAN, usable};
use crate::facts::AskedCard;
use crate::ids::Place;
use crate::ledger::Ledger;
use crate::money::Fen;
use crate::pan::CardHasher;
use crate::record::Prepared;
use crate::time::Moment;
use crate::verdict::{Outcome, Refusal};

/// How long a purchase can be refunded, in days.
pub const REFUND_DAYS: i32 = 180;

impl GiveBackAsk {
    /// The question in a void or refund; `None` for other requests.
    pub fn of(request: &Request<'_>, hasher: &CardHasher) -> Option<Self> {
        let (kind, presented, original) = match request {
            Request::Void(void) => (GiveBackKind::Void, &void.presented, void.original),
            Request::Refund(refund) => (GiveBackKind::Refund, &refund.presented, refund.original),
            _ => return None,
        };
        Some(Self {
            kind,
            card: AskedCard::of(&presented.card, hasher),
            amount: presented.amount_fen.map(Fen),
            currency: presented.currency,
            original: OriginalRef { batch: original.batch, stan: original.stan, mmdd: original.date.into() },
        })
    }
}

/// Judges a void or refund: currency, amount, original, card, as wire.md orders them.
pub fn judge_give_back(ask: &GiveBackAsk, facts: &GiveBackFacts, now: Moment) -> Outcome {
    match may_give_back(ask, facts, now) {
        Ok(()) => Outcome::Approved,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn may_give_back(ask: &GiveBackAsk, facts: &GiveBackFacts, now: Moment) -> Result<(), Refusal> {
    money_given(ask.currency, ask.amount)?;
    let amount = ask.amount.unwrap_or_default();
    let sale = facts.sale.filter(|sale| sale.stands && !facts.reversed_before).ok_or(Refusal::NoOriginal)?;
    let remains = sale.charged.less(sale.refunded);
    let (in_time, fits) = match ask.kind {
        // The whole charge, so that nothing of it may have been refunded.
        GiveBackKind::Void => (sale.day == now.date, amount == sale.charged && amount == remains),
        GiveBackKind::Refund => (now.date.0 - sale.day.0 <= REFUND_DAYS, amount <= remains),
    };
    if !in_time {
        return Err(Refusal::NoOriginal);
    }
    if !fits {
        return Err(Refusal::NotTheOriginalAmount);
    }
    usable(&ask.card, facts.card.as_ref(), now)
}

fn money_given(currency: [u8; 3], amount: Option<Fen>) -> Result<(), Refusal> {
    if currency != YUAN {
        return Err(Refusal::Currency);
    }
    amount.filter(|amount| *amount > Fen::ZERO).map(|_| ()).ok_or(Refusal::Amount)
}

/// Judges and records a void or refund at a place in the journal.
pub fn give_back(
    admitted: &Admitted<'_>,
    ask: GiveBackAsk,
    card: Option<Card>,
    ledger: &Ledger,
    (at, place): (Moment, Place),
) -> Result<Prepared, EncodeFault> {
    let asked = *admitted.asked();
    let sale = ledger.find_sale(&asked.key, &ask);
    let facts = GiveBackFacts { sale, card, reversed_before: ledger.reversed_before(&asked.key) };
    let outcome = judge_give_back(&ask, &facts, at);
    let voids = ask.kind == GiveBackKind::Void && outcome == Outcome::Approved;
    let returned = sale.filter(|_| voids).and_then(|sale| ledger.effects_in_force(&sale.key));
    let answer = compose_code(admitted.answering(), admitted.stamp(at, place), outcome)?;
    let record = GiveBack { asked, at, ask, facts, outcome, returned, answer };
    Ok(admitted.prepare(place, Record::GiveBack(Box::new(record))))
}

/// Judges and records a settlement.
pub fn settle(
    admitted: &Admitted<'_>,
    request: &wire::Settlement,
    ledger: &Ledger,
    (at, place): (Moment, Place),
) -> Result<Prepared, EncodeFault> {
    let asked = *admitted.asked();
    let theirs = [BatchTotals::from(&request.domestic), BatchTotals::from(&request.foreign)];
    let ours = ledger.totals(&asked.key);
    let outcome = in_yuan(request.currency);
    let flags = (flag(theirs[0].agrees(&ours)), flag(theirs[1] == BatchTotals::default()));
    let answer = compose_totals(admitted.answering(), admitted.stamp(at, place), outcome, (&ours, flags))?;
    let record = Settlement { asked, at, theirs, ours, outcome, answer };
    Ok(admitted.prepare(place, Record::Settlement(Box::new(record))))
}

/// Compares one uploaded transaction with the ledger's, and records it.
pub fn upload(
    admitted: &Admitted<'_>,
    request: &wire::BatchUpload,
    ledger: &Ledger,
    (at, place): (Moment, Place),
) -> Result<Prepared, EncodeFault> {
    let asked = *admitted.asked();
    let (reference, amount) = (request.reference, request.amount_fen.map(Fen));
    let found = number_of(&reference).and_then(|number| ledger.transaction(&asked.key, number));
    let checked = money_given(request.currency, amount).and_then(|()| match found {
        None => Err(Refusal::NoOriginal),
        Some((_, moved)) if amount != Some(moved) => Err(Refusal::NotTheOriginalAmount),
        Some(_) => Ok(()),
    });
    let outcome = checked.map_or_else(Outcome::Refused, |()| Outcome::Approved);
    let transaction: Option<RequestKey> = found.map(|(key, _)| key);
    let answer = compose_code(admitted.answering(), admitted.stamp(at, place), outcome)?;
    let record = Uploaded { asked, at, amount, reference, transaction, outcome, answer };
    Ok(admitted.prepare(place, Record::Uploaded(Box::new(record))))
}

/// Ends a batch upload, and records it: the batch is closed.
pub fn end_upload(
    admitted: &Admitted<'_>,
    request: &wire::BatchUploadEnd,
    ledger: &Ledger,
    (at, place): (Moment, Place),
) -> Result<Prepared, EncodeFault> {
    let asked = *admitted.asked();
    let theirs = [BatchTotals::from(&request.domestic), BatchTotals::from(&request.foreign)];
    let outcome = in_yuan(request.currency);
    let closing = ledger.closing(&asked.key, &theirs[0]);
    let flags = (flag(true), flag(true));
    let answer = compose_totals(admitted.answering(), admitted.stamp(at, place), outcome, (&closing.agreed, flags))?;
    let record = UploadEnd {
        asked,
        at,
        theirs,
        agreed: closing.agreed,
        undone: closing.undone,
        returned: closing.returned,
        outcome,
        answer,
    };
    Ok(admitted.prepare(place, Record::UploadEnd(Box::new(record))))
}

fn in_yuan(currency: [u8; 3]) -> Outcome {
    if currency == YUAN { Outcome::Approved } else { Outcome::Refused(Refusal::Currency) }
}

/// Field 48's flag: 1 where both sides agree, 2 where not.
const fn flag(agreed: bool) -> u8 {
    if agreed { 1 } else { 2 }
}

/// The number in a recorded answer's field 37.
fn number_of(reference: &[u8; 12]) -> Option<u64> {
    core::str::from_utf8(reference).ok()?.parse().ok()
}

impl From<&wire::Totals> for BatchTotals {
    fn from(totals: &wire::Totals) -> Self {
        let wire::Totals { debit_fen, debits, credit_fen, credits, .. } = *totals;
        Self { debit: Fen(debit_fen), debits, credit: Fen(credit_fen), credits }
    }
}

impl BatchTotals {
    /// Half of field 48: of sums the last twelve digits, of counts the last three.
    pub fn on_wire(&self, flag: u8) -> wire::Totals {
        wire::Totals {
            debit_fen: self.debit.0 % SUMS,
            debits: self.debits % COUNTS,
            credit_fen: self.credit.0 % SUMS,
            credits: self.credits % COUNTS,
            flag,
        }
    }
}

const SUMS: u64 = 1_000_000_000_000;
const COUNTS: u32 = 1_000;
