//! Decisions against the naive twin, on random cities.

mod support;

use proptest::prelude::*;
use support::{PROVIDER, benefit, date, naive};
use xingka_core::answer::code_of;
use xingka_core::city::{CardStatus, Category, Circle, Holder, HolderStatus, Merchant, MerchantKind, Scope, Star};
use xingka_core::decide::decide;
use xingka_core::facts::{Ask, AskKind, AskedCard, Counts, Facts, Uses};
use xingka_core::ids::{BenefitId, MerchantId, PanKey, RuleBookVersion};
use xingka_core::money::Fen;
use xingka_core::rules::{Audience, Benefit, BenefitKind, Limits, RuleBook, ServiceCode};
use xingka_core::time::Moment;

fn maybe<T: Clone + std::fmt::Debug + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    prop_oneof![2 => Just(None), 1 => strategy.prop_map(Some)].boxed()
}

fn service() -> BoxedStrategy<Option<ServiceCode>> {
    maybe(prop::sample::select(vec!["S1", "S2"]).prop_map(|code| ServiceCode::new(code.as_bytes()).unwrap()))
}

fn kinds(reducing: bool) -> BoxedStrategy<BenefitKind> {
    use BenefitKind::{AmountOff, Discount, Faster, FeeWaiver, Priority};
    let kinds =
        if reducing { vec![Discount, AmountOff] } else { vec![Discount, AmountOff, Priority, FeeWaiver, Faster] };
    prop::sample::select(kinds).boxed()
}

fn benefits() -> impl Strategy<Value = Vec<Benefit>> {
    let conditions = (
        service(),
        prop::sample::select(vec!["", "farmer", "farmer+resident", "staff+enterprise"]),
        maybe((1_u8..=7).prop_flat_map(|first| (Just(first), first..=7))),
        maybe(prop::sample::select(vec![(0, 720), (540, 1020), (720, 1440), (844, 846)])),
        prop::sample::select(vec!["2026-01-01", "2026-11-23", "2026-11-24"]),
        prop::sample::select(vec!["2026-11-22", "2026-11-23", "2026-12-31"]),
    );
    let money = (
        maybe(prop::sample::select(vec![100, 5_000, 5_001]).prop_map(Fen)),
        maybe((1_u64..2_000).prop_map(Fen)),
        maybe((0_u64..3_000).prop_map(Fen)),
    );
    let counts = (maybe(0_u32..3), maybe(0_u32..4), maybe(0_u32..5));
    let together = (maybe(prop::sample::select(vec!["g", "h"])), any::<bool>());
    let values = (kinds(false), prop::array::uniform5(prop_oneof![Just(0_u32), 1_u32..3, 1_u32..12_000]));
    let one =
        (values, conditions, money, counts, together).prop_map(|(values, conditions, money, counts, together)| {
            let mut made = benefit(0, values.0);
            let most = made.kind.largest_value();
            made.values = values.1.map(|value| value.min(most));
            made.service = conditions.0;
            made.audience = conditions.1.parse::<Audience>().unwrap();
            (made.weekdays, made.hours) = (conditions.2, conditions.3);
            (made.valid_from, made.valid_to) = (date(conditions.4), date(conditions.5));
            (made.min_amount, made.max_off) = (money.0, money.1);
            made.limits = Limits { per_day: counts.0, per_month: counts.1, per_holder: counts.2, budget: money.2 };
            (made.group, made.stacks) = (together.0.map(str::to_owned), together.1);
            made
        });
    prop::collection::vec(one, 0..12).prop_map(|mut benefits| {
        for (made, id) in benefits.iter_mut().zip(1..) {
            made.id = BenefitId(id);
        }
        // Another provider's benefit must never show.
        if let Some(last) = benefits.last_mut().filter(|last| last.id.0 > 5) {
            last.provider = MerchantId(*b"999520153990002");
        }
        benefits
    })
}

fn ask() -> impl Strategy<Value = Ask> {
    let kind =
        prop::sample::select(vec![AskKind::Purchase, AskKind::Purchase, AskKind::StarInquiry, AskKind::CounterService]);
    let amount = prop_oneof![
        6 => prop::sample::select(vec![1, 2, 15, 99, 999, 4_999, 5_000, 12_345, 999_999_999_999]).prop_map(|fen| Some(Fen(fen))),
        4 => (1_u64..20_000).prop_map(|fen| Some(Fen(fen))),
        1 => Just(None),
        1 => Just(Some(Fen::ZERO)),
    ];
    let chosen = prop_oneof![4 => Just(None), 1 => (1_u32..14).prop_map(|id| Some(BenefitId(id)))];
    let currency = prop_oneof![19 => Just(*b"156"), 1 => Just(*b"840")];
    (kind, amount, currency, service(), any::<bool>(), chosen, prop::bool::weighted(0.95)).prop_map(
        |(kind, amount, currency, service, preview, chosen, luhn_ok)| {
            let card = AskedCard::Number { key: PanKey([7; 32]), bin: 629_999, last4: 12, luhn_ok };
            Ask { kind, card, amount, currency, service, preview, chosen }
        },
    )
}

fn facts() -> impl Strategy<Value = Facts> {
    let place = (
        prop::sample::select(vec![
            MerchantKind::Merchant,
            MerchantKind::Merchant,
            MerchantKind::Hall,
            MerchantKind::Bank,
        ]),
        prop::sample::select(vec![Circle::Member, Circle::Member, Circle::Member, Circle::Rectifying, Circle::None]),
    );
    let scope = (prop::bool::weighted(0.8), any::<bool>(), any::<bool>());
    let status = prop_oneof![
        9 => Just(CardStatus::Active),
        1 => prop::sample::select(vec![CardStatus::Lost, CardStatus::Stolen, CardStatus::Frozen]),
    ];
    let holder = (
        prop::sample::select(Category::ALL.to_vec()),
        0_u8..=5,
        prop_oneof![9 => Just(HolderStatus::Active), 1 => Just(HolderStatus::Suspended)],
    );
    let expires = prop_oneof![9 => Just("2026-11-01"), 1 => Just("2026-10-01")];
    let uses = prop::collection::vec((0_u32..3, 0_u32..3, 0_u32..3, 0_u64..3_000), 12);
    let known = prop::bool::weighted(0.95);
    (place, scope, (status, expires), holder, uses, known, prop::bool::weighted(0.03)).prop_map(
        |(place, scope, card, holder, uses, known, reversed_before)| Facts {
            merchant: Merchant { id: PROVIDER, kind: place.0, circle: place.1 },
            scope: Scope { discount: scope.0, priority: scope.1, star: scope.2 },
            card: known.then(|| xingka_core::city::Card {
                status: card.0,
                expires: date(card.1).month(),
                ..support::card(1)
            }),
            holder: known.then(|| Holder { category: holder.0, rated: Star::new(holder.1).unwrap(), status: holder.2 }),
            reversed_before,
            counts: Counts {
                uses: (1..)
                    .map(BenefitId)
                    .zip(uses.iter().map(|u| Uses { today: u.0, this_month: u.0 + u.1, ever: u.0 + u.1 + u.2 }))
                    .collect(),
                spent: (1..).map(BenefitId).zip(uses.iter().map(|u| Fen(u.3))).collect(),
            },
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn decides_as_its_naive_twin(benefits in benefits(), ask in ask(), facts in facts(), day in 22_i32..25, minute in prop::sample::select(vec![0_u32, 540, 719, 720, 844, 845, 846, 1_439])) {
        let now = Moment { epoch_ms: 0, date: xingka_core::time::Date(date("2026-11-01").0 + day - 1), second_of_day: minute * 60 + 59 };
        let expected = naive::answer(&ask, &facts, &benefits, now);
        let rules = RuleBook::new(RuleBookVersion(1), benefits);
        let verdict = decide(&ask, &facts, &rules, now);
        let entitlement = &verdict.entitlement;
        let mut counted: Vec<u32> = verdict.uses.iter().map(|used| used.benefit.0).collect();
        counted.sort_unstable();
        let seen = naive::Answer {
            code: std::str::from_utf8(code_of(verdict.outcome).as_bytes()).unwrap().to_owned().leak(),
            star: entitlement.star.level(),
            applied: entitlement.price.as_ref().map(|price| price.applied.iter().map(|applied| (applied.benefit.0, applied.off.0)).collect()),
            highest_discount: entitlement.highest_discount.map(|rate| rate.0),
            priority: entitlement.priority_level(),
            days: entitlement.days(),
            waivers: entitlement.waivers.iter().map(|id| id.0).collect(),
            counted,
        };
        prop_assert_eq!(seen, expected);
    }
}
