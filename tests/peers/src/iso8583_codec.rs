//! `iso8583-codec`: binary bitmaps, fields of digits, text and bytes.
//!
//! Its text is printable ASCII only, so that fields 43 and 63 are bytes to it. It has no
//! kind for track data, which is text to it.

use std::sync::LazyLock;

use iso8583_codec::{Encoding, FieldKind, FieldSpec, FieldValue, Length, Message, Mti, Padding, Spec};
use xingka_wire::dialect::{self, Content, Field};

use crate::{Peer, Said, is_text, rows};

/// This peer.
pub const PEER: Peer = Peer { name: "iso8583-codec 0.1", decode, encode };

static SPEC: LazyLock<Result<Spec, String>> =
    LazyLock::new(|| Spec::new("ascii87", rows().map(spec_of).collect()).map_err(|error| error.to_string()));

fn spec_of((number, row): (u8, Field)) -> FieldSpec {
    let (kind, encoding) = match row.content {
        Content::B => (FieldKind::Binary, Encoding::Binary),
        Content::Ans if is_text(number) => (FieldKind::Binary, Encoding::Binary),
        Content::N => (FieldKind::Numeric, Encoding::Ascii),
        Content::Z | Content::An | Content::Ans => (FieldKind::Text, Encoding::Ascii),
    };
    let length = match row.length {
        dialect::Length::Fixed(exactly) => Length::fixed(exactly),
        dialect::Length::Ll(most) => Length::llvar(most),
        dialect::Length::Lll(most) => Length::lllvar(most),
    };
    // No padding by the peer: a value of the wrong length is a mistake, not a short one.
    FieldSpec::new(number, "field", kind, length, encoding, Padding::None)
}

/// The table, as it was handed to the peer.
pub fn spec() -> Result<&'static Spec, String> {
    SPEC.as_ref().map_err(Clone::clone)
}

fn decode(bytes: &[u8]) -> Result<Said, String> {
    let message = Message::parse(spec()?, bytes).map_err(|error| error.to_string())?;
    let mti = message.mti().as_str().parse().map_err(|_| "no MTI")?;
    Ok(Said { mti, values: message.fields().map(|(number, value)| (number, value.as_bytes().to_vec())).collect() })
}

fn encode(said: &Said) -> Result<Vec<u8>, String> {
    let spec = spec()?;
    let mti: Mti = said.mti_text().parse().map_err(|error: iso8583_codec::Error| error.to_string())?;
    let mut message = Message::new(mti);
    for (number, value) in &said.values {
        let kind = spec.field(*number).map(|field| field.kind);
        let value = value_of(kind.ok_or("no such field")?, value)?;
        message.set_field(*number, value).map_err(|error| error.to_string())?;
    }
    message.encode(spec).map_err(|error| error.to_string())
}

fn value_of(kind: FieldKind, value: &[u8]) -> Result<FieldValue, String> {
    let text = || String::from_utf8(value.to_vec()).map_err(|error| error.to_string());
    match kind {
        FieldKind::Binary => Ok(FieldValue::binary(value)),
        FieldKind::Numeric => FieldValue::digits(text()?).map_err(|error| error.to_string()),
        FieldKind::Text => FieldValue::text(text()?).map_err(|error| error.to_string()),
    }
}
