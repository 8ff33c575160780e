//! Cards at the terminals, and what the switch must say of each.
//!
//! A cards.csv says more than numbers: which cards are lost, stolen, frozen or expired. So
//! every answer's code can be checked, not only that there was one.
//!
//! Popularity follows Zipf's law (the second most popular card comes half as often as the
//! first): a table of cumulative weights and a binary search in it. Refused: a crate with
//! the rejection-inversion sampler. It saves 8 bytes a card, which nobody misses here.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use xingka_core::city::CardStatus;
use xingka_core::pan::luhn_ok;
use xingka_wire::code::ResponseCode;
use xingka_wire::pan::Pan;

/// A card, and the code that it gets where nothing else is wrong.
#[derive(Debug, Clone)]
pub struct Card {
    /// Its number.
    pub pan: Pan,
    /// `00` where it is good.
    pub code: ResponseCode,
}

/// The cards of a run.
#[derive(Debug)]
pub struct Cards {
    known: Vec<Card>,
    unknown: Vec<Card>,
    /// Up to each known card, the sum of 1 / rank.
    cumulative: Vec<f64>,
}

/// Numbers that no city of this size has given out.
const UNKNOWN_CARDS: usize = 1_000;

/// Of cards in the mix `lookup`.
const UNKNOWN_PERCENT: u8 = 2;

impl Cards {
    /// Of a city.
    pub fn new(known: Vec<Card>) -> Self {
        let mut sum = 0.0;
        let up_to = |rank: usize| {
            sum += 1.0 / rank as f64;
            sum
        };
        let cumulative = (1..=known.len()).map(up_to).collect();
        let unknown = unknown(&known);
        Self { known, unknown, cumulative }
    }

    /// Reads a cards.csv. Without the columns `status` and `expires` all cards are good.
    /// `this_month` is YYYY-MM.
    pub fn read(file: &Path, this_month: &str) -> Result<Self> {
        let reading = || format!("reading {}", file.display());
        let mut reader = csv::Reader::from_path(file).with_context(reading)?;
        let headers = reader.headers().with_context(reading)?;
        let column = |name| headers.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
        let pan = column("pan").with_context(|| format!("{} has no column `pan`", file.display()))?;
        let (status, expires) = (column("status"), column("expires"));
        let mut cards = Vec::new();
        for (row, line) in reader.records().zip(2..) {
            let row = row.with_context(|| format!("{}, line {line}", file.display()))?;
            let of = |column: Option<usize>| column.and_then(|column| row.get(column));
            let pan = row.get(pan).and_then(|pan| Pan::from_ascii(pan.as_bytes()));
            let pan = pan.with_context(|| format!("{}, line {line}: `pan` is no card number", file.display()))?;
            let code = code(of(status), of(expires), this_month);
            let code = code.with_context(|| format!("{}, line {line}: `status` is none", file.display()))?;
            cards.push(Card { pan, code });
        }
        ensure!(!cards.is_empty(), "{} has no cards", file.display());
        Ok(Self::new(cards))
    }

    /// Any known card, each as often; one that nobody has where none is known.
    pub fn any(&self, random: &mut fastrand::Rng) -> &Card {
        self.known.get(random.usize(..self.known.len().max(1))).unwrap_or_else(|| self.unknown(random))
    }

    /// As the mix `lookup` has them: the first ones often, some unknown.
    pub fn popular(&self, random: &mut fastrand::Rng) -> &Card {
        if random.u8(..100) < UNKNOWN_PERCENT {
            return self.unknown(random);
        }
        let weight = random.f64() * self.cumulative.last().copied().unwrap_or_default();
        let place = self.cumulative.partition_point(|sum| *sum < weight);
        self.known.get(place).unwrap_or_else(|| self.any(random))
    }

    fn unknown(&self, random: &mut fastrand::Rng) -> &Card {
        &self.unknown[random.usize(..self.unknown.len())]
    }
}

fn code(status: Option<&str>, expires: Option<&str>, this_month: &str) -> Option<ResponseCode> {
    let status = match status.map(str::trim) {
        None | Some("") => CardStatus::Active,
        Some(word) => word.parse().ok()?,
    };
    Some(match status {
        CardStatus::Lost => ResponseCode::LOST,
        CardStatus::Stolen => ResponseCode::STOLEN,
        CardStatus::Frozen => ResponseCode::FROZEN,
        CardStatus::Active if expires.is_some_and(|expires| expires.trim() < this_month) => ResponseCode::EXPIRED,
        CardStatus::Active => ResponseCode::APPROVED,
    })
}

/// Well-formed numbers that are not in the list, from the end of the made-up BIN's range.
fn unknown(known: &[Card]) -> Vec<Card> {
    let known: HashSet<&[u8]> = known.iter().map(|card| card.pan.as_ascii()).collect();
    let numbers = (0..1_000_000_000_000_u64)
        .rev()
        .flat_map(|serial| (0..10).map(move |check| format!("629999{serial:012}{check}")));
    let pans = numbers.filter(|pan| luhn_ok(pan.as_bytes()) && !known.contains(pan.as_bytes()));
    let pans = pans.filter_map(|pan| Pan::from_ascii(pan.as_bytes())).take(UNKNOWN_CARDS);
    pans.map(|pan| Card { pan, code: ResponseCode::UNKNOWN_CARD }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(count: u64) -> Cards {
        let pan = |number: u64| Pan::from_ascii(format!("629999{number:013}").as_bytes()).unwrap();
        Cards::new((0..count).map(|number| Card { pan: pan(number), code: ResponseCode::APPROVED }).collect())
    }

    #[test]
    fn the_first_card_comes_twice_as_often_as_the_second() {
        let cards = cards(1_000);
        let mut random = fastrand::Rng::with_seed(3);
        let (mut first, mut second, mut unknown) = (0_u32, 0_u32, 0_u32);
        for _ in 0..200_000 {
            let card = cards.popular(&mut random);
            first += u32::from(card.pan == cards.known[0].pan);
            second += u32::from(card.pan == cards.known[1].pan);
            unknown += u32::from(card.code == ResponseCode::UNKNOWN_CARD);
        }
        let ratio = f64::from(first) / f64::from(second);
        assert!((1.9..2.1).contains(&ratio), "{first} and {second}");
        assert!((3_600..4_400).contains(&unknown), "{unknown}");
    }

    #[test]
    fn without_a_known_card_all_are_unknown() {
        let (cards, mut random) = (cards(0), fastrand::Rng::with_seed(3));
        assert_eq!(cards.any(&mut random).code, ResponseCode::UNKNOWN_CARD);
        assert_eq!(cards.popular(&mut random).code, ResponseCode::UNKNOWN_CARD);
        assert!(cards.unknown.iter().all(|card| luhn_ok(card.pan.as_ascii())));
    }

    #[test]
    fn what_a_card_gets_is_in_its_row() {
        let code = |status, expires| code(Some(status), Some(expires), "2026-11").map(|code| code.to_string());
        assert_eq!(code("active", "2026-11").as_deref(), Some("00"));
        assert_eq!(code("active", "2026-10").as_deref(), Some("54"));
        assert_eq!(code("lost", "2026-10").as_deref(), Some("41"));
        assert_eq!(code("gone", "2026-11"), None);
    }
}
