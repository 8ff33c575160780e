//! Where a peer and we differ, shown: a row of DISAGREEMENTS.md each. Should one of these fail,
//! the peer has changed its mind, and the row goes.

use xingka_peers::{ASCII87_HEX, Peer, Plain, codec::Codec, decode, encode, fast::Fast, msg::Msg};
use xingka_wire::dialect::ASCII87;

fn plain(fields: &[(u8, &[u8])]) -> Plain {
    let fields = fields.iter().map(|(field, content)| (*field, content.to_vec())).collect();
    Plain { mti: "0200".to_owned(), fields }
}

/// A message as we write it, with a change that we refuse and the peer doesn't.
fn only_it_accepts(peer: &dyn Peer, message: &Plain, from: &[u8], to: &[u8]) -> Plain {
    let ours = encode(peer.dialect(), message).unwrap();
    let place = ours.windows(from.len()).rposition(|window| window == from).unwrap();
    let changed = [&ours[..place], to, &ours[place + from.len()..]].concat();
    assert!(decode(peer.dialect(), &ours).is_ok());
    assert!(decode(peer.dialect(), &changed).is_err());
    peer.decode(&changed).unwrap()
}

#[test]
fn msg_writes_capitals_only() {
    let message = plain(&[(41, b"qz000001")]);
    assert_ne!(Msg::new().encode(&message).unwrap(), encode(&ASCII87, &message).unwrap());
}

#[test]
fn msg_replaces_what_is_not_utf8() {
    let gbk = plain(&[(63, &[0xB3, 0xCF])]);
    let ours = encode(&ASCII87, &gbk).unwrap();
    assert_eq!(decode(&ASCII87, &ours).unwrap().fields[&63], [0xB3, 0xCF]);
    assert_eq!(Msg::new().decode(&ours).unwrap().fields[&63], "\u{FFFD}\u{FFFD}".as_bytes());
}

#[test]
fn msg_takes_a_sign_for_a_digit_of_a_length() {
    let read = only_it_accepts(&Msg::new(), &plain(&[(2, b"629999999")]), b"09629", b"+9629");
    assert_eq!(read.fields[&2], b"629999999");
}

#[test]
fn msg_leaves_out_a_field_with_nothing_in_it() {
    let message = plain(&[(2, b"")]);
    let ours = encode(&ASCII87, &message).unwrap();
    assert!(ours.ends_with(b"00"));
    assert_ne!(Msg::new().encode(&message).unwrap(), ours);
}

#[test]
fn msg_does_not_look_at_characters() {
    let read = only_it_accepts(&Msg::new(), &plain(&[(3, b"000000")]), b"000000", b"00000x");
    assert_eq!(read.fields[&3], b"00000x");
}

#[test]
fn codec_has_text_in_ascii_only() {
    let gbk = plain(&[(63, &[0xB3, 0xCF])]);
    assert!(Codec::new().encode(&gbk).is_err());
    assert!(Codec::new().decode(&encode(&ASCII87, &gbk).unwrap()).is_err());
}

#[test]
fn codec_takes_any_printable_character_for_an_and_z() {
    only_it_accepts(&Codec::new(), &plain(&[(37, b"RRN000000001")]), b"RRN0", b"RRN-");
    only_it_accepts(&Codec::new(), &plain(&[(35, b"6299=39")]), b"6299=39", b"6299?39");
}

#[test]
fn codec_has_no_variable_field_of_digits_with_nothing_in_it() {
    assert!(Codec::new().encode(&plain(&[(2, b"")])).is_err());
}

#[test]
fn fast_knows_hexadecimal_bitmaps_only() {
    let message = plain(&[(3, b"000000")]);
    assert!(Fast::new().decode(&encode(&ASCII87, &message).unwrap()).is_err());
    assert_eq!(Fast::new().decode(&encode(&ASCII87_HEX, &message).unwrap()), Ok(message));
}

#[test]
fn fast_takes_small_letters_in_a_hexadecimal_bitmap() {
    let message =
        plain(&[(41, b"QZ000001"), (49, b"156"), (44, b"x"), (42, b"999520153990001"), (37, b"RRN000000001")]);
    let bitmap = &encode(&ASCII87_HEX, &message).unwrap()[4..20].to_vec();
    let small = bitmap.to_ascii_lowercase();
    assert_ne!(*bitmap, small);
    let read = only_it_accepts(&Fast::new(), &message, bitmap, &small);
    assert_eq!(read, message);
}

#[test]
fn nobody_looks_into_tlv() {
    for peer in xingka_peers::all() {
        // A length in two bytes where one does.
        let integrity = [0xDF, 0x03, 0x01, 0x01];
        only_it_accepts(peer.as_ref(), &plain(&[(57, &integrity)]), &integrity, &[0xDF, 0x03, 0x81, 0x01]);
    }
}

#[test]
fn nobody_moves_the_mac_of_a_wide_message() {
    for peer in xingka_peers::all() {
        let wide = plain(&[(3, b"000000"), (64, &[7; 8]), (128, &[8; 8])]);
        let theirs = peer.encode(&wide).unwrap();
        assert_eq!(peer.decode(&theirs), Ok(wide));
        assert!(decode(peer.dialect(), &theirs).is_err(), "in a message of 128 bits, field 64 isn't the MAC");
    }
}
