//! What the tests of decisions share: benefits in a few words, and a naive twin.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod naive;

use xingka_core::city::{
    Card, CardStatus, Category, Circle, Holder, HolderStatus, Merchant, MerchantKind, Scope, Star,
};
use xingka_core::facts::{Ask, AskKind, AskedCard};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, PanKey};
use xingka_core::rules::{Audience, Bearer, Benefit, BenefitKind, Limits};
use xingka_core::time::{Date, Moment};

/// The one provider of these tests.
pub const PROVIDER: MerchantId = MerchantId(*b"999520153990001");

pub fn date(text: &str) -> Date {
    let parts: Vec<u32> = text.split('-').map(|part| part.parse().unwrap()).collect();
    Date::from_civil(parts[0].cast_signed(), parts[1], parts[2]).unwrap_or_else(|| panic!("no such date: {text}"))
}

pub fn minutes(text: &str) -> u16 {
    let (hour, minute) = text.split_once(':').unwrap();
    hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
}

/// `2026-11-23 14:05`.
pub fn moment(day: &str, time: &str) -> Moment {
    let date = date(day);
    let second_of_day = u32::from(minutes(time)) * 60;
    let epoch_ms = i64::from(date.0) * 86_400_000 + i64::from(second_of_day) * 1000 - 8 * 3_600_000;
    Moment { epoch_ms, date, second_of_day }
}

/// Always valid, for everybody, without limits, worth nothing yet.
pub fn benefit(id: u32, kind: BenefitKind) -> Benefit {
    Benefit {
        id: BenefitId(id),
        provider: PROVIDER,
        title: format!("benefit {id}"),
        kind,
        service: None,
        audience: Audience::ALL,
        values: [0; 5],
        valid_from: date("2026-01-01"),
        valid_to: date("2026-12-31"),
        weekdays: None,
        hours: None,
        min_amount: None,
        max_off: None,
        limits: Limits::default(),
        group: None,
        stacks: false,
        legal_basis: "清诚信办〔2026〕1号".into(),
        bearer: Bearer::Merchant,
    }
}

pub fn holder(star: u8) -> Holder {
    Holder { category: Category::Resident, rated: Star::new(star).unwrap(), status: HolderStatus::Active }
}

pub fn card(holder_no: u32) -> Card {
    Card { holder_no: HolderNo(holder_no), status: CardStatus::Active, expires: date("2030-12-01").month() }
}

pub fn shop() -> Merchant {
    Merchant { id: PROVIDER, kind: MerchantKind::Merchant, circle: Circle::Member }
}

pub const FULL_SCOPE: Scope = Scope { discount: true, priority: true, star: true };

pub fn ask(kind: AskKind) -> Ask {
    let card = AskedCard::Number { key: PanKey([7; 32]), bin: 629_999, last4: 12, luhn_ok: true };
    Ask { kind, card, amount: None, currency: *b"156", service: None, preview: false, chosen: None }
}
