//! `iso_8583_rs`: values are borrowed bytes, the table says which characters may stand.
//!
//! It knows bitmaps in hexadecimal only: `with_hex_bitmap` and `with_binary_bitmap`
//! rewrite those 8 or 16 bytes and touch nothing else. Its `ans` is printable ASCII, so
//! that fields 43 and 63 are unchecked, as tracks and bytes are.

use std::collections::HashMap;
use std::sync::LazyLock;

use iso_8583_rs::specfile::{FieldDescription, Spec};
use iso_8583_rs::{Builder, CompiledSpec, Message};
use xingka_wire::dialect::{Content, Field, Length};

use crate::{Peer, Said, is_text, most, rows};

/// This peer.
pub const PEER: Peer = Peer { name: "iso_8583_rs 0.2", decode, encode };

const MTI_BYTES: usize = 4;

static SPEC: LazyLock<Result<CompiledSpec, String>> = LazyLock::new(|| {
    let fields: HashMap<_, _> =
        rows().map(|(number, row)| (i64::from(number), describe(row, content_of(number, row.content)))).collect();
    CompiledSpec::compile(&Spec { fields }).map_err(|error| error.to_string())
});

/// A row in the peer's words.
pub fn describe(row: Field, content: &str) -> FieldDescription {
    let len_type = match row.length {
        Length::Fixed(_) => "fixed",
        Length::Ll(_) => "llvar",
        Length::Lll(_) => "lllvar",
    };
    FieldDescription {
        content_type: content.into(),
        max_len: usize::from(most(row)),
        min_len: 0,
        len_type: len_type.into(),
        label: String::new(),
    }
}

const fn content_of(number: u8, content: Content) -> &'static str {
    match content {
        Content::N => "n",
        Content::An => "an",
        Content::Ans if !is_text(number) => "ans",
        Content::Ans | Content::Z | Content::B => "b",
    }
}

fn spec() -> Result<&'static CompiledSpec, String> {
    SPEC.as_ref().map_err(Clone::clone)
}

fn decode(bytes: &[u8]) -> Result<Said, String> {
    decode_with(spec()?, bytes)
}

/// Reads a message by another table than ours.
pub fn decode_with(spec: &CompiledSpec, bytes: &[u8]) -> Result<Said, String> {
    let message = with_hex_bitmap(bytes)?;
    let read = Message::parse(spec, &message).map_err(|error| error.to_string())?;
    let mti = std::str::from_utf8(&read.mti).ok().and_then(|mti| mti.parse().ok()).ok_or("no MTI")?;
    let number = |number| u8::try_from(number).unwrap_or_default();
    Ok(Said { mti, values: read.fields().map(|(field, value)| (number(field), value.to_vec())).collect() })
}

fn encode(said: &Said) -> Result<Vec<u8>, String> {
    let mti = said.mti_text();
    let mut builder = Builder::new(spec()?, mti.as_bytes()).map_err(|error| error.to_string())?;
    for (number, value) in &said.values {
        builder.set(usize::from(*number), value).map_err(|error| error.to_string())?;
    }
    let mut message = Vec::new();
    builder.pack_into(&mut message);
    with_binary_bitmap(&message)
}

/// A message with its binary bitmap written as the peer reads it.
fn with_hex_bitmap(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let wide = bytes.get(MTI_BYTES).is_some_and(|byte| byte & 0x80 != 0);
    let (mti, rest) = bytes.split_at_checked(MTI_BYTES).ok_or("too short")?;
    let (bitmap, fields) = rest.split_at_checked(if wide { 16 } else { 8 }).ok_or("too short")?;
    Ok([mti, hex::encode_upper(bitmap).as_bytes(), fields].concat())
}

/// A message of the peer's with its bitmap in binary.
fn with_binary_bitmap(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let wide = bytes.get(MTI_BYTES).is_some_and(|digit| *digit >= b'8');
    let (mti, rest) = bytes.split_at_checked(MTI_BYTES).ok_or("too short")?;
    let (bitmap, fields) = rest.split_at_checked(if wide { 32 } else { 16 }).ok_or("too short")?;
    let bitmap = hex::decode(bitmap).map_err(|error| error.to_string())?;
    Ok([mti, &bitmap, fields].concat())
}
