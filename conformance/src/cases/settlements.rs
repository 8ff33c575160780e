//! The end of a batch. Each case closes what is open first, so that it knows what its batch holds.

use xingka_wire::messages::Totals;

use crate::expect::Want;
use crate::lab::{At, Case, Go, Lab, VOID};
use crate::message::{Message, Seen};

pub(super) const CASES: &[Case] = &[
    Case { id: "settlement", title: "totals that agree are answered 1, and the next batch is open", run: balanced },
    Case {
        id: "settlement-repeat",
        title: "a settlement's repeat gets the stored answer, though the batch is closed",
        run: repeated,
    },
    Case {
        id: "settlement-out",
        title: "totals that don't agree are answered 2 with the switch's own; the batch stays open",
        run: out_of_balance,
    },
    Case {
        id: "batch-upload",
        title: "after an upload of the batch its end is answered with the totals agreed on",
        run: upload,
    },
    Case { id: "old-batch", title: "a request in a closed batch: 77; a reversal in it: 00", run: old_batch },
];

const SETTLEMENT: (u16, u32) = (500, 201);
const UPLOAD_END: (u16, u32) = (320, 202);

fn totals_of(seen: &Seen) -> Option<Totals> {
    let text = seen.text(48);
    let part = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    Some(Totals {
        debit_fen: part(0, 12)?,
        debits: part(12, 15)? as u32,
        credit_fen: part(15, 27)?,
        credits: part(27, 30)? as u32,
        flag: part(30, 31)? as u8,
    })
}

/// Field 48 of the answer: these totals with their flag; foreign cards' agree, there being none.
fn answered(totals: Totals, flag: u8) -> Want {
    let digits = Totals::ascii(&Totals { flag, ..totals }, &Totals { flag: 1, ..Totals::default() });
    Want::code("00").field(48, digits.unwrap_or([b'0'; 62]))
}

/// Closes the open batch, whatever is in it.
fn close(lab: &mut Lab<'_>) -> Go {
    let settlement = lab.totals(At::Shop, SETTLEMENT, Totals::default())?;
    let seen = lab.ask(At::Shop, "a settlement, to begin anew", &settlement, &Want::code("00").has(48))?;
    let theirs = totals_of(&seen).ok_or_else(|| lab.note("F48", "62 digits", &seen.text(48)))?;
    if theirs.flag != 1 {
        let end = lab.totals(At::Shop, UPLOAD_END, Totals { flag: 0, ..theirs })?;
        lab.ask(At::Shop, "the batch's end, with the switch's totals", &end, &answered(theirs, 1))?;
    }
    open_next(lab)
}

/// The terminal goes on in the next batch; a sign-in must say the same.
fn open_next(lab: &mut Lab<'_>) -> Go {
    let mut station = lab.take(At::Shop)?;
    let next = station.batch % 999_999 + 1;
    let layout = station.layout();
    lab.sign_in(&mut station, layout)?;
    if station.batch != next {
        let (expected, seen) = (format!("batch {next:06}"), format!("batch {:06}", station.batch));
        let why = format!(
            "F60 batch {next:06}, the switch is at {:06}: a batch that balances opens the next one",
            station.batch
        );
        return Err(lab.note_because("F60", &expected, &seen, &why));
    }
    lab.put_back(At::Shop, station);
    Ok(())
}

/// A batch with a purchase and a voided one: its totals, and the requests with their answers.
fn filled(lab: &mut Lab<'_>) -> Go<(Totals, Vec<(Message, Seen)>)> {
    close(lab)?;
    let mut done = vec![lab.bought(At::Shop)?, lab.bought(At::Shop)?];
    let payable = lab.bench.price.payable_fen;
    if let Some((message, seen)) = done.last() {
        let void = lab.follow_up(At::Shop, VOID, (message, seen), payable)?;
        let voided = lab.ask(At::Shop, "a void", &void, &Want::code("00"))?;
        done.push((void, voided));
    }
    let reversed = lab.bought(At::Shop)?.0;
    lab.ask(At::Shop, "a reversal, which counts nowhere", &Lab::reversal(&reversed), &Want::code("00"))?;
    Ok((Totals { debit_fen: 2 * payable, debits: 2, credit_fen: payable, credits: 1, flag: 0 }, done))
}

fn balanced(lab: &mut Lab<'_>) -> Go {
    let (totals, _) = filled(lab)?;
    let settlement = lab.totals(At::Shop, SETTLEMENT, totals)?;
    lab.ask(At::Shop, "the settlement", &settlement, &answered(totals, 1))?;
    open_next(lab)
}

fn repeated(lab: &mut Lab<'_>) -> Go {
    close(lab)?;
    let settlement = lab.totals(At::Shop, SETTLEMENT, Totals::default())?;
    let first = lab.ask(At::Shop, "an empty batch's settlement", &settlement, &answered(Totals::default(), 1))?;
    let again = lab.ask(At::Shop, "the same again", &settlement, &answered(Totals::default(), 1))?;
    if first.fields != again.fields {
        return Err(lab.note("F37", &first.text(37), &again.text(37)));
    }
    open_next(lab)
}

fn out_of_balance(lab: &mut Lab<'_>) -> Go {
    let (totals, _) = filled(lab)?;
    let wrong = Totals { debit_fen: totals.debit_fen + 1, ..totals };
    let settlement = lab.totals(At::Shop, SETTLEMENT, wrong)?;
    lab.ask(At::Shop, "a settlement of one fen more", &settlement, &answered(totals, 2))?;
    let settlement = lab.totals(At::Shop, SETTLEMENT, totals)?;
    lab.ask(At::Shop, "the right one", &settlement, &answered(totals, 1))?;
    open_next(lab)
}

fn upload(lab: &mut Lab<'_>) -> Go {
    let (totals, done) = filled(lab)?;
    let settlement = lab.totals(At::Shop, SETTLEMENT, Totals::default())?;
    lab.ask(At::Shop, "a settlement of nothing", &settlement, &answered(totals, 2))?;
    for (message, seen) in &done {
        let upload = lab.station(At::Shop)?.message(320, (0, 201));
        let upload = upload.with(2, message.text(2)).with(4, seen.text(4)).with(11, message.text(11)).with(49, "156");
        let upload = upload.with(12, seen.text(12)).with(13, seen.text(13)).with(37, seen.text(37));
        lab.ask(At::Shop, "one of the batch", &upload, &Want::code("00").has(37))?;
    }
    let end = lab.totals(At::Shop, UPLOAD_END, totals)?;
    lab.ask(At::Shop, "the batch's end", &end, &answered(totals, 1))?;
    open_next(lab)
}

fn old_batch(lab: &mut Lab<'_>) -> Go {
    let old = lab.purchase(At::Shop, 1_000)?;
    lab.ask(At::Shop, "a purchase", &old, &Want::code("00").told().has(4))?;
    close(lab)?;
    let late = lab.purchase(At::Shop, 1_000)?.with(60, old.text(60));
    lab.ask(At::Shop, "a purchase in the closed batch", &late, &Want::code("77"))?;
    lab.ask(At::Shop, "the reversal of what it held", &Lab::reversal(&old), &Want::code("00"))?;
    Ok(())
}
