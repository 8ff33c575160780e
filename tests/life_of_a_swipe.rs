//! docs/life-of-a-swipe.md follows one purchase byte by byte; this holds the page to the code.

use std::sync::Arc;

use xingka_core::authenticate::{Admission, authenticate};
use xingka_core::capsule::Capsule;
use xingka_core::city::{
    Card, CardStatus, Category, Circle, Holder, HolderStatus, Merchant, MerchantKind, Scope, Star, Terminal as Known,
};
use xingka_core::decide::decide;
use xingka_core::explain::explain;
use xingka_core::facts::{Ask, Counts, Facts};
use xingka_core::ids::{BenefitId, DecisionId, HolderNo, MerchantId, Place, RuleBookVersion, TerminalId};
use xingka_core::ledger::Ledger;
use xingka_core::pan::CardHasher;
use xingka_core::record::{Receipt, record_swipe};
use xingka_core::respond::respond;
use xingka_core::rules::{Audience, Bearer, Benefit, BenefitKind, Limits, RuleBook};
use xingka_core::session::{Session, SessionKey};
use xingka_core::time::{Date, Moment, Month};
use xingka_wire::decode;
use xingka_wire::dialect::CUP;
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::messages::{Origin, Presented, Purchase};
use xingka_wire::mti::{Command, Head};
use xingka_wire::pan::{CardRef, Pan};

const PAGE: &str = include_str!("../docs/life-of-a-swipe.md");

/// The bytes of a fenced block of the page: what stands before each line's `#`.
fn bytes_of(block: &str) -> Vec<u8> {
    let begin = format!("```{block}\n");
    let (_, rest) = PAGE.split_once(&begin).unwrap_or_else(|| panic!("the page has no block {block}"));
    let (lines, _) = rest.split_once("```").unwrap();
    let hex: String =
        lines.lines().map(|line| line.split('#').next().unwrap()).flat_map(str::split_whitespace).collect();
    hex::decode(hex).unwrap()
}

fn session_key() -> MacKey {
    MacKey::new(MacAlgorithm::AesCmac, &hex::decode("1029384756AFBECD0123456789ABCDEF").unwrap()).unwrap()
}

/// The terminal's side: a purchase of 100.00 yuan.
fn request() -> Vec<u8> {
    let purchase = Purchase {
        presented: Presented {
            origin: Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 7, batch: 1 },
            card: CardRef::Pan(Pan::from_ascii(b"6299990000000000012").unwrap()),
            amount_fen: Some(10_000),
            entry_mode: 72,
            currency: *b"156",
            integrity: Default::default(),
        },
    };
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&CUP, Purchase::MTI, Seal::Narrow, &mut buffer);
    purchase.encode(&mut writer);
    let mab = writer.finish().unwrap();
    let mut frame = vec![0; 512];
    let head = Head::of_terminal([0x00, 0x03], [0x00, 0x09]);
    let length = seal_frame(&CUP, head, mab, Some(session_key().mac(mab)), &mut frame).unwrap();
    frame.truncate(length);
    frame
}

fn now() -> Moment {
    let date = Date::from_civil(2026, 11, 23).unwrap();
    Moment { epoch_ms: 1_795_413_909_000, date, second_of_day: 14 * 3600 + 5 * 60 + 9 }
}

fn merchant() -> Merchant {
    let id = MerchantId(*b"999520153990001");
    Merchant { id, kind: MerchantKind::Merchant, circle: Circle::Member }
}

fn scope() -> Scope {
    Scope { discount: true, priority: false, star: false }
}

fn rules() -> RuleBook {
    let benefit = Benefit {
        id: BenefitId(7),
        provider: merchant().id,
        title: "八折".into(),
        kind: BenefitKind::Discount,
        service: None,
        audience: Audience::ALL,
        values: [0, 0, 500, 1_000, 2_000],
        valid_from: Date::from_civil(2026, 1, 1).unwrap(),
        valid_to: Date::from_civil(2026, 12, 31).unwrap(),
        weekdays: None,
        hours: None,
        min_amount: None,
        max_off: None,
        limits: Limits::default(),
        group: None,
        stacks: false,
        legal_basis: "清诚信办〔2026〕1号".into(),
        bearer: Bearer::Merchant,
    };
    RuleBook::new(RuleBookVersion(3), [benefit])
}

fn facts() -> Facts {
    Facts {
        merchant: merchant(),
        scope: scope(),
        card: Some(Card { holder_no: HolderNo(1), status: CardStatus::Active, expires: Month::new(2031, 12) }),
        holder: Some(Holder { category: Category::Farmer, rated: Star::new(5).unwrap(), status: HolderStatus::Active }),
        reversed_before: false,
        counts: Counts::default(),
    }
}

#[test]
fn the_page_shows_the_bytes_that_the_code_makes() {
    let request = request();
    assert_eq!(hex::encode_upper(bytes_of("request")), hex::encode_upper(&request));

    // frame, decode
    let Step::Frame(frame, _) = next_frame(&[&CUP], &request) else { panic!("not a frame") };
    let message = decode(&frame).unwrap();

    // authenticate
    let known = Known {
        id: TerminalId(*b"QZ000001"),
        merchant: merchant(),
        mac: MacAlgorithm::AesCmac,
        profile: &CUP,
        scope: scope(),
    };
    let session = Session::renewed(None, Arc::new(SessionKey { serial: 1, made_ms: 0, mac: session_key() }));
    let authentic = authenticate(message, (Some(known), None), Some(&session), now().epoch_ms).unwrap();
    let hasher = CardHasher::new(&[0; 32]);
    let asked = authentic.asked(&hasher);
    let ask = Ask::of(&authentic.message().request, &hasher).unwrap();
    let key = authentic.key().clone();
    let Admission::New(admitted) = authentic.admit(asked, &Ledger::default(), false) else { panic!("not new") };

    // decide
    let verdict = decide(&ask, &facts(), &rules(), now());
    assert_eq!(verdict.entitlement.price.as_ref().unwrap().payable().to_string(), "80.00");

    // record
    let sequence = 1_234;
    let id = DecisionId::new(now().epoch_ms, Place::new(0, sequence));
    assert!(PAGE.contains(&id.to_string()), "the page names the decision {id}");
    let capsule = Capsule { id, at: now(), rules: RuleBookVersion(3), ask, facts: facts() };
    let explanation = explain(&capsule, &verdict, &rules());
    for sentence in [&explanation.zh, &explanation.en] {
        assert!(PAGE.contains(sentence.as_str()), "the page says: {sentence}");
    }
    let (record, pending) = record_swipe(&admitted, capsule, verdict, Place::new(0, sequence)).unwrap();
    let bytes = record.encode(Vec::new()).unwrap().len();
    assert!(PAGE.contains(&format!("{bytes} bytes")), "the page says that the record has {bytes} bytes");
    let recorded = pending.committed(Receipt::durable_through(sequence)).unwrap();

    // respond
    let answer = respond(&recorded, &CUP, (frame.head, Command::None), Some(&key)).unwrap();
    assert_eq!(hex::encode_upper(bytes_of("answer")), hex::encode_upper(&answer));
}
