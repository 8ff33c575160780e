//! Messages put together by hand, byte by byte, so that tests of the reader don't lean on
//! the crate's own writer.

// Each test file is a crate of its own, and none of them uses all of this.
#![allow(dead_code)]

use std::collections::BTreeMap;

use xingka_wire::dialect::{BitmapForm, Dialect, Digits, FIELDS, Framing, LengthPrefix, TextEncoding};
use xingka_wire::frame::{Frame, Step, next_frame};
use xingka_wire::messages::Origin;

/// A host's link: hexadecimal bitmap, EBCDIC digits, a length of four ASCII digits, no TPDU.
pub static MAINFRAME: Dialect = Dialect {
    name: "mainframe",
    framing: Framing {
        length: LengthPrefix::Ascii4,
        min_length: 20,
        max_length: 4_096,
        tpdu: false,
        // An EBCDIC 0, with which every MTI begins.
        opens_with: 0xF0,
    },
    digits: Digits::Ebcdic,
    bitmap: BitmapForm::HexAscii,
    text: TextEncoding::Utf8,
    fields: &FIELDS,
};

/// Who asks in every test.
pub const ORIGIN: Origin = Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 1, batch: 1 };

/// TPDU and header of a terminal, as in wire.md's vector.
pub const HEAD: &str = "6000030000 603100310100";

/// The bytes of hexadecimal text; spaces set fields apart and mean nothing.
pub fn hex(text: &str) -> Vec<u8> {
    let digits: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    hex::decode(&digits).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A message's fields as they stand in `cup`: prefix and content, by number.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The MTI.
    pub mti: [u8; 2],
    /// Fields, ascending.
    pub fields: BTreeMap<u8, Vec<u8>>,
    /// Whether the bitmap has 128 bits.
    pub wide: bool,
}

impl Raw {
    /// A message from its MTI and its fields in hexadecimal.
    pub fn new(mti: &str, fields: &[(u8, &str)]) -> Self {
        let mti = hex(mti).try_into().unwrap();
        Self { mti, fields: fields.iter().map(|(field, text)| (*field, hex(text))).collect(), wide: false }
    }

    /// The same with one field changed or added.
    pub fn with(&self, field: u8, text: &str) -> Self {
        self.with_bytes(field, hex(text))
    }

    /// The same with one field changed or added.
    pub fn with_bytes(&self, field: u8, bytes: Vec<u8>) -> Self {
        let mut changed = self.clone();
        changed.fields.insert(field, bytes);
        changed
    }

    /// The same without one field.
    pub fn without(&self, field: u8) -> Self {
        let mut changed = self.clone();
        changed.fields.remove(&field).unwrap();
        changed
    }

    /// The same behind a bitmap of 128 bits.
    pub fn widened(&self) -> Self {
        Self { wide: true, ..self.clone() }
    }

    /// The message in `cup`, from its MTI on.
    pub fn body(&self) -> Vec<u8> {
        let set = self.fields.keys().fold(u128::from(self.wide) << 127, |set, field| set | 1 << (128 - field));
        let bitmap = set.to_be_bytes();
        let half = if self.wide { 16 } else { 8 };
        [&self.mti, &bitmap[..half]]
            .into_iter()
            .chain(self.fields.values().map(Vec::as_slice))
            .flatten()
            .copied()
            .collect()
    }
}

/// `cup`'s frame around a message.
pub fn cup_frame(body: &[u8]) -> Vec<u8> {
    let head = hex(HEAD);
    let length = u16::try_from(head.len() + body.len()).unwrap();
    [&length.to_be_bytes(), head.as_slice(), body].concat()
}

/// The one frame in `bytes`.
pub fn framed<'a>(dialect: &'static Dialect, bytes: &'a [u8]) -> Frame<'a> {
    match next_frame(&[dialect], bytes) {
        Step::Frame(frame, taken) if taken == bytes.len() => frame,
        other => panic!("not one frame: {}", matches!(other, Step::Dropped { .. })),
    }
}

/// A card at a terminal: what inquiries, purchases and all that follows from them carry.
fn presented(mti: &str, processing: &str, message_type: &str) -> Raw {
    let private = format!("0013 {message_type}000001 000600");
    Raw::new(
        mti,
        &[
            (2, "19 6299990000000000012 0"),
            (3, processing),
            (11, "000001"),
            (22, "0720"),
            (25, "00"),
            (41, "515A303030303031"),
            (42, "393939353230313533393930303031"),
            (49, "313536"),
            (60, &private),
        ],
    )
}

fn housekeeping(mti: &str, network_code: &str) -> Raw {
    let private = format!("0013 00000001 {network_code}600");
    Raw::new(mti, &[(11, "000001"), (41, "515A303030303031"), (42, "393939353230313533393930303031"), (60, &private)])
}

/// Field 48: 500.00 debit, 3 times, 20.00 credit once, asked; nothing foreign.
pub const TOTALS: &str = "0062 000000050000 003 000000002000 001 0 000000000000 000 000000000000 000 0";

/// wire.md's star inquiry.
pub fn star_inquiry() -> Raw {
    presented("0200", "310000", "01")
}

/// A purchase of 100.00.
pub fn purchase() -> Raw {
    presented("0200", "000000", "22").with(4, "000000010000")
}

/// A counter service.
pub fn counter_service() -> Raw {
    presented("0100", "310000", "01")
}

/// A void of STAN 7.
pub fn void() -> Raw {
    presented("0200", "200000", "23").with(4, "000000010000").with(61, "0016 000001 000007 0615")
}

/// A refund for STAN 7.
pub fn refund() -> Raw {
    presented("0220", "200000", "25").with(4, "000000010000").with(61, "0016 000001 000007 0615")
}

/// An offline purchase of 100.00, 20.00 of them taken off by benefit 7.
pub fn offline_upload() -> Raw {
    presented("0220", "000000", "36")
        .with(4, "000000010000")
        .with(12, "091500")
        .with(13, "0615")
        .with(57, "0034 DF1406000000010000 DF1506000000008000 DF1606000000002000 DF180400000007")
}

/// The reversal of a purchase that got no answer.
pub fn reversal() -> Raw {
    presented("0400", "000000", "22").with(4, "000000010000").with(39, "3938")
}

/// A settlement.
pub fn settlement() -> Raw {
    housekeeping("0500", "201").with(48, TOTALS).with(49, "313536")
}

/// One transaction of a batch.
pub fn batch_upload() -> Raw {
    housekeeping("0320", "201")
        .with(2, "19 6299990000000000012 0")
        .with(4, "000000010000")
        .with(12, "091500")
        .with(13, "0615")
        .with(37, "363136363030303030303031")
        .with(49, "313536")
}

/// The end of a batch upload.
pub fn batch_upload_end() -> Raw {
    housekeeping("0320", "202").with(48, TOTALS).with(49, "313536")
}

/// A sign-in for two-key 3DES keys.
pub fn sign_in() -> Raw {
    housekeeping("0800", "003")
}

/// A sign-off.
pub fn sign_off() -> Raw {
    housekeeping("0820", "002")
}

/// An echo.
pub fn echo() -> Raw {
    housekeeping("0820", "301")
}

/// Every message there is, by name.
pub fn every_message() -> Vec<(&'static str, Raw)> {
    vec![
        ("star inquiry", star_inquiry()),
        ("purchase", purchase()),
        ("counter service", counter_service()),
        ("void", void()),
        ("refund", refund()),
        ("offline upload", offline_upload()),
        ("reversal", reversal()),
        ("settlement", settlement()),
        ("batch upload", batch_upload()),
        ("batch upload's end", batch_upload_end()),
        ("sign-in", sign_in()),
        ("sign-off", sign_off()),
        ("echo", echo()),
    ]
}
