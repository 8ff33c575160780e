//! What must be refused, each with its own code, and in wire.md's order.

use crate::bench::wrong_check_digit;
use crate::expect::Want;
use crate::lab::{At, COUNTER, Case, Go, Lab, PURCHASE};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "cards",
        title: "unknown, mistyped, lost, stolen, frozen and expired cards: 14, 14, 41, 43, 62, 54",
        run: cards,
    },
    Case { id: "currency", title: "another currency than yuan: 12", run: currency },
    Case { id: "amounts", title: "an amount that is nothing or missing: 13", run: amounts },
    Case { id: "chosen-benefit", title: "a chosen benefit that doesn't apply: 12", run: chosen },
    Case { id: "places", title: "purchases only at shops, counter services only at halls and banks: 58", run: places },
    Case { id: "other-merchant", title: "a terminal in another merchant's name: 58", run: other_merchant },
    Case { id: "batch", title: "another batch than the open one: 77", run: batch },
    Case { id: "wrong-mac", title: "a wrong MAC: A0, sealed, and nothing is done", run: wrong_mac },
    Case { id: "order", title: "where several things are wrong, the first in wire.md's order is answered", run: order },
];

fn cards(lab: &mut Lab<'_>) -> Go {
    let cards = lab.bench.cards.clone();
    let cases = [
        ("an unknown card", cards.unknown, "14"),
        ("a wrong check digit", wrong_check_digit(&cards.good), "14"),
        ("a lost card", cards.lost, "41"),
        ("a stolen card", cards.stolen, "43"),
        ("a frozen card", cards.frozen, "62"),
        ("an expired card", cards.expired, "54"),
    ];
    for (what, pan, code) in cases {
        let message = lab.presented(At::Shop, PURCHASE, &pan, Some(1_000))?;
        lab.ask(At::Shop, what, &message, &Want::code(code).told())?;
    }
    Ok(())
}

fn currency(lab: &mut Lab<'_>) -> Go {
    let message = lab.purchase(At::Shop, 1_000)?.with(49, "840");
    lab.ask(At::Shop, "dollars", &message, &Want::code("12").told())?;
    Ok(())
}

fn amounts(lab: &mut Lab<'_>) -> Go {
    let message = lab.purchase(At::Shop, 0)?;
    lab.ask(At::Shop, "nothing", &message, &Want::code("13").told())?;
    let message = lab.purchase(At::Shop, 1)?.without(4);
    lab.ask(At::Shop, "no amount", &message, &Want::code("13").told())?;
    Ok(())
}

fn chosen(lab: &mut Lab<'_>) -> Go {
    let other = lab.bench.price.other_benefit.to_be_bytes();
    let message = lab.purchase(At::Shop, 1_000)?.with_tag(0xDF04, &other);
    lab.ask(At::Shop, "another place's benefit", &message, &Want::code("12").told())?;
    Ok(())
}

fn places(lab: &mut Lab<'_>) -> Go {
    let pan = lab.bench.cards.good.clone();
    for at in [At::Hall, At::Bank] {
        let message = lab.presented(at, PURCHASE, &pan, Some(1_000))?;
        lab.ask(at, "a purchase", &message, &Want::code("58"))?;
    }
    let message = lab.presented(At::Shop, COUNTER, &pan, None)?;
    lab.ask(At::Shop, "a counter service", &message, &Want::code("58"))?;
    Ok(())
}

fn other_merchant(lab: &mut Lab<'_>) -> Go {
    let hall = lab.bench.hall.merchant.clone();
    let message = lab.purchase(At::Shop, 1_000)?.with(42, hall);
    lab.ask(At::Shop, "a purchase", &message, &Want::code("58"))?;
    Ok(())
}

fn batch(lab: &mut Lab<'_>) -> Go {
    let open = lab.station(At::Shop)?.batch;
    let message = lab.purchase(At::Shop, 1_000)?;
    let message = message.with(60, format!("22{:06}00060", open % 999_999 + 1));
    lab.ask(At::Shop, "a purchase in the batch after", &message, &Want::code("77"))?;
    Ok(())
}

fn wrong_mac(lab: &mut Lab<'_>) -> Go {
    let message = lab.purchase(At::Shop, 1_000)?;
    let mut station = lab.take(At::Shop)?;
    let mut frame = message.frame(station.dialect(), station.key()).unwrap_or_default();
    if let Some(last) = frame.last_mut() {
        *last ^= 1;
    }
    lab.exchange(&mut station, "a MAC with one bit changed", &message, Some(frame), &Want::code("A0"))?;
    lab.ask_with(&mut station, "the same with its right MAC: not a repeat", &message, &Want::code("00").told().has(4))?;
    lab.put_back(At::Shop, station);
    Ok(())
}

fn order(lab: &mut Lab<'_>) -> Go {
    let lost = lab.bench.cards.lost.clone();
    let message = lab.presented(At::Shop, PURCHASE, &lost, Some(0))?.with(49, "840");
    lab.ask(At::Shop, "dollars, nothing, lost", &message, &Want::code("12").told())?;
    let message = lab.presented(At::Shop, PURCHASE, &lost, Some(0))?;
    lab.ask(At::Shop, "nothing, lost", &message, &Want::code("13").told())?;
    let message = lab.presented(At::Shop, PURCHASE, &wrong_check_digit(&lost), Some(1_000))?;
    lab.ask(At::Shop, "mistyped, lost", &message, &Want::code("14").told())?;
    let message = lab.purchase(At::Shop, 0)?.with(60, "2299999900060");
    lab.ask(At::Shop, "another batch, nothing", &message, &Want::code("77"))?;
    Ok(())
}
