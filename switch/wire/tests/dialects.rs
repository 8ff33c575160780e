//! Dialects are tables: the same messages go through `cup`, `ascii87` and a dialect made
//! up here, which shares no spelling with them and has no code of its own.

mod common;

use common::{MAINFRAME, ORIGIN, hex};
use xingka_wire::decode;
use xingka_wire::dialect::{ASCII87, CUP, CUP_GBK, Dialect, Digits};
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::fields::Fields;
use xingka_wire::frame::{FrameFault, Step, next_frame};
use xingka_wire::integrity::{Ids, IntegrityAnswer, IntegrityRequest};
use xingka_wire::messages::{
    BatchUpload, BatchUploadEnd, CounterService, Echo, OfflineUpload, Original, Presented, Purchase, Refund, Request,
    Reversal, Settlement, SignIn, SignOff, StarInquiry, Totals, Void,
};
use xingka_wire::mti::{Head, Mti};
use xingka_wire::pan::{CardRef, Pan};
use xingka_wire::session_keys::KeyLayout;

const DIALECTS: [&Dialect; 4] = [&CUP, &CUP_GBK, &ASCII87, &MAINFRAME];

const MAC: [u8; 8] = *b"955F0697";

const TOTALS: Totals = Totals { debit_fen: 50_000, debits: 3, credit_fen: 2_000, credits: 1, flag: 0 };

const ORIGINAL: Original = Original { batch: 1, stan: 7, date: 615 };

const GIVEN: IntegrityAnswer<'static> = IntegrityAnswer {
    star: None,
    discount_bp: None,
    original_fen: Some(10_000),
    payable_fen: Some(8_000),
    off_fen: Some(2_000),
    priority: None,
    benefits: Ids::List(&[7, 9]),
    rule_book: None,
    text: None,
    decision_id: None,
    days: None,
    source: None,
    waivers: Ids::List(&[]),
};

fn presented(card: CardRef<'_>) -> Presented<'_> {
    Presented {
        origin: ORIGIN,
        card,
        amount_fen: Some(10_000),
        entry_mode: 72,
        currency: *b"156",
        integrity: IntegrityRequest { preview: true, chosen_benefit: Some(7), ..IntegrityRequest::default() },
    }
}

fn card() -> CardRef<'static> {
    CardRef::Pan(Pan::from_ascii(b"6299990000000000012").unwrap())
}

/// One of each message.
fn every_request() -> Vec<(Mti, Request<'static>)> {
    let purchase = || presented(card());
    let batch_upload = BatchUpload {
        origin: ORIGIN,
        pan: Pan::from_ascii(b"629999000000001").unwrap(),
        amount_fen: Some(10_000),
        local_time: 91_500,
        local_date: 615,
        reference: *b"616600000001",
        currency: *b"156",
    };
    let offline = OfflineUpload { presented: purchase(), local_time: 91_500, local_date: 615, given: GIVEN };
    let (domestic, foreign) = (TOTALS, Totals::default());
    vec![
        (StarInquiry::MTI, Request::StarInquiry(StarInquiry { presented: purchase() })),
        (Purchase::MTI, Request::Purchase(Purchase { presented: purchase() })),
        (CounterService::MTI, Request::CounterService(CounterService { presented: purchase() })),
        (Void::MTI, Request::Void(Void { presented: purchase(), original: ORIGINAL })),
        (Refund::MTI, Request::Refund(Refund { presented: purchase(), original: ORIGINAL })),
        (OfflineUpload::MTI, Request::OfflineUpload(offline)),
        (Reversal::MTI, Request::Reversal(Reversal::of_purchase(purchase(), *b"A0"))),
        (Reversal::MTI, Request::Reversal(Reversal::of_inquiry(purchase(), *b"98"))),
        (Settlement::MTI, Request::Settlement(Settlement { origin: ORIGIN, currency: *b"156", domestic, foreign })),
        (BatchUpload::MTI, Request::BatchUpload(batch_upload)),
        (
            BatchUploadEnd::MTI,
            Request::BatchUploadEnd(BatchUploadEnd { origin: ORIGIN, currency: *b"156", domestic, foreign }),
        ),
        (SignIn::MTI, Request::SignIn(SignIn { origin: ORIGIN, layout: KeyLayout::Sm4 })),
        (SignOff::MTI, Request::SignOff(SignOff { origin: ORIGIN })),
        (Echo::MTI, Request::Echo(Echo { origin: ORIGIN, holds: None })),
    ]
}

fn encode(request: &Request<'_>, writer: &mut Writer<'_>) {
    match request {
        Request::StarInquiry(message) => message.encode(writer),
        Request::Purchase(message) => message.encode(writer),
        Request::Void(message) => message.encode(writer),
        Request::Refund(message) => message.encode(writer),
        Request::OfflineUpload(message) => message.encode(writer),
        Request::CounterService(message) => message.encode(writer),
        Request::Reversal(message) => message.encode(writer),
        Request::Settlement(message) => message.encode(writer),
        Request::BatchUpload(message) => message.encode(writer),
        Request::BatchUploadEnd(message) => message.encode(writer),
        Request::SignIn(message) => message.encode(writer),
        Request::SignOff(message) => message.encode(writer),
        Request::Echo(message) => message.encode(writer),
    }
}

fn frame_of(dialect: &'static Dialect, mti: Mti, request: &Request<'_>, seal: Seal) -> Vec<u8> {
    let (mut buffer, mut frame) = ([0; 1024], [0; 1024]);
    let mut writer = Writer::new(dialect, mti, seal, &mut buffer);
    encode(request, &mut writer);
    let head = Head::of_terminal([0x00, 0x03], [0x00, 0x00]);
    let mac = (seal != Seal::None).then_some(MAC);
    let length = seal_frame(dialect, head, writer.finish().unwrap(), mac, &mut frame).unwrap();
    frame[..length].to_vec()
}

/// A message's fields with nothing left of how they were spelt.
fn meaning(fields: &Fields<'_>) -> Vec<(u8, Vec<u8>)> {
    let value = |field| match fields.digits(field) {
        Some(digits) => digits.values().collect(),
        None => fields.bytes(field).unwrap().to_vec(),
    };
    fields.numbers().map(|field| (field, value(field))).collect()
}

/// What a request's values are; requests themselves can't be compared.
fn values(request: &Request<'_>) -> Vec<u8> {
    let mut buffer = [0; 1024];
    let mut writer = Writer::new(&CUP, Mti(0), Seal::None, &mut buffer);
    encode(request, &mut writer);
    writer.finish().unwrap().to_vec()
}

/// Sends a request through a dialect and gives what its fields mean.
fn round_trip(dialect: &'static Dialect, mti: Mti, request: &Request<'_>, seal: Seal) -> Vec<(u8, Vec<u8>)> {
    let frame = frame_of(dialect, mti, request, seal);
    let framed = common::framed(dialect, &frame);
    let message = decode(&framed).unwrap_or_else(|malformed| panic!("{}: {malformed:?}", dialect.name));
    assert_eq!(message.dialect(), dialect);
    assert_eq!(message.mti, mti);
    assert_eq!(std::mem::discriminant(&message.request), std::mem::discriminant(request));
    assert_eq!(values(&message.request), values(request), "{} {mti}", dialect.name);
    assert_eq!(message.fields.wide(), seal == Seal::Wide);
    assert_eq!(message.mac(), (seal != Seal::None).then_some(MAC));
    let mac_bytes = if seal == Seal::None { 0 } else { 8 };
    assert_eq!(message.mab(), &framed.body[..framed.body.len() - mac_bytes]);
    meaning(&message.fields)
}

#[test]
fn every_message_means_the_same_in_every_dialect() {
    for (mti, request) in every_request() {
        for seal in [Seal::None, Seal::Narrow, Seal::Wide] {
            let in_cup = round_trip(&CUP, mti, &request, seal);
            for dialect in DIALECTS {
                assert_eq!(round_trip(dialect, mti, &request, seal), in_cup, "{} {mti} {seal:?}", dialect.name);
            }
        }
    }
}

#[test]
fn the_mac_moves_to_128_and_nothing_else_does() {
    for dialect in DIALECTS {
        for (mti, request) in every_request() {
            let without = round_trip(dialect, mti, &request, Seal::None);
            for (seal, field) in [(Seal::Narrow, 64), (Seal::Wide, 128)] {
                let sealed = round_trip(dialect, mti, &request, seal);
                let (mac, rest) = sealed.split_last().unwrap();
                assert_eq!((mac, rest), (&(field, MAC.to_vec()), without.as_slice()));
            }
        }
    }
}

#[test]
fn a_credential_instead_of_a_card() {
    let presented = presented(CardRef::Credential(&[0x5A; 200]));
    let request = Request::StarInquiry(StarInquiry { presented });
    for dialect in DIALECTS {
        let frame = frame_of(dialect, StarInquiry::MTI, &request, Seal::Wide);
        let framed = common::framed(dialect, &frame);
        let message = decode(&framed).unwrap();
        let Request::StarInquiry(inquiry) = &message.request else { panic!("not a star inquiry") };
        assert!(inquiry.presented.card == CardRef::Credential(&[0x5A; 200]));
        assert!(!message.fields.has(2));
    }
}

#[test]
fn a_track_is_read_in_every_dialect() {
    for dialect in DIALECTS {
        let mut buffer = [0; 256];
        let mut writer = Writer::new(dialect, Mti(200), Seal::None, &mut buffer);
        writer.number(3, 310_000);
        writer.number(11, 1);
        writer.number(22, 21);
        writer.number(23, 5);
        writer.number(25, 0);
        writer.digits(35, b"6299990000000000012=30121011234567890");
        writer.bytes(41, &ORIGIN.terminal);
        writer.bytes(42, &ORIGIN.merchant);
        writer.bytes(49, b"156");
        writer.digits(60, b"0100000100060");
        let mut frame = [0; 256];
        let length = seal_frame(dialect, Head::default(), writer.finish().unwrap(), None, &mut frame[..]).unwrap();
        // The head of zeros is no head, and only `cup` has one.
        if dialect.framing.tpdu {
            frame[2] = 0x60;
        }
        let framed = common::framed(dialect, &frame[..length]);
        let message = decode(&framed).unwrap();
        let Request::StarInquiry(inquiry) = &message.request else { panic!("not a star inquiry") };
        assert!(inquiry.presented.card == card(), "{}", dialect.name);
        assert_eq!(message.fields.number(23), Some(5), "{}", dialect.name);
    }
}

/// `text` as EBCDIC digits.
fn ebcdic(text: &str) -> Vec<u8> {
    text.bytes().map(|digit| digit - b'0' + 0xF0).collect()
}

#[test]
fn the_made_up_dialect_byte_for_byte() {
    let (_, request) = every_request().pop().unwrap();
    let bytes = [
        b"0065".to_vec(),
        ebcdic("0820"),
        b"0020000000C00010".to_vec(),
        ebcdic("000001"),
        b"QZ000001".to_vec(),
        b"999520153990001".to_vec(),
        ebcdic("013"),
        ebcdic("0000000130160"),
    ]
    .concat();
    let frame = frame_of(&MAINFRAME, Echo::MTI, &request, Seal::None);
    // 4 + 16 + 6 + 8 + 15 + 3 + 13 = 65 bytes behind the length.
    assert_eq!(frame, bytes);
}

#[test]
fn ascii87_byte_for_byte() {
    let (_, request) = every_request().pop().unwrap();
    let bytes = [
        &hex("0039")[..],
        b"0820",
        &hex("0020000000C00010"),
        b"000001",
        b"QZ000001",
        b"999520153990001",
        b"013",
        b"0000000130160",
    ]
    .concat();
    assert_eq!(frame_of(&ASCII87, Echo::MTI, &request, Seal::None), bytes);
}

#[test]
fn a_bitmap_in_small_letters_is_another_spelling() {
    let (mti, request) = every_request().pop().unwrap();
    let mut frame = frame_of(&MAINFRAME, mti, &request, Seal::None);
    let place = frame.iter().position(|byte| *byte == b'C').unwrap();
    frame[place] = b'c';
    assert!(decode(&common::framed(&MAINFRAME, &frame)).is_err());
}

#[test]
fn cup_and_ascii87_share_a_listener() {
    let spoken: &[&Dialect] = &[&CUP, &ASCII87];
    for (mti, request) in every_request() {
        for dialect in [&CUP, &ASCII87] {
            let frame = frame_of(dialect, mti, &request, Seal::Narrow);
            let Step::Frame(framed, _) = next_frame(spoken, &frame) else { panic!("not a frame") };
            assert_eq!(framed.dialect, dialect);
        }
    }
}

#[test]
fn a_length_that_is_no_number_is_dropped() {
    let (mti, request) = every_request().pop().unwrap();
    let mut frame = frame_of(&MAINFRAME, mti, &request, Seal::None);
    frame[1] = 0xF0;
    let step = next_frame(&[&MAINFRAME], &frame);
    assert!(matches!(step, Step::Dropped { fault: FrameFault::Length, skip: 4 }));
}

#[test]
fn dialects_are_found_by_name() {
    for name in ["cup", "cup-gbk", "ascii87"] {
        assert_eq!(Dialect::by_name(name).map(|dialect| dialect.name), Some(name));
    }
    assert_eq!(Dialect::by_name("mainframe"), None);
}

#[test]
fn a_separator_has_one_spelling() {
    for (dialect, separators) in [(&ASCII87, *b"=D"), (&MAINFRAME, [0x7E, 0xC4])] {
        let (_, request) = &every_request()[0];
        let frame = frame_of(dialect, StarInquiry::MTI, request, Seal::None);
        let accepted = separators.into_iter().filter(|separator| reads_track(dialect, &frame, *separator)).count();
        assert_eq!(accepted, 1, "{}", dialect.name);
    }
}

/// Whether a star inquiry is still read with a second track put in.
fn reads_track(dialect: &'static Dialect, frame: &[u8], separator: u8) -> bool {
    let framed = common::framed(dialect, frame);
    let read = decode(&framed).unwrap();
    let (mut buffer, mut sealed) = ([0; 512], [0; 512]);
    let mut writer = Writer::new(dialect, read.mti, Seal::None, &mut buffer);
    for field in read.fields.numbers().filter(|field| *field < 35) {
        writer.copy(&read.fields, field);
    }
    writer.digits(35, b"123=4");
    for field in read.fields.numbers().filter(|field| *field > 35) {
        writer.copy(&read.fields, field);
    }
    let length = seal_frame(dialect, read.head, writer.finish().unwrap(), None, &mut sealed).unwrap();
    let written = if dialect.digits == Digits::Ebcdic { 0x7E } else { b'=' };
    let place = sealed.iter().rposition(|byte| *byte == written).unwrap();
    sealed[place] = separator;
    decode(&common::framed(dialect, &sealed[..length])).is_ok()
}
