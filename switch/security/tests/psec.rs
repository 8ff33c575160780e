//! Key blocks and PIN blocks beside PyPI's psec, whose results are in psec.txt.

use proptest::prelude::*;
use xingka_security::Cipher;
use xingka_security::key_block::{Header, KeyBlockFault, unwrap, wrap};
use xingka_security::pin_block::{Format, PinFault, PinKey, encrypt, holds, translate};

const VECTORS: &str = include_str!("psec.txt");

fn lines(kind: &str) -> impl Iterator<Item = Vec<String>> + '_ {
    let lines = VECTORS.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '));
    lines.map(|line| line.split(' ').map(str::to_owned).collect())
}

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn header(text: &str, optional: &str) -> Header {
    let text = text.as_bytes();
    let of_optional = |it: &str| {
        let (id, value) = it.split_once(':').unwrap();
        (id.as_bytes().try_into().unwrap(), value.replace('_', " "))
    };
    Header {
        usage: [text[0], text[1]],
        algorithm: text[2],
        mode: text[3],
        version: [text[4], text[5]],
        exportability: text[6],
        optional: optional.split('|').filter(|it| *it != "-").map(of_optional).collect(),
    }
}

#[test]
fn key_blocks_of_psec_are_opened() {
    let mut count = 0;
    for line in lines("block") {
        let [kbpk, text, key, optional, block] = line.try_into().unwrap();
        let (opened, clear) = unwrap(&bytes(&kbpk), &block.replace('_', " ")).unwrap();
        assert_eq!((opened, clear.as_slice()), (header(&text, &optional), bytes(&key).as_slice()));
        count += 1;
    }
    assert_eq!(count, 54);
}

#[test]
fn pin_blocks_of_psec_are_opened_and_those_without_chance_are_the_same() {
    for line in lines("pin") {
        let [format, pin, pan, key, block] = line.try_into().unwrap();
        let (key, block) = (bytes(&key), bytes(&block));
        let (format, cipher) = match format.as_str() {
            "0" => (Format::Iso0, Cipher::Tdes),
            "3" => (Format::Iso3, Cipher::Tdes),
            _ => (Format::Iso4, Cipher::Aes),
        };
        let from = (PinKey { cipher, key: &key }, format);
        assert!(holds(&block, from, pan.as_bytes(), pin.as_bytes()).unwrap());
        assert!(!holds(&block, from, pan.as_bytes(), b"00001111222").unwrap());
        if format == Format::Iso0 {
            assert_eq!(encrypt(pin.as_bytes(), from, pan.as_bytes(), &[0; 16]).unwrap(), block);
        }
        // To every other pair and back, as from a terminal to a bank.
        let (tdes, aes, sm4) = ([0x21; 16], [0x43; 16], [0x65; 16]);
        let others = [
            (PinKey { cipher: Cipher::Tdes, key: &tdes }, Format::Iso0),
            (PinKey { cipher: Cipher::Tdes, key: &tdes }, Format::Iso3),
            (PinKey { cipher: Cipher::Aes, key: &aes }, Format::Iso4),
            (PinKey { cipher: Cipher::Sm4, key: &sm4 }, Format::Iso4),
        ];
        for to in others {
            let there = translate(&block, from, to, pan.as_bytes(), &[9; 16]).unwrap();
            let back = translate(&there, to, from, pan.as_bytes(), &[3; 16]).unwrap();
            assert!(holds(&back, from, pan.as_bytes(), pin.as_bytes()).unwrap());
        }
    }
}

#[test]
fn what_does_not_fit_is_refused_and_says_nothing_of_the_pin() {
    let key = [0x21; 16];
    let tdes = PinKey { cipher: Cipher::Tdes, key: &key };
    let sm4 = PinKey { cipher: Cipher::Sm4, key: &key };
    let pan = b"6299990000000000012";
    let block = encrypt(b"123456", (tdes, Format::Iso0), pan, &[0; 16]).unwrap();
    let fault = |block: &[u8], from, pan: &[u8]| holds(block, from, pan, b"123456").unwrap_err();
    assert_eq!(fault(&block, (tdes, Format::Iso4), pan), PinFault::Pair(Format::Iso4, Cipher::Tdes));
    assert_eq!(fault(&block, (sm4, Format::Iso0), pan), PinFault::Pair(Format::Iso0, Cipher::Sm4));
    assert_eq!(fault(&block[..7], (tdes, Format::Iso0), pan), PinFault::Length);
    assert_eq!(fault(&block, (tdes, Format::Iso0), b"62999"), PinFault::Pan);
    assert_eq!(fault(&block, (tdes, Format::Iso3), pan), PinFault::Block);
    assert_eq!(fault(&block, (PinKey { cipher: Cipher::Tdes, key: &[0x23; 16] }, Format::Iso0), pan), PinFault::Block);
    assert_eq!(fault(&block, (PinKey { cipher: Cipher::Tdes, key: &[0x21; 5] }, Format::Iso0), pan), PinFault::Key);
    for pin in [&b"123"[..], b"1234567890123", b"12a4"] {
        assert_eq!(encrypt(pin, (tdes, Format::Iso0), pan, &[0; 16]), Err(PinFault::Block));
    }
    assert!(!format!("{tdes:?}").contains("33"), "no key in what is shown");
}

#[test]
fn a_key_block_says_what_is_wrong_with_it() {
    let kbpk = [7; 16];
    let header = Header::TERMINAL_MASTER_KEY;
    let block = wrap(&kbpk, &header, &[5; 16], &[1; 48]).unwrap();
    assert_eq!(unwrap(&kbpk, &block).unwrap().0, header);
    assert_eq!(unwrap(&[8; 16], &block).unwrap_err(), KeyBlockFault::Authentication);
    assert_eq!(unwrap(&[8; 15], &block).unwrap_err(), KeyBlockFault::Kbpk);
    assert_eq!(unwrap(&kbpk, &block.replacen('D', "B", 1)).unwrap_err(), KeyBlockFault::Version);
    assert!(matches!(unwrap(&kbpk, &block[..40]).unwrap_err(), KeyBlockFault::Form(_)));
    assert_eq!(wrap(&kbpk, &header, &[5; 15], &[1; 48]).unwrap_err(), KeyBlockFault::Key(15));
    let long = wrap(&kbpk, &header, &[5; 24], &[1; 48]).unwrap();
    assert_eq!(long.len(), block.len(), "a block doesn't show how long its key is");
}

proptest! {
    #[test]
    fn any_change_of_a_key_block_is_found(at in 0_usize..200, by in 1_u8..=255, key in prop::array::uniform16(any::<u8>())) {
        let kbpk = [9; 32];
        let optional = vec![(*b"LB", "a label".to_owned())];
        let header = Header { algorithm: b'A', optional, ..Header::TERMINAL_MASTER_KEY };
        let block = wrap(&kbpk, &header, &key, &[1; 48]).unwrap();
        let (opened, clear) = unwrap(&kbpk, &block).unwrap();
        prop_assert_eq!((opened, clear.as_slice()), (header, &key[..]));
        let mut bytes = block.into_bytes();
        let at = at % bytes.len();
        let former = bytes[at];
        bytes[at] ^= by;
        if let Ok(changed) = String::from_utf8(bytes) {
            // The same hexadecimal digit in the other case is the same.
            let same = at > 32 && (former ^ by).eq_ignore_ascii_case(&former);
            prop_assert_eq!(unwrap(&kbpk, &changed).is_ok(), same);
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,300}", block in "D0[0-9]{3}K0TB00N0[0-9]00[0-9A-F]{0,200}") {
        let _ = unwrap(&[9; 16], &text);
        let _ = unwrap(&[9; 16], &block);
    }

    #[test]
    fn no_bytes_make_a_pin_block_panic(block in prop::collection::vec(any::<u8>(), 0..20), pan in prop::collection::vec(any::<u8>(), 0..22)) {
        let key = [1; 16];
        for (cipher, format) in [(Cipher::Tdes, Format::Iso0), (Cipher::Tdes, Format::Iso3), (Cipher::Sm4, Format::Iso4)] {
            let _ = holds(&block, (PinKey { cipher, key: &key }, format), &pan, b"1234");
        }
    }
}
