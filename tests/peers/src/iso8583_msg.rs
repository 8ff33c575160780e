//! `iso8583-msg`: every value is a string, bytes among them as hexadecimal digits.
//!
//! It writes small letters large and reads bytes beyond ASCII with losses; so only digits
//! and tracks are ASCII to it, and all other fields are bytes.

use std::sync::LazyLock;

use iso8583_msg::{DataEncoding, FieldSpec, LengthEncoding, Message, Spec};
use xingka_wire::dialect::{Content, Field, Length};

use crate::{Peer, Said, Values, most, rows};

/// This peer.
pub const PEER: Peer = Peer { name: "iso8583-msg 0.1", decode, encode };

static SPEC: LazyLock<Result<Spec, String>> = LazyLock::new(|| {
    let mut spec = Spec::new();
    let mti = FieldSpec::fixed(DataEncoding::Ascii, LengthEncoding::Ascii, 4);
    // The bitmap, and its second half where there is one: 8 bytes.
    let bitmap = FieldSpec::fixed(DataEncoding::Binary, LengthEncoding::Ascii, 8);
    let fields = rows().map(|(number, row)| (number, spec_of(row)));
    for (number, field) in [(0, mti), (1, bitmap)].into_iter().chain(fields) {
        spec.set(number, field).map_err(|error| error.to_string())?;
    }
    Ok(spec)
});

fn spec_of(row: Field) -> FieldSpec {
    let data = if is_ascii(row.content) { DataEncoding::Ascii } else { DataEncoding::Binary };
    let most_units = usize::from(most(row));
    let variable = |digits| FieldSpec::variable(data, LengthEncoding::Ascii, digits, most_units);
    match row.length {
        Length::Fixed(_) => FieldSpec::fixed(data, LengthEncoding::Ascii, most_units),
        Length::Ll(_) => variable(2),
        Length::Lll(_) => variable(3),
    }
}

const fn is_ascii(content: Content) -> bool {
    matches!(content, Content::N | Content::Z)
}

/// The table, as it was handed to the peer.
pub fn spec() -> Result<&'static Spec, String> {
    SPEC.as_ref().map_err(Clone::clone)
}

fn decode(bytes: &[u8]) -> Result<Said, String> {
    let spec = spec()?;
    let message = Message::decode(bytes, spec).map_err(|error| error.to_string())?;
    let mut values = Values::new();
    for number in message.fields() {
        let text = message.get(number).unwrap_or_default();
        let field = spec.get(number).map_err(|error| error.to_string())?;
        let value = match field.data {
            DataEncoding::Binary => hex::decode(text).map_err(|error| error.to_string())?,
            _ => text.as_bytes().to_vec(),
        };
        values.insert(number, value);
    }
    Ok(Said { mti: message.mti().parse().map_err(|_| "no MTI")?, values })
}

fn encode(said: &Said) -> Result<Vec<u8>, String> {
    let spec = spec()?;
    let mut message = Message::new(&said.mti_text()).map_err(|error| error.to_string())?;
    for (number, value) in &said.values {
        let field = spec.get(*number).map_err(|error| error.to_string())?;
        let text = match field.data {
            DataEncoding::Binary => hex::encode(value),
            _ => String::from_utf8(value.clone()).map_err(|error| error.to_string())?,
        };
        message.set(*number, &text).map_err(|error| error.to_string())?;
    }
    message.encode(spec).map_err(|error| error.to_string())
}
