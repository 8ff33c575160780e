//! Reversals, voids, refunds, and what a terminal decided offline.

use crate::expect::Want;
use crate::lab::{At, Case, Go, Lab, OFFLINE, PURCHASE, REFUND, VOID, packed};

pub(super) const CASES: &[Case] = &[
    Case {
        id: "reversal",
        title: "a reversal is answered 00, as often as it comes and whatever it then says",
        run: reversal,
    },
    Case {
        id: "reversal-first",
        title: "a reversal before its original is answered 00, and the original then 25",
        run: reversal_first,
    },
    Case { id: "reversal-undoes", title: "what is reversed can't be voided or refunded", run: reversal_undoes },
    Case { id: "void", title: "a void of this batch and day, once, for what was charged", run: void },
    Case {
        id: "void-refused",
        title: "a void of nothing, of another card, or for another amount: 25, 25, 13",
        run: void_refused,
    },
    Case { id: "void-reversed", title: "a void can be reversed: its purchase stands again", run: void_reversed },
    Case { id: "refund", title: "refunds up to what remains, at any terminal of the shop", run: refund },
    Case { id: "offline", title: "a purchase that the terminal decided is judged on arrival", run: offline },
];

fn reversal(lab: &mut Lab<'_>) -> Go {
    let (message, _) = lab.bought(At::Shop)?;
    let reversal = Lab::reversal(&message);
    lab.ask(At::Shop, "its reversal", &reversal, &Want::code("00"))?;
    lab.ask(At::Shop, "the same again", &reversal, &Want::code("00"))?;
    lab.ask(At::Shop, "with another reason", &reversal.with(39, "96"), &Want::code("00"))?;
    Ok(())
}

fn reversal_first(lab: &mut Lab<'_>) -> Go {
    let message = lab.purchase(At::Shop, 1_000)?;
    lab.ask(At::Shop, "a reversal of what never came", &Lab::reversal(&message), &Want::code("00"))?;
    lab.ask(At::Shop, "the original, late", &message, &Want::code("25").told())?;
    Ok(())
}

fn reversal_undoes(lab: &mut Lab<'_>) -> Go {
    let (message, seen) = lab.bought(At::Shop)?;
    lab.ask(At::Shop, "its reversal", &Lab::reversal(&message), &Want::code("00"))?;
    let payable = lab.bench.price.payable_fen;
    for (what, kind) in [("a void of it", VOID), ("a refund of it", REFUND)] {
        let follow_up = lab.follow_up(At::Shop, kind, (&message, &seen), payable)?;
        lab.ask(At::Shop, what, &follow_up, &Want::code("25"))?;
    }
    Ok(())
}

fn void(lab: &mut Lab<'_>) -> Go {
    let (message, seen) = lab.bought(At::Shop)?;
    let payable = lab.bench.price.payable_fen;
    let void = lab.follow_up(At::Shop, VOID, (&message, &seen), payable)?;
    lab.ask(At::Shop, "its void", &void, &Want::code("00"))?;
    let again = lab.follow_up(At::Shop, VOID, (&message, &seen), payable)?;
    lab.ask(At::Shop, "another void of it", &again, &Want::code("25"))?;
    let refund = lab.follow_up(At::Shop, REFUND, (&message, &seen), 1)?;
    lab.ask(At::Shop, "a refund of it", &refund, &Want::code("25"))?;
    Ok(())
}

fn void_refused(lab: &mut Lab<'_>) -> Go {
    let (message, seen) = lab.bought(At::Shop)?;
    let price = lab.bench.price;
    let void = lab.follow_up(At::Shop, VOID, (&message, &seen), price.payable_fen)?;
    let batch = message.text(60);
    let elsewhere = format!("{}999999{}", batch.get(2..8).unwrap_or_default(), seen.text(13));
    lab.ask(At::Shop, "a void of nothing", &void.with(61, elsewhere), &Want::code("25"))?;
    let other = lab.bench.cards.other.clone();
    let void = lab.follow_up(At::Shop, VOID, (&message, &seen), price.payable_fen)?.with(2, other);
    lab.ask(At::Shop, "a void with another card", &void, &Want::code("25"))?;
    let void = lab.follow_up(At::Shop, VOID, (&message, &seen), price.amount_fen)?;
    lab.ask(At::Shop, "a void for the amount before the discount", &void, &Want::code("13"))?;
    let void = lab.follow_up(At::ShopTwo, VOID, (&message, &seen), price.payable_fen)?;
    lab.ask(At::ShopTwo, "a void at another terminal", &void, &Want::code("25"))?;
    Ok(())
}

fn void_reversed(lab: &mut Lab<'_>) -> Go {
    let (message, seen) = lab.bought(At::Shop)?;
    let payable = lab.bench.price.payable_fen;
    let void = lab.follow_up(At::Shop, VOID, (&message, &seen), payable)?;
    lab.ask(At::Shop, "its void", &void, &Want::code("00"))?;
    lab.ask(At::Shop, "the void's reversal", &Lab::reversal(&void), &Want::code("00"))?;
    let again = lab.follow_up(At::Shop, VOID, (&message, &seen), payable)?;
    lab.ask(At::Shop, "a void again", &again, &Want::code("00"))?;
    Ok(())
}

fn refund(lab: &mut Lab<'_>) -> Go {
    let (message, seen) = lab.bought(At::Shop)?;
    let payable = lab.bench.price.payable_fen;
    let part = payable / 2;
    let steps = [
        (At::Shop, "a refund of more than was charged", payable + 1, "13"),
        (At::ShopTwo, "a refund of a part, at another terminal", part, "00"),
        (At::Shop, "more than remains", payable - part + 1, "13"),
        (At::Shop, "the rest", payable - part, "00"),
        (At::ShopTwo, "one fen more", 1, "13"),
    ];
    for (at, what, fen, code) in steps {
        let refund = lab.follow_up(at, REFUND, (&message, &seen), fen)?;
        lab.ask(at, what, &refund, &Want::code(code))?;
    }
    Ok(())
}

fn offline(lab: &mut Lab<'_>) -> Go {
    let price = lab.bench.price;
    let pan = lab.bench.cards.good.clone();
    let today = lab.bought(At::Shop)?.1;
    let given = |message: crate::message::Message, payable: u64| {
        let off = price.amount_fen - payable;
        let message = message.with_tag(0xDF14, &packed(price.amount_fen)).with_tag(0xDF15, &packed(payable));
        message.with_tag(0xDF16, &packed(off))
    };
    let want = || Want::code("00").told().field(4, format!("{:012}", price.payable_fen));
    for (what, payable) in [("as the switch would", price.payable_fen), ("at the full price", price.amount_fen)] {
        let message = lab.presented(At::Shop, OFFLINE, &pan, Some(price.amount_fen))?;
        let message = given(message, payable).with(12, today.text(12)).with(13, today.text(13));
        let what = format!("an upload of a purchase decided {what}");
        lab.ask(At::Shop, &what, &message, &want().tag(0xDF15, packed(price.payable_fen)))?;
    }
    let message = lab.presented(At::Shop, PURCHASE, &pan, Some(price.amount_fen))?.with(60, "9900000100060");
    lab.ask(At::Shop, "its kind misspelt", &message, &Want::code("40"))?;
    Ok(())
}
