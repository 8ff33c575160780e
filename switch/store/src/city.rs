//! The city in memory: what a swipe is answered from.
//!
//! Reads take no lock and ask no database. Cards change in place (see [`card_table`]),
//! holders are one byte each, terminals and the rule book are replaced whole. One task
//! keeps all of it true: [`City::catch_up`] asks the store for what is newer than what it
//! has applied, from one snapshot, so that nothing another process has committed is
//! missed; where nothing is newer that is one small query.
//!
//! Within a catch-up holders come before cards and merchants before terminals: whoever
//! finds a card finds its holder.
//!
//! [`card_table`]: crate::card_table

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use xingka_core::city::{Card, Category, Holder, HolderStatus, Merchant, Star, Terminal};
use xingka_core::ids::{HolderNo, MerchantId, PanKey, RuleBookVersion, TerminalId};
use xingka_core::rules::RuleBook;

use crate::card_table::{CardTable, CardWriter};
use crate::store::{
    Reader, Store, StoreError, TerminalRow, count_cards, each_card, each_holder, each_merchant, each_terminal,
    newer_rule_book, newest_holder, revision,
};

/// A terminal as a node needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CityTerminal {
    /// What decisions see of it.
    pub terminal: Terminal,
    /// Its master key, wrapped by [`crate::vault::MasterKey::wrap_tmk`].
    pub tmk_wrapped: Vec<u8>,
    /// Session keys made before this, in milliseconds since 1970, are to be replaced.
    pub new_keys_ms: i64,
}

type Terminals = HashMap<TerminalId, Arc<CityTerminal>>;

/// All of a city that decisions need.
pub struct City {
    cards: ArcSwap<CardTable>,
    holders: ArcSwap<Box<[AtomicU8]>>,
    terminals: ArcSwap<Terminals>,
    rules: ArcSwap<RuleBook>,
    sizes: Sizes,
    /// One catches up at a time.
    behind: Mutex<Behind>,
}

#[derive(Default)]
struct Sizes {
    cards: AtomicUsize,
    holders: AtomicUsize,
    merchants: AtomicUsize,
}

/// What only the one who catches up needs.
struct Behind {
    revision: i64,
    cards: CardWriter,
    merchants: HashMap<MerchantId, Merchant>,
}

/// What a city is kept true by: the store, or what a simulation has in its place.
pub trait Feed: Send + Sync {
    /// Whether anything has changed that a city doesn't have yet.
    fn has_news<'a>(&'a self, city: &'a City) -> BoxFuture<'a, Result<bool, StoreError>>;

    /// Applies to a city what has changed since the last time; says how many rows that was.
    fn catch_up<'a>(&'a self, city: &'a City) -> BoxFuture<'a, Result<usize, StoreError>>;
}

impl Feed for Store {
    fn has_news<'a>(&'a self, city: &'a City) -> BoxFuture<'a, Result<bool, StoreError>> {
        async move {
            let mut reader = self.read().await?;
            Ok(revision(&mut reader).await? != city.behind.lock().await.revision)
        }
        .boxed()
    }

    fn catch_up<'a>(&'a self, city: &'a City) -> BoxFuture<'a, Result<usize, StoreError>> {
        city.catch_up(self).boxed()
    }
}

/// Changes to a city that didn't come out of a store.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Holders.
    pub holders: Vec<(HolderNo, Holder)>,
    /// Cards.
    pub cards: Vec<(PanKey, Card)>,
    /// Terminals, with where they stand.
    pub terminals: Vec<CityTerminal>,
    /// The rule book.
    pub rules: Option<Arc<RuleBook>>,
}

/// How much of everything there is, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CityCounts {
    /// Cards.
    pub cards: usize,
    /// Holders.
    pub holders: usize,
    /// Merchants.
    pub merchants: usize,
    /// Terminals.
    pub terminals: usize,
    /// The rule book in force.
    pub rule_book: u32,
    /// Memory for cards and holders, in bytes.
    pub bytes: usize,
}

impl City {
    /// Everything in the store.
    pub async fn load(store: &Store) -> Result<Self, StoreError> {
        let city = Self::with_room_for(0);
        city.catch_up(store).await?;
        Ok(city)
    }

    /// Nothing yet, and room for so many cards and holders.
    pub fn with_room_for(count: usize) -> Self {
        let (cards, writer) = CardTable::new(count);
        Self {
            cards: ArcSwap::new(cards),
            holders: ArcSwap::from_pointee((0..count).map(|_| AtomicU8::new(ABSENT)).collect()),
            terminals: ArcSwap::default(),
            rules: ArcSwap::from_pointee(RuleBook::new(RuleBookVersion(0), [])),
            sizes: Sizes::default(),
            behind: Mutex::new(Behind { revision: 0, cards: writer, merchants: HashMap::new() }),
        }
    }

    /// Applies changes that didn't come out of a store. A city made [with room](Self::with_room_for) has no
    /// more than that.
    pub async fn tell(&self, news: News) -> usize {
        let mut behind = self.behind.lock().await;
        let count = news.holders.len() + news.cards.len() + news.terminals.len();
        let holders = self.holders.load_full();
        for (number, holder) in &news.holders {
            if let Some(place) = holders.get(number.0 as usize) {
                place.store(pack(holder), Ordering::Release);
            }
        }
        let mut full = false;
        news.cards.iter().for_each(|(key, card)| full |= behind.cards.put(key, card).is_err());
        debug_assert!(!full, "more cards than there is room for");
        if !news.terminals.is_empty() {
            let mut terminals = Terminals::clone(&self.terminals.load());
            terminals.extend(news.terminals.into_iter().map(|known| (known.terminal.id, Arc::new(known))));
            self.terminals.store(Arc::new(terminals));
        }
        if let Some(rules) = news.rules {
            self.rules.store(rules);
        }
        count
    }

    /// Applies what has changed in the store since the last time, by whatever process;
    /// says how many rows that was.
    ///
    /// If it fails half-way, what it applied stays and the next time applies it again.
    pub async fn catch_up(&self, store: &Store) -> Result<usize, StoreError> {
        let mut behind = self.behind.lock().await;
        let mut reader = store.read().await?;
        let newest = revision(&mut reader).await?;
        if newest == behind.revision {
            return Ok(0);
        }
        let since = behind.revision;
        let mut applied = self.apply_holders(&mut reader, since).await?;
        applied += self.apply_cards(&mut reader, &mut behind).await?;
        applied += self.apply_places(&mut reader, &mut behind).await?;
        applied += self.apply_rules(&mut reader).await?;
        behind.revision = newest;
        Ok(applied)
    }

    /// A card, if it was issued.
    pub fn card(&self, key: &PanKey) -> Option<Card> {
        self.cards.load().get(key)
    }

    /// A holder.
    pub fn holder(&self, number: HolderNo) -> Option<Holder> {
        let holders = self.holders.load();
        unpack(holders.get(number.0 as usize)?.load(Ordering::Acquire))
    }

    /// A terminal, with where it stands.
    pub fn terminal(&self, id: &TerminalId) -> Option<Arc<CityTerminal>> {
        self.terminals.load().get(id).cloned()
    }

    /// The rule book in force.
    pub fn rules(&self) -> Arc<RuleBook> {
        self.rules.load_full()
    }

    /// How much of everything there is.
    pub fn counts(&self) -> CityCounts {
        CityCounts {
            cards: self.sizes.cards.load(Ordering::Relaxed),
            holders: self.sizes.holders.load(Ordering::Relaxed),
            merchants: self.sizes.merchants.load(Ordering::Relaxed),
            terminals: self.terminals.load().len(),
            rule_book: self.rules.load().version().0,
            bytes: self.cards.load().bytes() + self.holders.load().len(),
        }
    }

    async fn apply_holders(&self, reader: &mut Reader, since: i64) -> Result<usize, StoreError> {
        self.make_room_for_holder(newest_holder(reader).await?);
        let holders = self.holders.load_full();
        let mut applied = 0;
        each_holder(reader, since, |(number, holder)| {
            if let Some(place) = holders.get(number.0 as usize) {
                let former = place.swap(pack(&holder), Ordering::AcqRel);
                self.sizes.holders.fetch_add(usize::from(former == ABSENT), Ordering::Relaxed);
                applied += 1;
            }
        })
        .await?;
        Ok(applied)
    }

    /// A copy with room to spare, where the last holder has no place. Nobody else writes
    /// meanwhile, so nothing is lost between copy and swap.
    fn make_room_for_holder(&self, last: Option<HolderNo>) {
        let holders = self.holders.load_full();
        let needed = last.map_or(0, |last| last.0 as usize + 1);
        if needed > holders.len() {
            let copied = holders.iter().map(|place| place.load(Ordering::Acquire));
            let room = copied.chain(std::iter::repeat(ABSENT)).take(with_room(needed));
            self.holders.store(Arc::new(room.map(AtomicU8::new).collect()));
        }
    }

    async fn apply_cards(&self, reader: &mut Reader, behind: &mut Behind) -> Result<usize, StoreError> {
        let Behind { revision, cards: writer, .. } = behind;
        let (mut applied, mut full) = (0, false);
        // An empty table is full before it has begun: don't read every card to find out.
        if writer.cards() > 0 {
            each_card(reader, *revision, |(key, card)| {
                full |= writer.put(&key, &card).is_err();
                applied += 1;
            })
            .await?;
        }
        if full {
            self.rebuild_cards(reader, writer).await?;
        } else if writer.cards() == 0 {
            applied = self.rebuild_cards(reader, writer).await?;
        }
        self.sizes.cards.store(writer.cards(), Ordering::Relaxed);
        Ok(applied)
    }

    /// A new table with all cards of the store and room to spare, then swapped in.
    async fn rebuild_cards(&self, reader: &mut Reader, writer: &mut CardWriter) -> Result<usize, StoreError> {
        let count = count_cards(reader).await?;
        let (table, mut larger) = CardTable::new(with_room(count));
        // The count is of the same snapshot, so no card finds the table full.
        each_card(reader, 0, |(key, card)| {
            let put = larger.put(&key, &card);
            debug_assert!(put.is_ok());
        })
        .await?;
        self.cards.store(table);
        *writer = larger;
        Ok(count)
    }

    async fn apply_places(&self, reader: &mut Reader, behind: &mut Behind) -> Result<usize, StoreError> {
        let mut changed = HashMap::new();
        each_merchant(reader, behind.revision, |merchant| {
            changed.insert(merchant.id, merchant);
        })
        .await?;
        let mut rows = Vec::new();
        each_terminal(reader, behind.revision, |row| rows.push(row)).await?;
        let applied = changed.len() + rows.len();
        behind.merchants.extend(changed.iter());
        self.sizes.merchants.store(behind.merchants.len(), Ordering::Relaxed);
        if applied > 0 {
            self.replace_terminals(&changed, rows, &behind.merchants);
        }
        Ok(applied)
    }

    fn replace_terminals(
        &self,
        changed: &HashMap<MerchantId, Merchant>,
        rows: Vec<TerminalRow>,
        merchants: &HashMap<MerchantId, Merchant>,
    ) {
        let mut terminals = Terminals::clone(&self.terminals.load());
        for known in terminals.values_mut() {
            if let Some(merchant) = changed.get(&known.terminal.merchant.id) {
                Arc::make_mut(known).terminal.merchant = *merchant;
            }
        }
        let new = rows.into_iter().filter_map(|row| row.at(merchants));
        terminals.extend(new.map(|terminal| (terminal.terminal.id, Arc::new(terminal))));
        self.terminals.store(Arc::new(terminals));
    }

    async fn apply_rules(&self, reader: &mut Reader) -> Result<usize, StoreError> {
        let version = self.rules.load().version();
        let newer = newer_rule_book(reader, version).await?;
        Ok(newer.map_or(0, |rules| {
            self.rules.store(Arc::new(rules));
            1
        }))
    }
}

/// A quarter more, so that new cards rarely mean a new table.
fn with_room(count: usize) -> usize {
    count + count / 4 + 256
}

/// The byte of a number that no holder has.
const ABSENT: u8 = 0;
const PRESENT: u8 = 0x80;

/// Star in the low three bits, then two of category, two of status, and one that says
/// there is a holder.
fn pack(holder: &Holder) -> u8 {
    let place = |place: Option<usize>| place.unwrap_or_default() as u8;
    let category = place(Category::ALL.iter().position(|category| *category == holder.category));
    let status = place(HolderStatus::ALL.iter().position(|status| *status == holder.status));
    PRESENT | status << 5 | category << 3 | holder.rated.level()
}

fn unpack(byte: u8) -> Option<Holder> {
    if byte & PRESENT == 0 {
        return None;
    }
    Some(Holder {
        category: *Category::ALL.get(usize::from(byte >> 3 & 0b11))?,
        rated: Star::new(byte & 0b111)?,
        status: *HolderStatus::ALL.get(usize::from(byte >> 5 & 0b11))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_keeps_the_whole_holder() {
        for category in Category::ALL {
            for status in HolderStatus::ALL {
                for level in 0..=5 {
                    let rated = Star::new(level).unwrap();
                    let holder = Holder { category: *category, rated, status: *status };
                    assert_eq!(unpack(pack(&holder)), Some(holder));
                }
            }
        }
        assert_eq!(unpack(ABSENT), None);
    }
}
