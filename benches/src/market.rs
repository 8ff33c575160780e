//! A provider with many benefits, and a purchase there.
//!
//! `Market::mixed` is what a large shop has: discounts and amounts off in groups, some stacking,
//! some with limits, some for other weekdays, hours, categories, services. In
//! `Market::all_apply` every one applies and stacks: the worst there is.

use xingka_core::city::{
    Card, CardStatus, Category, Circle, Holder, HolderStatus, Merchant, MerchantKind, Scope, Star,
};
use xingka_core::decide::decide;
use xingka_core::facts::{Ask, AskKind, AskedCard, Counts, Facts, Uses};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, PanKey, RuleBookVersion};
use xingka_core::money::Fen;
use xingka_core::rules::{Audience, Bearer, Benefit, BenefitKind, Limits, RuleBook};
use xingka_core::time::{Date, Moment};
use xingka_core::verdict::Verdict;

const PROVIDER: MerchantId = MerchantId(*b"999520153990001");

/// A rule book, and a purchase under it.
pub struct Market {
    rules: RuleBook,
    ask: Ask,
    facts: Facts,
    now: Moment,
}

impl Market {
    /// With so many benefits of every kind.
    pub fn mixed(benefits: u32) -> Self {
        Self::new((1..=benefits).map(mixed))
    }

    /// With so many benefits that all apply, one on top of the other.
    pub fn all_apply(benefits: u32) -> Self {
        let stacking = |id| Benefit { stacks: true, ..benefit(id, BenefitKind::AmountOff, 1) };
        Self::new((1..=benefits).map(stacking))
    }

    fn new(benefits: impl Iterator<Item = Benefit>) -> Self {
        let rules = RuleBook::new(RuleBookVersion(1), benefits);
        let (star, category) = (star(4), Category::Farmer);
        let now = now();
        let uses = rules.limited(PROVIDER, star, category).iter().map(|id| (*id, Uses::default()));
        let counts = Counts { uses: uses.collect(), ..Counts::default() };
        let card = AskedCard::Number { key: PanKey([7; 32]), bin: 629_999, last4: 12, luhn_ok: true };
        let amount = Some(Fen(12_345));
        let ask = Ask {
            kind: AskKind::Purchase,
            card,
            amount,
            currency: *b"156",
            service: None,
            preview: false,
            chosen: None,
        };
        let facts = Facts {
            merchant: Merchant { id: PROVIDER, kind: MerchantKind::Merchant, circle: Circle::Member },
            scope: Scope { discount: true, priority: true, star: true },
            card: Some(Card { holder_no: HolderNo(1), status: CardStatus::Active, expires: Date(30_000).month() }),
            holder: Some(Holder { category, rated: star, status: HolderStatus::Active }),
            reversed_before: false,
            counts,
        };
        Self { rules, ask, facts, now }
    }

    /// Decides the purchase.
    pub fn decide(&self) -> Verdict {
        decide(&self.ask, &self.facts, &self.rules, self.now)
    }
}

/// A Monday, 10:00 in UTC.
fn now() -> Moment {
    Moment { epoch_ms: 1_795_428_000_000, date: Date(20_780), second_of_day: 36_000 }
}

fn star(level: u8) -> Star {
    Star::new(level).unwrap_or_else(|| panic!("no star {level}"))
}

fn benefit(id: u32, kind: BenefitKind, value: u32) -> Benefit {
    Benefit {
        id: BenefitId(id),
        provider: PROVIDER,
        title: format!("benefit {id}"),
        kind,
        service: None,
        audience: Audience::ALL,
        values: [value; 5],
        valid_from: Date(20_000),
        valid_to: Date(30_000),
        weekdays: None,
        hours: None,
        min_amount: None,
        max_off: None,
        limits: Limits::default(),
        group: None,
        stacks: false,
        legal_basis: String::new(),
        bearer: Bearer::Merchant,
    }
}

/// The shapes take turns.
fn mixed(id: u32) -> Benefit {
    let discount = |value| benefit(id, BenefitKind::Discount, value);
    match id % 10 {
        0 => Benefit { stacks: true, group: Some("coupon".into()), ..benefit(id, BenefitKind::AmountOff, 200) },
        1 => Benefit { values: [0, 0, 0, 0, 2_000], ..discount(0) },
        2 => Benefit { weekdays: Some((6, 7)), ..discount(1_500) },
        3 => Benefit { hours: Some((1_020, 1_320)), ..discount(1_500) },
        4 => Benefit { min_amount: Some(Fen(50_000)), ..discount(3_000) },
        5 => Benefit { limits: Limits { per_day: Some(1), ..Limits::default() }, ..discount(100 + id % 700) },
        6 => Benefit { audience: "enterprise".parse().unwrap_or(Audience::ALL), ..discount(2_500) },
        7 => Benefit { valid_to: Date(20_100), ..discount(4_000) },
        8 => Benefit { max_off: Some(Fen(500)), ..discount(900) },
        _ => discount(100 + id % 900),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_taken_off_and_all_of_what_applies() {
        let verdict = Market::mixed(300).decide();
        assert!(verdict.entitlement.price.as_ref().is_some_and(|price| !price.applied.is_empty()));
        let verdict = Market::all_apply(300).decide();
        assert_eq!(verdict.entitlement.price.map(|price| price.applied.len()), Some(300));
    }
}
