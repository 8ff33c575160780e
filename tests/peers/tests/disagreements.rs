//! Every row of `DISAGREEMENTS.md`, shown by bytes: whoever changes its mind fails here.

use iso_8583_rs::specfile::Spec as RsSpec;
use iso_8583_rs::{CompiledSpec, Error as RsError, Message as RsMessage};
use iso8583_codec::{FieldSpec as CodecField, Length as CodecLength, Message as CodecMessage, Spec as CodecSpec};
use iso8583_msg::{DataEncoding, FieldSpec as MsgField, LengthEncoding, Message as MsgMessage};
use xingka_peers::probes::{Probe, echo_with, packed_letter, probes};
use xingka_peers::{PEERS, Said, iso_8583_rs as rs, iso8583_msg as msg, ours};
use xingka_wire::dialect::{ASCII87, CUP, FIELDS};
use xingka_wire::fault::{Fault, FaultKind};

const TABLE: &str = include_str!("../DISAGREEMENTS.md");

/// A row stands in the table under this name.
fn stands(row: &str) {
    assert!(TABLE.contains(&format!("| `{row}` |")), "`{row}` isn't in DISAGREEMENTS.md");
}

#[test]
fn the_echo_itself_is_read_by_all() {
    let plain = echo_with(0, b"", 8);
    assert_eq!(ours::fault(&plain), Ok(None));
    PEERS.iter().for_each(|peer| drop((peer.decode)(&plain).unwrap()));
}

#[test]
fn what_some_read_and_others_do_not() {
    for Probe { row, message, ours: expected, peers, .. } in probes() {
        stands(row);
        let fault = ours::fault(&message).unwrap().map(|fault| (fault.field, fault.kind));
        assert_eq!(fault, expected, "we on `{row}`");
        for (peer, reads) in PEERS.iter().zip(peers) {
            let read = (peer.decode)(&message);
            assert_eq!(read.is_ok(), reads, "{} on `{row}`: {read:?}", peer.name);
        }
    }
}

#[test]
fn packed_letters_are_no_digits_to_us() {
    stands("packed-letter");
    let fault = ours::fault_of(&CUP, &packed_letter().unwrap()).unwrap();
    assert_eq!(fault, Some(Fault::new(4, FaultKind::Content)));
}

#[test]
fn a_wide_bitmap_for_nothing_is_never_written() {
    stands("wide-for-nothing");
    let said = (PEERS[0].decode)(&echo_with(0, b"", 16)).unwrap();
    let narrow = echo_with(0, b"", 8);
    assert_eq!(&ours::encode(&ASCII87, &said).unwrap()[ours::LENGTH_BYTES..], narrow);
    PEERS.iter().for_each(|peer| assert_eq!((peer.encode)(&said).as_ref(), Ok(&narrow), "{}", peer.name));
}

fn echo_saying(field: u8, value: &[u8]) -> Said {
    let mut said = (PEERS[0].decode)(&echo_with(0, b"", 8)).unwrap();
    said.values.insert(field, value.to_vec());
    said
}

#[test]
fn short_fixed_fields_are_written_short_by_two() {
    stands("short-fixed");
    let said = echo_saying(3, b"00000");
    assert!(ours::encode(&ASCII87, &said).is_err());
    let written = PEERS.map(|peer| (peer.encode)(&said).ok());
    let short = Some(echo_with(3, b"00000", 8));
    assert_eq!(written, [None, short.clone(), None, short]);
}

#[test]
fn an_empty_field_is_written_by_some() {
    stands("empty-n");
    let said = echo_saying(32, b"");
    let with = Some(echo_with(32, b"00", 8));
    assert_eq!(ours::encode(&ASCII87, &said).ok().map(|frame| frame[ours::LENGTH_BYTES..].to_vec()), with);
    // The second one leaves the field out without a word.
    let without = Some(echo_with(0, b"", 8));
    assert_eq!(PEERS.map(|peer| (peer.encode)(&said).ok()), [None, without, with.clone(), with]);
}

/// "诚信" in GBK, and spaces.
fn merchant_name() -> Vec<u8> {
    let mut name = b"\xb3\xcf\xd0\xc5".to_vec();
    name.resize(40, b' ');
    name
}

#[test]
fn text_beyond_ascii_is_no_text_to_peers() {
    stands("gbk");
    let message = echo_with(43, &merchant_name(), 8);
    assert_eq!(ours::fault(&message), Ok(None));

    let fields = xingka_peers::iso8583_codec::spec().unwrap().fields().iter();
    let text = CodecField::text(43, "name", CodecLength::fixed(40));
    let fields = fields.map(|field| if field.number == 43 { text } else { *field }).collect();
    let spec = CodecSpec::new("text", fields).unwrap();
    let refused = iso8583_codec::Error::InvalidTextByte { field: Some(43), byte: 0xB3 };
    assert_eq!(CodecMessage::parse(&spec, &message), Err(refused));

    let fields = xingka_peers::rows().map(|(number, row)| {
        let content = if number == 43 { "ans" } else { "b" };
        (i64::from(number), rs::describe(row, content))
    });
    let spec = CompiledSpec::compile(&RsSpec { fields: fields.collect() }).unwrap();
    assert_eq!(rs::decode_with(&spec, &message), Err(RsError::Invalid(43).to_string()));

    let read = MsgMessage::decode(&message, &msg_with_ascii(43)).unwrap();
    assert!(read.get(43).unwrap().starts_with('\u{FFFD}'));
}

/// `iso8583-msg`'s table with a field as ASCII.
fn msg_with_ascii(field: u8) -> iso8583_msg::Spec {
    let most = usize::from(xingka_peers::most(FIELDS[usize::from(field)].unwrap()));
    let ascii = MsgField::fixed(DataEncoding::Ascii, LengthEncoding::Ascii, most);
    msg::spec().unwrap().clone().with(field, ascii)
}

#[test]
fn one_peer_writes_small_letters_large() {
    stands("small-letters");
    let mut message = MsgMessage::new("0820").unwrap();
    message.set(41, "qz000001").unwrap();
    assert!(message.encode(&msg_with_ascii(41)).unwrap().ends_with(b"QZ000001"));
}

#[test]
fn one_peer_knows_hexadecimal_bitmaps_only() {
    stands("hex-bitmap");
    let fields = xingka_peers::rows().map(|(number, row)| (i64::from(number), rs::describe(row, "b")));
    let spec = CompiledSpec::compile(&RsSpec { fields: fields.collect() }).unwrap();
    let refused = RsMessage::parse(&spec, &echo_with(0, b"", 8)).unwrap_err();
    assert_eq!(refused, RsError::BadHex);
}
