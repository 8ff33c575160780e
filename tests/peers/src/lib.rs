//! Independent codecs of ISO 8583, given our field table, to hold ours against.
//!
//! They speak ASCII, so what is compared is the dialect `ascii87`. One of them knows
//! hexadecimal bitmaps only: for it there is [`ASCII87_HEX`], a table of ours that differs in
//! nothing else. None of them may come anywhere near the product: see DISAGREEMENTS.md for
//! what each can't express.

pub mod codec;
pub mod fast;
pub mod msg;
pub mod sample;

use std::collections::BTreeMap;

use xingka_wire::dialect::{ASCII87, BitmapForm, Content, Dialect, FIELDS, Field};
use xingka_wire::digits::SEPARATOR;
use xingka_wire::encode::{EncodeFault, Seal, Writer};
use xingka_wire::fault::FaultKind;
use xingka_wire::fields::Fields;
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::mti::Mti;

/// `ascii87` with its bitmap as hexadecimal text.
pub static ASCII87_HEX: Dialect = Dialect {
    name: "ascii87-hex",
    framing: ASCII87.framing,
    digits: ASCII87.digits,
    bitmap: BitmapForm::HexAscii,
    text: ASCII87.text,
    fields: &FIELDS,
};

/// A message as every codec sees it: four digits, and each field's content without its length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// The message type.
    pub mti: String,
    /// Contents by field number.
    pub fields: BTreeMap<u8, Vec<u8>>,
}

/// A codec that isn't ours.
pub trait Peer {
    /// Its crate.
    fn name(&self) -> &'static str;

    /// How its messages look.
    fn dialect(&self) -> &'static Dialect;

    /// Reads a message, from its MTI on.
    fn decode(&self, message: &[u8]) -> Result<Plain, String>;

    /// Writes a message.
    fn encode(&self, message: &Plain) -> Result<Vec<u8>, String>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Peer>> {
    vec![Box::new(fast::Fast::new()), Box::new(codec::Codec::new()), Box::new(msg::Msg::new())]
}

/// The rows of our table that a message of 64 or 128 bits may have.
pub fn rows() -> impl Iterator<Item = (u8, Field)> {
    let numbered = (0_u8..=128).zip(FIELDS.iter());
    numbered.filter_map(|(number, row)| Some((number, (*row)?)))
}

/// What our own codec makes of a message, from its MTI on.
pub fn decode(dialect: &'static Dialect, message: &[u8]) -> Result<Plain, String> {
    let length = u16::try_from(message.len()).map_err(|_| "too long")?;
    let framed = [&length.to_be_bytes(), message].concat();
    let Step::Frame(frame, _) = next_frame(&[dialect], &framed) else {
        return Err("no frame".into());
    };
    let fields = match xingka_wire::decode(&frame) {
        Ok(message) => message.fields,
        // A message that doesn't exist or lacks something still has well-formed fields.
        Err(malformed) if matches!(malformed.fault.kind, FaultKind::UnknownMessage | FaultKind::Missing) => {
            malformed.fields
        }
        Err(malformed) => return Err(malformed.fault.to_string()),
    };
    Ok(Plain { mti: frame.mti.to_string(), fields: contents(&fields) })
}

/// Each field's content; digits as ASCII.
pub fn contents(fields: &Fields<'_>) -> BTreeMap<u8, Vec<u8>> {
    let content = |field| match fields.digits(field) {
        Some(digits) => digits.values().map(|value| if value == SEPARATOR { b'=' } else { b'0' + value }).collect(),
        None => fields.bytes(field).unwrap_or_default().to_vec(),
    };
    fields.numbers().map(|field| (field, content(field))).collect()
}

/// Our own encoding of a message, from its MTI on; its MAC, if it has one, as it is given.
pub fn encode(dialect: &'static Dialect, message: &Plain) -> Result<Vec<u8>, EncodeFault> {
    let mac = [64, 128].into_iter().find(|field| message.fields.contains_key(field));
    let seal = match mac {
        None => Seal::None,
        Some(64) => Seal::Narrow,
        Some(_) => Seal::Wide,
    };
    let mut buffer = [0; 4_096];
    let mti = Mti(message.mti.parse().unwrap_or_default());
    let mut writer = Writer::new(dialect, mti, seal, &mut buffer);
    for (field, content) in message.fields.iter().filter(|(field, _)| Some(**field) != mac) {
        let row = FIELDS[usize::from(*field)];
        match row.map(|row| row.content) {
            Some(Content::N | Content::Z) => writer.digits(*field, content),
            _ => writer.bytes(*field, content),
        }
    }
    let mut bytes = writer.finish()?.to_vec();
    bytes.extend(mac.and_then(|field| message.fields.get(&field)).into_iter().flatten());
    Ok(bytes)
}
