//! Writes `fuzz/seeds` (`cargo run --manifest-path fuzz/Cargo.toml --example seeds`): every message in every dialect, plain and with all that may stand
//! beside, from the bytes that the codec's tests put together by hand.

use std::fs;
use std::path::Path;

use xingka_fuzz::messages::framed;
use xingka_wire::dialect::{ASCII87, CUP, CUP_GBK, Dialect};
use xingka_wire::encode::{Seal, Writer};
use xingka_wire::fields::Fields;

#[path = "../../switch/wire/tests/common/mod.rs"]
mod common;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).expect("the folder of seeds");
        fs::write(folder.join(name), bytes).expect("a seed");
    };
    for (name, message) in common::every_message() {
        let name = name.replace([' ', '\''], "-");
        for (variant, message) in [("plain", message.clone()), ("full", full(&message))] {
            let body = message.body();
            let name = format!("{name}-{variant}");
            for (target, dialect) in [
                ("message_cup", &CUP),
                ("message_cup_gbk", &CUP_GBK),
                ("message_ascii87", &ASCII87),
                ("peers", &ASCII87),
            ] {
                let seal = if variant == "full" { Seal::Wide } else { Seal::Narrow };
                write(target, &name, &transcribe(&body, dialect, seal));
            }
            // Without room for a MAC: sealed, and bare.
            write("connection", &format!("{name}-sealed"), &a_move(2, &with_mac_bit(&body)));
            write("connection", &format!("{name}-bare"), &a_move(1, &body));
            // The first byte says where the stream is cut.
            write("frame", &name, &[&[21], common::cup_frame(&body).as_slice()].concat());
        }
    }
    for (name, text) in TLV {
        write("tlv", name, &common::hex(text));
    }
    for (name, text) in KEYS {
        write("session_keys", name, &common::hex(text));
    }
}

/// A move of a stranger's: its kind, its length, what it says. Then a right purchase, twice.
fn a_move(kind: u8, said: &[u8]) -> Vec<u8> {
    let length = u16::try_from(said.len()).expect("a short message").to_be_bytes();
    let purchase = [3, 0, 4, 0, 0, 1, 9];
    [&[kind][..], &length, said, &purchase, &purchase].concat()
}

/// The bitmap says that a MAC follows.
fn with_mac_bit(body: &[u8]) -> Vec<u8> {
    let mut body = body.to_vec();
    if body[2] & 0x80 == 0 {
        body[9] |= 1;
    }
    body
}

/// With every field that is allowed beside the needed ones.
fn full(message: &common::Raw) -> common::Raw {
    message
        .with(23, "0012")
        .with(35, "21 6299990000000000012D3 0")
        .with(52, "0011223344556677")
        .with(55, "0012 770A 9F02020001 9A03260615")
        .with(57, "0049 DF1406000000010000 DF1506000000008000 DF1606000000002000 DF180400000007 DF0101 41 DF180400000009 DF030100")
        .with(63, "0003 303120")
}

/// A message of `cup` as another dialect writes it, with room for a MAC.
fn transcribe(body: &[u8], dialect: &'static Dialect, seal: Seal) -> Vec<u8> {
    let frame = framed(&CUP, body).expect("a message of the tests");
    let fields = Fields::of(&frame).expect("a message of the tests");
    let mut buffer = [0; 4_096];
    let mut writer = Writer::new(dialect, frame.mti, seal, &mut buffer);
    for field in fields.numbers() {
        match fields.digits(field) {
            Some(digits) => writer.digit_string(field, digits),
            None => writer.bytes(field, fields.bytes(field).unwrap_or_default()),
        }
    }
    [writer.finish().expect("a message of the tests"), b"955F0697"].concat()
}

const TLV: &[(&str, &str)] = &[
    ("request", "DF010141 DF0203010203 DF030101 DF040400000007 DF051000112233445566778899AABBCCDDEEFF"),
    (
        "answer",
        "DF110105 DF130207D0 DF1406000000010000 DF1506000000008000 DF1606000000002000 DF170102 DF180400000007 \
      DF180400000009 DF190400000001 DF1A03E69F9F DF1B1000112233445566778899AABBCCDDEEFF DF1C0103 DF1D0100 DF1E0400000005",
    ),
    ("loan", "DF211000112233445566778899AABBCCDDEEFF DF220101 DF2306000020000000 DF240400000E10"),
    ("emv", "770A 9F02020001 9A03260615"),
    ("nested", "E10A E208 E306 E404 5A0212 34"),
];

/// A TMK, a layout and a MAC, then wire.md's field 62.
const KEYS: &[(&str, &str)] = &[
    (
        "older-004",
        "3131313132323232B5B5B5B5C6C6C6C6 02 03 \
      048E45680EBF730D16D116F27556D51376CDB55389BEC6767A5C30870000000000000000BFADEE68\
      9CDF9E47A61A1FC9CF4599B133C8F1F382F460EF",
    ),
    (
        "003",
        "3131313132323232B5B5B5B5C6C6C6C6 01 02 \
      048E45680EBF730D16D116F27556D51376CDB5539CDF9E47A61A1FC9CF4599B133C8F1F382F460EF",
    ),
    ("nothing", "3131313132323232B5B5B5B5C6C6C6C6 00 03"),
];
