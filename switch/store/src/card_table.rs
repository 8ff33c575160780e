//! Every card of the city, in memory, read without a lock.
//!
//! Open addressing with linear probing over pairs of 64-bit words: a *tag*, 64 bits of the
//! card's key, and a *payload*, all that a decision needs. Where the search begins comes
//! from another 64 bits of the key. The key is an HMAC, so its parts are independent: that
//! an unknown card meets its own tag among the few slots its search visits has odds of one
//! in 10^18, and nobody without the card-hash key can look for such a number.
//!
//! **One writer, many readers, no lock.** A slot is published by its tag. The writer stores
//! the payload first and the tag after it (release); a reader that sees the tag (acquire)
//! therefore sees that payload or a newer one. A tag, once there, never changes; no slot is
//! ever emptied, as the city folder deletes nothing. The payload is one word: a change is
//! one store, so a reader sees the card as it was or as it is, and never half of each. A
//! second writer would break this; the table has one, because writing takes a
//! [`CardWriter`] and [`CardTable::new`] gives exactly one.
//!
//! **Growing.** A full table says so, and its owner fills a larger one from the store and
//! swaps it in. It can't grow by itself: the words it keeps don't tell where a card's
//! search begins, and keeping that too would cost eight bytes a card to save a second,
//! once in every few hundred thousand new cards. Capacity is any number, not a power of
//! two, or half the memory would lie idle after each growth.
//!
//! Refused: a hash map behind a lock (readers wait for an import), hashbrown behind
//! arc-swap (all of it copied for one lost card), papaya (twice the memory).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;
use xingka_core::city::{Card, CardStatus};
use xingka_core::ids::{HolderNo, PanKey};
use xingka_core::time::Month;

/// The share of slots that may be taken: a search for a card that isn't there then ends
/// after some twenty slots, five cache lines in a row.
const LOAD_PERCENT: usize = 85;
/// No slot's tag; a key whose tag would be this gets [`INSTEAD_OF_EMPTY`].
const EMPTY: u64 = 0;
const INSTEAD_OF_EMPTY: u64 = 1;

#[derive(Debug, Default)]
struct Slot {
    tag: AtomicU64,
    payload: AtomicU64,
}

/// Cards by the keyed hash of their number.
#[derive(Debug)]
pub struct CardTable {
    slots: Box<[Slot]>,
}

/// The right to write to a table; there is one for each.
#[derive(Debug)]
pub struct CardWriter {
    table: Arc<CardTable>,
    cards: usize,
}

/// The table has no room for another card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the card table is full")]
pub struct Full;

impl CardTable {
    /// An empty table with room for so many cards, and the right to write to it.
    pub fn new(cards: usize) -> (Arc<Self>, CardWriter) {
        // One slot at least stays empty, so that every search ends.
        let slots = (cards * 100).div_ceil(LOAD_PERCENT) + 1;
        let table = Arc::new(Self { slots: (0..slots).map(|_| Slot::default()).collect() });
        (Arc::clone(&table), CardWriter { table, cards: 0 })
    }

    /// A card, if it was issued.
    pub fn get(&self, key: &PanKey) -> Option<Card> {
        let slot = self.find(key).ok()?;
        unpack(slot.payload.load(Ordering::Acquire))
    }

    /// What the table takes, in bytes.
    pub fn bytes(&self) -> usize {
        size_of_val::<[Slot]>(&self.slots)
    }

    fn room(&self) -> usize {
        self.slots.len().saturating_sub(1) * LOAD_PERCENT / 100
    }

    /// The card's slot; or the empty one at which the search for it ended.
    fn find(&self, key: &PanKey) -> Result<&Slot, Option<&Slot>> {
        let (start, tag) = (self.start(key), tag(key));
        let (before, from) = self.slots.split_at(start);
        for slot in from.iter().chain(before) {
            match slot.tag.load(Ordering::Acquire) {
                EMPTY => return Err(Some(slot)),
                found if found == tag => return Ok(slot),
                _ => {}
            }
        }
        Err(None)
    }

    /// Scales the key's first word to the number of slots, by multiplication: no division,
    /// and any number of slots will do.
    fn start(&self, key: &PanKey) -> usize {
        let scaled = u128::from(word(key, 0)) * self.slots.len() as u128;
        (scaled >> 64) as usize
    }
}

impl CardWriter {
    /// Adds a card, or changes it in place.
    pub fn put(&mut self, key: &PanKey, card: &Card) -> Result<(), Full> {
        let payload = pack(card);
        match self.table.find(key) {
            Ok(slot) => slot.payload.store(payload, Ordering::Release),
            Err(Some(slot)) if self.cards < self.table.room() => {
                slot.payload.store(payload, Ordering::Relaxed);
                slot.tag.store(tag(key), Ordering::Release);
                self.cards += 1;
            }
            Err(_) => return Err(Full),
        }
        Ok(())
    }

    /// Cards in the table.
    pub fn cards(&self) -> usize {
        self.cards
    }

    /// The table it writes to.
    pub fn table(&self) -> Arc<CardTable> {
        Arc::clone(&self.table)
    }
}

/// The key's second word.
fn tag(key: &PanKey) -> u64 {
    match word(key, 8) {
        EMPTY => INSTEAD_OF_EMPTY,
        tag => tag,
    }
}

fn word(key: &PanKey, at: usize) -> u64 {
    key.0[at..at + 8].iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

const STATUS_SHIFT: u32 = 32;
const MONTH_SHIFT: u32 = 34;

/// Holder number in the low 32 bits, then 2 of status, then the month.
fn pack(card: &Card) -> u64 {
    let status = CardStatus::ALL.iter().position(|status| *status == card.status).unwrap_or_default();
    u64::from(card.holder_no.0)
        | (status as u64) << STATUS_SHIFT
        | u64::from(card.expires.0 & MONTH_BITS) << MONTH_SHIFT
}

/// Thirty bits: months for some ninety million years.
const MONTH_BITS: u32 = (1 << 30) - 1;

fn unpack(payload: u64) -> Option<Card> {
    let status = CardStatus::ALL.get((payload >> STATUS_SHIFT & 0b11) as usize)?;
    let expires = Month((payload >> MONTH_SHIFT) as u32);
    Some(Card { holder_no: HolderNo(payload as u32), status: *status, expires })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    /// Keys as an HMAC would give them: every word looks random.
    fn key(number: u64) -> PanKey {
        let mut state = number;
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_exact_mut(8) {
            // SplitMix64.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(mixed ^ mixed >> 31).to_be_bytes());
        }
        PanKey(bytes)
    }

    fn card(holder_no: u32, status: usize, month: u32) -> Card {
        Card { holder_no: HolderNo(holder_no), status: CardStatus::ALL[status % 4], expires: Month(month) }
    }

    proptest! {
        #[test]
        fn a_payload_keeps_the_whole_card(holder: u32, status in 0usize..4, month in 0u32..120_000) {
            let card = card(holder, status, month);
            prop_assert_eq!(unpack(pack(&card)), Some(card));
        }

        /// Keys crowd at the table's end and share starts, so that searches wrap and collide.
        #[test]
        fn it_agrees_with_a_hash_map(steps in prop::collection::vec((0u64..60, any::<u32>(), 0usize..4), 0..200)) {
            let crowded = |number: u64| {
                let mut key = key(number);
                key.0[..8].fill(if number.is_multiple_of(3) { 0xFF } else { 0x10 });
                key
            };
            let (table, mut writer) = CardTable::new(40);
            let mut twin = HashMap::new();
            for (number, holder, status) in steps {
                let card = card(holder, status, 24_383);
                let put = writer.put(&crowded(number), &card);
                if twin.len() < 40 || twin.contains_key(&number) {
                    prop_assert_eq!(put, Ok(()));
                    twin.insert(number, card);
                } else {
                    prop_assert_eq!(put, Err(Full));
                }
            }
            prop_assert_eq!(writer.cards(), twin.len());
            for number in 0..60 {
                prop_assert_eq!(table.get(&crowded(number)), twin.get(&number).copied());
            }
        }
    }

    #[test]
    fn there_is_room_for_what_was_asked() {
        for cards in (0..3_000).chain([1_000_000]) {
            let (table, _) = CardTable::new(cards);
            assert!(table.room() >= cards && table.room() < table.slots.len(), "{cards}");
        }
    }

    #[test]
    fn a_key_whose_tag_is_that_of_an_empty_slot_is_found() {
        let (table, mut writer) = CardTable::new(4);
        let zero = PanKey([0; 32]);
        assert_eq!(table.get(&zero), None);
        writer.put(&zero, &card(7, 0, 1)).unwrap();
        assert_eq!(table.get(&zero), Some(card(7, 0, 1)));
    }

    #[test]
    fn cards_that_were_never_issued_are_unknown() {
        let (table, mut writer) = CardTable::new(100_000);
        for number in 0..100_000 {
            writer.put(&key(number), &card(number as u32, 0, 24_383)).unwrap();
        }
        for number in 0..100_000 {
            assert_eq!(table.get(&key(number)), Some(card(number as u32, 0, 24_383)));
            assert_eq!(table.get(&key(number + 1_000_000)), None);
        }
        assert_eq!(writer.put(&key(5_000_000), &card(0, 0, 0)), Err(Full));
    }

    /// Holder, status and month always change together, so a mixture would show.
    #[test]
    fn readers_never_see_half_a_change() {
        const CARDS: u64 = 2_000;
        let version = |number: u64, round: u32| card((number as u32) << 8 | round, round as usize, 24_000 + round);
        let (table, mut writer) = CardTable::new(CARDS as usize);
        /// Ends the readers, even when the writer panics.
        struct Ends<'a>(&'a AtomicBool);
        impl Drop for Ends<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Release);
            }
        }
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let _ends = Ends(&done);
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut seen = vec![0; CARDS as usize];
                    while !done.load(Ordering::Acquire) {
                        for number in 0..CARDS {
                            let Some(found) = table.get(&key(number)) else {
                                continue;
                            };
                            let round = found.holder_no.0 & 0xFF;
                            assert_eq!(found, version(number, round));
                            let last = &mut seen[number as usize];
                            assert!(round >= *last, "an older card after a newer one");
                            *last = round;
                            assert_eq!(table.get(&key(number + CARDS)), None);
                        }
                    }
                });
            }
            for round in 0..200 {
                (0..CARDS).for_each(|number| writer.put(&key(number), &version(number, round)).unwrap());
            }
        });
    }
}
