//! Format errors (30) and unknown messages (40): which field is named, and why.

mod common;

use common::{Raw, batch_upload, cup_frame, every_message, framed, hex, purchase, star_inquiry};
use xingka_wire::code::ResponseCode;
use xingka_wire::decode;
use xingka_wire::dialect::{ASCII87, CUP};
use xingka_wire::fault::{Fault, FaultKind};

/// What is wrong with a body in `cup`.
fn fault_of(body: &[u8]) -> Option<Fault> {
    let frame = cup_frame(body);
    decode(&framed(&CUP, &frame)).err().map(|malformed| malformed.fault)
}

fn assert_fault(what: &str, body: &[u8], field: u8, kind: FaultKind) {
    let fault = fault_of(body).unwrap_or_else(|| panic!("{what}: accepted"));
    assert_eq!(fault, Fault { field, kind }, "{what}");
    assert_eq!(fault.code(), ResponseCode::FORMAT_ERROR, "{what}");
}

fn assert_unknown(what: &str, message: &Raw) {
    let fault = fault_of(&message.body()).unwrap_or_else(|| panic!("{what}: accepted"));
    assert_eq!(fault.kind, FaultKind::UnknownMessage, "{what}");
    assert_eq!(fault.code(), ResponseCode::UNKNOWN_MESSAGE, "{what}");
}

/// A prefix in front of so many bytes of the same value.
fn filled(prefix: &str, byte: u8, count: usize) -> Vec<u8> {
    [hex(prefix), vec![byte; count]].concat()
}

#[test]
fn every_message_is_accepted_before_it_is_broken() {
    for (name, message) in every_message() {
        assert_eq!(fault_of(&message.body()), None, "{name}");
        let sealed = message.with(64, "0011223344556677");
        assert_eq!(fault_of(&sealed.body()), None, "{name} with a MAC");
        let wide = message.with(128, "0011223344556677").widened();
        assert_eq!(fault_of(&wide.body()), None, "{name} with 128 bits");
    }
}

#[test]
fn the_second_half_of_a_bitmap_cut_short() {
    // The first half can't be: a LEN that leaves no room for it is no frame.
    let whole = star_inquiry().widened().body();
    for end in 10..18 {
        assert_fault("bitmap", &whole[..end], 0, FaultKind::Bitmap);
    }
}

#[test]
fn fields_the_dialect_does_not_know() {
    for field in [5, 7, 24, 40, 47, 51, 56, 58, 59] {
        assert_fault("narrow", &star_inquiry().with(field, "00").body(), field, FaultKind::UnknownField);
    }
    for field in [65, 90, 127] {
        assert_fault("wide", &star_inquiry().with(field, "00").widened().body(), field, FaultKind::UnknownField);
    }
}

#[test]
fn the_mac_stands_in_one_place_only() {
    let both = star_inquiry().with(64, "0011223344556677").with(128, "0011223344556677").widened();
    assert_fault("64 and 128", &both.body(), 64, FaultKind::UnknownField);
    let wide = star_inquiry().with(64, "0011223344556677").widened();
    assert_fault("64 in 128 bits", &wide.body(), 64, FaultKind::UnknownField);
}

#[test]
fn longer_than_the_field_may_be() {
    // Each with all its content, so that nothing but the length is wrong.
    for (field, prefix, byte, bytes) in [
        (2, "20", 0x12, 10),
        (32, "12", 0x12, 6),
        (35, "38", 0x12, 19),
        (36, "0105", 0x10, 53),
        (44, "26", b'A', 26),
        (48, "0324", 0x12, 162),
        (54, "0021", b'A', 21),
        (55, "0513", 0x01, 513),
        (57, "0513", 0x01, 513),
        (60, "0018", 0x01, 9),
        (61, "0030", 0x01, 15),
        (62, "0513", 0x01, 513),
        (63, "0164", b'A', 164),
        // The pad digit of a packed LLL.
        (60, "1013", 0x01, 507),
    ] {
        let message = star_inquiry().with_bytes(field, filled(prefix, byte, bytes));
        assert_fault(prefix, &message.body(), field, FaultKind::TooLong);
    }
}

#[test]
fn prefixes_that_are_not_digits() {
    for (field, prefix) in [
        (2, "1A"),
        (2, "A9"),
        (32, "F1"),
        (35, "1F"),
        (36, "001B"),
        (44, "0C"),
        (48, "0D00"),
        (54, "A001"),
        (55, "00A0"),
        (57, "000A"),
        (60, "001D"),
        (61, "00F6"),
        (62, "E000"),
        (63, "0A00"),
    ] {
        let message = star_inquiry().with_bytes(field, filled(prefix, 0, 20));
        assert_fault(prefix, &message.body(), field, FaultKind::Prefix);
    }
}

#[test]
fn digits_over_nine() {
    for (field, text) in [
        (2, "19 62999900000000000A 20"),
        (3, "3A0000"),
        (4, "00000001000F"),
        (11, "00000B"),
        (12, "C91500"),
        (22, "07D0"),
        (23, "0E12"),
        (25, "0A"),
        // The separator is for tracks only.
        (2, "19 6299990000000D00012 0"),
        (35, "19 629999000000000001E 0"),
        (36, "0004 12A4"),
        (60, "0013 01000001 000F00"),
        (61, "0016 000001 00000A 0615"),
    ] {
        assert_fault(text, &star_inquiry().with(field, text).body(), field, FaultKind::Content);
    }
}

#[test]
fn pad_digits_that_are_not_0() {
    for (field, text) in [
        (2, "19 6299990000000000012 1"),
        (2, "19 6299990000000000012 F"),
        (2, "19 6299990000000000012 D"),
        (22, "0721"),
        (22, "072F"),
        (23, "1001"),
        (23, "F001"),
        (32, "03 1234"),
        (35, "21 6299990000000000012D3 1"),
        (35, "21 6299990000000000012D3 D"),
        (36, "0003 1231"),
        (60, "0013 01000001 000601"),
        (61, "0017 000001 000007 0615 0 5"),
    ] {
        assert_fault(text, &star_inquiry().with(field, text).body(), field, FaultKind::Content);
    }
}

#[test]
fn pads_that_are_0_are_accepted() {
    for (field, text) in [(23, "0012"), (32, "03 1230"), (35, "21 6299990000000000012D3 0"), (36, "0003 12D0")] {
        assert_eq!(fault_of(&star_inquiry().with(field, text).body()), None, "{text}");
    }
}

#[test]
fn characters_that_do_not_belong() {
    for (field, text) in [
        (37, "3631363630303030303030 2D"),
        (38, "3132333435 2E"),
        (39, "39 00"),
        (44, "03 41 0A 42"),
        (49, "3135 B6"),
        (54, "0002 41 7F"),
        (41, "515A3030303030 1F"),
        (41, "515A3030303030 7F"),
        (41, "515A3030303030 FF"),
        (42, "00 3939353230313533393930303031"),
        (63, "0003 4142 0D"),
    ] {
        assert_fault(text, &star_inquiry().with(field, text).body(), field, FaultKind::Content);
    }
    let name = filled("", b'A', 39).into_iter().chain([0x1B]).collect();
    assert_fault("escape", &star_inquiry().with_bytes(43, name).body(), 43, FaultKind::Content);
}

#[test]
fn a_name_in_gbk_is_printable() {
    let name = [b"\xB3\xCF\xD0\xC5\xBF\xA8".to_vec(), vec![b' '; 34]].concat();
    assert_eq!(fault_of(&star_inquiry().with_bytes(43, name).body()), None);
}

#[test]
fn cut_short_anywhere_names_the_field_it_ends_in() {
    let message =
        purchase().with(35, "21 6299990000000000012D3 0").with(57, "0004 DF030101").with(64, "0011223344556677");
    let body = message.body();
    let mut start = 10;
    for (field, bytes) in &message.fields {
        for end in start..start + bytes.len() {
            assert_fault("cut", &body[..end], *field, FaultKind::CutShort);
        }
        start += bytes.len();
    }
    assert_eq!(start, body.len());
}

#[test]
fn bytes_after_the_last_field() {
    for (name, message) in every_message() {
        for more in [&b"\0"[..], b"0123456789"] {
            assert_fault(name, &[&message.body(), more].concat(), 0, FaultKind::TrailingBytes);
        }
    }
}

#[test]
fn tlv_of_either_field() {
    for (text, kind) in [
        ("0001 DF", FaultKind::TlvTag),
        ("0002 0000", FaultKind::TlvTag),
        ("0005 DF81828304", FaultKind::TlvTag),
        ("0002 DF7F", FaultKind::TlvLength),
        ("0005 DF7F035A5A", FaultKind::TlvLength),
        // Not in the shortest form, or not definite.
        ("0005 DF7F81015A", FaultKind::TlvLength),
        ("0006 DF7F8200015A", FaultKind::TlvLength),
        ("0003 DF7F80", FaultKind::TlvLength),
        ("0007 DF7F830000015A", FaultKind::TlvLength),
        // A second tag is looked at like the first.
        ("0005 DF7F00DF01", FaultKind::TlvLength),
    ] {
        for field in [55, 57] {
            assert_fault(text, &star_inquiry().with(field, text).body(), field, kind);
        }
    }
}

#[test]
fn tlv_of_icc_data() {
    for (text, kind) in [
        ("0008 9F020100 9F020100", FaultKind::TlvRepeated),
        ("0010 9F020100 9A0101 9A0102", FaultKind::TlvRepeated),
        ("0008 7706 9A0101 9A0101", FaultKind::TlvRepeated),
        ("0005 7703 9F0205", FaultKind::TlvLength),
        ("0010 7008 7006 7004 7002 7000", FaultKind::TlvDepth),
    ] {
        assert_fault(text, &star_inquiry().with(55, text).body(), 55, kind);
    }
}

#[test]
fn tlv_of_integrity_data() {
    for (text, kind) in [
        ("0004 DF030102", FaultKind::TlvValue),
        ("0003 DF0300", FaultKind::TlvValue),
        ("0005 DF03020001", FaultKind::TlvValue),
        ("0006 DF0403000001", FaultKind::TlvValue),
        ("0008 DF04050000000001", FaultKind::TlvValue),
        ("0005 DF0102412D", FaultKind::TlvValue),
        ("0020 DF0111 4141414141414141414141414141414141", FaultKind::TlvValue),
        ("0018 DF050F 000102030405060708090A0B0C0D0E", FaultKind::TlvValue),
        ("0004 DF110106", FaultKind::TlvValue),
        ("0004 DF130107", FaultKind::TlvValue),
        ("0008 DF14050000010000", FaultKind::TlvValue),
        ("0009 DF140600000001000A", FaultKind::TlvValue),
        ("0009 DF1506F00000010000", FaultKind::TlvValue),
        ("0009 DF1606000000B10000", FaultKind::TlvValue),
        ("0004 DF170103", FaultKind::TlvValue),
        ("0006 DF1803000007", FaultKind::TlvValue),
        ("0004 DF190101", FaultKind::TlvValue),
        ("0004 DF1B0101", FaultKind::TlvValue),
        ("0005 DF1C020101", FaultKind::TlvValue),
        ("0004 DF1D0102", FaultKind::TlvValue),
        ("0004 DF1E0101", FaultKind::TlvValue),
        ("0004 DF220104", FaultKind::TlvValue),
        ("0008 DF0301 00 DF0301 00", FaultKind::TlvRepeated),
        ("0008 DF0301 00 DF0301 01", FaultKind::TlvRepeated),
        ("0014 DF0404 00000001 DF0404 00000001", FaultKind::TlvRepeated),
        ("0012 DF0101 41 DF0301 01 DF0101 42", FaultKind::TlvRepeated),
    ] {
        assert_fault(text, &star_inquiry().with(57, text).body(), 57, kind);
    }
}

#[test]
fn values_of_integrity_data_that_are_too_long() {
    let credential = [hex("0261 DF02820100"), vec![7; 256]].concat();
    assert_fault("DF02", &star_inquiry().with_bytes(57, credential).body(), 57, FaultKind::TlvValue);
    let text = [hex("0084 DF1A51"), vec![b'A'; 81]].concat();
    assert_fault("DF1A", &star_inquiry().with_bytes(57, text).body(), 57, FaultKind::TlvValue);
}

#[test]
fn tags_that_may_repeat_or_are_unknown_are_accepted() {
    for text in ["0014 DF180400000001 DF180400000001", "0014 DF1E0400000001 DF1E0400000002", "0008 DF7F0100 DF7F0100"] {
        assert_eq!(fault_of(&star_inquiry().with(57, text).body()), None, "{text}");
    }
    assert_eq!(fault_of(&star_inquiry().with(55, "0004 7100 7100").body()), None);
}

#[test]
fn tlv_is_checked_in_whatever_message_has_it() {
    for (name, message) in every_message() {
        assert_fault(name, &message.with(57, "0004 DF030102").body(), 57, FaultKind::TlvValue);
        assert_fault(name, &message.with(55, "0001 DF").body(), 55, FaultKind::TlvTag);
    }
}

#[test]
fn needed_fields_dropped_one_by_one() {
    for (name, message) in every_message() {
        for field in message.fields.keys().filter(|field| **field != 4) {
            let body = message.without(*field).body();
            assert_fault(&format!("{name} without {field}"), &body, *field, FaultKind::Missing);
        }
    }
}

#[test]
fn a_missing_amount_is_no_format_error() {
    // It is answered 13, which is said further on.
    for (name, message) in every_message() {
        if message.fields.contains_key(&4) && name != "batch upload" {
            assert_eq!(fault_of(&message.without(4).body()), None, "{name}");
        }
    }
}

#[test]
fn a_missing_amount_of_a_batch_upload_is_no_format_error() {
    assert_eq!(fault_of(&batch_upload().without(4).body()), None);
}

#[test]
fn a_track_or_a_credential_stands_in_for_the_pan() {
    let nameless = star_inquiry().without(2);
    for (field, text) in [(35, "21 6299990000000000012D3 0"), (57, "0007 DF0204 01020304")] {
        assert_eq!(fault_of(&nameless.with(field, text).body()), None, "{text}");
    }
    // Integrity data without a credential, and a third track, name no card.
    for (field, text) in [(57, "0004 DF030101"), (36, "0003 1230")] {
        assert_fault(text, &nameless.with(field, text).body(), 2, FaultKind::Missing);
    }
}

#[test]
fn well_formed_values_that_mean_nothing() {
    let nameless = star_inquiry().without(2);
    for (message, field) in [
        (star_inquiry().with(2, "00"), 2),
        // A track without a separator, with nothing before it, and with too much.
        (nameless.with(35, "04 1234"), 35),
        (nameless.with(35, "04 D234"), 35),
        (nameless.with(35, "22 12345678901234567890 D1"), 35),
        (star_inquiry().with(60, "0001 00"), 60),
        (star_inquiry().with(60, "0007 01000000"), 60),
        (common::void().with(61, "0015 000001 000007 061 0"), 61),
        (
            common::settlement().with(48, "0060 000000050000 003 000000002000 001 0 000000000000 000 000000000000 00"),
            48,
        ),
        (common::settlement().with(60, "0010 00000001 20"), 60),
    ] {
        assert_fault("value", &message.body(), field, FaultKind::Value);
    }
}

#[test]
fn fields_nobody_needs_are_ignored_where_well_formed() {
    for (field, text) in
        [(14, "3012"), (26, "12"), (52, "0011223344556677"), (53, "2600000000000000"), (63, "0003 303120")]
    {
        for (name, message) in every_message() {
            assert_eq!(fault_of(&message.with(field, text).body()), None, "{name} with {field}");
        }
    }
}

#[test]
fn unknown_mtis() {
    for (_, message) in every_message() {
        for mti in ["0000", "0110", "0210", "0230", "0410", "0420", "0510", "0810", "0830", "0330", "1200", "9999"] {
            let renamed = Raw { mti: hex(mti).try_into().unwrap(), ..message.clone() };
            assert_unknown(mti, &renamed);
        }
    }
}

#[test]
fn unknown_combinations_with_a_card() {
    let inquiry = star_inquiry();
    for (field, text) in [
        (3, "300000"),
        (3, "000000"),
        (3, "200000"),
        (25, "08"),
        (60, "0013 02000001 000600"),
        (60, "0013 22000001 000600"),
        (60, "0013 23000001 000600"),
    ] {
        assert_unknown(text, &inquiry.with(field, text));
        assert_unknown(text, &Raw { mti: [0x01, 0x00], ..inquiry.with(field, text) });
        assert_unknown(text, &Raw { mti: [0x02, 0x20], ..inquiry.with(field, text) });
    }
    assert_unknown("a condition", &purchase().with(25, "06"));
    assert_unknown("a counter's purchase", &Raw { mti: [0x01, 0x00], ..purchase() });
    assert_unknown("a voided advice", &Raw { mti: [0x02, 0x20], ..common::void() });
    assert_unknown("a refund that asks", &Raw { mti: [0x02, 0x00], ..common::refund() });
    assert_unknown("an offline purchase that asks", &Raw { mti: [0x02, 0x00], ..common::offline_upload() });
    for (field, text) in [(3, "310000"), (25, "08"), (60, "0013 00000001 000600")] {
        assert_unknown(text, &common::reversal().with(field, text));
    }
}

#[test]
fn unknown_combinations_without_a_card() {
    for (message, private) in [
        (common::settlement(), "0013 00000001 202600"),
        (common::settlement(), "0013 01000001 201600"),
        (batch_upload(), "0013 00000001 203600"),
        (batch_upload(), "0013 01000001 201600"),
        (common::sign_in(), "0013 00000001 002600"),
        (common::sign_in(), "0013 00000001 000600"),
        (common::sign_in(), "0013 00000001 007600"),
        (common::sign_in(), "0013 01000001 003600"),
        (common::sign_off(), "0013 00000001 003600"),
        (common::sign_off(), "0013 01000001 002600"),
        (common::echo(), "0013 00000001 302600"),
        (common::echo(), "0013 22000001 301600"),
    ] {
        assert_unknown(private, &message.with(60, private));
    }
}

#[test]
fn a_format_error_goes_before_an_unknown_message() {
    let unknown = Raw { mti: [0x12, 0x00], ..star_inquiry() };
    assert_fault("field", &unknown.with(22, "0721").body(), 22, FaultKind::Content);
    assert_fault("TLV", &unknown.with(57, "0001 DF").body(), 57, FaultKind::TlvTag);
}

#[test]
fn what_was_read_before_the_fault_is_kept() {
    let frame = cup_frame(&star_inquiry().with(49, "31352D").body());
    let malformed = decode(&framed(&CUP, &frame)).unwrap_err();
    assert_eq!(malformed.fields.numbers().collect::<Vec<_>>(), [2, 3, 11, 22, 25, 41, 42]);
    assert_eq!(malformed.fields.number(11), Some(1));
}

#[test]
fn prefixes_and_digits_in_ascii() {
    let fault = |text: &str| {
        let body = [b"0200".as_slice(), &hex("4000000000000000"), text.as_bytes()].concat();
        let frame = [u16::try_from(body.len()).unwrap().to_be_bytes().as_slice(), &body].concat();
        decode(&framed(&ASCII87, &frame)).unwrap_err().fault
    };
    for (text, kind) in [
        ("1", FaultKind::CutShort),
        (" 4", FaultKind::Prefix),
        ("=1", FaultKind::Prefix),
        ("20", FaultKind::TooLong),
        ("04123", FaultKind::CutShort),
        ("04123=", FaultKind::Content),
        ("04123A", FaultKind::Content),
        ("0412345", FaultKind::TrailingBytes),
    ] {
        assert_eq!(fault(text).kind, kind, "{text}");
    }
}
