//! Random messages of every kind, for peers that share nothing but the field table.

use std::collections::BTreeMap;

use fastrand::Rng;
use xingka_wire::dialect::{Content, FIELDS, Length};

use crate::Plain;

/// Every message of the wire: its name, type, processing code, field 60 and the fields it has.
pub const KINDS: &[(&str, &str, &str, &str, &[u8])] = &[
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
pub fn message(kind: usize, random: &mut Rng) -> Plain {
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
    hex::decode(if KINDS[kind].0 == "offline upload" { offline } else { "DF030101" }).unwrap_or_default()
}

fn content(field: u8, random: &mut Rng) -> Vec<u8> {
    let Some(row) = FIELDS[usize::from(field)] else { return Vec::new() };
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
