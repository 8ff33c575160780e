//! Requests of every kind that wire.md has, made by hand from its tables: never by the
//! crate's own writer of typed messages.

use fastrand::Rng;
use xingka_wire::messages::Request;

use crate::random::{alphanumeric, array, bytes, code, content, digits, packed_fen, printable, tlv};
use crate::{Said, Values, rows};

/// The kinds there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0200, 310000, 01.
    StarInquiry,
    /// 0200, 000000, 22.
    Purchase,
    /// 0200, 200000, 23.
    Void,
    /// 0220, 200000, 25.
    Refund,
    /// 0220, 000000, 36.
    OfflineUpload,
    /// 0100, 310000, 01.
    CounterService,
    /// 0400, with the kind of its original.
    Reversal,
    /// 0500, 00 / 201.
    Settlement,
    /// 0320, 00 / 201.
    BatchUpload,
    /// 0320, 00 / 202.
    BatchUploadEnd,
    /// 0800, 00 / 001, 003 to 006.
    SignIn,
    /// 0820, 00 / 002.
    SignOff,
    /// 0820, 00 / 301.
    Echo,
}

use Kind::*;

/// All of them.
pub const KINDS: [Kind; 13] = [
    StarInquiry,
    Purchase,
    Void,
    Refund,
    OfflineUpload,
    CounterService,
    Reversal,
    Settlement,
    BatchUpload,
    BatchUploadEnd,
    SignIn,
    SignOff,
    Echo,
];

impl Kind {
    const fn mti(self) -> u16 {
        match self {
            CounterService => 100,
            StarInquiry | Purchase | Void => 200,
            Refund | OfflineUpload => 220,
            BatchUpload | BatchUploadEnd => 320,
            Reversal => 400,
            Settlement => 500,
            SignIn => 800,
            SignOff | Echo => 820,
        }
    }

    /// First two digits of field 3, and the type in field 60.
    const fn presented(self) -> (&'static str, &'static str) {
        match self {
            Purchase => ("00", "22"),
            Void => ("20", "23"),
            Refund => ("20", "25"),
            OfflineUpload => ("00", "36"),
            _ => ("31", "01"),
        }
    }

    /// Whether it carries no MAC.
    pub const fn is_housekeeping(self) -> bool {
        matches!(self, SignIn | SignOff | Echo)
    }

    /// The kind of a request that the codec recognised.
    pub const fn of(request: &Request<'_>) -> Self {
        match request {
            Request::StarInquiry(_) => StarInquiry,
            Request::Purchase(_) => Purchase,
            Request::Void(_) => Void,
            Request::Refund(_) => Refund,
            Request::OfflineUpload(_) => OfflineUpload,
            Request::CounterService(_) => CounterService,
            Request::Reversal(_) => Reversal,
            Request::Settlement(_) => Settlement,
            Request::BatchUpload(_) => BatchUpload,
            Request::BatchUploadEnd(_) => BatchUploadEnd,
            Request::SignIn(_) => SignIn,
            Request::SignOff(_) => SignOff,
            Request::Echo(_) => Echo,
        }
    }
}

/// How much a request has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// What the crate's typed messages can write.
    Typed,
    /// Further digits in fields 3 and 60, a card from a track, and any field beside the
    /// needed ones.
    Full,
}

/// A request of a kind.
pub fn request(rng: &mut Rng, kind: Kind, fill: Fill) -> Said {
    let mut values = match kind {
        Settlement | BatchUploadEnd => totals(rng, kind, fill),
        BatchUpload => upload(rng, fill),
        SignIn | SignOff | Echo => housekeeping(rng, kind, fill),
        _ => presented(rng, kind, fill),
    };
    if fill == Fill::Full {
        add_others(rng, &mut values);
    }
    if !kind.is_housekeeping() {
        let field = if rng.u8(..4) == 0 { 128 } else { 64 };
        values.insert(field, bytes(rng, 8));
    }
    Said { mti: kind.mti(), values }
}

fn origin(rng: &mut Rng) -> Values {
    Values::from([(11, digits(rng, 6)), (41, printable(rng, 8)), (42, printable(rng, 15))])
}

/// Field 60: type, batch, network code, read capability and chip condition.
fn private(rng: &mut Rng, message_type: &str, network_code: &str, fill: Fill) -> Vec<u8> {
    let batch = digits(rng, 6);
    let rest = if fill == Fill::Full { digits_up_to(rng, 6) } else { b"60".to_vec() };
    [message_type.as_bytes(), &batch, network_code.as_bytes(), &rest].concat()
}

fn digits_up_to(rng: &mut Rng, most: usize) -> Vec<u8> {
    let count = rng.usize(..=most);
    digits(rng, count)
}

fn housekeeping(rng: &mut Rng, kind: Kind, fill: Fill) -> Values {
    let network_code = match kind {
        SignIn => rng.choice(["001", "003", "004", "005", "006"]).unwrap_or("001"),
        SignOff => "002",
        Settlement | BatchUpload => "201",
        BatchUploadEnd => "202",
        _ => "301",
    };
    let mut values = origin(rng);
    values.insert(60, private(rng, "00", network_code, fill));
    values
}

fn totals(rng: &mut Rng, kind: Kind, fill: Fill) -> Values {
    let mut values = housekeeping(rng, kind, fill);
    values.extend([(48, digits(rng, 62)), (49, b"156".to_vec())]);
    values
}

fn upload(rng: &mut Rng, fill: Fill) -> Values {
    let mut values = housekeeping(rng, BatchUpload, fill);
    values.extend([
        (2, pan(rng)),
        (4, digits(rng, 12)),
        (12, time_of_day(rng)),
        (13, day_of_year(rng)),
        (37, alphanumeric(rng, 12)),
        (49, b"156".to_vec()),
    ]);
    values
}

/// A time that there is: any other is a format error.
fn time_of_day(rng: &mut Rng) -> Vec<u8> {
    format!("{:02}{:02}{:02}", rng.u8(..24), rng.u8(..60), rng.u8(..60)).into_bytes()
}

/// A day that every month has.
fn day_of_year(rng: &mut Rng) -> Vec<u8> {
    format!("{:02}{:02}", rng.u8(1..=12), rng.u8(1..=28)).into_bytes()
}

fn pan(rng: &mut Rng) -> Vec<u8> {
    let count = rng.usize(1..=19);
    digits(rng, count)
}

/// A card at a terminal, for this or for that.
fn presented(rng: &mut Rng, kind: Kind, fill: Fill) -> Values {
    let original = match kind {
        Reversal => rng.choice([StarInquiry, Purchase, Void, Refund, OfflineUpload]).unwrap_or(Purchase),
        other => other,
    };
    let (processing, message_type) = original.presented();
    let rest = if fill == Fill::Full { digits(rng, 4) } else { b"0000".to_vec() };
    let currency = if rng.u8(..4) == 0 { alphanumeric(rng, 3) } else { b"156".to_vec() };
    let mut values = origin(rng);
    values.extend([
        (3, [processing.as_bytes(), &rest].concat()),
        (22, digits(rng, 3)),
        (25, b"00".to_vec()),
        (49, currency),
        (60, private(rng, message_type, "000", fill)),
    ]);
    add_card(rng, kind, fill, &mut values);
    if !matches!(kind, StarInquiry | CounterService) || rng.bool() {
        values.insert(4, digits(rng, 12));
    }
    if kind == OfflineUpload {
        values.extend([(12, time_of_day(rng)), (13, day_of_year(rng))]);
    }
    if kind == Reversal {
        values.insert(39, rng.choice([b"98", b"A0", b"96"]).unwrap_or(b"98").to_vec());
    }
    if matches!(kind, Void | Refund) || kind == Reversal && rng.bool() {
        values.insert(61, digits(rng, 16));
    }
    values
}

/// The card by its number, its track or a credential; and what else is in field 57.
fn add_card(rng: &mut Rng, kind: Kind, fill: Fill, values: &mut Values) {
    let by_track = fill == Fill::Full && rng.u8(..3) == 0;
    let by_credential = !by_track && rng.u8(..3) == 0;
    if by_track {
        values.insert(35, card_track(rng));
    }
    if !by_track && !by_credential {
        values.insert(2, pan(rng));
    }
    let integrity = integrity(rng, kind, by_credential);
    if !integrity.is_empty() {
        values.insert(57, integrity);
    }
}

/// A track with a card number before its separator.
fn card_track(rng: &mut Rng) -> Vec<u8> {
    let number = pan(rng);
    let rest = digits_up_to(rng, 36 - number.len());
    [number, b"=".to_vec(), rest].concat()
}

/// Field 57, its tags ascending.
fn integrity(rng: &mut Rng, kind: Kind, by_credential: bool) -> Vec<u8> {
    let (service, credential) = (rng.usize(1..=16), rng.usize(1..=255));
    let mut tags = Vec::new();
    tags.extend(rng.bool().then(|| tlv(0xDF01, &code(rng, service))));
    tags.extend(by_credential.then(|| tlv(0xDF02, &bytes(rng, credential))));
    tags.extend(rng.bool().then(|| tlv(0xDF03, &[1])));
    tags.extend(rng.bool().then(|| tlv(0xDF04, &array::<4>(rng))));
    tags.extend(rng.bool().then(|| tlv(0xDF05, &array::<16>(rng))));
    if kind == OfflineUpload {
        tags.extend([0xDF14, 0xDF15, 0xDF16].map(|tag| tlv(tag, &packed_fen(rng))));
        let benefits = rng.usize(..6);
        tags.extend((0..benefits).map(|_| tlv(0xDF18, &array::<4>(rng))));
    }
    tags.concat()
}

/// Any of the fields that the message can do without.
fn add_others(rng: &mut Rng, values: &mut Values) {
    let absent = |values: &Values, field: u8| !values.contains_key(&field);
    for (field, row) in rows().filter(|(field, _)| may_be_added(*field)) {
        if rng.u8(..3) == 0 && absent(values, field) {
            values.insert(field, content(rng, field, row));
        }
    }
    if rng.bool() {
        values.insert(55, chip_data(rng));
    }
}

/// Not those that say which message it is, which card, or have an inner form of their own.
const fn may_be_added(field: u8) -> bool {
    !matches!(field, 2 | 35 | 39 | 55 | 57 | 60 | 61 | 64 | 128)
}

/// Field 55: some tags of a chip, among them a constructed one.
fn chip_data(rng: &mut Rng) -> Vec<u8> {
    let cryptogram = tlv(0x9F26, &array::<8>(rng));
    let verification = tlv(0x9F10, &array::<32>(rng));
    let script = [vec![0x71, cryptogram.len() as u8], cryptogram].concat();
    [verification, tlv(0x5F2A, &[1, 0x56]), vec![0x9A, 3], array::<3>(rng).to_vec(), script].concat()
}
