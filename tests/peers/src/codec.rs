//! `iso8583-codec`: ASCII or packed digits, binary bitmaps, owned values.

use iso8583_codec::{FieldSpec, FieldValue, Length as TheirLength, Message, Mti, Padding, Spec};
use xingka_wire::dialect::{ASCII87, Content, Dialect, FIELDS, Field, Length};

use crate::{Peer, Plain, rows};

/// It, with our table.
pub struct Codec {
    /// For benchmarks, which use it directly.
    pub spec: Spec,
}

impl Codec {
    /// Builds the table.
    pub fn new() -> Self {
        let fields = rows().map(|(number, row)| describe(number, row)).collect();
        let spec = Spec::new("ascii87", fields);
        Self { spec: spec.unwrap_or_else(|error| panic!("our table doesn't suit it: {error}")) }
    }

    /// A content as its own value.
    pub fn value(number: u8, content: &[u8]) -> Result<FieldValue, String> {
        let text = || String::from_utf8(content.to_vec()).map_err(|_| "it has text in ASCII only".to_owned());
        match FIELDS[usize::from(number)].map(|row| row.content) {
            Some(Content::N) => FieldValue::digits(text()?).map_err(|error| error.to_string()),
            Some(Content::B) => Ok(FieldValue::binary(content)),
            _ => FieldValue::text(text()?).map_err(|error| error.to_string()),
        }
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::new()
    }
}

fn describe(number: u8, row: Field) -> FieldSpec {
    let length = match row.length {
        Length::Fixed(units) => TheirLength::fixed(units),
        Length::Ll(most) => TheirLength::llvar(most),
        Length::Lll(most) => TheirLength::lllvar(most),
    };
    let spec = match row.content {
        Content::N => FieldSpec::numeric(number, "n", length),
        Content::B => FieldSpec::binary(number, "b", length),
        _ => FieldSpec::text(number, "text", length),
    };
    spec.with_padding(Padding::None)
}

impl Peer for Codec {
    fn name(&self) -> &'static str {
        "iso8583-codec"
    }

    fn dialect(&self) -> &'static Dialect {
        &ASCII87
    }

    fn decode(&self, message: &[u8]) -> Result<Plain, String> {
        let read = Message::parse(&self.spec, message).map_err(|error| error.to_string())?;
        let fields = read.fields().map(|(number, value)| (number, value.as_bytes().to_vec())).collect();
        Ok(Plain { mti: read.mti().as_str().to_owned(), fields })
    }

    fn encode(&self, message: &Plain) -> Result<Vec<u8>, String> {
        let mti = Mti::parse(message.mti.as_bytes()).map_err(|error| error.to_string())?;
        let mut written = Message::new(mti);
        for (number, content) in &message.fields {
            written.set_field(*number, Self::value(*number, content)?).map_err(|error| error.to_string())?;
        }
        written.encode(&self.spec).map_err(|error| error.to_string())
    }
}
