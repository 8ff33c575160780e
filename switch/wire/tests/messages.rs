//! Each typed message byte for byte, both ways, and what its answer repeats and adds.
//!
//! The literals are made by hand from wire.md's tables: never from the crate's output.

mod common;

use common::{cup_frame, framed, hex};
use xingka_wire::answer::{Answer, AnswerParts, write_answer};
use xingka_wire::code::ResponseCode;
use xingka_wire::decode;
use xingka_wire::dialect::CUP;
use xingka_wire::encode::{EncodeFault, Seal, Writer, seal_frame};
use xingka_wire::fields::Fields;
use xingka_wire::integrity::{Ids, IntegrityAnswer, IntegrityRequest};
use xingka_wire::messages::{
    BatchUpload, BatchUploadEnd, CounterService, Echo, OfflineUpload, Origin, Original, Presented, Purchase, Refund,
    Request, Reversal, Settlement, SignIn, SignOff, StarInquiry, Totals, Void,
};
use xingka_wire::mti::{Command, Head, Mti};
use xingka_wire::pan::{CardRef, Pan};
use xingka_wire::session_keys::KeyLayout;

const ORIGIN: Origin = Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 4_711, batch: 12 };

/// Fields 41 and 42.
const PLACE: &str = "515A303030303031 393939353230313533393930303031";

const PAN: &[u8] = b"6299990000000000012";

const REQUEST_ID: [u8; 16] = *b"0123456789abcdef";

fn presented(amount_fen: Option<u64>) -> Presented<'static> {
    Presented {
        origin: ORIGIN,
        card: CardRef::Pan(Pan::from_ascii(PAN).unwrap()),
        amount_fen,
        entry_mode: 72,
        currency: *b"156",
        integrity: IntegrityRequest::default(),
    }
}

/// Encoding gives these bytes, up to where the MAC begins.
fn assert_bytes(mti: Mti, seal: Seal, encode: impl FnOnce(&mut Writer<'_>), literal: &str) {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&CUP, mti, seal, &mut buffer);
    encode(&mut writer);
    assert_eq!(hex::encode(writer.finish().unwrap()), hex::encode(hex(literal)));
}

/// Decodes a literal (a sealed one with some MAC behind it) and looks at the request.
fn with_request(literal: &str, seal: Seal, look: impl FnOnce(&Request<'_>)) {
    let mut body = hex(literal);
    if seal != Seal::None {
        body.extend(*b"955F0697");
    }
    let frame = cup_frame(&body);
    let message = decode(&framed(&CUP, &frame)).unwrap();
    assert_eq!(message.mab(), hex(literal));
    assert_eq!(message.request.is_housekeeping(), seal == Seal::None);
    assert_eq!(message.request.origin(), &ORIGIN);
    look(&message.request);
}

fn assert_presented(read: &Presented<'_>, amount_fen: Option<u64>) {
    assert_eq!(read.origin, ORIGIN);
    assert!(read.card == CardRef::Pan(Pan::from_ascii(PAN).unwrap()));
    assert_eq!(read.amount_fen, amount_fen);
    assert_eq!((read.entry_mode, &read.currency), (72, b"156"));
}

#[test]
fn sign_in() {
    for (layout, code) in [
        (KeyLayout::Des, "001"),
        (KeyLayout::Tdes, "003"),
        (KeyLayout::TdesWithTrack, "004"),
        (KeyLayout::Sm4, "005"),
        (KeyLayout::Sm4WithTrack, "006"),
    ] {
        let literal = format!("0800 0020000000C00010 004711 {PLACE} 0013 00 000012 {code} 6 0 0");
        assert_bytes(SignIn::MTI, Seal::None, |writer| SignIn { origin: ORIGIN, layout }.encode(writer), &literal);
        with_request(&literal, Seal::None, |request| {
            let Request::SignIn(read) = request else { panic!("not a sign-in") };
            assert_eq!(read.layout, layout);
        });
    }
}

#[test]
fn sign_off() {
    let literal = format!("0820 0020000000C00010 004711 {PLACE} 0013 00 000012 002 6 0 0");
    assert_bytes(SignOff::MTI, Seal::None, |writer| SignOff { origin: ORIGIN }.encode(writer), &literal);
    with_request(&literal, Seal::None, |request| assert!(matches!(request, Request::SignOff(_))));
}

#[test]
fn echo() {
    let literal = format!("0820 0020000000C00010 004711 {PLACE} 0013 00 000012 301 6 0 0");
    assert_bytes(Echo::MTI, Seal::None, |writer| Echo { origin: ORIGIN, holds: None }.encode(writer), &literal);
    with_request(&literal, Seal::None, |request| assert!(matches!(request, Request::Echo(_))));
}

#[test]
fn star_inquiry_with_an_amount() {
    let literal = format!(
        "0200 7020048000C08011 19 6299990000000000012 0 310000 000000010000 004711 072 0 00 {PLACE} 313536
        0013 01 000012 000 6 0 0"
    );
    let inquiry = StarInquiry { presented: presented(Some(10_000)) };
    assert_bytes(StarInquiry::MTI, Seal::Narrow, |writer| inquiry.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::StarInquiry(read) = request else { panic!("not a star inquiry") };
        assert_presented(&read.presented, Some(10_000));
        assert!(read.presented.integrity.is_empty());
    });
}

#[test]
fn star_inquiry_of_a_scanned_credential() {
    let literal = format!(
        "0200 2020048000C08091 310000 004711 072 0 00 {PLACE} 313536
        0007 DF02 04 01020304 0013 01 000012 000 6 0 0"
    );
    let card = CardRef::Credential(&[1, 2, 3, 4]);
    let inquiry = StarInquiry { presented: Presented { card: card.clone(), ..presented(None) } };
    assert_bytes(StarInquiry::MTI, Seal::Narrow, |writer| inquiry.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::StarInquiry(read) = request else { panic!("not a star inquiry") };
        assert!(read.presented.card == card);
    });
}

#[test]
fn purchase() {
    let literal = format!(
        "0200 7020048000C08091 19 6299990000000000012 0 000000 000000010000 004711 072 0 00 {PLACE} 313536
        0030 DF03 01 01 DF04 04 00000007 DF05 10 30313233343536373839616263646566
        0013 22 000012 000 6 0 0"
    );
    let integrity = IntegrityRequest {
        preview: true,
        chosen_benefit: Some(7),
        request_id: Some(REQUEST_ID),
        ..IntegrityRequest::default()
    };
    let purchase = Purchase { presented: Presented { integrity, ..presented(Some(10_000)) } };
    assert_bytes(Purchase::MTI, Seal::Narrow, |writer| purchase.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::Purchase(read) = request else { panic!("not a purchase") };
        assert_presented(&read.presented, Some(10_000));
        assert_eq!(read.presented.integrity, integrity);
        assert_eq!(request.integrity(), Some(&integrity));
    });
}

#[test]
fn counter_service() {
    let literal = format!(
        "0100 6020048000C08091 19 6299990000000000012 0 310000 004711 072 0 00 {PLACE} 313536
        0007 DF01 04 53423031 0013 01 000012 000 6 0 0"
    );
    let integrity = IntegrityRequest { service: Some(b"SB01"), ..IntegrityRequest::default() };
    let service = CounterService { presented: Presented { integrity, ..presented(None) } };
    assert_bytes(CounterService::MTI, Seal::Narrow, |writer| service.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::CounterService(read) = request else { panic!("not a counter service") };
        assert_presented(&read.presented, None);
        assert_eq!(read.presented.integrity, integrity);
    });
}

const ORIGINAL: Original = Original { batch: 12, stan: 4_700, date: 615 };

#[test]
fn void() {
    let literal = format!(
        "0200 7020048000C08019 19 6299990000000000012 0 200000 000000008000 004711 072 0 00 {PLACE} 313536
        0013 23 000012 000 6 0 0 0016 000012 004700 0615"
    );
    let void = Void { presented: presented(Some(8_000)), original: ORIGINAL };
    assert_bytes(Void::MTI, Seal::Narrow, |writer| void.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::Void(read) = request else { panic!("not a void") };
        assert_presented(&read.presented, Some(8_000));
        assert_eq!(read.original, ORIGINAL);
    });
}

#[test]
fn refund() {
    let literal = format!(
        "0220 7020048000C08019 19 6299990000000000012 0 200000 999999999999 004711 072 0 00 {PLACE} 313536
        0013 25 000012 000 6 0 0 0016 000012 004700 0615"
    );
    let refund = Refund { presented: presented(Some(999_999_999_999)), original: ORIGINAL };
    assert_bytes(Refund::MTI, Seal::Narrow, |writer| refund.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::Refund(read) = request else { panic!("not a refund") };
        assert_presented(&read.presented, Some(999_999_999_999));
        assert_eq!(read.original, ORIGINAL);
    });
}

#[test]
fn offline_upload() {
    let literal = format!(
        "0220 7038048000C08091 19 6299990000000000012 0 000000 000000010000 004711 091500 0615 072 0 00 {PLACE} 313536
        0060 DF05 10 30313233343536373839616263646566
        DF14 06 000000010000 DF15 06 000000008000 DF16 06 000000002000 DF18 04 00000007 DF18 04 00000009
        0013 36 000012 000 6 0 0"
    );
    let given = IntegrityAnswer {
        original_fen: Some(10_000),
        payable_fen: Some(8_000),
        off_fen: Some(2_000),
        benefits: Ids::List(&[7, 9]),
        ..IntegrityAnswer::default()
    };
    let integrity = IntegrityRequest { request_id: Some(REQUEST_ID), ..IntegrityRequest::default() };
    let presented = Presented { integrity, ..presented(Some(10_000)) };
    let upload = OfflineUpload { presented, local_time: 91_500, local_date: 615, given };
    // 19 + 3 * 9 + 2 * 7 bytes of tags.
    assert_bytes(OfflineUpload::MTI, Seal::Narrow, |writer| upload.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::OfflineUpload(read) = request else { panic!("not an offline upload") };
        assert_presented(&read.presented, Some(10_000));
        assert_eq!((read.local_time, read.local_date), (91_500, 615));
        assert_eq!((read.given, read.presented.integrity), (given, integrity));
    });
}

#[test]
fn reversal_of_a_purchase() {
    let literal = format!(
        "0400 7020048002C08019 19 6299990000000000012 0 000000 000000010000 004711 072 0 00 3938 {PLACE} 313536
        0013 22 000012 000 6 0 0 0016 000012 004711 0615"
    );
    let original = Original { batch: 12, stan: 4_711, date: 615 };
    let mut reversal = Reversal::of_purchase(presented(Some(10_000)), *b"98");
    reversal.original = Some(original);
    assert_bytes(Reversal::MTI, Seal::Narrow, |writer| reversal.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::Reversal(read) = request else { panic!("not a reversal") };
        assert_presented(&read.presented, Some(10_000));
        assert_eq!((&read.reason, read.original), (b"98", Some(original)));
    });
}

#[test]
fn reversal_of_an_inquiry() {
    let literal = format!(
        "0400 6020048002C08011 19 6299990000000000012 0 310000 004711 072 0 00 4130 {PLACE} 313536
        0013 01 000012 000 6 0 0"
    );
    let reversal = Reversal::of_inquiry(presented(None), *b"A0");
    assert_bytes(Reversal::MTI, Seal::Narrow, |writer| reversal.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::Reversal(read) = request else { panic!("not a reversal") };
        assert_presented(&read.presented, None);
        assert_eq!((&read.reason, read.original), (b"A0", None));
    });
}

#[test]
fn reversals_of_everything_that_can_be_reversed_are_read() {
    for (processing, message_type) in [("20", "23"), ("20", "25"), ("00", "36")] {
        let literal = format!(
            "0400 7020048002C08011 19 6299990000000000012 0 {processing}0000 000000010000 004711 072 0 00 3936 {PLACE}
            313536 0013 {message_type} 000012 000 6 0 0"
        );
        with_request(&literal, Seal::Narrow, |request| {
            let Request::Reversal(read) = request else { panic!("not a reversal") };
            // What was read is written the same.
            assert_bytes(Reversal::MTI, Seal::Narrow, |writer| read.encode(writer), &literal);
        });
    }
}

const DOMESTIC: Totals = Totals { debit_fen: 50_000, debits: 3, credit_fen: 2_000, credits: 1, flag: 0 };

const FOREIGN: Totals = Totals { debit_fen: 123_456_789_012, debits: 999, credit_fen: 1, credits: 100, flag: 0 };

const F48: &str = "0062 000000050000 003 000000002000 001 0 123456789012 999 000000000001 100 0";

#[test]
fn settlement() {
    let literal = format!("0500 0020000000C18011 004711 {PLACE} {F48} 313536 0013 00 000012 201 6 0 0");
    let settlement = Settlement { origin: ORIGIN, currency: *b"156", domestic: DOMESTIC, foreign: FOREIGN };
    assert_bytes(Settlement::MTI, Seal::Narrow, |writer| settlement.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::Settlement(read) = request else { panic!("not a settlement") };
        assert_eq!((read.domestic, read.foreign, &read.currency), (DOMESTIC, FOREIGN, b"156"));
    });
}

#[test]
fn batch_upload() {
    let literal = format!(
        "0320 5038000008C08011 19 6299990000000000012 0 000000008000 004711 091500 0615
        363136363030303030303031 {PLACE} 313536 0013 00 000012 201 6 0 0"
    );
    let upload = BatchUpload {
        origin: ORIGIN,
        pan: Pan::from_ascii(PAN).unwrap(),
        amount_fen: Some(8_000),
        local_time: 91_500,
        local_date: 615,
        reference: *b"616600000001",
        currency: *b"156",
    };
    assert_bytes(BatchUpload::MTI, Seal::Narrow, |writer| upload.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::BatchUpload(read) = request else { panic!("not a batch upload") };
        assert_eq!((read.pan.as_ascii(), read.amount_fen), (PAN, Some(8_000)));
        assert_eq!((read.local_time, read.local_date), (91_500, 615));
        assert_eq!((&read.reference, &read.currency), (b"616600000001", b"156"));
    });
}

#[test]
fn batch_upload_end() {
    let literal = format!("0320 0020000000C18011 004711 {PLACE} {F48} 313536 0013 00 000012 202 6 0 0");
    let end = BatchUploadEnd { origin: ORIGIN, currency: *b"156", domestic: DOMESTIC, foreign: FOREIGN };
    assert_bytes(BatchUploadEnd::MTI, Seal::Narrow, |writer| end.encode(writer), &literal);
    with_request(&literal, Seal::Narrow, |request| {
        let Request::BatchUploadEnd(read) = request else { panic!("not a batch upload's end") };
        assert_eq!((read.domestic, read.foreign, &read.currency), (DOMESTIC, FOREIGN, b"156"));
    });
}

/// What an answer adds at the least.
fn parts(code: ResponseCode) -> AnswerParts<'static> {
    AnswerParts {
        code,
        local_time: 91_501,
        local_date: 615,
        reference: *b"616600000042",
        auth_code: None,
        amount_fen: None,
        batch: None,
        totals: None,
        integrity: None,
        keys: None,
    }
}

/// Fields 12, 13 as [`parts`] has them.
const TIME: &str = "091501 0615";

/// Field 37 as [`parts`] has it.
const REFERENCE: &str = "363136363030303030303432";

/// Answers a message and gives the bytes up to the MAC.
fn answered(body: &[u8], sealed: bool, parts: &AnswerParts<'_>) -> Vec<u8> {
    let frame = cup_frame(body);
    let framed = framed(&CUP, &frame);
    let fields: Fields<'_> = decode(&framed).map_or_else(|malformed| malformed.fields, |message| message.fields);
    write_answer(framed.mti, &fields, sealed, parts, &mut [0; 1024]).unwrap().to_vec()
}

/// The fields of an answer.
fn fields_of(mab: &[u8]) -> Vec<u8> {
    let mac = (mab[9] & 1 == 1).then_some([0; 8]);
    let mut frame = [0; 1024];
    let length = seal_frame(&CUP, Head::of_terminal([0; 2], [0; 2]), mab, mac, &mut frame).unwrap();
    let answer = Answer::decode(&framed(&CUP, &frame[..length])).unwrap();
    answer.fields.numbers().collect()
}

/// With everything secret that a request may have.
fn with_secrets(message: &common::Raw) -> common::Raw {
    message
        .with(35, "21 6299990000000000012D3 0")
        .with(36, "0004 12D4")
        .with(52, "0011223344556677")
        .with(64, "955F069700000000")
}

#[test]
fn the_answer_to_a_purchase() {
    let integrity = IntegrityAnswer {
        discount_bp: Some(2_000),
        original_fen: Some(10_000),
        payable_fen: Some(8_000),
        off_fen: Some(2_000),
        benefits: Ids::List(&[7]),
        rule_book: Some(3),
        ..IntegrityAnswer::default()
    };
    let approved = AnswerParts {
        auth_code: Some(*b"A00042"),
        amount_fen: Some(8_000),
        integrity: Some(&integrity),
        ..parts(ResponseCode::APPROVED)
    };
    let literal = format!(
        "0210 303800800EC08091 000000 000000008000 000001 {TIME} 00 {REFERENCE} 413030303432 3030 {PLACE} 313536
        0046 DF13 02 07D0 DF14 06 000000010000 DF15 06 000000008000 DF16 06 000000002000
        DF18 04 00000007 DF19 04 00000003 0013 22 000001 000 6 0 0"
    );
    let answer = answered(&with_secrets(&common::purchase()).body(), true, &approved);
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn a_declined_purchase_repeats_its_amount() {
    let literal = format!(
        "0210 303800800AC08011 000000 000000010000 000001 {TIME} 00 {REFERENCE} 3534 {PLACE} 313536
        0013 22 000001 000 6 0 0"
    );
    let answer = answered(&with_secrets(&common::purchase()).body(), true, &parts(ResponseCode::EXPIRED));
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn the_answer_to_a_sign_in() {
    let keys = [0xA5; 40];
    let signed_in = AnswerParts { batch: Some(654_321), keys: Some(&keys), ..parts(ResponseCode::APPROVED) };
    let literal = format!(
        "0810 003800000AC00014 000001 {TIME} {REFERENCE} 3030 {PLACE} 0013 00 654321 003 6 0 0 0040 {}",
        "A5".repeat(40)
    );
    let answer = answered(&common::sign_in().body(), false, &signed_in);
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn the_answer_to_a_settlement() {
    let totals = Totals::ascii(&Totals { flag: 1, ..DOMESTIC }, &Totals { flag: 1, ..FOREIGN }).unwrap();
    let balanced = AnswerParts { totals: Some(&totals), ..parts(ResponseCode::APPROVED) };
    let literal = format!(
        "0510 003800000AC18011 000001 {TIME} {REFERENCE} 3030 {PLACE}
        0062 000000050000 003 000000002000 001 1 123456789012 999 000000000001 100 1 313536 0013 00 000001 201 6 0 0"
    );
    let answer = answered(&common::settlement().with(64, "0000000000000000").body(), true, &balanced);
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn every_answer_repeats_what_it_may_and_adds_what_it_must() {
    for (name, message) in common::every_message() {
        let request = with_secrets(&message);
        let repeated = request.fields.keys().filter(|field| [3, 4, 11, 25, 41, 42, 49, 60].contains(*field));
        let mut expected: Vec<u8> = repeated.copied().chain([12, 13, 37, 39, 64]).collect();
        expected.sort_unstable();
        let answer = answered(&request.body(), true, &parts(ResponseCode::APPROVED));
        assert_eq!(fields_of(&answer), expected, "{name}");
        let mti = u16::from_be_bytes(message.mti) + 0x10;
        assert_eq!(answer[..2], mti.to_be_bytes(), "{name}");
    }
}

#[test]
fn an_amount_stands_only_where_the_request_has_one() {
    let free = AnswerParts { amount_fen: Some(1), ..parts(ResponseCode::APPROVED) };
    let answer = answered(&common::star_inquiry().body(), false, &free);
    assert!(!fields_of(&answer).contains(&4));
}

#[test]
fn a_malformed_request_is_answered_with_what_was_read() {
    let broken = common::purchase().with(49, "31352D");
    let literal = format!("0210 303800800AC00000 000000 000000010000 000001 {TIME} 00 {REFERENCE} 3330 {PLACE}");
    let answer = answered(&broken.body(), false, &parts(ResponseCode::FORMAT_ERROR));
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn a_request_without_a_readable_bitmap_is_answered_too() {
    let body = common::echo().widened().body();
    let literal = format!("0830 001800000A000000 {TIME} {REFERENCE} 3330");
    let answer = answered(&body[..12], false, &parts(ResponseCode::FORMAT_ERROR));
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn a_request_of_128_bits_gets_an_answer_of_128_bits() {
    let request = common::echo().with(128, "0000000000000000").widened();
    let literal = format!(
        "0830 803800000AC00010 0000000000000001 000001 {TIME} {REFERENCE} 3030 {PLACE} 0013 00 000001 301 6 0 0"
    );
    let answer = answered(&request.body(), true, &parts(ResponseCode::APPROVED));
    assert_eq!(hex::encode(answer), hex::encode(hex(&literal)));
}

#[test]
fn the_longest_private_field_keeps_all_but_its_batch() {
    let request = common::echo().with(60, "0017 00 000001 301 6 0 1234 0");
    let signed_in = AnswerParts { batch: Some(999_999), ..parts(ResponseCode::APPROVED) };
    let answer = answered(&request.body(), false, &signed_in);
    assert!(answer.ends_with(&hex("0017 00 999999 301 6 0 1234 0")));
}

#[test]
fn the_head_of_an_answer() {
    let head = Head { tpdu: [0x60, 0x00, 0x03, 0x12, 0x34], header: [0x60, 0x31, 0x27, 0x31, 0x01, 0x99] };
    for (command, third) in [
        (Command::None, 0x20),
        (Command::FetchParameters, 0x21),
        (Command::SignIn, 0x23),
        (Command::UpdateSoftware, 0x26),
    ] {
        let answer = head.answer(command);
        assert_eq!(answer.tpdu, [0x60, 0x12, 0x34, 0x00, 0x03]);
        assert_eq!(answer.header, [0x60, 0x31, third, 0x31, 0x01, 0x99]);
        assert_eq!(answer.command(), Some(command));
    }
}

#[test]
fn a_terminal_reads_what_the_switch_writes() {
    let integrity = IntegrityAnswer {
        star: Some(4),
        discount_bp: Some(2_000),
        original_fen: Some(10_000),
        payable_fen: Some(8_000),
        off_fen: Some(2_000),
        priority: Some(2),
        benefits: Ids::List(&[7, 9]),
        rule_book: Some(3),
        text: Some("诚信八折".as_bytes()),
        decision_id: Some(REQUEST_ID),
        days: Some(2),
        source: Some(1),
        waivers: Ids::List(&[11]),
    };
    let vip = AnswerParts { batch: Some(13), integrity: Some(&integrity), ..parts(ResponseCode::APPROVED_VIP) };
    let mab = answered(&common::purchase().with(64, "0000000000000000").body(), true, &vip);
    let mut frame = [0; 1024];
    let head = Head::of_terminal([0, 3], [0, 0]).answer(Command::SignIn);
    let length = seal_frame(&CUP, head, &mab, Some(*b"12345678"), &mut frame).unwrap();
    let answer = Answer::decode(&framed(&CUP, &frame[..length])).unwrap();
    assert_eq!((answer.head, answer.mti, answer.code), (head, Mti(210), ResponseCode::APPROVED_VIP));
    assert_eq!((answer.integrity, answer.batch()), (integrity, Some(13)));
    assert_eq!((answer.fields.mab(), answer.fields.mac()), (mab.as_slice(), Some(*b"12345678")));
}

/// What a writer says to one thing written.
fn fault_of(seal: Seal, write: impl FnOnce(&mut Writer<'_>)) -> Option<EncodeFault> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&CUP, Mti(200), seal, &mut buffer);
    write(&mut writer);
    writer.finish().err()
}

#[test]
fn a_writer_refuses_what_does_not_fit() {
    for (fault, expected) in [
        (fault_of(Seal::None, |writer| writer.number(4, 1_000_000_000_000)), EncodeFault::Content(4)),
        (fault_of(Seal::None, |writer| writer.number(22, 1_000)), EncodeFault::Content(22)),
        (fault_of(Seal::None, |writer| writer.digits(2, &[b'6'; 20])), EncodeFault::Content(2)),
        (fault_of(Seal::None, |writer| writer.digits(2, b"62A")), EncodeFault::Content(2)),
        (fault_of(Seal::None, |writer| writer.bytes(37, b"61660000004-")), EncodeFault::Content(37)),
        (fault_of(Seal::None, |writer| writer.bytes(57, &[0; 513])), EncodeFault::Content(57)),
        (fault_of(Seal::None, |writer| writer.number(5, 1)), EncodeFault::Field(5)),
        (fault_of(Seal::Narrow, |writer| writer.bytes(128, &[0; 8])), EncodeFault::Field(128)),
        (fault_of(Seal::None, write_out_of_order), EncodeFault::Field(3)),
    ] {
        assert_eq!(fault, Some(expected));
    }
}

fn write_out_of_order(writer: &mut Writer<'_>) {
    writer.number(4, 1);
    writer.number(3, 1);
}

#[test]
fn a_writer_refuses_separators_in_fields_of_digits() {
    assert_eq!(fault_of(Seal::None, |writer| writer.digits(2, b"6212=34")), Some(EncodeFault::Content(2)));
}

#[test]
fn a_writer_refuses_the_mac_in_two_places() {
    assert_eq!(fault_of(Seal::Wide, |writer| writer.bytes(64, &[0; 8])), Some(EncodeFault::Field(64)));
}

#[test]
fn a_batch_of_seven_digits_is_refused() {
    let echo = Echo { origin: Origin { batch: 1_000_000, ..ORIGIN }, holds: None };
    assert_eq!(fault_of(Seal::None, |writer| echo.encode(writer)), Some(EncodeFault::Content(60)));
}
