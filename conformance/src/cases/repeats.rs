//! The same request again, and another one under its key.

use crate::expect::Want;
use crate::lab::{At, Case, Go, Lab};
use crate::message::Seen;

pub(super) const CASES: &[Case] = &[
    Case { id: "repeat", title: "the same request gets the stored answer again, its fields unchanged", run: repeat },
    Case {
        id: "repeat-after-sign-in",
        title: "a repeat under new keys gets the stored answer, sealed anew",
        run: repeat_after_sign_in,
    },
    Case { id: "repeat-other-content", title: "another request under the same key: 94", run: other_content },
    Case { id: "repeat-of-a-refusal", title: "a refusal is repeated too", run: refusal },
];

/// Every field and tag must be the first answer's.
fn same(lab: &mut Lab<'_>, first: &Seen, again: &Seen) -> Go {
    for field in first.fields.keys().chain(again.fields.keys()) {
        if first.fields.get(field) != again.fields.get(field) {
            let why = match field {
                12 | 13 | 37 | 38 => "the request was decided again; a repeat gets the stored answer",
                57 => "field 57 changed: the request was decided again",
                _ => "a repeat's fields are the stored answer's",
            };
            return Err(lab.note_because(&format!("F{field}"), &first.text(*field), &again.text(*field), why));
        }
    }
    Ok(())
}

fn repeat(lab: &mut Lab<'_>) -> Go {
    let (message, first) = lab.bought(At::Shop)?;
    let want = Want::code("00").told().has(4);
    for what in ["the same again", "and once more"] {
        let again = lab.ask(At::Shop, what, &message, &want)?;
        same(lab, &first, &again)?;
    }
    Ok(())
}

fn repeat_after_sign_in(lab: &mut Lab<'_>) -> Go {
    let (message, first) = lab.bought(At::Shop)?;
    let mut station = lab.take(At::Shop)?;
    let layout = station.layout();
    lab.sign_in(&mut station, layout)?;
    lab.put_back(At::Shop, station);
    let again = lab.ask(At::Shop, "the same, sealed with new keys", &message, &Want::code("00").told().has(4))?;
    same(lab, &first, &again)
}

fn other_content(lab: &mut Lab<'_>) -> Go {
    let (message, _) = lab.bought(At::Shop)?;
    let other = lab.bench.cards.other.clone();
    lab.ask(At::Shop, "another card under the same key", &message.clone().with(2, other), &Want::code("94"))?;
    lab.ask(At::Shop, "another amount", &message.with(4, "000000000777"), &Want::code("94"))?;
    Ok(())
}

fn refusal(lab: &mut Lab<'_>) -> Go {
    let lost = lab.bench.cards.lost.clone();
    let message = lab.purchase(At::Shop, 1_000)?.with(2, lost);
    let first = lab.ask(At::Shop, "a lost card", &message, &Want::code("41").told())?;
    let again = lab.ask(At::Shop, "the same again", &message, &Want::code("41").told())?;
    same(lab, &first, &again)
}
