//! The ledger: what the journal's records add up to.
//!
//! Which requests were answered, what each holder has used and each budget spent, what each
//! terminal's batch has charged and given back. Nothing here is stored: [`Ledger::apply`] is the
//! one way to change it, live and when a node rebuilds its memory from the journal at start, so
//! the two can't differ.
//!
//! A business day is a date in the deployment's zone, and every record names its own: there is no
//! moment at which a day is "closed", nothing to lock, and no swipe between two days. What goes by
//! days (uses, voids, settlements' reports) asks the record for its date.

mod books;
mod tallies;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::mem;

use hashbrown::HashMap;

pub use books::{Closing, FIRST_BATCH};

use crate::capsule::{
    Asked, BatchTotals, Effects, FoundSale, GiveBack, GiveBackAsk, GiveBackKind, Offline, Record, RequestKey, Reversal,
    Settlement, Swipe, UploadEnd, Uploaded,
};
use crate::facts::{AskKind, Counts};
use crate::ids::{BenefitId, HolderNo, MerchantId, TerminalId};
use crate::money::Fen;
use crate::pan::Content;
use crate::time::Date;
use crate::verdict::Outcome;
use books::{Batch, Book, Entry, GivenBack, Money, Sale, totals};
use tallies::Tallies;

/// The message type of reversals.
pub const REVERSAL_MTI: u16 = 400;

/// The message types of requests that a reversal can undo.
const REVERSIBLE_MTIS: [u16; 3] = [100, 200, 220];

/// The message types of purchases: decided by the switch, and by a terminal.
const SALE_MTIS: [u16; 2] = [200, 220];

/// The message type of voids.
const VOID_MTI: u16 = 200;

/// Whether a request came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It did not.
    New,
    /// It did, with the same content; its record's place in the journal.
    Repeat(u64),
    /// Another one came under the same key.
    OtherContent,
}

/// What a node remembers beside the city.
#[derive(Debug, Default)]
pub struct Ledger {
    books: HashMap<TerminalId, Book>,
    tallies: Tallies,
    /// Terminals that have sold anything: refunds are looked for at all of a merchant's.
    sellers: BTreeMap<MerchantId, BTreeSet<TerminalId>>,
}

/// What can be known of a request under its key.
impl Ledger {
    /// Whether a request came before.
    pub fn seen(&self, key: &RequestKey, content: &Content) -> Seen {
        match self.entry(key) {
            None => Seen::New,
            Some(entry) if entry.content == *content => Seen::Repeat(entry.sequence),
            Some(_) => Seen::OtherContent,
        }
    }

    /// The batch a terminal's requests must carry.
    pub fn open_batch(&self, terminal: TerminalId) -> u32 {
        self.books.get(&terminal).map_or(FIRST_BATCH, |book| book.open_batch)
    }

    /// Whether a reversal of this request is already known.
    pub fn reversed_before(&self, key: &RequestKey) -> bool {
        self.entry(&RequestKey { mti: REVERSAL_MTI, ..*key }).is_some()
    }

    /// What is used up of `limited`, by ascending id, as a decision of `today` must know it.
    pub fn counts(&self, holder: HolderNo, limited: &[BenefitId], today: Date) -> Counts {
        self.tallies.counts(holder, limited, today)
    }

    /// What a reversal would undo: the originals' places, and what that gives back.
    ///
    /// Requests of several types may share a STAN; the reversal undoes them all.
    pub fn originals(&self, reversal: &RequestKey) -> (Vec<u64>, Vec<Effects>) {
        let originals = REVERSIBLE_MTIS.iter().filter_map(|mti| self.entry(&RequestKey { mti: *mti, ..*reversal }));
        let (sequences, effects): (Vec<u64>, Vec<Option<Effects>>) =
            originals.map(|entry| (entry.sequence, entry.in_force().cloned())).unzip();
        (sequences, effects.into_iter().flatten().collect())
    }

    /// The purchase that a void or refund means. For a void only the terminal's own batch; for a
    /// refund, which doesn't name the terminal, its own purchase before another's, and one
    /// that it fits before one that it doesn't.
    pub fn find_sale(&self, asker: &RequestKey, ask: &GiveBackAsk) -> Option<FoundSale> {
        if ask.kind == GiveBackKind::Void {
            return self.sales_at(asker.terminal, asker, ask).next().filter(|sale| sale.key.batch == asker.batch);
        }
        let others = self.sellers.get(&asker.merchant).into_iter().flatten();
        let terminals = core::iter::once(&asker.terminal).chain(others);
        let found: Vec<FoundSale> = terminals.flat_map(|terminal| self.sales_at(*terminal, asker, ask)).collect();
        let fits = |sale: &&FoundSale| sale.stands && ask.amount <= Some(sale.charged.less(sale.refunded));
        found.iter().find(fits).or(found.first()).copied()
    }

    /// What a request used up, as long as nothing has undone it.
    pub fn effects_in_force(&self, key: &RequestKey) -> Option<Effects> {
        self.entry(key)?.in_force().cloned()
    }

    /// Whether an uploaded transaction is one of the ledger's: its key and what it moved.
    pub fn transaction(&self, upload: &RequestKey, sequence: u64) -> Option<(RequestKey, Fen)> {
        let keys = SALE_MTIS.iter().map(|mti| RequestKey { mti: *mti, ..*upload });
        let mut entries = keys.filter_map(|key| Some((key, self.entry(&key)?)));
        let (key, entry) = entries.find(|(_, entry)| entry.sequence == sequence)?;
        Some((key, entry.amount()?))
    }

    /// What the batch of a request adds up to.
    pub fn totals(&self, key: &RequestKey) -> BatchTotals {
        self.batch(key).map_or(BatchTotals::default(), |batch| totals(batch.values()))
    }

    /// How the batch of a request can be closed, by what was uploaded of it.
    ///
    /// A transaction that the terminal doesn't have, though it has others, is one whose answer
    /// got lost: it is undone. Where the terminal agrees with the ledger's totals after all, or has
    /// uploaded nothing (a replaced terminal, say), single transactions aren't in question.
    pub fn closing(&self, key: &RequestKey, theirs: &BatchTotals) -> Closing {
        let own = self.totals(key);
        let Some(batch) = self.batch(key).filter(|batch| batch.values().any(Entry::is_uploaded)) else {
            return Closing { agreed: own, ..Closing::default() };
        };
        if theirs.agrees(&own) {
            return Closing { agreed: own, ..Closing::default() };
        }
        let kept = |entry: &Entry| entry.is_uploaded() || Self::is_voided_by_uploaded(batch, entry);
        let lost = batch.iter().filter(|(_, entry)| entry.amount().is_some() && !kept(entry));
        let mut lost: Vec<(&(u32, u16), &Entry)> = lost.collect();
        lost.sort_by_key(|(_, entry)| entry.sequence);
        Closing {
            agreed: totals(batch.values().filter(|entry| kept(entry))),
            undone: lost.iter().map(|((stan, mti), _)| RequestKey { stan: *stan, mti: *mti, ..*key }).collect(),
            returned: lost.iter().filter_map(|(_, entry)| entry.in_force().cloned()).collect(),
        }
    }

    /// Requests remembered, for metrics.
    pub fn requests(&self) -> usize {
        self.books.values().map(Book::len).sum()
    }

    fn batch(&self, key: &RequestKey) -> Option<&Batch> {
        self.books.get(&key.terminal)?.batch(key)
    }

    fn entry(&self, key: &RequestKey) -> Option<&Entry> {
        self.batch(key)?.get(&(key.stan, key.mti))
    }

    fn entry_mut(&mut self, key: &RequestKey) -> Option<&mut Entry> {
        self.books.get_mut(&key.terminal)?.batch_mut(key).get_mut(&(key.stan, key.mti))
    }

    fn sales_at(&self, terminal: TerminalId, asker: &RequestKey, ask: &GiveBackAsk) -> impl Iterator<Item = FoundSale> {
        let (original, card) = (ask.original, ask.card.digest());
        let key = RequestKey { terminal, batch: original.batch, stan: original.stan, ..*asker };
        let keys = SALE_MTIS.map(|mti| RequestKey { mti, ..key });
        keys.into_iter().filter_map(move |key| self.entry(&key)?.sale(key, &card, original.mmdd))
    }

    fn is_voided_by_uploaded(batch: &Batch, entry: &Entry) -> bool {
        let Money::Charged(sale) = &entry.money else { return false };
        sale.voided_by.and_then(|stan| batch.get(&(stan, VOID_MTI))).is_some_and(Entry::is_uploaded)
    }
}

/// What records change.
impl Ledger {
    /// Takes a record in.
    pub fn apply(&mut self, sequence: u64, record: &Record) {
        match record {
            Record::Swipe(swipe) => self.apply_swipe(sequence, swipe, swipe.capsule.at.mmdd(), swipe.capsule.at.date),
            Record::Offline(offline) => self.apply_offline(sequence, offline),
            Record::Reversal(reversal) => self.apply_reversal(sequence, reversal),
            Record::GiveBack(give_back) => self.apply_give_back(sequence, give_back),
            Record::Settlement(settlement) => self.apply_settlement(sequence, settlement),
            Record::Uploaded(uploaded) => self.apply_uploaded(sequence, uploaded),
            Record::UploadEnd(end) => self.apply_upload_end(sequence, end),
            Record::SignIn(_) | Record::SignOff(_) => {}
        }
    }

    fn remember(&mut self, sequence: u64, asked: &Asked, effects: Option<Effects>, money: Money) {
        let book = self.books.entry(asked.key.terminal).or_default();
        let entry = Entry { content: asked.content, sequence, effects: effects.map(Box::new), money };
        // Reversals are what a late original is refused by, and settlements what a batch ended with.
        let lasting = matches!(asked.key.mti, REVERSAL_MTI | 320 | 500);
        book.remember(&asked.key, entry, lasting);
    }

    /// `day` is the business day in which a purchase counts, `slip_mmdd` the date on its slip.
    fn apply_swipe(&mut self, sequence: u64, swipe: &Swipe, slip_mmdd: u32, day: Date) {
        let effects = swipe.effects();
        if let Some(effects) = &effects {
            self.tallies.take(effects);
        }
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
        self.remember(sequence, &swipe.asked, effects, money);
    }

    fn apply_offline(&mut self, sequence: u64, offline: &Offline) {
        let slip = offline.swipe.capsule.at.mmdd();
        self.apply_swipe(sequence, &offline.swipe, slip, offline.received.date);
    }

    fn apply_reversal(&mut self, sequence: u64, reversal: &Reversal) {
        reversal.returned.iter().for_each(|effects| self.tallies.give_back(effects));
        for mti in REVERSIBLE_MTIS {
            self.undo(&RequestKey { mti, ..reversal.asked.key });
        }
        self.remember(sequence, &reversal.asked, None, Money::None);
    }

    /// Takes a request's money and effects out of the books; what its effects gave back is in the
    /// record. A void undone puts its purchase in force again.
    fn undo(&mut self, key: &RequestKey) {
        let Some(entry) = self.entry_mut(key) else { return };
        entry.effects = None;
        match mem::replace(&mut entry.money, Money::None) {
            Money::None => {}
            // With its purchase gone, the void is about nothing.
            Money::Charged(sale) => sale.voided_by.iter().for_each(|stan| {
                if let Some(void) = self.entry_mut(&RequestKey { stan: *stan, mti: VOID_MTI, ..*key }) {
                    void.money = Money::None;
                }
            }),
            Money::GivenBack(given) => self.take_again(&given),
        }
    }

    fn take_again(&mut self, given: &GivenBack) {
        let Some(entry) = self.entry_mut(&given.of) else { return };
        let Money::Charged(sale) = &mut entry.money else { return };
        match given.kind {
            GiveBackKind::Refund => sale.refunded = sale.refunded.less(given.amount),
            GiveBackKind::Void => {
                sale.voided_by = None;
                if let Some(effects) = entry.effects.as_deref().cloned() {
                    self.tallies.take(&effects);
                }
            }
        }
    }

    fn apply_give_back(&mut self, sequence: u64, give_back: &GiveBack) {
        give_back.returned.iter().for_each(|effects| self.tallies.give_back(effects));
        let money = self.give_money_back(give_back).unwrap_or(Money::None);
        self.remember(sequence, &give_back.asked, None, money);
    }

    fn give_money_back(&mut self, give_back: &GiveBack) -> Option<Money> {
        let GiveBackAsk { kind, amount, .. } = give_back.ask;
        let (of, amount) = (give_back.facts.sale?.key, amount?);
        if give_back.outcome != Outcome::Approved {
            return None;
        }
        if let Money::Charged(sale) = &mut self.entry_mut(&of)?.money {
            match kind {
                GiveBackKind::Void => sale.voided_by = Some(give_back.asked.key.stan),
                GiveBackKind::Refund => sale.refunded = sale.refunded.plus(amount),
            }
        }
        Some(Money::GivenBack(Box::new(GivenBack { kind, amount, of, uploaded: false })))
    }

    fn apply_settlement(&mut self, sequence: u64, settlement: &Settlement) {
        self.remember(sequence, &settlement.asked, None, Money::None);
        if settlement.balanced() {
            self.close(&settlement.asked.key);
        }
    }

    fn apply_uploaded(&mut self, sequence: u64, uploaded: &Uploaded) {
        self.remember(sequence, &uploaded.asked, None, Money::None);
        let accepted = uploaded.transaction.filter(|_| uploaded.outcome == Outcome::Approved);
        if let Some(entry) = accepted.and_then(|key| self.entry_mut(&key)) {
            entry.mark_uploaded();
        }
    }

    fn apply_upload_end(&mut self, sequence: u64, end: &UploadEnd) {
        self.remember(sequence, &end.asked, None, Money::None);
        if end.outcome != Outcome::Approved {
            return;
        }
        end.returned.iter().for_each(|effects| self.tallies.give_back(effects));
        end.undone.iter().for_each(|key| self.undo(key));
        self.close(&end.asked.key);
    }

    fn close(&mut self, key: &RequestKey) {
        self.books.entry(key.terminal).or_default().close(key.batch);
    }
}

impl Swipe {
    /// What it used up, if anything.
    fn effects(&self) -> Option<Effects> {
        let card = self.capsule.facts.card.filter(|_| !self.verdict.uses.is_empty())?;
        Some(Effects { holder_no: card.holder_no, date: self.capsule.at.date, uses: self.verdict.uses.clone() })
    }

    /// What an approved purchase charged; a preview charges nothing.
    fn charged(&self) -> Option<Fen> {
        let ask = &self.capsule.ask;
        let purchase = ask.kind == AskKind::Purchase && !ask.preview && self.verdict.approved();
        self.verdict.entitlement.price.as_ref().filter(|_| purchase).map(|price| price.payable())
    }
}
