//! A ledger as a cache: what it misses, how that is put in, and when it may be forgotten.
//!
//! The rule: what isn't here is whole in the register. So nothing is forgotten that the register
//! hasn't taken in, and what is put in is taken from the register after all that this node has
//! sent it about the same terminal.

use alloc::vec::Vec;

use super::books::{Batch, Book, Money};
use super::{BatchId, Ledger, Pending, RequestKey};
use crate::capsule::Record;
use crate::ids::{BenefitId, HolderNo, Place, TerminalId};
use crate::money::Fen;
use crate::tallies::{Tallies, Tally};

/// Batches that stay though they aren't open: their late repeats and reversals come soon after.
const OLD_BATCHES_KEPT: usize = 1_024;

/// So many records count as pending after the register has taken them in: what it says of a holder may be
/// from before that, and on its way while it takes in some more.
const SHIPPED_KEPT: u64 = 10_000;

/// A terminal's batch, as the register has it.
#[derive(Debug, Default)]
pub struct BatchRecords {
    /// The standing records of its requests, in their order.
    pub records: Vec<(Place, Record)>,
    /// What requests outside of it have refunded of its purchases.
    pub refunded: Vec<(RequestKey, Fen)>,
}

/// What a ledger must be given before a request can be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The terminal's book.
    Book(TerminalId),
    /// A batch of it that isn't open.
    Batch(BatchId),
    /// What a holder has used, and what these budgets have spent.
    Counts(HolderNo, Vec<BenefitId>),
}

impl Ledger {
    /// A ledger that knows nothing yet and has to be told. `alone`: nobody else changes what it was told once.
    pub fn cache(alone: bool) -> Self {
        Self { cache: true, alone, tallies: Tallies::cache(), ..Self::default() }
    }

    /// Whether a terminal's book is here.
    pub fn knows(&self, terminal: &TerminalId) -> bool {
        !self.cache || self.books.contains_key(terminal)
    }

    /// What of a request's terminal and batch isn't here.
    pub fn missing(&self, key: &RequestKey) -> Option<Missing> {
        if !self.cache {
            return None;
        }
        let Some(book) = self.books.get(&key.terminal) else {
            return Some(Missing::Book(key.terminal));
        };
        let known = key.batch == book.open_batch || book.batch(key).is_some();
        (!known).then_some(Missing::Batch((key.terminal, key.merchant, key.batch)))
    }

    /// What of a holder's uses and these budgets isn't here.
    pub fn missing_counts(&self, holder: HolderNo, limited: &[BenefitId]) -> Option<Missing> {
        self.tallies.misses(holder, limited).then(|| Missing::Counts(holder, limited.to_vec()))
    }

    /// Puts in a terminal's book: its open batch.
    pub fn put_book(&mut self, (terminal, merchant, open_batch): BatchId, batch: &BatchRecords) {
        self.books.insert(terminal, Book::open(open_batch));
        self.put_records((terminal, merchant, open_batch), batch);
    }

    /// Puts in a batch that isn't open.
    pub fn put_batch(&mut self, id: BatchId, batch: &BatchRecords) {
        let (terminal, merchant, number) = id;
        let key = RequestKey { merchant, terminal, batch: number, stan: 0, mti: 0 };
        let Some(book) = self.books.get_mut(&terminal).filter(|book| book.batch(&key).is_none()) else {
            return;
        };
        let open = book.open_batch;
        *book.batch_mut(&key) = Batch { touched: self.newest, ..Batch::default() };
        self.put_records(id, batch);
        self.old.push_back(id);
        // A closing record among them is news to nobody.
        if let Some(book) = self.books.get_mut(&terminal) {
            book.open_batch = open;
        }
    }

    fn put_records(&mut self, id: BatchId, batch: &BatchRecords) {
        let old = self.old.len();
        self.putting_in = Some(id);
        for (place, record) in &batch.records {
            // The register's tallies have all of it already.
            self.apply_to_books(*place, record);
        }
        self.old.truncate(old);
        for (sale, amount) in &batch.refunded {
            if let Some(Money::Charged(sale)) = self.entry_mut(sale).map(|entry| &mut entry.money) {
                sale.refunded = sale.refunded.plus(*amount);
            }
        }
        self.putting_in = None;
    }

    /// Puts in what a holder has used and what budgets have spent, as the register had it when it had
    /// taken in this node's records through `through`. Not taken, and to be asked for again, where that
    /// is longer ago than what is remembered here.
    pub fn put_counts(
        &mut self,
        holder: HolderNo,
        tallies: Vec<Tally>,
        spent: &[(BenefitId, Fen)],
        through: u64,
    ) -> bool {
        if through < self.forgotten_through() {
            return false;
        }
        let mut fresh = Tallies::cache();
        fresh.put_uses(holder, tallies);
        let known = |benefit: &BenefitId| self.alone && self.tallies.knows_budget(*benefit);
        let unknown = spent.iter().filter(|(benefit, _)| !known(benefit));
        let mut budgets = false;
        unknown.for_each(|(benefit, spent)| {
            fresh.put_spent(*benefit, *spent);
            budgets = true;
        });
        if budgets {
            let counted = self.pending.partition_point(|pending| pending.place.sequence() <= through);
            self.pending.range(counted..).for_each(|pending| fresh.change(&pending.change));
        } else {
            // Where the register is far behind, there are many, and few are about this holder.
            let mut sequences: Vec<u64> = self.pending_of.get(&holder).into_iter().flatten().copied().collect();
            sequences.dedup();
            let newer = sequences.into_iter().filter(|sequence| *sequence > through);
            newer.filter_map(|sequence| self.pending_at(sequence)).for_each(|pending| fresh.change(&pending.change));
        }
        self.tallies.take_from(fresh);
        true
    }

    /// The register has taken in this node's records through here: what only it has to know from now on
    /// may be forgotten.
    pub fn shipped(&mut self, through: u64) {
        self.shipped = self.shipped.max(through);
        let forgotten = self.forgotten_through();
        while self.pending.front().is_some_and(|pending| pending.place.sequence() <= forgotten) {
            let Some(pending) = self.pending.pop_front() else { break };
            self.no_longer_pending(&pending);
        }
        while self.old.len() > OLD_BATCHES_KEPT {
            let Some((terminal, merchant, number)) = self.old.front().copied() else { return };
            let Some(book) = self.books.get_mut(&terminal).filter(|book| book.open_batch != number) else {
                self.old.pop_front();
                continue;
            };
            let key = RequestKey { merchant, terminal, batch: number, stan: 0, mti: 0 };
            if book.batch(&key).is_some_and(|batch| batch.touched > through) {
                return;
            }
            book.drop_batch(merchant, number);
            self.old.pop_front();
        }
    }

    /// Forgets a terminal that has moved to another node.
    pub fn forget(&mut self, terminal: &TerminalId) {
        self.books.remove(terminal);
    }

    /// Takes out a swipe whose record doesn't hold.
    pub fn withdraw(&mut self, key: &RequestKey, place: Place) {
        if let Some(at) = self.pending.iter().position(|pending| pending.place == place) {
            let withdrawn = self.pending.remove(at);
            withdrawn.iter().for_each(|pending| self.no_longer_pending(pending));
        }
        let Some(batch) = self.books.get_mut(&key.terminal).and_then(|book| book.known_batch_mut(key)) else {
            return;
        };
        if batch.entries.get(&(key.stan, key.mti)).is_some_and(|entry| entry.place == place) {
            batch.entries.remove(&(key.stan, key.mti));
        }
    }

    /// What was pending through here isn't remembered any more.
    fn forgotten_through(&self) -> u64 {
        self.shipped.saturating_sub(SHIPPED_KEPT)
    }

    fn pending_at(&self, sequence: u64) -> Option<&Pending> {
        self.pending.get(self.pending.binary_search_by_key(&sequence, |pending| pending.place.sequence()).ok()?)
    }

    fn no_longer_pending(&mut self, pending: &Pending) {
        let sequence = pending.place.sequence();
        for effects in pending.change.taken.iter().chain(&pending.change.returned) {
            if let Some(sequences) = self.pending_of.get_mut(&effects.holder_no) {
                // Nearly always the first.
                if let Some(at) = sequences.iter().position(|of| *of == sequence) {
                    sequences.remove(at);
                }
                if sequences.is_empty() {
                    self.pending_of.remove(&effects.holder_no);
                }
            }
        }
    }

    /// The sequence of the record applied last.
    pub fn newest(&self) -> u64 {
        self.newest
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::capsule::Effects;
    use crate::ledger::Pending;
    use crate::tallies::Change;
    use crate::time::Date;
    use crate::verdict::Use;

    const HOLDER: HolderNo = HolderNo(7);
    const BENEFIT: BenefitId = BenefitId(3);
    const TODAY: Date = Date(20_000);

    fn use_once(ledger: &mut Ledger, sequence: u64) {
        let uses = vec![Use { benefit: BENEFIT, off: Fen(10) }];
        let change = Change { taken: vec![Effects { holder_no: HOLDER, date: TODAY, uses }], returned: vec![] };
        ledger.tallies.change(&change);
        ledger.pending_of.entry(HOLDER).or_default().push_back(sequence);
        ledger.pending.push_back(Pending { place: Place::new(0, sequence), change });
        ledger.newest = sequence;
    }

    fn counted(ledger: &Ledger) -> (u32, Fen) {
        let counts = ledger.counts(HOLDER, &[BENEFIT], TODAY);
        (counts.uses_of(BENEFIT).today, counts.spent_on(BENEFIT))
    }

    /// Whatever the register has taken in when it is asked, and by the time its answer arrives.
    #[test]
    fn a_use_is_counted_once_however_far_the_register_is() {
        for alone in [true, false] {
            for (asked_at, arrived_at) in [(0, 0), (0, 3), (2, 3), (3, 3)] {
                let mut ledger = Ledger::cache(alone);
                (1..=3).for_each(|sequence| use_once(&mut ledger, sequence));
                assert!(ledger.missing_counts(HOLDER, &[BENEFIT]).is_some());
                let mut known = Tallies::default();
                ledger.pending.iter().take(asked_at).for_each(|pending| known.change(&pending.change));
                let tallies: Vec<Tally> = known.uses().map(|(_, tally)| *tally).collect();
                let spent = [(BENEFIT, known.spent_on(BENEFIT))];
                ledger.shipped(arrived_at as u64);
                assert!(ledger.put_counts(HOLDER, tallies, &spent, asked_at as u64));
                assert_eq!(counted(&ledger), (3, Fen(30)), "{alone} {asked_at} {arrived_at}");
                assert!(ledger.missing_counts(HOLDER, &[BENEFIT]).is_none());
                use_once(&mut ledger, 4);
                assert_eq!(counted(&ledger), (4, Fen(40)));
            }
        }
    }

    #[test]
    fn what_is_too_old_is_asked_for_again() {
        let mut ledger = Ledger::cache(false);
        use_once(&mut ledger, 1);
        ledger.shipped(SHIPPED_KEPT + 1);
        assert!(!ledger.put_counts(HOLDER, vec![], &[], 0));
        assert!(ledger.put_counts(HOLDER, vec![], &[], 1));
        assert!(ledger.pending.is_empty() && ledger.pending_of.is_empty());
    }

    #[test]
    fn what_was_withdrawn_is_not_counted() {
        let mut ledger = Ledger::cache(false);
        (1..=3).for_each(|sequence| use_once(&mut ledger, sequence));
        ledger.shipped(1);
        let place = ledger.pending[1].place;
        let (merchant, terminal) = (crate::ids::MerchantId([b'1'; 15]), TerminalId([b'1'; 8]));
        ledger.withdraw(&RequestKey { merchant, terminal, batch: 1, stan: 2, mti: 200 }, place);
        assert!(ledger.put_counts(HOLDER, vec![], &[(BENEFIT, Fen::ZERO)], 0));
        assert_eq!(counted(&ledger), (2, Fen(20)));
    }
}
