//! The near miss: what a wrong field looks like.
//!
//! Whoever certifies a switch stares at bytes that are nearly right. Each rule here knows one way in
//! which implementations go wrong and says so, where the bytes fit it.

use xingka_wire::mac::{MacAlgorithm, MacKey};

use crate::expect::{Value, approves};
use crate::message::{Message, Seen};
use crate::station::Station;

/// Why another code came.
pub(crate) fn code(expected: &[&str], seen: &str, request: &Message, station: &Station) -> Option<String> {
    let about = match seen {
        "" => "an answer without field 39 says nothing",
        "00" | "11" if expected.iter().all(|code| !approves(code)) => return Some(approved_instead(expected)),
        "30" => "the switch takes the request for malformed; compare the bytes sent with wire.md's table of fields",
        "40" => "the switch doesn't know this message: it is recognised by MTI, F3, F25 and F60",
        "58" => "the switch has this terminal at another merchant or kind of place than the bench",
        "77" => return Some(out_of_step(request, station)),
        "94" => "the trace number was used in this batch before: settle the terminal, or begin with another number",
        "96" => "the switch failed, or a limit was reached",
        "97" => "the switch doesn't have this terminal: import the bench's city first",
        "A0" => "the switch computes another MAC: is the terminal set to the bench's MAC and master key there?",
        "14" => "the switch doesn't have this card: import the bench's city first",
        "25" => "the switch doesn't find the original: it looks by F61's batch, STAN and date, and the card",
        "13" => "the switch finds fault with F4",
        "91" => "the switch is overloaded or misses a system it needs; try again",
        _ => return None,
    };
    Some(about.to_owned())
}

fn approved_instead(expected: &[&str]) -> String {
    let rule = match expected.first().copied().unwrap_or_default() {
        "12" => "it isn't in yuan, or the chosen benefit doesn't apply",
        "13" => "its amount is nothing, missing, or not what the original can give back",
        "14" => "the card was never issued, or its check digit is wrong",
        "25" => "its original doesn't exist, was undone, or was reversed before it came",
        "30" => "it breaks the format",
        "40" => "there is no such message",
        "41" => "the card was reported lost",
        "43" => "the card was reported stolen",
        "54" => "the card has expired",
        "58" => "the terminal may not do this",
        "62" => "the card is frozen",
        "77" => "its batch isn't the open one, or there is no session",
        "94" => "its trace number was used with other content",
        "97" => "there is no such terminal",
        "A0" => "its MAC is wrong",
        _ => return "it must be refused".to_owned(),
    };
    format!("it must be refused: {rule}")
}

fn out_of_step(request: &Message, station: &Station) -> String {
    let sent = request.text(60);
    let batch = sent.get(2..8).unwrap_or_default();
    if batch == format!("{:06}", station.batch) {
        format!(
            "F60 carries batch {batch}, which the last sign-in or settlement opened; the switch has another, or no session"
        )
    } else {
        format!("F60 carries batch {batch}, the switch is at {:06}", station.batch)
    }
}

/// Why a field is another.
pub(crate) fn field(
    field: u8,
    expected: &Value,
    seen: Option<&[u8]>,
    request: &Message,
    station: &Station,
) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match (field, expected, seen.map(text)) {
        (2 | 35 | 36 | 52, Value::Absent, Some(_)) => Some("an answer never repeats the card or the PIN".into()),
        (38, Value::There, None) => Some("every approved answer has an authorisation code".into()),
        (38, Value::Absent, Some(_)) => Some("only approved answers have an authorisation code".into()),
        (_, Value::Is(_), None) => Some("the answer lacks it".into()),
        (4, Value::Is(expected), Some(seen)) => amount(&text(expected), &seen, request),
        (11, Value::Is(expected), Some(seen)) => Some(format!("it answers request {seen}, not {}", text(expected))),
        (48, Value::Is(expected), Some(seen)) => totals(&text(expected), &seen),
        (60, Value::Is(expected), Some(seen)) => private(&text(expected), &seen, station),
        (_, Value::Is(expected), Some(seen)) => shifted(&text(expected), &seen),
        _ => None,
    }
}

fn amount(expected: &str, seen: &str, request: &Message) -> Option<String> {
    let (expected, seen) = (expected.parse::<u64>().ok()?, seen.parse::<u64>().ok()?);
    let asked = request.text(4).parse::<u64>().ok()?;
    if seen == asked {
        return Some("it repeats the request's amount; an approved purchase answers with what is to be charged".into());
    }
    if seen == asked.saturating_sub(expected) {
        return Some("it is what is taken off, not what remains".into());
    }
    if seen == expected * 100 || seen * 100 == expected {
        return Some("amounts are in fen".into());
    }
    None
}

/// Field 60, part by part.
fn private(expected: &str, seen: &str, station: &Station) -> Option<String> {
    let part = |text: &str, from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    let differs = |from, to| part(expected, from, to) != part(seen, from, to);
    if seen.len() != expected.len() {
        return Some(format!("F60 has {} digits, not {}", seen.len(), expected.len()));
    }
    if differs(2, 8) {
        let (asked, said) = (part(expected, 2, 8), part(seen, 2, 8));
        let open = format!("{:06}", station.batch);
        return Some(if said == open {
            format!("F60 batch {asked}, the switch is at {said}")
        } else {
            format!("F60 batch {said}, the open one is {open}")
        });
    }
    let names = [(0, 2, "type"), (8, 11, "network code"), (11, 12, "read capability"), (12, 13, "chip condition")];
    let (from, to, name) = names.into_iter().find(|(from, to, _)| differs(*from, *to))?;
    Some(format!("F60 {name} {}, the request had {}", part(seen, from, to), part(expected, from, to)))
}

/// Field 48, part by part.
fn totals(expected: &str, seen: &str) -> Option<String> {
    if seen.len() != 62 {
        return Some(format!("F48 has 62 digits, this has {}", seen.len()));
    }
    let parts = [(0, 12, "debit amount"), (12, 15, "debit count"), (15, 27, "credit amount"), (27, 30, "credit count")];
    let halves = [(0, "domestic"), (31, "foreign")];
    for (offset, half) in halves {
        for (from, to, name) in parts.into_iter().chain([(30, 31, "flag (1 balanced, 2 not)")]) {
            let part = |text: &str| text.get(offset + from..offset + to).unwrap_or_default().to_owned();
            let (right, said) = (part(expected), part(seen));
            if right != said {
                return Some(format!("{half} {name}: {said} instead of {right}"));
            }
        }
    }
    None
}

/// Digits that were padded on the other side.
fn shifted(expected: &str, seen: &str) -> Option<String> {
    let digits = expected.bytes().chain(seen.bytes()).all(|byte| byte.is_ascii_digit());
    let moved = expected.len() == seen.len()
        && (expected.get(1..) == seen.get(..seen.len().saturating_sub(1))
            || seen.get(1..) == expected.get(..expected.len().saturating_sub(1)));
    (digits && moved && expected.len() > 1)
        .then(|| "the digits are one place off: an odd digit is padded on the other side".into())
}

/// Why a tag of field 57 is another.
pub(crate) fn tag(tag: u16, expected: &Value, seen: Option<&[u8]>, request: &Message) -> Option<String> {
    let fen = |bytes: &[u8]| hex::encode(bytes).parse::<u64>().ok();
    match (tag, expected, seen) {
        (0xDF11, Value::Absent, Some(_)) => Some("the star is told where it may not be".into()),
        (_, Value::Absent, Some(_)) => Some("this answer may not tell it".into()),
        (_, _, None) => Some("field 57 lacks it".into()),
        (0xDF15, Value::Is(_), Some(seen)) if fen(seen) == request.text(4).parse().ok() => {
            Some("it is the amount before the discount".into())
        }
        (_, Value::Is(expected), Some(seen)) if expected.iter().rev().eq(seen) && expected != seen => {
            Some("its bytes are in reverse: numbers are big-endian".into())
        }
        _ => None,
    }
}

/// What a wrong MAC was made with.
pub(crate) fn mac(seen: &[u8; 8], answer: &Seen, station: &Station) -> Option<String> {
    let (newest, older) = station.keys().split_first()?;
    if older.iter().any(|keys| keys.mac.mac(&answer.mab) == *seen) {
        return Some(
            "it is made with the keys of the sign-in before; answers are sealed with the key that verified the request"
                .into(),
        );
    }
    let with = |algorithm: MacAlgorithm, key: &[u8], mab: &[u8]| {
        MacKey::new(algorithm, key).is_ok_and(|key| key.mac(mab) == *seen)
    };
    let wanted = station.mac();
    if let Some(other) = MacAlgorithm::ALL.iter().find(|other| with(**other, &newest.mac_bytes, &answer.mab)) {
        return Some(format!(
            "it is the {} of the same bytes; this terminal is set to {}",
            other.name(),
            wanted.name()
        ));
    }
    if with(wanted, &newest.pin_bytes, &answer.mab) {
        return Some("it is made with the PIN key, which is the first of field 62; the MAC key is the second".into());
    }
    let head = station.dialect().framing;
    let before_mti = head.length.bytes() + if head.tpdu { 11 } else { 0 };
    let end = answer.frame.len().saturating_sub(8);
    let spans = [
        (0, end, "it is over the whole frame; the MAC is over what begins with the MTI"),
        (2, end, "it is over TPDU and header too; the MAC is over what begins with the MTI"),
        (before_mti + 2, end, "it leaves the MTI out; the MAC is over what begins with the MTI"),
        (before_mti, end + 8, "it is over the MAC field too"),
    ];
    let over = spans
        .into_iter()
        .find(|(from, to, _)| answer.frame.get(*from..*to).is_some_and(|bytes| newest.mac.mac(bytes) == *seen));
    if let Some((_, _, why)) = over {
        return Some(why.to_owned());
    }
    let reversed = newest.mac.mac(&answer.mab).iter().rev().eq(seen);
    Some(if reversed {
        "its bytes are in reverse".to_owned()
    } else {
        "it is made with none of this session's keys, or of other bytes".to_owned()
    })
}
