//! The vectors of wire.md.

use xingka_wire::dialect::CUP;
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::messages::{Origin, Presented, Request, StarInquiry};
use xingka_wire::mti::Head;
use xingka_wire::pan::{CardRef, Pan};
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

const TMK: &str = "3131313132323232B5B5B5B5C6C6C6C6";
const TPK: &str = "A1B2C3D4E5F60718293A4B5C6D7E8F90";
const TAK: &str = "0F1E2D3C4B5A6978";
const TDK: &str = "1029384756AFBECD0123456789ABCDEF";
const F62: &str = "048E45680EBF730D16D116F27556D51376CDB55389BEC6767A5C30870000000000000000BFADEE689CDF9E47A61A1FC9CF4599B133C8F1F382F460EF";
const MAB: &str = "02006020048000C080111962999900000000000120310000000001072000515A303030303031393939353230313533393930303031313536001301000001000600";
const FRAME: &str = "0054600003000060310031010002006020048000C080111962999900000000000120310000000001072000515A3030303030313939393532303135333939303030313135360013010000010006003935354630363937";

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

#[test]
fn macs() {
    for (algorithm, key, mac) in [
        (MacAlgorithm::CupEcb, TAK, hex::encode("955F0697")),
        (MacAlgorithm::CupEcb, TPK, hex::encode("1A44DEE9")),
        (MacAlgorithm::CupEcbSm4, TDK, hex::encode("E3DA75C5")),
        (MacAlgorithm::X99, TAK, "CC8A04FBC3AB614D".into()),
        (MacAlgorithm::X919, TPK, "AD695339922C0D21".into()),
        (MacAlgorithm::AesCmac, TDK, "EB43166CC51B5759".into()),
        (MacAlgorithm::Sm4Cbc, TDK, "AFF4D2FD2436BC4D".into()),
    ] {
        let key = MacKey::new(algorithm, &hex(key)).unwrap();
        assert_eq!(key.mac(&hex(MAB)).to_vec(), hex(&mac), "{algorithm}");
        assert!(key.verify(&hex(MAB), hex(&mac).as_slice().try_into().unwrap()), "{algorithm}");
    }
}

#[test]
fn session_keys_of_004_with_a_single_length_mac_key() {
    let tmk = Tmk::new(hex(TMK).try_into().unwrap());
    let keys = SessionKeys::unwrap(KeyLayout::TdesWithTrack, MacAlgorithm::X99, &tmk, &hex(F62)).unwrap();
    assert_eq!((keys.pin_key(), keys.mac_key()), (hex(TPK).as_slice(), hex(TAK).as_slice()));
    let mut field = [0xFF; 60];
    let length = keys.wrap(KeyLayout::TdesWithTrack, &tmk, &mut field);
    assert_eq!(hex::encode_upper(&field[..length]), F62);
}

#[test]
fn the_star_inquiry_byte_for_byte() {
    let origin = Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 1, batch: 1 };
    let inquiry = StarInquiry {
        presented: Presented {
            origin,
            card: CardRef::Pan(Pan::from_ascii(b"6299990000000000012").unwrap()),
            amount_fen: None,
            entry_mode: 72,
            currency: *b"156",
            integrity: Default::default(),
        },
    };
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&CUP, StarInquiry::MTI, Seal::Narrow, &mut buffer);
    inquiry.encode(&mut writer);
    let mab = writer.finish().unwrap();
    assert_eq!(hex::encode_upper(mab), MAB);

    let mac = MacKey::new(MacAlgorithm::CupEcb, &hex(TAK)).unwrap().mac(mab);
    let mut frame = [0; 512];
    let length = seal_frame(&CUP, Head::of_terminal([0x00, 0x03], [0x00, 0x00]), mab, Some(mac), &mut frame).unwrap();
    assert_eq!(hex::encode_upper(&frame[..length]), FRAME);
}

#[test]
fn the_whole_frame_is_read() {
    let frame = hex(FRAME);
    let Step::Frame(framed, 86) = next_frame(&[&CUP], &frame) else { panic!("not a frame") };
    let message = xingka_wire::decode(&framed).unwrap();
    assert_eq!(message.mab(), hex(MAB));
    assert_eq!(message.mac(), Some(*b"955F0697"));
    let Request::StarInquiry(inquiry) = &message.request else { panic!("not a star inquiry") };
    assert_eq!((inquiry.presented.origin.stan, inquiry.presented.origin.batch), (1, 1));
    let printed = format!("{message:?}");
    assert!(!printed.contains("6299990000000000012") && printed.contains("629999*********0012"), "{printed}");
}
