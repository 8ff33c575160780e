//! Each terminal's book: the requests it sent, batch by batch, and the money that moved.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::capsule::{BatchTotals, Effects, FoundSale, GiveBackKind, RequestKey};
use crate::ids::{MerchantId, Place};
use crate::money::Fen;
use crate::pan::Content;
use crate::time::Date;

/// The first batch of every terminal.
pub const FIRST_BATCH: u32 = 1;

/// The last batch; the first comes after it.
const LAST_BATCH: u32 = 999_999;

/// How many requests that moved and used nothing are remembered of a terminal: the repeats that a
/// lost answer makes come within the next few. What was charged, given back, used up or reversed is
/// remembered for good; inquiries, of which there are ten times as many, must not fill the memory of
/// a terminal that doesn't settle.
pub const HARMLESS_KEPT: usize = 256;

/// One terminal's requests.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) open_batch: u32,
    batches: HashMap<(MerchantId, u32), Batch>,
    /// Requests that moved and used nothing, oldest first.
    harmless: VecDeque<RequestKey>,
}

/// A batch's requests.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// By STAN and message type.
    pub(super) entries: HashMap<(u32, u16), Entry>,
    /// The sequence of the record that changed it last.
    pub(super) touched: u64,
}

/// One request.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) content: Content,
    pub(super) place: Place,
    /// What it used up. In force as long as nothing undid the request.
    pub(super) effects: Option<Box<Effects>>,
    pub(super) money: Money,
}

/// What a request moved.
#[derive(Debug)]
pub(super) enum Money {
    /// Nothing, or a reversal undid it.
    None,
    /// A purchase's charge.
    Charged(Box<Sale>),
    /// A void's or refund's.
    GivenBack(Box<GivenBack>),
}

/// An approved purchase.
#[derive(Debug)]
pub(super) struct Sale {
    pub(super) charged: Fen,
    pub(super) refunded: Fen,
    /// The business day it counts in.
    pub(super) day: Date,
    /// MMDD on its slip: another one than the day's where it was decided offline.
    pub(super) slip_mmdd: u32,
    /// Which card: the first half of [`crate::facts::AskedCard::digest`]. There are millions of these.
    pub(super) card: [u8; 16],
    /// The STAN of the void that undid it: a void is in its purchase's batch, at its terminal.
    pub(super) voided_by: Option<u32>,
    pub(super) uploaded: bool,
}

/// An approved void or refund.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) kind: GiveBackKind,
    pub(super) amount: Fen,
    /// The purchase.
    pub(super) of: RequestKey,
    pub(super) uploaded: bool,
}

impl Default for Book {
    fn default() -> Self {
        Self { open_batch: FIRST_BATCH, batches: HashMap::new(), harmless: VecDeque::new() }
    }
}

/// The batch after one.
pub(crate) const fn next_batch(batch: u32) -> u32 {
    batch % LAST_BATCH + 1
}

impl Book {
    /// With nothing in its open batch.
    pub(super) fn open(open_batch: u32) -> Self {
        Self { open_batch, ..Self::default() }
    }

    /// A merchant's batch.
    pub(super) fn batch(&self, key: &RequestKey) -> Option<&Batch> {
        self.batches.get(&(key.merchant, key.batch))
    }

    /// A merchant's batch, begun where there is none.
    pub(super) fn batch_mut(&mut self, key: &RequestKey) -> &mut Batch {
        self.batches.entry((key.merchant, key.batch)).or_default()
    }

    /// A merchant's batch, where there is one.
    pub(super) fn known_batch_mut(&mut self, key: &RequestKey) -> Option<&mut Batch> {
        self.batches.get_mut(&(key.merchant, key.batch))
    }

    /// Forgets a batch.
    pub(super) fn drop_batch(&mut self, merchant: MerchantId, batch: u32) {
        self.batches.remove(&(merchant, batch));
        self.harmless.retain(|key| (key.merchant, key.batch) != (merchant, batch));
    }

    /// Remembers a request. The first answer stays the one that repeats get: a second reversal, say, adds
    /// nothing.
    pub(super) fn remember(&mut self, key: &RequestKey, entry: Entry, lasting: bool) {
        let batch = self.batch_mut(key);
        if batch.entries.contains_key(&(key.stan, key.mti)) {
            return;
        }
        let harmless = !lasting && entry.effects.is_none() && matches!(entry.money, Money::None);
        batch.entries.insert((key.stan, key.mti), entry);
        if harmless {
            self.harmless.push_back(*key);
        }
        if self.harmless.len() > HARMLESS_KEPT {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.harmless.pop_front() else { return };
        let place = (oldest.merchant, oldest.batch);
        let Some(batch) = self.batches.get_mut(&place) else { return };
        batch.entries.remove(&(oldest.stan, oldest.mti));
        // In a cache an old batch that is there and empty is one known to hold nothing.
        if batch.entries.is_empty() && oldest.batch == self.open_batch {
            self.batches.remove(&place);
        }
    }

    /// Closes the batch of this request: the next one is open.
    pub(super) fn close(&mut self, batch: u32) {
        self.open_batch = next_batch(batch);
    }

    /// How many requests.
    pub(super) fn len(&self) -> usize {
        self.batches.values().map(|batch| batch.entries.len()).sum()
    }
}

impl Entry {
    /// What reversing it would give back.
    pub(super) fn in_force(&self) -> Option<&Effects> {
        let voided = matches!(&self.money, Money::Charged(sale) if sale.voided_by.is_some());
        self.effects.as_deref().filter(|_| !voided)
    }

    /// It as a purchase with this card and date; `None` where it is none, or was reversed.
    pub(super) fn sale(&self, key: RequestKey, card: &[u8; 32], mmdd: u32) -> Option<FoundSale> {
        let Money::Charged(sale) = &self.money else { return None };
        let dated = sale.slip_mmdd == mmdd || sale.day.mmdd() == mmdd;
        (card.starts_with(&sale.card) && dated).then_some(FoundSale {
            key,
            place: self.place,
            charged: sale.charged,
            refunded: sale.refunded,
            day: sale.day,
            stands: sale.voided_by.is_none(),
        })
    }

    /// What it moved, for whoever compares it with an upload.
    pub(super) fn amount(&self) -> Option<Fen> {
        match &self.money {
            Money::None => None,
            Money::Charged(sale) => Some(sale.charged),
            Money::GivenBack(given) => Some(given.amount),
        }
    }

    pub(super) fn mark_uploaded(&mut self) {
        match &mut self.money {
            Money::None => {}
            Money::Charged(sale) => sale.uploaded = true,
            Money::GivenBack(given) => given.uploaded = true,
        }
    }

    pub(super) fn is_uploaded(&self) -> bool {
        match &self.money {
            Money::None => false,
            Money::Charged(sale) => sale.uploaded,
            Money::GivenBack(given) => given.uploaded,
        }
    }
}

/// What entries add up to.
pub(super) fn totals<'e>(entries: impl Iterator<Item = &'e Entry>) -> BatchTotals {
    entries.fold(BatchTotals::default(), |mut totals, entry| {
        match &entry.money {
            Money::None => {}
            Money::Charged(sale) => {
                totals.debit = totals.debit.plus(sale.charged);
                totals.debits += 1;
            }
            Money::GivenBack(given) => {
                totals.credit = totals.credit.plus(given.amount);
                totals.credits += 1;
            }
        }
        totals
    })
}

/// How a batch can be closed after its upload.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// The totals agreed on.
    pub agreed: BatchTotals,
    /// Transactions whose answers the terminal never got.
    pub undone: Vec<RequestKey>,
    /// What undoing them gives back.
    pub returned: Vec<Effects>,
}
