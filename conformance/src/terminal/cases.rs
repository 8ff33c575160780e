//! What a terminal is put through.

use xingka_wire::mti::Command;

use super::{Action, Case, Desk, Go, Spoil};
use crate::message::Seen;

pub(super) const CASES: &[Case] = &[
    Case { id: "terminal-sign-in", title: "it signs in and takes keys and batch", run: sign_in },
    Case {
        id: "terminal-purchase",
        title: "its purchases are well-formed, sealed, in the open batch, numbered on",
        run: purchases,
    },
    Case {
        id: "terminal-declined",
        title: "a refusal ends a purchase: neither a repeat nor a reversal follows",
        run: declined,
    },
    Case {
        id: "terminal-no-answer",
        title: "no answer: it repeats the same bytes or reverses with reason 98, until it is answered",
        run: no_answer,
    },
    Case {
        id: "terminal-wrong-mac",
        title: "an answer with a wrong MAC isn't taken: it reverses with reason A0",
        run: wrong_mac,
    },
    Case { id: "terminal-foreign-answer", title: "an answer to another request isn't taken", run: foreign_answer },
    Case {
        id: "terminal-told-to-sign-in",
        title: "it signs in when a header tells it to, or after 77",
        run: told_to_sign_in,
    },
    Case { id: "terminal-void", title: "a void names its purchase and what was charged", run: void },
    Case {
        id: "terminal-settlement",
        title: "its totals are those of the answers, and it goes on in the next batch",
        run: settlement,
    },
    Case { id: "terminal-upload", title: "out of balance it uploads the batch and its end", run: upload },
];

const FEN: u64 = 10_000;

/// A purchase that is approved, counted, and its answer taken.
fn buy(desk: &mut Desk<'_>) -> Go<Seen> {
    desk.ask(&Action::Buy { fen: FEN });
    let request = desk.fresh("a purchase")?;
    desk.expect(&request, 200, "a purchase is a 0200")?;
    approve(desk, &request, Command::None)?;
    Ok(request)
}

fn approve(desk: &mut Desk<'_>, request: &Seen, command: Command) -> Go {
    let payable = desk.payable(request);
    desk.charged.push(payable);
    desk.answer(request, "00", &[(4, format!("{payable:012}").into_bytes())], command, Spoil::No)
}

fn sign_in(desk: &mut Desk<'_>) -> Go {
    desk.ask(&Action::SignIn);
    let request = desk.next("a sign-in")?;
    desk.expect(&request, 800, "a terminal signs in before anything else")?;
    desk.last_stan = request.number(11).map(|stan| stan as u32);
    desk.give_keys(&request)
}

fn purchases(desk: &mut Desk<'_>) -> Go {
    for _ in 0..3 {
        let request = buy(desk)?;
        let amount = request.number(4);
        if amount != Some(FEN) {
            let why = "field 4 is the price before any discount, in fen";
            return Err(desk.note("F4", &FEN.to_string(), &request.text(4), Some(why)));
        }
    }
    Ok(())
}

fn declined(desk: &mut Desk<'_>) -> Go {
    desk.ask(&Action::Buy { fen: FEN });
    let request = desk.fresh("a purchase")?;
    desk.answer(&request, "41", &[], Command::None, Spoil::No)?;
    // What comes next must be the next purchase.
    desk.ask(&Action::Buy { fen: FEN });
    let next = desk.fresh("the next purchase")?;
    desk.expect(&next, 200, "a refusal is an answer: nothing is to be reversed")?;
    approve(desk, &next, Command::None)
}

/// Waits for the reversal of a request, with one of these reasons. Repeats of the request come first
/// where a terminal repeats; they get no answer either.
fn reversal_of(desk: &mut Desk<'_>, original: &Seen, reasons: &[&str]) -> Go<Seen> {
    let mut request = desk.next("a reversal")?;
    while request.mti == original.mti && request.text(11) == original.text(11) {
        if request.mab != original.mab {
            let why = "a repeat has the same content; other content under the same number is answered 94";
            return Err(desk.note(
                "MAB",
                &hex::encode_upper(&original.mab),
                &hex::encode_upper(&request.mab),
                Some(why),
            ));
        }
        request = desk.next("a reversal, after a repeat")?;
    }
    desk.expect(&request, 400, "what got no good answer is reversed before anything else is asked")?;
    for field in [2, 3, 4, 11, 22, 25, 41, 42, 49, 60] {
        if request.fields.get(&field) != original.fields.get(&field) {
            let why = "a reversal carries its original's fields: the switch finds the original by them";
            let place = format!("F{field}");
            return Err(desk.note(&place, &original.text(field), &request.text(field), Some(why)));
        }
    }
    if !reasons.contains(&request.text(39).as_str()) {
        let why = "98 no answer, A0 bad MAC, 96 other";
        return Err(desk.note("F39", &reasons.join(" or "), &request.text(39), Some(why)));
    }
    Ok(request)
}

fn no_answer(desk: &mut Desk<'_>) -> Go {
    desk.ask(&Action::Buy { fen: FEN });
    let request = desk.fresh("a purchase, which gets no answer")?;
    let first = reversal_of(desk, &request, &["98", "96"])?;
    // The reversal gets none either: it must come again.
    let again = desk.next("the reversal again")?;
    desk.expect(&again, 400, "a reversal is sent until it is answered")?;
    if again.text(11) != first.text(11) {
        let why = "a reversal's number is its original's, each time";
        return Err(desk.note("F11", &first.text(11), &again.text(11), Some(why)));
    }
    desk.approve(&again)
}

fn wrong_mac(desk: &mut Desk<'_>) -> Go {
    desk.ask(&Action::Buy { fen: FEN });
    let request = desk.fresh("a purchase")?;
    desk.answer(&request, "00", &[], Command::None, Spoil::Mac)?;
    let reversal = reversal_of(desk, &request, &["A0"])?;
    desk.approve(&reversal)
}

fn foreign_answer(desk: &mut Desk<'_>) -> Go {
    desk.ask(&Action::Buy { fen: FEN });
    let request = desk.fresh("a purchase")?;
    desk.answer(&request, "00", &[], Command::None, Spoil::Stan)?;
    let reversal = reversal_of(desk, &request, &["98", "96"])?;
    desk.approve(&reversal)
}

fn told_to_sign_in(desk: &mut Desk<'_>) -> Go {
    if desk.checked.dialect.framing.tpdu {
        desk.ask(&Action::Buy { fen: FEN });
        let request = desk.fresh("a purchase")?;
        approve(desk, &request, Command::SignIn)?;
        signs_in(desk, "the answer's header said 3: sign in again")?;
    }
    desk.ask(&Action::Buy { fen: FEN });
    let request = desk.fresh("a purchase under the new keys")?;
    desk.answer(&request, "77", &[], Command::SignIn, Spoil::No)?;
    signs_in(desk, "77: there is no session, or the batch is another")
}

fn signs_in(desk: &mut Desk<'_>, why: &str) -> Go {
    let request = desk.next("a sign-in")?;
    desk.expect(&request, 800, why)?;
    desk.last_stan = request.number(11).map(|stan| stan as u32);
    desk.give_keys(&request)
}

fn void(desk: &mut Desk<'_>) -> Go {
    let purchase = buy(desk)?;
    desk.ask(&Action::Void);
    let request = desk.fresh("a void")?;
    desk.expect(&request, 200, "a void is a 0200")?;
    let charged = desk.payable(&purchase);
    let original = format!("{:06}{}1123", desk.batch, purchase.text(11));
    let private = request.text(60);
    let right = [
        ("F3", "200000".to_owned(), request.text(3), "a void's processing code"),
        (
            "F4",
            format!("{charged:012}"),
            request.text(4),
            "a void is for what was charged: field 4 of the answer, not of the request",
        ),
        (
            "F61",
            original,
            request.text(61),
            "batch, trace number and date of the purchase; the date is its answer's field 13",
        ),
        ("F60", "23".to_owned(), private.get(..2).unwrap_or_default().to_owned(), "a void's type"),
    ];
    for (place, expected, seen, why) in right {
        if expected != seen {
            return Err(desk.note(place, &expected, &seen, Some(why)));
        }
    }
    desk.given_back.push(charged);
    desk.approve(&request)
}

/// A settlement; whether its totals are what the answers add up to.
fn settles(desk: &mut Desk<'_>) -> Go<Seen> {
    desk.ask(&Action::Settle);
    let request = desk.fresh("a settlement")?;
    desk.expect(&request, 500, "a settlement is a 0500")?;
    let (said, right) = (request.text(48), desk.totals(0));
    // The flag is the switch's to set.
    if said.len() != 62 || said.as_bytes().get(..30) != right.get(..30) {
        let why = "debit is field 4 of approved purchases' answers, credit what voids and refunds gave back; a voided purchase is in both, a reversed one in neither";
        return Err(desk.note("F48", &String::from_utf8_lossy(&right), &said, Some(why)));
    }
    Ok(request)
}

fn settlement(desk: &mut Desk<'_>) -> Go {
    let request = settles(desk)?;
    let totals = desk.totals(1);
    desk.answer(&request, "00", &[(48, totals)], Command::None, Spoil::No)?;
    next_batch(desk);
    buy(desk)?;
    Ok(())
}

fn next_batch(desk: &mut Desk<'_>) {
    desk.batch += 1;
    desk.charged.clear();
    desk.given_back.clear();
}

fn upload(desk: &mut Desk<'_>) -> Go {
    buy(desk)?;
    let count = desk.charged.len() + desk.given_back.len();
    let request = settles(desk)?;
    let totals = desk.totals(2);
    desk.answer(&request, "00", &[(48, totals)], Command::None, Spoil::No)?;
    for _ in 0..count {
        let one = desk.next("a transaction of the batch")?;
        desk.expect(&one, 320, "a settlement that is answered 2 is followed by the batch's upload")?;
        if one.text(60).get(8..11) != Some("201") {
            let why = format!("{count} transactions are to be uploaded before the end");
            return Err(desk.note("F60", "network code 201", &one.text(60), Some(&why)));
        }
        desk.approve(&one)?;
    }
    let end = desk.fresh("the upload's end")?;
    desk.expect(&end, 320, "an upload has an end, 202")?;
    let totals = desk.totals(1);
    desk.answer(&end, "00", &[(48, totals)], Command::None, Spoil::No)?;
    next_batch(desk);
    buy(desk)?;
    Ok(())
}
