//! What records change in a ledger.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use super::books::{Entry, GivenBack, Money, Sale};
use super::{Ledger, Pending, REVERSAL_MTI, REVERSIBLE_MTIS, VOID_MTI};
use crate::capsule::{
    Asked, Effects, GiveBack, GiveBackAsk, GiveBackKind, Offline, Record, RequestKey, Reversal, Settlement, Swipe,
    UploadEnd, Uploaded,
};
use crate::facts::AskKind;
use crate::ids::Place;
use crate::money::Fen;
use crate::tallies::Change;
use crate::time::Date;
use crate::verdict::Outcome;

impl Ledger {
    /// Takes in a record of this node's journal.
    pub fn apply(&mut self, place: Place, record: &Record) {
        self.newest = place.sequence();
        let change = self.apply_to_books(place, record);
        self.tallies.change(&change);
        if self.cache && !change.is_none() {
            for effects in change.taken.iter().chain(&change.returned) {
                self.pending_of.entry(effects.holder_no).or_default().push_back(place.sequence());
            }
            self.pending.push_back(Pending { place, change });
        }
    }

    /// Takes a record into the terminals' books; says what it changes in tallies.
    pub(super) fn apply_to_books(&mut self, place: Place, record: &Record) -> Change {
        match record {
            Record::Swipe(swipe) => self.apply_swipe(place, swipe, swipe.capsule.at.mmdd(), swipe.capsule.at.date),
            Record::Offline(offline) => self.apply_offline(place, offline),
            Record::Reversal(reversal) => self.apply_reversal(place, reversal),
            Record::GiveBack(give_back) => self.apply_give_back(place, give_back),
            Record::Settlement(settlement) => self.apply_settlement(place, settlement),
            Record::Uploaded(uploaded) => self.apply_uploaded(place, uploaded),
            Record::UploadEnd(end) => self.apply_upload_end(place, end),
            Record::StandIn(record) => self.apply_to_books(place, record),
            Record::SignIn(_) | Record::SignOff(_) | Record::Withdrawn(_) => Change::default(),
        }
    }

    fn remember(&mut self, place: Place, asked: &Asked, effects: Option<Effects>, money: Money) {
        let book = self.books.entry(asked.key.terminal).or_default();
        let entry = Entry { content: asked.content, place, effects: effects.map(Box::new), money };
        // Reversals are what a late original is refused by, and settlements what a batch ended with.
        let lasting = matches!(asked.key.mti, REVERSAL_MTI | 320 | 500);
        book.remember(&asked.key, entry, lasting);
        book.batch_mut(&asked.key).touched = self.newest;
    }

    /// `day` is the business day in which a purchase counts, `slip_mmdd` the date on its slip.
    fn apply_swipe(&mut self, place: Place, swipe: &Swipe, slip_mmdd: u32, day: Date) -> Change {
        let effects = swipe.effects();
        let money = swipe.charged().map_or(Money::None, |charged| {
            let digest = swipe.capsule.ask.card.digest();
            let card = core::array::from_fn(|at| digest[at]);
            let sale = Sale { charged, refunded: Fen::ZERO, day, slip_mmdd, card, voided_by: None, uploaded: false };
            Money::Charged(Box::new(sale))
        });
        if matches!(money, Money::Charged(_)) {
            let RequestKey { merchant, terminal, .. } = swipe.asked.key;
            self.sellers.entry(merchant).or_default().insert(terminal);
        }
        let taken = effects.iter().cloned().collect();
        self.remember(place, &swipe.asked, effects, money);
        Change { taken, returned: Vec::new() }
    }

    fn apply_offline(&mut self, place: Place, offline: &Offline) -> Change {
        let slip = offline.swipe.capsule.at.mmdd();
        self.apply_swipe(place, &offline.swipe, slip, offline.received.date)
    }

    fn apply_reversal(&mut self, place: Place, reversal: &Reversal) -> Change {
        let keys = REVERSIBLE_MTIS.map(|mti| RequestKey { mti, ..reversal.asked.key });
        let taken = keys.iter().filter_map(|key| self.undo(key)).collect();
        self.remember(place, &reversal.asked, None, Money::None);
        Change { taken, returned: reversal.returned.clone() }
    }

    /// Takes a request's money and effects out of the books; what its effects gave back is in the
    /// record. A void undone puts its purchase in force again: gives what that uses up.
    fn undo(&mut self, key: &RequestKey) -> Option<Effects> {
        let entry = self.entry_mut(key)?;
        entry.effects = None;
        match mem::replace(&mut entry.money, Money::None) {
            Money::None => None,
            // With its purchase gone, the void is about nothing.
            Money::Charged(sale) => {
                let void = RequestKey { stan: sale.voided_by?, mti: VOID_MTI, ..*key };
                self.entry_mut(&void)?.money = Money::None;
                None
            }
            Money::GivenBack(given) => self.take_again(&given),
        }
    }

    fn take_again(&mut self, given: &GivenBack) -> Option<Effects> {
        let entry = self.entry_mut(&given.of)?;
        let Money::Charged(sale) = &mut entry.money else { return None };
        match given.kind {
            GiveBackKind::Refund => {
                sale.refunded = sale.refunded.less(given.amount);
                None
            }
            GiveBackKind::Void => {
                sale.voided_by = None;
                entry.effects.as_deref().cloned()
            }
        }
    }

    fn apply_give_back(&mut self, place: Place, give_back: &GiveBack) -> Change {
        let money = self.give_money_back(give_back).unwrap_or(Money::None);
        self.remember(place, &give_back.asked, None, money);
        Change { taken: Vec::new(), returned: give_back.returned.iter().cloned().collect() }
    }

    fn give_money_back(&mut self, give_back: &GiveBack) -> Option<Money> {
        let GiveBackAsk { kind, amount, .. } = give_back.ask;
        let (of, amount) = (give_back.facts.sale?.key, amount?);
        if give_back.outcome != Outcome::Approved {
            return None;
        }
        // A refund may be of a batch that isn't at hand.
        if let Some(Money::Charged(sale)) = self.entry_mut(&of).map(|entry| &mut entry.money) {
            match kind {
                GiveBackKind::Void => sale.voided_by = Some(give_back.asked.key.stan),
                GiveBackKind::Refund => sale.refunded = sale.refunded.plus(amount),
            }
        }
        Some(Money::GivenBack(Box::new(GivenBack { kind, amount, of, uploaded: false })))
    }

    fn apply_settlement(&mut self, place: Place, settlement: &Settlement) -> Change {
        self.remember(place, &settlement.asked, None, Money::None);
        if settlement.balanced() {
            self.close(&settlement.asked.key);
        }
        Change::default()
    }

    fn apply_uploaded(&mut self, place: Place, uploaded: &Uploaded) -> Change {
        self.remember(place, &uploaded.asked, None, Money::None);
        let accepted = uploaded.transaction.filter(|_| uploaded.outcome == Outcome::Approved);
        if let Some(entry) = accepted.and_then(|key| self.entry_mut(&key)) {
            entry.mark_uploaded();
        }
        Change::default()
    }

    fn apply_upload_end(&mut self, place: Place, end: &UploadEnd) -> Change {
        self.remember(place, &end.asked, None, Money::None);
        if end.outcome != Outcome::Approved {
            return Change::default();
        }
        let taken = end.undone.iter().filter_map(|key| self.undo(key)).collect();
        self.close(&end.asked.key);
        Change { taken, returned: end.returned.clone() }
    }

    fn close(&mut self, key: &RequestKey) {
        self.books.entry(key.terminal).or_default().close(key.batch);
        if self.cache {
            self.old.push_back((key.terminal, key.merchant, key.batch));
        }
    }
}

impl Swipe {
    /// What it used up, if anything.
    pub(crate) fn effects(&self) -> Option<Effects> {
        let card = self.capsule.facts.card.filter(|_| !self.verdict.uses.is_empty())?;
        Some(Effects { holder_no: card.holder_no, date: self.capsule.at.date, uses: self.verdict.uses.clone() })
    }

    /// What an approved purchase charged; a preview charges nothing.
    pub(crate) fn charged(&self) -> Option<Fen> {
        let ask = &self.capsule.ask;
        let purchase = ask.kind == AskKind::Purchase && !ask.preview && self.verdict.approved();
        self.verdict.entitlement.price.as_ref().filter(|_| purchase).map(|price| price.payable())
    }
}
