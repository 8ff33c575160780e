//! The same message has the same bytes and the same fields, whoever writes and reads it.

use std::collections::BTreeMap;

use fastrand::Rng;
use xingka_peers::{Peer, Plain, all, decode, encode};
use xingka_wire::dialect::{ASCII87, Content, FIELDS, Length};

const MESSAGES: u64 = 3_000;

/// What every message of wire.md is told by: type, processing code, condition, field 60.
const KINDS: &[(&str, &str, &str, &str, &[u8])] = &[
    ("star inquiry", "0200", "310000", "0100000100060", &[2, 3, 11, 22, 25, 41, 42, 49, 60, 64]),
    ("purchase", "0200", "000000", "2200000100060", &[2, 3, 4, 11, 22, 25, 41, 42, 49, 57, 60, 64]),
    ("void", "0200", "200000", "2300000100060", &[2, 3, 4, 11, 22, 25, 41, 42, 49, 60, 61, 64]),
    ("refund", "0220", "200000", "2500000100060", &[2, 3, 4, 11, 22, 25, 41, 42, 49, 60, 61, 64]),
    ("offline upload", "0220", "000000", "3600000100060", &[2, 3, 4, 11, 12, 13, 22, 25, 41, 42, 49, 57, 60, 64]),
    ("counter service", "0100", "310000", "0100000100060", &[2, 3, 11, 22, 25, 41, 42, 49, 60, 64]),
    ("reversal", "0400", "000000", "2200000100060", &[2, 3, 4, 11, 22, 25, 39, 41, 42, 49, 60, 64]),
    ("settlement", "0500", "", "0000000120160", &[11, 41, 42, 48, 49, 60, 64]),
    ("batch upload", "0320", "", "0000000120160", &[2, 4, 11, 12, 13, 37, 41, 42, 49, 60, 64]),
    ("batch upload's end", "0320", "", "0000000120260", &[11, 41, 42, 48, 49, 60, 64]),
    ("sign-in", "0800", "", "0000000100360", &[11, 41, 42, 60]),
    ("sign-off", "0820", "", "0000000100260", &[11, 41, 42, 60]),
    ("echo", "0820", "", "0000000130160", &[11, 41, 42, 60]),
];

/// Fields that any message may have beside its own, and that every peer can express.
const BESIDE: &[u8] = &[14, 15, 26, 32, 37, 38, 44, 52, 53, 54, 62, 63];

/// A message of a kind, its values random, some fields more.
fn message(kind: usize, random: &mut Rng) -> Plain {
    let (_, mti, processing, private, fields) = KINDS[kind];
    let mut contents: BTreeMap<u8, Vec<u8>> = fields.iter().map(|field| (*field, content(*field, random))).collect();
    for field in BESIDE {
        if random.u8(0..4) == 0 {
            contents.insert(*field, content(*field, random));
        }
    }
    if !processing.is_empty() {
        contents.insert(3, processing.into());
        contents.insert(25, b"00".to_vec());
    }
    contents.insert(60, private.into());
    for (field, meant) in [(49, b"156".to_vec()), (48, vec![b'0'; 62]), (57, integrity(kind))] {
        contents.entry(field).and_modify(|content| *content = meant);
    }
    // Of the lengths that mean something.
    contents.entry(61).and_modify(|content| *content = digits(16, random));
    contents.entry(2).and_modify(|content| *content = digits(random.usize(13..=19), random));
    contents.entry(4).and_modify(|content| *content = format!("{:012}", random.u64(1..1_000_000)).into());
    Plain { mti: mti.to_owned(), fields: contents }
}

/// Field 57: what the terminal gave offline, or that it is a preview.
fn integrity(kind: usize) -> Vec<u8> {
    let offline = "DF1406000000010000DF1506000000008000DF1606000000002000DF180400000007";
    hex::decode(if KINDS[kind].0 == "offline upload" { offline } else { "DF030101" }).unwrap()
}

fn content(field: u8, random: &mut Rng) -> Vec<u8> {
    let row = FIELDS[usize::from(field)].unwrap();
    let length = match row.length {
        Length::Fixed(units) => usize::from(units),
        Length::Ll(most) | Length::Lll(most) => random.usize(1..=usize::from(most)),
    };
    match row.content {
        Content::N | Content::Z => digits(length, random),
        // In capitals, because one of them knows no others.
        Content::An => text(length, |random| random.alphanumeric(), random),
        Content::Ans => text(length, |random| char::from(random.u8(0x20..=0x7E)), random),
        Content::B => (0..length).map(|_| random.u8(..)).collect(),
    }
}

fn digits(length: usize, random: &mut Rng) -> Vec<u8> {
    (0..length).map(|_| random.u8(b'0'..=b'9')).collect()
}

fn text(length: usize, character: fn(&mut Rng) -> char, random: &mut Rng) -> Vec<u8> {
    (0..length).map(|_| character(random).to_ascii_uppercase() as u8).collect()
}

fn for_each_message(mut check: impl FnMut(&dyn Peer, &str, &Plain)) {
    for peer in all() {
        for seed in 0..MESSAGES {
            let mut random = Rng::with_seed(seed);
            let kind = (seed % KINDS.len() as u64) as usize;
            check(peer.as_ref(), KINDS[kind].0, &message(kind, &mut random));
        }
    }
}

#[test]
fn every_peer_writes_the_bytes_that_we_write() {
    for_each_message(|peer, kind, message| {
        let ours = encode(peer.dialect(), message).unwrap();
        assert_eq!(peer.encode(message), Ok(ours), "{}: {kind} {message:?}", peer.name());
    });
}

#[test]
fn every_peer_reads_what_we_wrote_and_we_read_what_it_wrote() {
    for_each_message(|peer, kind, message| {
        let ours = encode(peer.dialect(), message).unwrap();
        assert_eq!(peer.decode(&ours).as_ref(), Ok(message), "{}: {kind}", peer.name());
        let theirs = peer.encode(message).unwrap();
        assert_eq!(decode(peer.dialect(), &theirs).as_ref(), Ok(message), "{}: {kind}", peer.name());
    });
}

#[test]
fn every_kind_is_a_message_of_ours() {
    for (kind, (name, ..)) in KINDS.iter().enumerate() {
        let message = message(kind, &mut Rng::with_seed(kind as u64));
        let body = encode(&ASCII87, &message).unwrap();
        let framed = [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat();
        let xingka_wire::frame::Step::Frame(frame, _) = xingka_wire::frame::next_frame(&[&ASCII87], &framed) else {
            panic!("{name}: no frame");
        };
        assert!(xingka_wire::decode(&frame).is_ok(), "{name}: {message:?}");
    }
}

/// What somebody may send, changed a little: where both accept it, both see the same fields;
/// where one doesn't, DISAGREEMENTS.md says why.
#[test]
fn of_changed_messages_nobody_reads_other_fields_than_we_do() {
    let mut both = 0;
    let mut only_they = BTreeMap::<(&str, String), u32>::new();
    for_each_message(|peer, _, message| {
        let mut body = encode(peer.dialect(), message).unwrap();
        let mut random = Rng::with_seed(body.len() as u64 ^ u64::from(body[body.len() - 1]) << 8);
        for _ in 0..random.usize(1..=3) {
            let place = random.usize(4..body.len());
            match random.u8(0..3) {
                0 => body[place] = random.u8(b' '..=b'~'),
                1 => body[place] ^= 1 << random.u8(0..8),
                _ => drop(body.remove(place)),
            }
        }
        match (decode(peer.dialect(), &body), peer.decode(&body)) {
            (Ok(ours), Ok(theirs)) if comparable(&ours) => {
                both += 1;
                assert_eq!(ours, theirs, "{}: {body:02X?}", peer.name());
            }
            (Err(fault), Ok(_)) => *only_they.entry((peer.name(), reason(&fault))).or_default() += 1,
            _ => {}
        }
    });
    assert!(both > 1_000, "{both} changed messages were accepted by both");
    for ((peer, reason), count) in &only_they {
        let known = STRICTER.iter().any(|(who, why)| peer.contains(who) && reason.contains(why));
        assert!(known, "{peer} accepts {count} messages that we refuse: {reason}");
    }
}

/// What we refuse and a peer lets pass, by our fault: none of them looks into TLV, each lets
/// some character pass that its field may not have.
const STRICTER: &[(&str, &str)] = &[
    ("", "a tag"),
    ("", "it has a character, digit or pad that does not belong there"),
    ("iso8583-msg", "its length prefix is not digits"),
];

/// The fault without the field's number.
fn reason(fault: &str) -> String {
    fault.rsplit(": ").next().unwrap_or_default().to_owned()
}

/// One of them replaces what isn't UTF-8 as it reads; that has a test of its own.
fn comparable(ours: &Plain) -> bool {
    let is_text = |field: &u8| FIELDS[usize::from(*field)].is_some_and(|row| row.content != Content::B);
    ours.fields.iter().filter(|(field, _)| is_text(field)).all(|(_, content)| content.is_ascii())
}
