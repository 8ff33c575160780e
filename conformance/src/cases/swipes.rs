//! Inquiries, purchases and counter services that are approved.

use crate::expect::Want;
use crate::lab::{At, COUNTER, Case, Go, INQUIRY, Lab, PURCHASE, approved_purchase, packed};

pub(super) const CASES: &[Case] = &[
    Case { id: "inquiry", title: "an inquiry tells star, priority and the highest discount", run: inquiry },
    Case {
        id: "inquiry-amount",
        title: "an inquiry with an amount answers as a preview, F4 unchanged",
        run: inquiry_with_amount,
    },
    Case { id: "purchase", title: "a purchase answers with what is to be charged, and why", run: purchase },
    Case { id: "purchase-track2", title: "track 2 stands in for the card number, and never comes back", run: track_2 },
    Case { id: "preview", title: "a preview decides and uses nothing up", run: preview },
    Case { id: "counter-vip", title: "at a hall a VIP priority is answered 11", run: counter_vip },
    Case { id: "counter-bank", title: "at a bank a counter service is answered 00", run: counter_bank },
];

fn good(lab: &Lab<'_>) -> String {
    lab.bench.cards.good.clone()
}

fn inquiry(lab: &mut Lab<'_>) -> Go {
    let message = lab.presented(At::Shop, INQUIRY, &good(lab), None)?;
    let off = lab.bench.price.amount_fen - lab.bench.price.payable_fen;
    let rate = (off * 10_000 / lab.bench.price.amount_fen) as u16;
    let want = Want::code("00").told().tag(0xDF11, [5]).tag(0xDF13, rate.to_be_bytes());
    let want = want.without_tag(0xDF14).without_tag(0xDF15).without_tag(0xDF16).without_tag(0xDF18);
    lab.ask(At::Shop, "an inquiry", &message, &want)?;
    Ok(())
}

fn inquiry_with_amount(lab: &mut Lab<'_>) -> Go {
    let price = lab.bench.price;
    let message = lab.presented(At::Shop, INQUIRY, &good(lab), Some(price.amount_fen))?;
    let want = Want::code("00").told().tag(0xDF14, packed(price.amount_fen)).tag(0xDF15, packed(price.payable_fen));
    lab.ask(At::Shop, "an inquiry", &message, &want)?;
    Ok(())
}

fn purchase(lab: &mut Lab<'_>) -> Go {
    lab.bought(At::Shop)?;
    // A part of a fen is rounded.
    let price = lab.bench.price;
    let fen = price.amount_fen + 1;
    let message = lab.purchase(At::Shop, fen)?;
    lab.ask(At::Shop, "a purchase of one fen more", &message, &Want::code("00").told().has(4))?;
    Ok(())
}

fn track_2(lab: &mut Lab<'_>) -> Go {
    let price = lab.bench.price;
    let pan = good(lab);
    let message = lab.presented(At::Shop, PURCHASE, &pan, Some(price.amount_fen))?;
    // A number of 19 digits leaves room for expiry, service code and a little more.
    let track: String = format!("{pan}=9912201000000000").chars().take(37).collect();
    let message = message.without(2).with(35, track).with(22, "021");
    lab.ask(At::Shop, "a purchase by stripe", &message, &approved_purchase(price.amount_fen, price.payable_fen))?;
    Ok(())
}

fn preview(lab: &mut Lab<'_>) -> Go {
    let price = lab.bench.price;
    let message = lab.purchase(At::Shop, price.amount_fen)?.with_tag(0xDF03, &[1]);
    let want = Want::code("00").told().has(4).tag(0xDF15, packed(price.payable_fen));
    lab.ask(At::Shop, "a preview", &message, &want)?;
    Ok(())
}

fn counter_vip(lab: &mut Lab<'_>) -> Go {
    let message = lab.presented(At::Hall, COUNTER, &good(lab), None)?;
    lab.ask(At::Hall, "a counter service", &message, &Want::code("11").told().tag(0xDF17, [2]).tag(0xDF1C, [0]))?;
    let message = lab.presented(At::Hall, INQUIRY, &good(lab), None)?;
    lab.ask(At::Hall, "an inquiry, which never gets 11", &message, &Want::code("00").told().tag(0xDF17, [2]))?;
    Ok(())
}

fn counter_bank(lab: &mut Lab<'_>) -> Go {
    let message = lab.presented(At::Bank, COUNTER, &good(lab), None)?;
    lab.ask(At::Bank, "a counter service", &message, &Want::code("00").told().tag(0xDF17, [0]).tag(0xDF1C, [0]))?;
    Ok(())
}
