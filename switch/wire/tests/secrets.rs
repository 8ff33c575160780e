//! Nothing prints what is secret: no PAN, track, PIN block, credential or key, however
//! it is printed.

mod common;

use common::{MAINFRAME, Raw, cup_frame, framed, hex};
use std::fmt::Debug;
use std::sync::LazyLock;
use xingka_wire::decode;
use xingka_wire::dialect::{ASCII87, CUP, Dialect};
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::next_frame;
use xingka_wire::integrity::IntegrityRequest;
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::messages::Request;
use xingka_wire::mti::Head;
use xingka_wire::pan::{CardRef, Pan};
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};
use xingka_wire::tlv::Tlvs;

const PAN: &str = "6212345987601234567";

/// Field 35: the PAN, the separator and the rest.
const TRACK_2: &str = "37 6212345987601234567D30121010012398765 0";

/// Field 36.
const TRACK_3: &str = "0020 99621234598760123456";

const PIN_BLOCK: &str = "C1D2E3F4A5968778";

const CREDENTIAL: &[u8] = b"QR~8f3a7c^Z0=x4";

const KEY: [u8; 16] = *b"Kq7!Zp2@Xw9#Lm4$";

/// Secrets hide in windows of this many bytes: fewer may come up by chance.
const WINDOW: usize = 4;

/// A PAN may show its first six and last four digits; any seven in a row hold a hidden one.
const PAN_WINDOW: usize = 7;

/// Every way to print something, without spaces and line breaks.
fn printings(value: &dyn Debug) -> Vec<String> {
    let all = [format!("{value:?}"), format!("{value:#?}"), format!("{value:x?}"), format!("{value:02X?}")];
    all.into_iter().map(|text| text.split_whitespace().collect()).collect()
}

/// Bytes printed as numbers, in every way there is.
fn as_numbers(bytes: &[u8]) -> Vec<String> {
    let joined = |spell: fn(&u8) -> String| bytes.iter().map(spell).collect::<Vec<_>>().join(",");
    vec![
        hex::encode(bytes),
        hex::encode_upper(bytes),
        joined(|byte| byte.to_string()),
        joined(|byte| format!("{byte:x}")),
        joined(|byte| format!("{byte:02x}")),
        joined(|byte| format!("{byte:X}")),
        joined(|byte| format!("{byte:02X}")),
    ]
}

/// What must not be found of secret bytes.
fn traces_of_bytes(secret: &[u8]) -> Vec<String> {
    let windows = secret.windows(WINDOW);
    windows.flat_map(|window| [as_numbers(window), vec![window.escape_ascii().to_string()]].concat()).collect()
}

/// What must not be found of secret digits: neither as text nor as packed, ASCII or EBCDIC bytes.
fn traces_of_digits(digits: &str) -> Vec<String> {
    let ebcdic = digits.bytes().map(|digit| digit - b'0' + 0xF0).collect();
    let (left, right) = if digits.len().is_multiple_of(2) { ("", "") } else { ("0", "0") };
    let packed = [hex(&format!("{digits}{right}")), hex(&format!("{left}{digits}"))];
    let written = packed.into_iter().chain([digits.as_bytes().to_vec(), ebcdic]);
    let numbers = written.flat_map(|bytes| bytes.windows(WINDOW).flat_map(as_numbers).collect::<Vec<_>>());
    let text = (0..=digits.len() - PAN_WINDOW).map(|at| digits[at..at + PAN_WINDOW].to_owned());
    text.chain(numbers).collect()
}

/// Everything secret, and what must not be found of it.
static TRACES: LazyLock<Vec<(&str, Vec<String>)>> = LazyLock::new(|| {
    vec![
        ("the PAN", traces_of_digits(PAN)),
        ("track 2", traces_of_digits("30121010012398765")),
        ("track 3", traces_of_digits("99621234598760123456")),
        ("the PIN block", traces_of_bytes(&hex(PIN_BLOCK))),
        ("the credential", traces_of_bytes(CREDENTIAL)),
        ("a key", traces_of_bytes(&KEY)),
    ]
});

/// Which secret a value tells when it is printed.
fn told(value: &dyn Debug) -> Option<(&'static str, String)> {
    printings(value).into_iter().find_map(|printed| {
        let tells = |trace: &String| printed.contains(trace.as_str());
        let (what, _) = TRACES.iter().find(|(_, traces)| traces.iter().any(tells))?;
        Some((*what, printed))
    })
}

fn assert_hides_all(value: &dyn Debug) {
    assert_eq!(told(value), None);
}

/// A message with everything secret that it may have.
fn with_secrets(message: &Raw) -> Raw {
    let pan = format!("19 {PAN} 0");
    let credential = format!("0018 DF020F {}", hex::encode(CREDENTIAL));
    message
        .with(2, &pan)
        .with(35, TRACK_2)
        .with(36, TRACK_3)
        .with(52, PIN_BLOCK)
        .with(55, "0012 5A0A 6212345987601234567F")
        .with(57, &credential)
        .with(62, &format!("0016 {}", hex::encode(KEY)))
        .with(63, &format!("0016 {}", hex::encode(KEY)))
}

/// All messages with all secrets; an offline upload needs no tag of its own to be read.
fn every_message() -> Vec<Raw> {
    common::every_message().iter().map(|(_, message)| with_secrets(message)).collect()
}

/// A frame of `cup` as another dialect writes it.
fn transcribe(frame: &[u8], dialect: &'static Dialect) -> Vec<u8> {
    let (mut buffer, mut sealed) = ([0; 1_024], [0; 1_024]);
    let framed = framed(&CUP, frame);
    let message = decode(&framed).unwrap();
    let mut writer = Writer::new(dialect, message.mti, Seal::None, &mut buffer);
    for field in message.fields.numbers() {
        match message.fields.digits(field) {
            Some(digits) => writer.digit_string(field, digits),
            None => writer.bytes(field, message.fields.bytes(field).unwrap()),
        }
    }
    let length = seal_frame(dialect, Head::default(), writer.finish().unwrap(), None, &mut sealed).unwrap();
    sealed[..length].to_vec()
}

#[test]
fn a_secret_that_is_printed_is_found() {
    let packed = hex(&format!("{PAN}0"));
    let values: [(&dyn Debug, &str); 9] = [
        (&PAN, "the PAN"),
        (&PAN.as_bytes(), "the PAN"),
        (&packed, "the PAN"),
        (&hex::encode(PAN), "the PAN"),
        (&hex(PIN_BLOCK), "the PIN block"),
        (&CREDENTIAL, "the credential"),
        (&CREDENTIAL.escape_ascii().to_string(), "the credential"),
        (&hex::encode(KEY), "a key"),
        (&KEY[6..10].to_vec(), "a key"),
    ];
    for (value, what) in values {
        assert_eq!(told(value).map(|(what, _)| what), Some(what), "{value:?}");
    }
    assert_hides_all(&"621234*********4567");
}

#[test]
fn messages_and_their_fields() {
    for message in every_message() {
        let frame = cup_frame(&message.body());
        let framed = framed(&CUP, &frame);
        let message = decode(&framed).unwrap();
        assert_hides_all(&message);
        assert_hides_all(&message.fields);
    }
}

#[test]
fn messages_in_other_dialects() {
    for dialect in [&ASCII87, &MAINFRAME] {
        for message in every_message() {
            let frame = transcribe(&cup_frame(&message.body()), dialect);
            assert_hides_all(&decode(&framed(dialect, &frame)).unwrap());
        }
    }
}

#[test]
fn messages_of_128_bits() {
    for message in every_message() {
        let frame = cup_frame(&message.with(128, "0011223344556677").widened().body());
        assert_hides_all(&decode(&framed(&CUP, &frame)).unwrap());
    }
}

#[test]
fn malformed_messages_wherever_they_break() {
    for message in [common::purchase(), common::batch_upload(), common::sign_in()] {
        let body = with_secrets(&message).body();
        for end in 10..body.len() {
            let frame = cup_frame(&body[..end]);
            let malformed = decode(&framed(&CUP, &frame)).unwrap_err();
            assert_hides_all(&malformed);
            assert_hides_all(&malformed.fault.to_string());
        }
    }
}

#[test]
fn malformed_secrets() {
    let message = with_secrets(&common::purchase());
    let credential = hex::encode(CREDENTIAL);
    for (field, text) in [
        (2, "19 6212345987601234567 1"),
        (35, "37 6212345987601234567D30121010012398765 F"),
        (36, "0019 99621234598760123456"),
        (57, &format!("0019 DF020F {credential} DF")),
        (57, &format!("0018 DF0210 {credential}")),
        (53, "C1D2E3F4A5968778"),
        (64, "00"),
    ] {
        let frame = cup_frame(&message.with(field, text).body());
        let malformed = decode(&framed(&CUP, &frame)).unwrap_err();
        assert_hides_all(&malformed);
        assert_hides_all(&malformed.fault.to_string());
    }
}

#[test]
fn card_numbers() {
    for digits in 1..=19 {
        let pan = Pan::from_ascii(&PAN.as_bytes()[..digits]).unwrap();
        let text = &PAN[..digits];
        // Shorter ones than a window are looked for whole.
        let whole = |printed: &str| printed.contains(text);
        assert!(!printings(&pan).iter().any(|printed| whole(printed)), "{digits}");
        assert!(!whole(&pan.to_string()), "{digits}");
        assert_hides_all(&pan);
        assert_hides_all(&CardRef::Pan(pan));
    }
}

#[test]
fn a_card_number_shows_its_ends_at_the_most() {
    let shown = |digits: &[u8]| Pan::from_ascii(digits).unwrap().to_string();
    assert_eq!(shown(PAN.as_bytes()), "621234*********4567");
    assert_eq!(shown(b"6212345987601"), "621234***7601");
    assert_eq!(shown(b"621234598760"), "************");
    assert_eq!(shown(b"6"), "*");
}

#[test]
fn credentials() {
    assert_hides_all(&CardRef::Credential(CREDENTIAL));
    let integrity = IntegrityRequest { credential: Some(CREDENTIAL), ..IntegrityRequest::default() };
    assert_hides_all(&integrity);
}

#[test]
fn keys() {
    assert_hides_all(&Tmk::new(KEY));
    for layout in [KeyLayout::Tdes, KeyLayout::TdesWithTrack, KeyLayout::Sm4, KeyLayout::Sm4WithTrack] {
        let keys = SessionKeys::from_random(layout, MacAlgorithm::CupEcb, &[KEY; 3]).unwrap();
        assert_hides_all(&keys);
    }
    for algorithm in MacAlgorithm::ALL {
        for key in [&KEY[..], &KEY[..8]] {
            MacKey::new(*algorithm, key).iter().for_each(|key| assert_hides_all(key));
        }
    }
}

#[test]
fn requests_that_name_a_card() {
    for message in every_message() {
        let frame = cup_frame(&message.body());
        let framed = framed(&CUP, &frame);
        let request = decode(&framed).unwrap().request;
        if !matches!(request, Request::OfflineUpload(_)) {
            assert_hides_all(&request);
        }
    }
}

#[test]
fn offline_uploads() {
    let frame = cup_frame(&with_secrets(&common::offline_upload()).body());
    let framed = framed(&CUP, &frame);
    assert_hides_all(&decode(&framed).unwrap().request);
}

#[test]
fn frames() {
    let bytes = cup_frame(&with_secrets(&common::purchase()).body());
    assert_hides_all(&framed(&CUP, &bytes));
    assert_hides_all(&next_frame(&[&CUP], &bytes));
}

#[test]
fn tags() {
    let field = hex(&format!("DF020F {}", hex::encode(CREDENTIAL)));
    assert_hides_all(&Tlvs::new(&field));
    assert_hides_all(&Tlvs::new(&field).next());
}
