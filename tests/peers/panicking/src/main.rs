//! `iso8583_rs` 0.1, on well-formed messages of `ascii87` only: it panics on others (which is
//! shown too), and holds one specification for the whole process, read from the file that
//! the variable `SPEC_FILE` names.
//!
//! So this program runs twice: the first time it writes our field table as a
//! specification and starts itself with the variable set.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::panic::{self, AssertUnwindSafe};
use std::process::{Command, ExitCode};

use fastrand::Rng;
use iso8583_rs::iso8583::iso_spec::{Spec, new_msg, spec};
use xingka_peers::{Plain, encode, rows};
use xingka_wire::dialect::{ASCII87, Content, Field, Length};

/// Well-formed messages compared.
const MESSAGES: usize = 2_000;

/// Changed messages that it may panic on.
const CHANGED: usize = 2_000;

/// Fields of the messages: it keeps every value as text, so none that holds raw bytes beside
/// those that it writes as hexadecimal.
const FIELDS: &[u8] = &[2, 3, 4, 11, 12, 13, 14, 22, 25, 37, 38, 39, 41, 42, 44, 48, 49, 60, 61, 62, 63, 64];

fn main() -> ExitCode {
    if env::var_os("SPEC_FILE").is_some() {
        compare();
        return ExitCode::SUCCESS;
    }
    let file = env::temp_dir().join(format!("xingka-ascii87-{}.yaml", std::process::id()));
    std::fs::write(&file, specification()).expect("the temporary folder can be written");
    let this = env::current_exe().expect("this program has a file");
    let status = Command::new(this).env("SPEC_FILE", &file).status().expect("this program starts again");
    let _ = std::fs::remove_file(&file);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Our field table as it wants one.
fn specification() -> String {
    let mut text = String::from(
        "name: ascii87\nid: 1\nheader_fields:\n  \
         - {name: type, id: 1, type: Fixed, len: 4, data_encoding: ASCII, children: []}\n\
         messages:\n  - name: any\n    id: 1\n    selector: [\"0200\", \"0210\", \"0400\", \"0500\"]\n    fields:\n      \
         - {name: message_type, id: 1, type: Fixed, len: 4, data_encoding: ASCII}\n      \
         - name: bitmap\n        id: 2\n        type: Bitmapped\n        len: 0\n        data_encoding: BINARY\n        \
         children:\n",
    );
    for (number, row) in rows().filter(|(number, _)| *number <= 64) {
        let id = u32::from(number) + 10;
        let _ = writeln!(text, "          - {{name: f{number}, id: {id}, position: {number}, {}}}", describe(row));
    }
    text
}

fn describe(row: Field) -> String {
    let data = if row.content == Content::B { "BINARY" } else { "ASCII" };
    match row.length {
        Length::Fixed(units) => format!("type: Fixed, len: {units}, data_encoding: {data}"),
        Length::Ll(_) => format!("type: Variable, len: 2, len_encoding: ASCII, data_encoding: {data}"),
        Length::Lll(_) => format!("type: Variable, len: 3, len_encoding: ASCII, data_encoding: {data}"),
    }
}

fn compare() {
    let spec = spec("");
    let mut random = Rng::with_seed(1);
    for _ in 0..MESSAGES {
        let message = message(&mut random);
        let ours = encode(&ASCII87, &message).expect("our own message");
        assert_eq!(their_bytes(spec, &message), ours, "{message:?}");
        assert_eq!(their_fields(spec, &ours, &message), texts(&message), "{message:?}");
    }
    println!("iso8583_rs: the same bytes and fields in {MESSAGES} messages");
    // Said once for all of them.
    panic::set_hook(Box::new(|_| {}));
    let panics = (0..CHANGED).filter(|_| panics_on_a_changed_message(spec, &mut random)).count();
    println!("iso8583_rs: panics on {panics} of {CHANGED} changed messages; ours on none");
    assert!(panics > 0, "it has learnt to read hostile bytes: it may join the others");
}

fn message(random: &mut Rng) -> Plain {
    let mti = ["0200", "0400", "0500"][random.usize(0..3)].to_owned();
    let contents = FIELDS.iter().filter_map(|field| (random.u8(0..3) > 0).then(|| (*field, content(*field, random))));
    Plain { mti, fields: contents.collect() }
}

fn content(field: u8, random: &mut Rng) -> Vec<u8> {
    let row = rows().find(|(number, _)| *number == field).expect("a field of ours").1;
    let length = match row.length {
        Length::Fixed(units) => units,
        Length::Ll(most) | Length::Lll(most) => random.u16(1..=most),
    };
    let one = |random: &mut Rng| match row.content {
        Content::N | Content::Z => random.u8(b'0'..=b'9'),
        Content::B => random.u8(..),
        Content::An => random.alphanumeric() as u8,
        Content::Ans => random.u8(b' '..=b'~'),
    };
    (0..length).map(|_| one(random)).collect()
}

/// Values as it keeps them: bytes as hexadecimal.
fn texts(message: &Plain) -> BTreeMap<u8, String> {
    let text = |field: u8, content: &[u8]| {
        let binary = rows().any(|(number, row)| number == field && row.content == Content::B);
        if binary {
            content.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
        } else {
            String::from_utf8_lossy(content).into_owned()
        }
    };
    message.fields.iter().map(|(field, content)| (*field, text(*field, content))).collect()
}

fn their_bytes(spec: &'static Spec, message: &Plain) -> Vec<u8> {
    let segment = spec.get_message_from_header(&message.mti).expect("a type of ours");
    let mut written = new_msg(spec, segment);
    written.set("message_type", &message.mti).expect("a type");
    for (field, text) in texts(message) {
        written.set_on(u32::from(field), &text).expect("a field");
    }
    written.assemble().expect("a whole message")
}

fn their_fields(spec: &'static Spec, bytes: &[u8], message: &Plain) -> BTreeMap<u8, String> {
    let read = spec.parse(&mut bytes.to_vec()).unwrap_or_else(|error| panic!("{}", error.msg));
    let value = |field: &u8| (*field, read.bmp_child_value(u32::from(*field)).expect("a field"));
    message.fields.keys().map(value).collect()
}

fn panics_on_a_changed_message(spec: &'static Spec, random: &mut Rng) -> bool {
    let mut bytes = encode(&ASCII87, &message(random)).expect("our own message");
    for _ in 0..random.usize(1..4) {
        let place = random.usize(4..bytes.len());
        bytes[place] = random.u8(..);
    }
    // Ours says what is wrong, or reads it.
    let _ = xingka_peers::decode(&ASCII87, &bytes);
    let read = AssertUnwindSafe(|| spec.parse(&mut bytes.clone()).is_ok());
    panic::catch_unwind(read).is_err()
}
