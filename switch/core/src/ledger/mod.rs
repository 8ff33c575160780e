//! The ledger: what the journal's records add up to.
//!
//! Which requests were answered, what each holder has used and each budget spent, what each
//! terminal's batch has charged and given back. Nothing here is stored: [`Ledger::apply`] is the
//! one way to change it, live and when a terminal's book is rebuilt from its records, so
//! the two can't differ.
//!
//! A node's ledger is a cache of what the [register](crate::register) knows: a terminal's open batch, and
//! earlier ones for as long as they are asked for. What isn't here has to be asked for before a request
//! is decided (see [`cache`](Ledger::cache)). Where nothing else knows anything (a test), it is whole.
//!
//! A business day is a date in the deployment's zone, and every record names its own: there is no
//! moment at which a day is "closed", nothing to lock, and no swipe between two days. What goes by
//! days (uses, voids, settlements' reports) asks the record for its date.

mod apply;
mod books;
mod cache;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use hashbrown::HashMap;

pub use books::{Closing, FIRST_BATCH, HARMLESS_KEPT};
pub use cache::{BatchRecords, Missing};

pub(crate) use books::next_batch;

use crate::capsule::{BatchTotals, Effects, FoundSale, GiveBackAsk, GiveBackKind, RequestKey};
use crate::facts::Counts;
use crate::ids::{BenefitId, HolderNo, MerchantId, Place, TerminalId};
use crate::money::Fen;
use crate::pan::Content;
use crate::planted::{self, Bug};
use crate::tallies::{Change, Tallies};
use crate::time::Date;
use books::{Batch, Book, Entry, Money, totals};

/// The message type of reversals.
pub const REVERSAL_MTI: u16 = 400;

/// The message types of requests that a reversal can undo.
pub(crate) const REVERSIBLE_MTIS: [u16; 3] = [100, 200, 220];

/// The message types of purchases: decided by the switch, and by a terminal.
const SALE_MTIS: [u16; 2] = [200, 220];

/// The message type of voids.
const VOID_MTI: u16 = 200;

/// Whether a request came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It did not.
    New,
    /// It did, with the same content; its record's place.
    Repeat(Place),
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
    /// What isn't here is not known.
    cache: bool,
    /// What is here is changed by nobody else.
    alone: bool,
    /// The sequence of the record last applied.
    newest: u64,
    /// What records that the register hasn't taken in yet changed in tallies.
    pending: VecDeque<Pending>,
    /// The sequences of those about a holder.
    pending_of: HashMap<HolderNo, VecDeque<u64>>,
    /// The register has taken in the records through here.
    shipped: u64,
    /// Batches other than the open ones, in the order in which they came to be.
    old: VecDeque<BatchId>,
    /// The batch that is being put in: its records change no other.
    putting_in: Option<BatchId>,
}

/// What a record changed in tallies.
#[derive(Debug)]
struct Pending {
    place: Place,
    change: Change,
}

/// A terminal's batch.
pub type BatchId = (TerminalId, MerchantId, u32);

/// What can be known of a request under its key.
impl Ledger {
    /// Whether a request came before.
    pub fn seen(&self, key: &RequestKey, content: &Content) -> Seen {
        match self.entry(key) {
            None => Seen::New,
            Some(_) if planted::has(Bug::ForgetRepeats) => Seen::New,
            Some(entry) if entry.content == *content => Seen::Repeat(entry.place),
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

    /// Whether a batch is here.
    pub fn has_batch(&self, id: &BatchId) -> bool {
        let (terminal, merchant, batch) = *id;
        let key = RequestKey { merchant, terminal, batch, stan: 0, mti: 0 };
        !self.cache || self.missing(&key).is_none()
    }

    /// What a reversal would undo: the originals' places, and what that gives back.
    ///
    /// Requests of several types may share a STAN; the reversal undoes them all.
    pub fn originals(&self, reversal: &RequestKey) -> (Vec<Place>, Vec<Effects>) {
        let originals = REVERSIBLE_MTIS.iter().filter_map(|mti| self.entry(&RequestKey { mti: *mti, ..*reversal }));
        let (places, effects): (Vec<Place>, Vec<Option<Effects>>) =
            originals.map(|entry| (entry.place, entry.in_force().cloned())).unzip();
        (places, effects.into_iter().flatten().collect())
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

    /// Whether an uploaded transaction, by the number on its answer, is one of the ledger's: its key and
    /// what it moved.
    pub fn transaction(&self, upload: &RequestKey, reference: u64) -> Option<(RequestKey, Fen)> {
        let keys = SALE_MTIS.iter().map(|mti| RequestKey { mti: *mti, ..*upload });
        let mut entries = keys.filter_map(|key| Some((key, self.entry(&key)?)));
        let (key, entry) = entries.find(|(_, entry)| entry.place.reference() == reference)?;
        Some((key, entry.amount()?))
    }

    /// What the batch of a request adds up to.
    pub fn totals(&self, key: &RequestKey) -> BatchTotals {
        self.batch(key).map_or(BatchTotals::default(), |batch| totals(batch.entries.values()))
    }

    /// How the batch of a request can be closed, by what was uploaded of it.
    ///
    /// A transaction that the terminal doesn't have, though it has others, is one whose answer
    /// got lost: it is undone. Where the terminal agrees with the ledger's totals after all, or has
    /// uploaded nothing (a replaced terminal, say), single transactions aren't in question.
    pub fn closing(&self, key: &RequestKey, theirs: &BatchTotals) -> Closing {
        let own = self.totals(key);
        let Some(batch) = self.batch(key).filter(|batch| batch.entries.values().any(Entry::is_uploaded)) else {
            return Closing { agreed: own, ..Closing::default() };
        };
        if theirs.agrees(&own) {
            return Closing { agreed: own, ..Closing::default() };
        }
        let kept = |entry: &Entry| entry.is_uploaded() || Self::is_voided_by_uploaded(batch, entry);
        let lost = batch.entries.iter().filter(|(_, entry)| entry.amount().is_some() && !kept(entry));
        let mut lost: Vec<(&(u32, u16), &Entry)> = lost.collect();
        lost.sort_by_key(|(_, entry)| (entry.place.sequence(), entry.place));
        Closing {
            agreed: totals(batch.entries.values().filter(|entry| kept(entry))),
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
        self.batch(key)?.entries.get(&(key.stan, key.mti))
    }

    /// An entry that the record being applied changes.
    fn entry_mut(&mut self, key: &RequestKey) -> Option<&mut Entry> {
        if self.putting_in.is_some_and(|id| id != (key.terminal, key.merchant, key.batch)) {
            return None;
        }
        let batch = self.books.get_mut(&key.terminal)?.known_batch_mut(key)?;
        batch.touched = self.newest;
        batch.entries.get_mut(&(key.stan, key.mti))
    }

    fn sales_at(&self, terminal: TerminalId, asker: &RequestKey, ask: &GiveBackAsk) -> impl Iterator<Item = FoundSale> {
        let (original, card) = (ask.original, ask.card.digest());
        let key = RequestKey { terminal, batch: original.batch, stan: original.stan, ..*asker };
        let keys = SALE_MTIS.map(|mti| RequestKey { mti, ..key });
        keys.into_iter().filter_map(move |key| self.entry(&key)?.sale(key, &card, original.mmdd))
    }

    fn is_voided_by_uploaded(batch: &Batch, entry: &Entry) -> bool {
        let Money::Charged(sale) = &entry.money else { return false };
        sale.voided_by.and_then(|stan| batch.entries.get(&(stan, VOID_MTI))).is_some_and(Entry::is_uploaded)
    }
}
