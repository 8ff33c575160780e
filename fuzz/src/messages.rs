//! Messages: read without a panic, written again to the same bytes, the same in any dialect.

use std::fmt::Write as _;

use xingka_wire::answer::Answer;
use xingka_wire::dialect::{ASCII87, CUP, Dialect};
use xingka_wire::encode::{Seal, Writer};
use xingka_wire::fields::Fields;
use xingka_wire::frame::Frame;
use xingka_wire::messages::Request;
use xingka_wire::mti::{Head, Mti};
use xingka_wire::pan::CardRef;
use xingka_wire::{Message, decode};

/// A frame around a message, from its MTI on; `None` where the framing would have dropped it.
pub fn framed<'a>(dialect: &'static Dialect, body: &'a [u8]) -> Option<Frame<'a>> {
    let mti = mti(dialect, body)?;
    Some(Frame { dialect, head: Head::of_terminal([0, 3], [0, 0]), mti, body })
}

fn mti(dialect: &'static Dialect, body: &[u8]) -> Option<Mti> {
    let packed = dialect != &ASCII87;
    let digits: Vec<u8> = if packed {
        body.get(..2)?.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect()
    } else {
        body.get(..4)?.iter().map(|byte| byte.wrapping_sub(b'0')).collect()
    };
    let number = digits.iter().try_fold(0, |number, digit| (*digit <= 9).then(|| number * 10 + u16::from(*digit)));
    number.map(Mti)
}

/// Everything that must hold for a message's bytes in a dialect.
pub fn check(dialect: &'static Dialect, body: &[u8]) {
    let Some(frame) = framed(dialect, body) else { return };
    let answer = Answer::decode(&frame);
    let mut shown = format!("{answer:?}");
    match decode(&frame) {
        Ok(message) => accepted(&message, body, &mut shown),
        Err(malformed) => drop(write!(shown, "{malformed:?}")),
    }
}

fn accepted(message: &Message<'_>, body: &[u8], shown: &mut String) {
    let _ = write!(shown, "{message:?} {:?}", message.request);
    no_secret(message, body, shown);
    mac_ends_it(&message.fields, body);
    // A writer makes 128 bits for the sake of the MAC only.
    if message.fields.wide() && message.fields.mac().is_none() {
        return;
    }
    let dialect = message.dialect();
    let copied = write(dialect, message, |fields, writer, field| writer.copy(fields, field));
    assert_eq!(copied, message.fields.mab(), "copied to other bytes");
    let rewritten = write(dialect, message, by_meaning);
    assert_eq!(rewritten, message.fields.mab(), "one message, two spellings");
    let other = if dialect == &ASCII87 { &CUP } else { &ASCII87 };
    elsewhere(message, other);
}

fn write(dialect: &'static Dialect, message: &Message<'_>, one: impl Fn(&Fields<'_>, &mut Writer<'_>, u8)) -> Vec<u8> {
    let fields = &message.fields;
    let seal = match (fields.mac(), fields.wide()) {
        (None, _) => Seal::None,
        (Some(_), false) => Seal::Narrow,
        (Some(_), true) => Seal::Wide,
    };
    let mut buffer = [0; 8_192];
    let mut writer = Writer::new(dialect, message.mti, seal, &mut buffer);
    for field in fields.numbers().filter(|field| *field != fields.mac_field()) {
        one(fields, &mut writer, field);
    }
    writer.finish().expect("what was read can be written").to_vec()
}

fn by_meaning(fields: &Fields<'_>, writer: &mut Writer<'_>, field: u8) {
    match fields.digits(field) {
        Some(digits) => writer.digit_string(field, digits),
        None => writer.bytes(field, fields.bytes(field).unwrap_or_default()),
    }
}

/// Written in another dialect and read there, it asks the same.
fn elsewhere(message: &Message<'_>, other: &'static Dialect) {
    let mut body = write(other, message, by_meaning);
    body.extend(message.fields.mac().into_iter().flatten());
    let frame = framed(other, &body).expect("a message of the other dialect");
    let there = decode(&frame).expect("a message is one in any dialect");
    assert_eq!(asked(&there.request), asked(&message.request));
}

/// A request with its card number, which no Debug shows.
fn asked(request: &Request<'_>) -> (String, Option<Vec<u8>>) {
    let pan = card(request).and_then(|card| match card {
        CardRef::Pan(pan) => Some(pan.as_ascii().to_vec()),
        CardRef::Credential(_) => None,
    });
    (format!("{request:?}"), pan)
}

fn card<'r, 'a>(request: &'r Request<'a>) -> Option<&'r CardRef<'a>> {
    Some(match request {
        Request::StarInquiry(asked) => &asked.presented.card,
        Request::Purchase(asked) => &asked.presented.card,
        Request::Void(asked) => &asked.presented.card,
        Request::Refund(asked) => &asked.presented.card,
        Request::OfflineUpload(asked) => &asked.presented.card,
        Request::CounterService(asked) => &asked.presented.card,
        Request::Reversal(asked) => &asked.presented.card,
        _ => return None,
    })
}

/// The MAC is the last field, and what it is over is everything before.
fn mac_ends_it(fields: &Fields<'_>, body: &[u8]) {
    let mac = fields.mac().map_or(0, |mac| mac.len());
    assert_eq!(fields.mab().len() + mac, body.len());
    assert!(body.starts_with(fields.mab()));
}

/// What is shown of a message holds no card number, track or PIN block.
fn no_secret(message: &Message<'_>, body: &[u8], shown: &str) {
    for field in [2, 35, 36] {
        let Some(digits) = message.fields.digits(field).filter(|digits| digits.len() >= 13) else { continue };
        let text: String =
            digits.values().map(|value| char::from(if value > 9 { b'D' } else { b'0' + value })).collect();
        // The same digits may stand in a field that is nobody's secret, or be made of zeros.
        let own = usize::from(message.dialect() == &ASCII87);
        let varied = text.bytes().collect::<std::collections::BTreeSet<_>>().len() > 3;
        let only_there = body.windows(text.len()).filter(|bytes| *bytes == text.as_bytes()).count() <= own;
        assert!(!varied || !only_there || !shown.contains(&text), "field {field} is shown");
    }
}
