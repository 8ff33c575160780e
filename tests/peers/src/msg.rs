//! `iso8583-msg`: every field a string, bytes as hexadecimal text.

use iso8583_msg::{DataEncoding, FieldSpec, LengthEncoding, Message, Spec};
use xingka_wire::dialect::{ASCII87, Content, Dialect, FIELDS, Field, Length};

use crate::{Peer, Plain, rows};

/// It, with our table.
pub struct Msg {
    /// For benchmarks, which use it directly.
    pub spec: Spec,
}

impl Msg {
    /// Builds the table.
    pub fn new() -> Self {
        let mti = FieldSpec::fixed(DataEncoding::Ascii, LengthEncoding::Ascii, 4);
        let bitmap = FieldSpec::fixed(DataEncoding::Binary, LengthEncoding::Ascii, 8);
        let table = Spec::new().with(0, mti).with(1, bitmap);
        Self { spec: rows().fold(table, |table, (number, row)| table.with(number, describe(row))) }
    }

    /// A content as the string it keeps.
    pub fn value(number: u8, content: &[u8]) -> Result<String, String> {
        if is_binary(number) {
            return Ok(hex::encode_upper(content));
        }
        String::from_utf8(content.to_vec()).map_err(|_| "it has text in ASCII only".to_owned())
    }
}

impl Default for Msg {
    fn default() -> Self {
        Self::new()
    }
}

fn is_binary(number: u8) -> bool {
    FIELDS[usize::from(number)].is_some_and(|row| row.content == Content::B)
}

fn describe(row: Field) -> FieldSpec {
    let data = if row.content == Content::B { DataEncoding::Binary } else { DataEncoding::Ascii };
    match row.length {
        Length::Fixed(units) => FieldSpec::fixed(data, LengthEncoding::Ascii, usize::from(units)),
        Length::Ll(most) => FieldSpec::variable(data, LengthEncoding::Ascii, 2, usize::from(most)),
        Length::Lll(most) => FieldSpec::variable(data, LengthEncoding::Ascii, 3, usize::from(most)),
    }
}

impl Peer for Msg {
    fn name(&self) -> &'static str {
        "iso8583-msg"
    }

    fn dialect(&self) -> &'static Dialect {
        &ASCII87
    }

    fn decode(&self, message: &[u8]) -> Result<Plain, String> {
        let read = Message::decode(message, &self.spec).map_err(|error| error.to_string())?;
        let content = |number: u8| {
            let value = read.get(number).unwrap_or_default();
            if is_binary(number) { hex::decode(value).map_err(|error| error.to_string()) } else { Ok(value.into()) }
        };
        let fields: Result<_, String> = read.fields().map(|number| Ok((number, content(number)?))).collect();
        Ok(Plain { mti: read.mti().to_owned(), fields: fields? })
    }

    fn encode(&self, message: &Plain) -> Result<Vec<u8>, String> {
        let mut written = Message::new(&message.mti).map_err(|error| error.to_string())?;
        for (number, content) in &message.fields {
            written.set(*number, &Self::value(*number, content)?).map_err(|error| error.to_string())?;
        }
        written.encode(&self.spec).map_err(|error| error.to_string())
    }
}
