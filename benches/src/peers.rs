//! Our field table as each peer wants it.

use std::collections::HashMap;

use iso_8583_rs::CompiledSpec;
use iso_8583_rs::specfile::{FieldDescription, Spec as FastSpec};
use iso8583_codec::{FieldSpec as CodecField, Length as CodecLength, Padding, Spec as CodecSpec};
use iso8583_msg::{DataEncoding, FieldSpec as MsgField, LengthEncoding, Spec as MsgSpec};
use xingka_wire::dialect::{ASCII87, BitmapForm, Content, Dialect, FIELDS, Field, Length};

/// `ascii87` with its bitmap as hexadecimal text: what `iso_8583_rs` speaks.
pub static ASCII87_HEX: Dialect = Dialect {
    name: "ascii87-hex",
    framing: ASCII87.framing,
    digits: ASCII87.digits,
    bitmap: BitmapForm::HexAscii,
    text: ASCII87.text,
    fields: &FIELDS,
};

fn rows() -> impl Iterator<Item = (u8, Field)> {
    (0_u8..=128).zip(FIELDS.iter()).filter_map(|(number, row)| Some((number, (*row)?)))
}

/// For `iso_8583_rs`.
pub fn fast() -> CompiledSpec {
    let fields: HashMap<i64, _> = rows().map(|(number, row)| (i64::from(number), fast_field(row))).collect();
    CompiledSpec::compile(&FastSpec { fields }).unwrap_or_else(|error| panic!("our table doesn't suit it: {error}"))
}

fn fast_field(row: Field) -> FieldDescription {
    let content_type = match row.content {
        Content::N => "n",
        Content::An => "an",
        Content::Ans => "ans",
        // What it doesn't know it leaves unchecked.
        Content::Z | Content::B => "b",
    };
    let (len_type, max_len) = match row.length {
        Length::Fixed(units) => ("fixed", units),
        Length::Ll(most) => ("llvar", most),
        Length::Lll(most) => ("lllvar", most),
    };
    FieldDescription {
        content_type: content_type.into(),
        max_len: usize::from(max_len),
        min_len: 0,
        len_type: len_type.into(),
        label: String::new(),
    }
}

/// For `iso8583-codec`.
pub fn codec() -> CodecSpec {
    let fields = rows().map(|(number, row)| codec_field(number, row)).collect();
    CodecSpec::new("ascii87", fields).unwrap_or_else(|error| panic!("our table doesn't suit it: {error}"))
}

fn codec_field(number: u8, row: Field) -> CodecField {
    let length = match row.length {
        Length::Fixed(units) => CodecLength::fixed(units),
        Length::Ll(most) => CodecLength::llvar(most),
        Length::Lll(most) => CodecLength::lllvar(most),
    };
    let spec = match row.content {
        Content::N => CodecField::numeric(number, "n", length),
        Content::B => CodecField::binary(number, "b", length),
        _ => CodecField::text(number, "text", length),
    };
    spec.with_padding(Padding::None)
}

/// For `iso8583-msg`.
pub fn msg() -> MsgSpec {
    let mti = MsgField::fixed(DataEncoding::Ascii, LengthEncoding::Ascii, 4);
    let bitmap = MsgField::fixed(DataEncoding::Binary, LengthEncoding::Ascii, 8);
    let table = MsgSpec::new().with(0, mti).with(1, bitmap);
    rows().fold(table, |table, (number, row)| table.with(number, msg_field(row)))
}

fn msg_field(row: Field) -> MsgField {
    let data = if row.content == Content::B { DataEncoding::Binary } else { DataEncoding::Ascii };
    match row.length {
        Length::Fixed(units) => MsgField::fixed(data, LengthEncoding::Ascii, usize::from(units)),
        Length::Ll(most) => MsgField::variable(data, LengthEncoding::Ascii, 2, usize::from(most)),
        Length::Lll(most) => MsgField::variable(data, LengthEncoding::Ascii, 3, usize::from(most)),
    }
}
