//! What comes before a decision: repeats, batch, deadline, in wire.md's order.

use std::sync::Arc;

use xingka_core::authenticate::{Admission, Authentic, authenticate};
use xingka_core::capsule::{Capsule, Record};
use xingka_core::city::{Circle, Merchant, MerchantKind, Scope, Terminal};
use xingka_core::facts::{Ask, AskKind, Counts, Facts};
use xingka_core::ids::{BenefitId, DecisionId, MerchantId, Place, RuleBookVersion, TerminalId};
use xingka_core::ledger::Ledger;
use xingka_core::pan::CardHasher;
use xingka_core::record::{Receipt, record_reversal, record_swipe};
use xingka_core::respond::respond;
use xingka_core::session::{Session, SessionKey};
use xingka_core::time::{Date, Moment};
use xingka_core::verdict::{Entitlement, Outcome, Refusal, Verdict};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::encode::{Seal, Writer, seal_frame};
use xingka_wire::frame::{Frame, Step, next_frame};
use xingka_wire::mac::{MacAlgorithm, MacKey};
use xingka_wire::messages::{Origin, Presented, Purchase, Reversal};
use xingka_wire::mti::{Command, Head, Mti};
use xingka_wire::pan::{CardRef, Pan};

fn key() -> MacKey {
    MacKey::new(MacAlgorithm::AesCmac, &[7; 16]).unwrap()
}

fn presented(batch: u32, amount_fen: u64) -> Presented<'static> {
    Presented {
        origin: Origin { terminal: *b"QZ000001", merchant: *b"999520153990001", stan: 1, batch },
        card: CardRef::Pan(Pan::from_ascii(b"6299990000000000012").unwrap()),
        amount_fen: Some(amount_fen),
        entry_mode: 72,
        currency: *b"156",
        integrity: Default::default(),
    }
}

fn frame(mti: Mti, encode: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = [0; 512];
    let mut writer = Writer::new(&CUP, mti, Seal::Narrow, &mut buffer);
    encode(&mut writer);
    let mab = writer.finish().unwrap();
    let mut frame = vec![0; 600];
    let length = seal_frame(&CUP, Head::of_terminal([0, 3], [0, 9]), mab, Some(key().mac(mab)), &mut frame).unwrap();
    frame.truncate(length);
    frame
}

fn purchase(batch: u32, fen: u64) -> Vec<u8> {
    frame(Purchase::MTI, |writer| Purchase { presented: presented(batch, fen) }.encode(writer))
}

fn reversal(batch: u32, fen: u64) -> Vec<u8> {
    frame(Reversal::MTI, |writer| Reversal::of_purchase(presented(batch, fen), *b"98").encode(writer))
}

fn authentic(frame: &[u8]) -> Authentic<'_> {
    let Step::Frame(framed, _) = next_frame(&[&CUP], frame) else { panic!("not a frame") };
    let merchant =
        Merchant { id: MerchantId(*b"999520153990001"), kind: MerchantKind::Merchant, circle: Circle::Member };
    let (id, mac, scope) = (TerminalId(*b"QZ000001"), MacAlgorithm::AesCmac, Scope::default());
    let terminal = Terminal { id, merchant, mac, profile: &CUP, scope };
    let session = Session::renewed(None, Arc::new(SessionKey { serial: 1, made_ms: 0, mac: key() }));
    authenticate(xingka_wire::decode(&framed).unwrap(), (Some(terminal), None), Some(&session), 0).unwrap()
}

fn admit<'m>(frame: &'m [u8], ledger: &Ledger, too_late: bool) -> Admission<'m> {
    let authentic = authentic(frame);
    let asked = authentic.asked(&CardHasher::new(&[1; 32]));
    authentic.admit(asked, ledger, too_late)
}

const FIVE: Place = Place::new(0, 5);

/// Takes a reversal into the ledger, as a node does.
fn record(ledger: &mut Ledger, place: Place, frame: &[u8]) -> Record {
    let Admission::New(admitted) = admit(frame, ledger, false) else { panic!("not new") };
    let at = Moment { epoch_ms: 0, date: Date(20_000), second_of_day: 0 };
    let originals = ledger.originals(&admitted.asked().key);
    let (record, pending) = record_reversal(&admitted, at, originals, place).unwrap();
    drop(pending);
    ledger.apply(place, &record);
    record
}

#[test]
fn a_batch_out_of_step_comes_before_a_deadline_that_passed() {
    let ledger = Ledger::default();
    let refused = |frame: &[u8], too_late| match admit(frame, &ledger, too_late) {
        Admission::Refused(refusal) => Some(refusal),
        Admission::New(_) | Admission::Repeat(_) => None,
    };
    assert_eq!(refused(&purchase(1, 100), false), None);
    assert_eq!(refused(&purchase(1, 100), true), Some(Refusal::DeadlinePassed));
    assert_eq!(refused(&purchase(2, 100), true), Some(Refusal::BatchOutOfStep));
    // A reversal carries its original's batch, whichever that was.
    assert_eq!(refused(&reversal(2, 100), false), None);
    assert_eq!(refused(&reversal(2, 100), true), Some(Refusal::DeadlinePassed));
}

#[test]
fn a_repeat_comes_before_everything_else() {
    let mut ledger = Ledger::default();
    record(&mut ledger, FIVE, &reversal(2, 100));
    // Even too late, the stored answer is given again.
    assert!(matches!(admit(&reversal(2, 100), &ledger, true), Admission::Repeat(FIVE)));
    // A second reversal with other content is answered as well, and its first stays the one.
    record(&mut ledger, Place::new(0, 6), &reversal(2, 999));
    assert!(matches!(admit(&reversal(2, 100), &ledger, false), Admission::Repeat(FIVE)));
}

#[test]
fn an_answer_names_as_many_waivers_as_it_has_room_for() {
    let frame = purchase(1, 100);
    let Admission::New(admitted) = admit(&frame, &Ledger::default(), false) else { panic!("not new") };
    let at = Moment { epoch_ms: 0, date: Date(20_000), second_of_day: 0 };
    let hasher = CardHasher::new(&[1; 32]);
    let asked = Ask::of(&admitted.authentic().message().request, &hasher).unwrap();
    let facts = Facts {
        merchant: admitted.authentic().terminal().merchant,
        scope: Scope { discount: true, priority: true, star: true },
        card: None,
        holder: None,
        reversed_before: false,
        counts: Counts::default(),
    };
    let ask = Ask { kind: AskKind::CounterService, ..asked };
    let capsule = Capsule { id: DecisionId::new(0, Place::new(0, 1)), at, rules: RuleBookVersion(1), ask, facts };
    let waivers = (1..=90).map(BenefitId).collect();
    let entitlement = Entitlement { waivers, ..Entitlement::default() };
    let verdict = Verdict { outcome: Outcome::Approved, entitlement, uses: Vec::new() };
    let (_, pending) = record_swipe(&admitted, capsule, verdict, Place::new(0, 1)).unwrap();
    let recorded = pending.committed(Receipt::durable_through(1)).unwrap();
    let key = admitted.authentic().key();
    let answer = respond(&recorded, &CUP, (Head::default(), Command::None), Some(key)).unwrap();
    let body = &answer[2 + 11..];
    let framed = Frame { dialect: &CUP, head: Head::default(), mti: Mti(210), body };
    let told = Answer::decode(&framed).unwrap();
    assert_eq!(told.integrity.waivers.iter().collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
}
