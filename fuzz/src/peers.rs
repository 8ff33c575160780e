//! Beside codecs that share nothing with ours: of what both accept, both see the same fields.
//!
//! They accept more than we do (`tests/peers/DISAGREEMENTS.md` says what); where we accept a
//! message and one of them doesn't, that must be for a reason named here.

use std::collections::BTreeMap;

use iso_8583_rs::CompiledSpec;
use iso_8583_rs::specfile::{FieldDescription, Spec as FastSpec};
use iso8583_codec::{FieldSpec, Length as TheirLength, Padding, Spec};
use xingka_wire::dialect::{ASCII87, Content, FIELDS, Field, Length};
use xingka_wire::fields::Fields;

use crate::messages::framed;

type Contents = BTreeMap<u8, Vec<u8>>;

/// The peers with our table.
pub struct Peers {
    fast: CompiledSpec,
    codec: Spec,
}

fn rows() -> impl Iterator<Item = (u8, Field)> {
    (0_u8..=128).zip(FIELDS.iter()).filter_map(|(number, row)| Some((number, (*row)?)))
}

impl Default for Peers {
    fn default() -> Self {
        let fast = rows().map(|(number, row)| (i64::from(number), fast_field(row))).collect();
        let fast = CompiledSpec::compile(&FastSpec { fields: fast }).expect("our table suits it");
        let codec = rows().map(|(number, row)| codec_field(number, row)).collect();
        Self { fast, codec: Spec::new("ascii87", codec).expect("our table suits it") }
    }
}

fn fast_field(row: Field) -> FieldDescription {
    let (len_type, max_len) = match row.length {
        Length::Fixed(units) => ("fixed", units),
        Length::Ll(most) => ("llvar", most),
        Length::Lll(most) => ("lllvar", most),
    };
    FieldDescription {
        content_type: if row.content == Content::N { "n".into() } else { "b".into() },
        max_len: usize::from(max_len),
        min_len: 0,
        len_type: len_type.into(),
        label: String::new(),
    }
}

fn codec_field(number: u8, row: Field) -> FieldSpec {
    let length = match row.length {
        Length::Fixed(units) => TheirLength::fixed(units),
        Length::Ll(most) => TheirLength::llvar(most),
        Length::Lll(most) => TheirLength::lllvar(most),
    };
    // Text would be ASCII to it, and ours may be GBK.
    let spec = if row.content == Content::N {
        FieldSpec::numeric(number, "n", length)
    } else {
        FieldSpec::binary(number, "b", length)
    };
    spec.with_padding(Padding::None)
}

/// A message of `ascii87`, from its MTI on.
pub fn check(peers: &Peers, body: &[u8]) {
    let Some(frame) = framed(&ASCII87, body) else { return };
    let Ok(fields) = Fields::of(&frame) else { return };
    let ours = contents(&fields);
    let hexadecimal = with_hexadecimal_bitmap(body, fields.wide());
    let read = iso_8583_rs::Message::parse(&peers.fast, &hexadecimal).expect("iso_8583_rs accepts what we accept");
    let theirs: Contents = read.fields().map(|(number, content)| (number as u8, content.to_vec())).collect();
    assert_eq!(theirs, ours, "iso_8583_rs");
    match iso8583_codec::Message::parse(&peers.codec, body) {
        Ok(read) => {
            let theirs: Contents = read.fields().map(|(number, value)| (number, value.as_bytes().to_vec())).collect();
            assert_eq!(theirs, ours, "iso8583-codec");
        }
        // It knows no empty field of digits.
        Err(error) => assert!(has_empty_digits(&fields), "iso8583-codec: {error}"),
    }
}

fn contents(fields: &Fields<'_>) -> Contents {
    fields.numbers().map(|field| (field, fields.bytes(field).unwrap_or_default().to_vec())).collect()
}

fn has_empty_digits(fields: &Fields<'_>) -> bool {
    fields.numbers().any(|field| fields.digits(field).is_some_and(|digits| digits.is_empty()))
}

fn with_hexadecimal_bitmap(body: &[u8], wide: bool) -> Vec<u8> {
    let (mti, rest) = body.split_at(4);
    let (bitmap, fields) = rest.split_at(if wide { 16 } else { 8 });
    [mti, hex::encode_upper(bitmap).as_bytes(), fields].concat()
}
