//! What wire.md says of bad input, repeats and reversals, asked of a running switch.

mod support;

use std::io::{Read, Write};

use support::{BANK, Deployment, HALL, SHOP, Serving, Till, Told, exchange, pan, read_frame};
use xingka_terminal::{Reversible, Sent, Swipe};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::integrity::IntegrityRequest;
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::mti::{Head, Mti};
use xingka_wire::pan::Pan;
use xingka_wire::session_keys::{KeyLayout, SessionKeys, Tmk};

/// A city that is served, for one test.
struct World {
    _deployment: Deployment,
    serving: Serving,
}

impl World {
    fn new() -> Self {
        let deployment = Deployment::with_city();
        let serving = deployment.serve();
        Self { _deployment: deployment, serving }
    }

    fn till(&self) -> Till {
        Till::signed_in(self.serving.address, 0)
    }
}

/// A purchase field by field, each to be left out or spoilt.
struct Request {
    mti: u16,
    fields: Vec<(u8, Vec<u8>)>,
    wide: bool,
    tail: Vec<u8>,
    head: Head,
}

impl Request {
    fn purchase(stan: u32) -> Self {
        let fields = vec![
            (2, pan(5).into_bytes()),
            (3, b"000000".to_vec()),
            (4, b"000000010000".to_vec()),
            (11, format!("{stan:06}").into_bytes()),
            (22, b"072".to_vec()),
            (25, b"00".to_vec()),
            (41, b"QZ000000".to_vec()),
            (42, SHOP.as_bytes().to_vec()),
            (49, b"156".to_vec()),
            (60, b"2200000100060".to_vec()),
        ];
        Self { mti: 200, fields, wide: false, tail: Vec::new(), head: Head::of_terminal([0, 3], [0, 9]) }
    }

    fn with(mut self, field: u8, value: &[u8]) -> Self {
        self = self.without(field);
        self.fields.push((field, value.to_vec()));
        self.fields.sort_by_key(|(field, _)| *field);
        self
    }

    fn without(mut self, field: u8) -> Self {
        self.fields.retain(|(had, _)| *had != field);
        self
    }

    /// The frame, sealed with a key.
    fn frame(&self, key: &MacKey) -> Vec<u8> {
        let mut buffer = [0; 1024];
        let seal = if self.wide { Seal::Wide } else { Seal::Narrow };
        let mut writer = Writer::new(&CUP, Mti(self.mti), seal, &mut buffer);
        for (field, value) in &self.fields {
            match field {
                2..=4 | 11..=25 | 35 | 48 | 60 | 61 => writer.digits(*field, value),
                _ => writer.bytes(*field, value),
            }
        }
        let mab = [writer.finish().unwrap(), &self.tail].concat();
        let mut frame = vec![0; 1100];
        let length = seal_frame(&CUP, self.head, &mab, Some(key.mac(&mab)), &mut frame).unwrap();
        frame.truncate(length);
        frame
    }
}

/// A sign-in by hand, so that a test holds the session's key.
fn sign_in(world: &World, index: usize, mac: MacAlgorithm, layout: KeyLayout) -> Result<MacKey, String> {
    let mut till = Till::connect(world.serving.address, index);
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&CUP, Mti(800), Seal::None, &mut buffer);
    writer.number(11, 1);
    writer.bytes(41, format!("QZ00000{index}").as_bytes());
    writer.bytes(42, SHOP.as_bytes());
    writer.digits(60, format!("00000000{:03}60", layout.network_code()).as_bytes());
    let mut frame = [0; 300];
    let length =
        seal_frame(&CUP, Head::of_terminal([0, 3], [0, 9]), writer.finish().unwrap(), None, &mut frame).unwrap();
    let answer = exchange(&mut till.stream, &frame[..length]);
    let answer = answer_of(&answer);
    if answer.code.to_string() != "00" {
        return Err(answer.code.to_string());
    }
    let tmk = Tmk::new([0x31 + index as u8; 16]);
    let keys = SessionKeys::unwrap(layout, mac, &tmk, answer.fields.bytes(62).unwrap()).unwrap();
    Ok(MacKey::new(mac, keys.mac_key()).unwrap())
}

fn key(world: &World) -> MacKey {
    sign_in(world, 0, MacAlgorithm::AesCmac, KeyLayout::Tdes).unwrap()
}

fn answer_of(frame: &[u8]) -> Answer<'_> {
    let Step::Frame(framed, length) = next_frame(&[&CUP], frame) else { panic!("not a frame: {frame:02x?}") };
    assert_eq!(length, frame.len());
    Answer::decode(&framed).unwrap()
}

/// The code of the answer to a request, and whether the answer is sealed; if it is, with `key`.
fn code(world: &World, key: &MacKey, request: &[u8]) -> (String, bool) {
    let mut stream = support::connect(world.serving.address);
    let answer = exchange(&mut stream, request);
    let answer = answer_of(&answer);
    let sealed = answer.fields.mac().map(|mac| key.verify(answer.fields.mab(), &mac));
    assert_ne!(sealed, Some(false), "sealed with another key");
    (answer.code.to_string(), sealed.is_some())
}

#[test]
fn bad_requests_get_the_code_that_the_wire_gives_them() {
    let world = World::new();
    let key = key(&world);
    let request = || Request::purchase(1);
    let unsealed_key = MacKey::new(MacAlgorithm::AesCmac, &[9; 16]).unwrap();
    let cases: Vec<(&str, Request, &str, bool)> = vec![
        ("trailing bytes", Request { tail: vec![0], ..request() }, "30", true),
        ("no STAN", request().without(11), "30", true),
        ("no entry mode", request().without(22), "30", true),
        ("no card", request().without(2), "30", true),
        ("no currency", request().without(49), "30", true),
        ("no terminal", request().without(41), "30", false),
        ("no merchant", request().without(42), "30", true),
        ("TLV cut short", request().with(57, &[0xDF, 0x01, 5, b'A']), "30", true),
        ("a tag twice", request().with(57, &[0xDF, 3, 1, 1, 0xDF, 3, 1, 1]), "30", true),
        ("bad EMV data", request().with(55, &[0x9F]), "30", true),
        ("unknown MTI", Request { mti: 900, ..request() }, "40", true),
        ("unknown type", request().with(60, b"9900000100060"), "40", true),
        ("unknown terminal", request().with(41, b"ZZ999999"), "97", false),
        ("another merchant", request().with(42, HALL.as_bytes()), "58", true),
        ("another batch", request().with(60, b"2200000200060"), "77", true),
        ("dollars", request().with(49, b"840").with(11, b"000020"), "12", true),
        ("no amount", request().without(4).with(11, b"000021"), "13", true),
        ("amount 0", request().with(4, b"000000000000").with(11, b"000002"), "13", true),
        ("check digit", request().with(2, b"6299990000000000013").with(11, b"000003"), "14", true),
        ("unknown card", request().with(2, b"6299991234567890128").with(11, b"000004"), "14", true),
        ("lost", request().with(2, pan(6).as_bytes()).with(11, b"000005"), "41", true),
        ("expired", request().with(2, pan(7).as_bytes()).with(11, b"000006"), "54", true),
        (
            "a counter service at a shop",
            Request { mti: 100, ..request() }.with(3, b"310000").with(60, b"0100000100060"),
            "58",
            true,
        ),
        (
            "a void of nothing",
            request().with(11, b"000008").with(3, b"200000").with(60, b"2300000100060").with(61, b"0000010000991123"),
            "25",
            true,
        ),
        (
            "an offline upload at 25 o'clock",
            Request { mti: 220, ..request() }
                .with(12, b"250000")
                .with(13, b"1123")
                .with(57, &[0xDF, 3, 1, 0])
                .with(60, b"3600000100060"),
            "30",
            true,
        ),
        ("benefit that doesn't apply", request().with(57, &[0xDF, 4, 4, 0, 0, 0, 99]).with(11, b"000007"), "12", true),
    ];
    for (what, request, expected, sealed) in cases {
        assert_eq!(code(&world, &key, &request.frame(&key)), (expected.to_owned(), sealed), "{what}");
    }
    assert_eq!(code(&world, &key, &request().frame(&unsealed_key)), ("A0".into(), true));
    // Nothing of all this changed anything: the five-star holder's one-time benefit is there.
    let mut till = world.till();
    till.terminal.set_next_stan(50);
    let (sent, frame) = till.purchase(&pan(5), 10_000);
    assert_eq!(till.ask(&sent, &frame).benefits, [1, 2]);
}

#[test]
fn spoilt_digits_are_a_format_error() {
    let world = World::new();
    let key = key(&world);
    let good = Request::purchase(1).frame(&key);
    // Places in the frame: the pad of field 2 (19 digits), a digit of field 4, the pad of field 22.
    for place in [13 + 10 + 1 + 9, 13 + 10 + 11 + 3 + 2, 13 + 10 + 11 + 3 + 6 + 3 + 1] {
        let mut bad = good.clone();
        bad[place] |= 0x0F;
        assert_eq!(code(&world, &key, &bad).0, "30", "byte {place}");
    }
    // A field the profile doesn't know: bit 5 of the bitmap.
    let mut unknown = good.clone();
    unknown[15] |= 0x08;
    assert_eq!(code(&world, &key, &unknown).0, "30");
}

#[test]
fn without_a_session_there_is_77_and_no_mac() {
    let world = World::new();
    let key = MacKey::new(MacAlgorithm::AesCmac, &[9; 16]).unwrap();
    assert_eq!(code(&world, &key, &Request::purchase(1).frame(&key)), ("77".into(), false));
    // After a sign-off as well.
    let mut till = world.till();
    let (_, frame) = till.write(|terminal, frame| terminal.sign_off(frame));
    assert_eq!(answer_of(&exchange(&mut till.stream, &frame)).code.to_string(), "00");
    let (_, frame) = till.purchase(&pan(1), 100);
    let answer = exchange(&mut till.stream, &frame);
    assert_eq!((answer_of(&answer).code.to_string(), answer_of(&answer).fields.mac()), ("77".into(), None));
}

#[test]
fn every_mac_signs_in_with_every_layout_it_can_use() {
    let world = World::new();
    for (index, mac) in MacAlgorithm::ALL.iter().enumerate() {
        for layout in
            [KeyLayout::Des, KeyLayout::Tdes, KeyLayout::TdesWithTrack, KeyLayout::Sm4, KeyLayout::Sm4WithTrack]
        {
            let allowed = layout.mac_key_bytes(*mac).is_some();
            let key = match sign_in(&world, index, *mac, layout) {
                Ok(key) => key,
                Err(code) => {
                    assert!(!allowed && code == "58", "{mac}, {layout:?}: {code}");
                    continue;
                }
            };
            assert!(allowed, "{mac}, {layout:?}");
            let stan = 1 + u32::from(layout.network_code());
            let request = Request::purchase(stan).with(41, format!("QZ00000{index}").as_bytes());
            assert_eq!(code(&world, &key, &request.frame(&key)), ("00".into(), true), "{mac}, {layout:?}");
        }
    }
}

#[test]
fn old_and_new_keys_both_verify_after_a_second_sign_in() {
    let world = World::new();
    let (old, new) = (key(&world), key(&world));
    for (stan, key) in [(1, &old), (2, &new), (3, &old)] {
        assert_eq!(code(&world, key, &Request::purchase(stan).frame(key)), ("00".into(), true));
    }
}

#[test]
fn a_repeat_gets_the_stored_answer_and_other_content_94() {
    let world = World::new();
    let mut till = world.till();
    let (sent, frame) = till.purchase(&pan(5), 10_000);
    let first = till.ask(&sent, &frame);
    assert_eq!((first.code.as_str(), first.amount_fen, first.benefits.as_slice()), ("00", Some(7_700), &[1, 2][..]));
    // The second time the one-time benefit would be spent; the answer is the stored one.
    assert_eq!(till.ask(&sent, &frame), first);
    // The same again under new keys, on another connection.
    let mut again = Till::signed_in(world.serving.address, 0);
    again.terminal.set_next_stan(sent.stan);
    let (sent_again, frame_again) = again.purchase(&pan(5), 10_000);
    assert_ne!(frame, frame_again);
    assert_eq!(again.ask(&sent_again, &frame_again), first);
    again.terminal.set_next_stan(sent.stan);
    let (other, frame) = again.purchase(&pan(5), 10_001);
    assert_eq!(again.ask(&other, &frame).code, "94");
    // The next STAN finds the one-time benefit spent.
    let (next, frame) = again.purchase(&pan(5), 10_000);
    assert_eq!((again.ask(&next, &frame).amount_fen), Some(8_000));
}

fn reverse(till: &mut Till, fen: u64, original: &Sent) -> (Sent, Vec<u8>) {
    let swipe = Swipe::of(Pan::from_ascii(pan(5).as_bytes()).unwrap());
    till.write(|terminal, frame| terminal.reverse((original, Reversible::Purchase), &swipe, Some(fen), *b"98", frame))
}

#[test]
fn a_reversal_gives_back_once_and_refuses_a_late_original() {
    let world = World::new();
    let mut till = world.till();
    let (sent, frame) = till.purchase(&pan(5), 10_000);
    assert_eq!(till.ask(&sent, &frame).benefits, [1, 2]);
    let (reversal, reversal_frame) = reverse(&mut till, 10_000, &sent);
    let first = till.ask(&reversal, &reversal_frame);
    assert_eq!(first.code, "00");
    assert_eq!(till.ask(&reversal, &reversal_frame), first, "repeated");
    let (other, frame) = reverse(&mut till, 999, &sent);
    assert_eq!(till.ask(&other, &frame).code, "00", "a second one with other content");
    let (next, frame) = till.purchase(&pan(5), 10_000);
    assert_eq!(till.ask(&next, &frame).benefits, [1, 2], "the one-time benefit was given back, once");
    let (again, frame) = till.purchase(&pan(5), 10_000);
    assert_eq!(till.ask(&again, &frame).benefits, [1]);

    // One that comes before its original.
    let (late, late_frame) = till.purchase(&pan(5), 500);
    let (reversal, frame) = reverse(&mut till, 500, &late);
    assert_eq!(till.ask(&reversal, &frame).code, "00");
    assert_eq!(till.ask(&late, &late_frame).code, "25");
}

#[test]
fn previews_and_inquiries_use_nothing_up() {
    let world = World::new();
    let mut till = world.till();
    let card = Pan::from_ascii(pan(5).as_bytes()).unwrap();
    let integrity = IntegrityRequest { preview: true, ..IntegrityRequest::default() };
    for _ in 0..2 {
        let swipe = Swipe { integrity, ..Swipe::of(card.clone()) };
        let (sent, frame) = till.write(|terminal, frame| terminal.purchase(&swipe, 10_000, frame));
        assert_eq!(till.ask(&sent, &frame).amount_fen, Some(7_700));
        let swipe = Swipe::of(card.clone());
        let (sent, frame) = till.write(|terminal, frame| terminal.star_inquiry(&swipe, Some(10_000), frame));
        let told = till.ask(&sent, &frame);
        assert_eq!((told.amount_fen, told.benefits.as_slice()), (Some(10_000), &[1, 2][..]));
    }
}

#[test]
fn halls_answer_vip_and_purchases_stay_out_of_them() {
    let world = World::new();
    let swipe = Swipe::of(Pan::from_ascii(pan(5).as_bytes()).unwrap());
    let mut hall = Till::signed_in(world.serving.address, 6);
    let (sent, frame) = hall.write(|terminal, frame| terminal.counter_service(&swipe, frame));
    assert_eq!(hall.ask(&sent, &frame).code, "11");
    let (sent, frame) = hall.purchase(&pan(5), 100);
    assert_eq!(hall.ask(&sent, &frame).code, "58");
    assert!(!BANK.is_empty());
    let mut bank = Till::signed_in(world.serving.address, 7);
    let (sent, frame) = bank.write(|terminal, frame| terminal.counter_service(&swipe, frame));
    assert_eq!(bank.ask(&sent, &frame).code, "00");
}

#[test]
fn a_display_that_knows_gbk_only_gets_gbk() {
    let world = World::new();
    let mut till = Till::signed_in(world.serving.address, support::GBK);
    let (sent, frame) = till.purchase(&pan(4), 10_000);
    let answer = exchange(&mut till.stream, &frame);
    let answer = till.terminal.read(&sent, &answer).unwrap();
    let (text, _, broken) = encoding_rs::GBK.decode(answer.integrity.text.unwrap());
    assert_eq!((text.as_ref(), broken), ("诚信优惠 10.00，应付 90.00", false));
}

#[test]
fn wide_messages_have_their_mac_in_field_128() {
    let world = World::new();
    let key = key(&world);
    let request = Request { wide: true, ..Request::purchase(1) };
    let mut stream = support::connect(world.serving.address);
    let answer = exchange(&mut stream, &request.frame(&key));
    let answer = answer_of(&answer);
    assert!(answer.fields.wide() && answer.fields.has(128) && !answer.fields.has(64));
    assert!(key.verify(answer.fields.mab(), &answer.fields.mac().unwrap()));
    assert_eq!(answer.code.to_string(), "00");
}

#[test]
fn the_head_comes_back_swapped_and_with_its_header() {
    let world = World::new();
    let key = key(&world);
    let mut stream = support::connect(world.serving.address);
    let answer = exchange(&mut stream, &Request::purchase(1).frame(&key));
    let Head { tpdu, header } = answer_of(&answer).head;
    assert_eq!((tpdu, header), ([0x60, 0, 9, 0, 3], Head::of_terminal([0, 3], [0, 9]).header));
    for field in [2, 35, 36, 52] {
        assert!(!answer_of(&answer).fields.has(field));
    }
}

#[test]
fn a_byte_at_a_time_and_many_at_once_are_both_answered() {
    let world = World::new();
    let mut till = world.till();
    let (sent, frame) = till.purchase(&pan(1), 100);
    for byte in &frame {
        till.stream.write_all(&[*byte]).unwrap();
    }
    let answer = read_frame(&mut till.stream).unwrap();
    assert_eq!(Told::read(&till.terminal, &sent, &answer).code, "00");

    let requests: Vec<_> = (0..500).map(|_| till.purchase(&pan(1), 100)).collect();
    let all: Vec<u8> = requests.iter().flat_map(|(_, frame)| frame.clone()).collect();
    till.stream.write_all(&all).unwrap();
    for (sent, _) in &requests {
        let answer = read_frame(&mut till.stream).unwrap();
        assert_eq!(Told::read(&till.terminal, sent, &answer).code, "00");
    }
}

#[test]
fn what_is_no_frame_is_dropped_and_after_a_bound_the_connection_closes() {
    let world = World::new();
    let mut till = world.till();
    // Too short, not a TPDU, header not digits: skipped by their own length.
    let mut bad_header = vec![0, 21, 0x60, 0, 3, 0, 0, 0xFF];
    bad_header.resize(23, 0);
    let mut bad_tpdu = vec![0, 21, 0x61];
    bad_tpdu.resize(23, 0);
    till.stream.write_all(&[&[0, 3, 1, 2, 3][..], &bad_tpdu, &bad_header].concat()).unwrap();
    let (sent, frame) = till.purchase(&pan(1), 100);
    assert_eq!(till.ask(&sent, &frame).code, "00");

    let _ = till.stream.write_all(&[0, 3, 1, 2, 3].repeat(100));
    let mut rest = Vec::new();
    // Closed: the end of the stream, or a reset because not all of it was read.
    assert!(matches!(till.stream.read_to_end(&mut rest), Ok(0) | Err(_)));
    assert!(world.till().terminal.is_signed_in());
}

#[test]
fn a_peer_that_says_all_it_will_still_gets_its_answers() {
    let world = World::new();
    let mut till = world.till();
    let (sent, frame) = till.purchase(&pan(1), 100);
    till.stream.write_all(&frame).unwrap();
    till.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = read_frame(&mut till.stream).unwrap();
    assert_eq!(Told::read(&till.terminal, &sent, &answer).code, "00");
}

#[test]
fn an_echo_is_answered_without_a_mac() {
    let world = World::new();
    let mut till = world.till();
    let (_, frame) = till.write(|terminal, frame| terminal.echo(frame));
    let answer = exchange(&mut till.stream, &frame);
    let answer = answer_of(&answer);
    assert_eq!((answer.code.to_string(), answer.mti, answer.fields.mac()), ("00".into(), Mti(830), None));
}
