//! The ledger: what the journal's records add up to.
//!
//! Which requests were answered, what each holder has used and each budget spent.
//! Nothing here is stored: [`Ledger::apply`] is the one way to change it, live and when
//! a node rebuilds its memory from the journal at start, so the two can't differ.

use alloc::boxed::Box;
use alloc::vec::Vec;
use hashbrown::HashMap;

use crate::capsule::{Asked, Effects, Record, RequestKey, Reversal, Swipe};
use crate::facts::{Counts, Uses};
use crate::ids::{BenefitId, HolderNo, MerchantId, TerminalId};
use crate::money::Fen;
use crate::pan::Content;
use crate::time::{Date, Month};
use crate::verdict::Use;

/// The first batch of every terminal.
pub const FIRST_BATCH: u32 = 1;

/// The message type of reversals.
pub const REVERSAL_MTI: u16 = 400;

/// The message types of requests that a reversal can undo.
const REVERSIBLE_MTIS: [u16; 3] = [100, 200, 220];

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
    uses: HashMap<HolderNo, Vec<Tally>>,
    spent: HashMap<BenefitId, Fen>,
}

/// One terminal's requests.
#[derive(Debug, Default)]
struct Book {
    entries: HashMap<EntryKey, Entry>,
}

/// A request's key within its terminal's book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct EntryKey {
    merchant: MerchantId,
    batch: u32,
    stan: u32,
    mti: u16,
}

impl From<&RequestKey> for EntryKey {
    fn from(key: &RequestKey) -> Self {
        Self { merchant: key.merchant, batch: key.batch, stan: key.stan, mti: key.mti }
    }
}

#[derive(Debug)]
struct Entry {
    content: Content,
    sequence: u64,
    /// What the request used up and nothing has given back.
    effects: Option<Box<Effects>>,
}

/// One holder's uses of one benefit.
#[derive(Debug, Clone, Copy)]
struct Tally {
    benefit: BenefitId,
    day: Date,
    today: u32,
    month: Month,
    this_month: u32,
    ever: u32,
}

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
    ///
    /// Settlement, which opens the next one, isn't served yet: every terminal is in its first.
    pub fn open_batch(&self, _terminal: TerminalId) -> u32 {
        FIRST_BATCH
    }

    /// Whether a reversal of this request is already known.
    pub fn reversed_before(&self, key: &RequestKey) -> bool {
        self.entry(&RequestKey { mti: REVERSAL_MTI, ..*key }).is_some()
    }

    /// What is used up of `limited`, by ascending id, as a decision of `today` must know it.
    pub fn counts(&self, holder: HolderNo, limited: &[BenefitId], today: Date) -> Counts {
        let mut counts = Counts::default();
        let tallies = self.uses.get(&holder).map_or(&[][..], Vec::as_slice);
        for benefit in limited {
            if let Ok(at) = tallies.binary_search_by_key(benefit, |tally| tally.benefit) {
                let uses = tallies.get(at).map(|tally| tally.on(today)).filter(|uses| uses.ever > 0);
                counts.uses.extend(uses.map(|uses| (*benefit, uses)));
            }
            let spent = self.spent.get(benefit).filter(|spent| **spent > Fen::ZERO);
            counts.spent.extend(spent.map(|spent| (*benefit, *spent)));
        }
        counts
    }

    /// What a reversal would undo: the originals' places, and what that gives back.
    ///
    /// Requests of several types may share a STAN; the reversal undoes them all.
    pub fn originals(&self, reversal: &RequestKey) -> (Vec<u64>, Vec<Effects>) {
        let originals = REVERSIBLE_MTIS.iter().filter_map(|mti| self.entry(&RequestKey { mti: *mti, ..*reversal }));
        let (sequences, effects): (Vec<u64>, Vec<Option<Effects>>) =
            originals.map(|entry| (entry.sequence, entry.effects.as_deref().cloned())).unzip();
        (sequences, effects.into_iter().flatten().collect())
    }

    /// Takes a record in.
    pub fn apply(&mut self, sequence: u64, record: &Record) {
        match record {
            Record::Swipe(swipe) => self.apply_swipe(sequence, swipe),
            Record::Reversal(reversal) => self.apply_reversal(sequence, reversal),
            Record::SignIn(_) | Record::SignOff(_) => {}
        }
    }

    /// Requests remembered, for metrics.
    pub fn requests(&self) -> usize {
        self.books.values().map(|book| book.entries.len()).sum()
    }

    fn entry(&self, key: &RequestKey) -> Option<&Entry> {
        self.books.get(&key.terminal)?.entries.get(&EntryKey::from(key))
    }

    fn remember(&mut self, sequence: u64, asked: &Asked, effects: Option<Effects>) {
        let book = self.books.entry(asked.key.terminal).or_default();
        let entry = Entry { content: asked.content, sequence, effects: effects.map(Box::new) };
        // The first answer stays the one that repeats get: a second reversal adds nothing.
        book.entries.entry(EntryKey::from(&asked.key)).or_insert(entry);
    }

    fn apply_swipe(&mut self, sequence: u64, swipe: &Swipe) {
        let effects = swipe.effects();
        if let Some(effects) = &effects {
            effects.uses.iter().for_each(|used| self.count(effects, used));
        }
        self.remember(sequence, &swipe.asked, effects);
    }

    fn apply_reversal(&mut self, sequence: u64, reversal: &Reversal) {
        for effects in &reversal.returned {
            effects.uses.iter().for_each(|used| self.give_back(effects, used));
        }
        self.forget_effects(&reversal.asked.key);
        self.remember(sequence, &reversal.asked, None);
    }

    fn forget_effects(&mut self, reversal: &RequestKey) {
        let Some(book) = self.books.get_mut(&reversal.terminal) else {
            return;
        };
        for mti in REVERSIBLE_MTIS {
            if let Some(entry) = book.entries.get_mut(&EntryKey::from(&RequestKey { mti, ..*reversal })) {
                entry.effects = None;
            }
        }
    }

    fn count(&mut self, effects: &Effects, used: &Use) {
        self.tally(effects, used.benefit).add(effects.date);
        let spent = self.spent.entry(used.benefit).or_default();
        *spent = spent.plus(used.off);
    }

    fn give_back(&mut self, effects: &Effects, used: &Use) {
        self.tally(effects, used.benefit).take(effects.date);
        let spent = self.spent.entry(used.benefit).or_default();
        *spent = spent.less(used.off);
    }

    fn tally(&mut self, effects: &Effects, benefit: BenefitId) -> &mut Tally {
        let tallies = self.uses.entry(effects.holder_no).or_default();
        let at = tallies.binary_search_by_key(&benefit, |tally| tally.benefit).unwrap_or_else(|at| {
            tallies.insert(at, Tally::none(benefit, effects.date));
            at
        });
        &mut tallies[at]
    }
}

impl Swipe {
    /// What it used up, if anything.
    fn effects(&self) -> Option<Effects> {
        let card = self.capsule.facts.card.filter(|_| !self.verdict.uses.is_empty())?;
        Some(Effects { holder_no: card.holder_no, date: self.capsule.at.date, uses: self.verdict.uses.clone() })
    }
}

impl Tally {
    fn none(benefit: BenefitId, day: Date) -> Self {
        Self { benefit, day, today: 0, month: day.month(), this_month: 0, ever: 0 }
    }

    /// The uses as they stand on a day: another day's or month's don't count for it.
    fn on(&self, day: Date) -> Uses {
        Uses {
            today: if self.day == day { self.today } else { 0 },
            this_month: if self.month == day.month() { self.this_month } else { 0 },
            ever: self.ever,
        }
    }

    fn add(&mut self, day: Date) {
        let uses = self.on(day);
        self.day = day;
        self.month = day.month();
        self.today = uses.today.saturating_add(1);
        self.this_month = uses.this_month.saturating_add(1);
        self.ever = uses.ever.saturating_add(1);
    }

    /// A use of `day` undone: it leaves the day's and month's count only while these
    /// are still the ones being counted.
    fn take(&mut self, day: Date) {
        self.today = self.today.saturating_sub(u32::from(self.day == day));
        self.this_month = self.this_month.saturating_sub(u32::from(self.month == day.month()));
        self.ever = self.ever.saturating_sub(1);
    }
}
