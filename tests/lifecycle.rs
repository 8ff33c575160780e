//! A terminal's day: voids, refunds, reversals, what it decided offline, and the end of its
//! batch, asked of a running switch. Every test looks again after a restart, and, of two nodes that share
//! a store, at the other one.

mod support;

use std::collections::BTreeMap;

use support::{Deployment, Serving, Till, Told, exchange, pan};
use xingka_terminal::{Offline, Original, Reversible, Sent, Settled, Swipe, Totals, Transaction};
use xingka_wire::answer::Answer;
use xingka_wire::dialect::CUP;
use xingka_wire::frame::{Step, next_frame};
use xingka_wire::integrity::{Ids, IntegrityAnswer};
use xingka_wire::pan::Pan;

/// Benefit 2 of the test city can be used once by a holder: what shows whether a use was given back.
const BOTH: &[u32] = &[1, 2];
const SPENT: &[u32] = &[1];

/// Where a test looks again.
enum Again {
    AfterARestart(Box<Deployment>),
    /// Both run; the second is the other one.
    AtAnotherNode(Vec<Deployment>, Box<Serving>),
}

struct World {
    again: Again,
    serving: Option<Serving>,
}

/// Makes two tests of each function: one that looks again after a restart, one that does at another node.
macro_rules! both_ways {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn after_a_restart() {
                super::$name(super::World::of_one_node());
            }

            #[test]
            fn at_another_node() {
                super::$name(super::World::of_two_nodes());
            }
        }
    )*};
}

both_ways!(
    a_void_undoes_a_purchase_once_and_gives_its_use_back,
    a_void_can_be_reversed_and_then_done_again,
    refunds_give_back_what_remains_at_any_till_of_the_shop,
    a_refund_can_be_reversed_and_survives_its_batch,
    a_balanced_settlement_opens_the_next_batch,
    out_of_balance_the_batch_is_uploaded_and_lost_answers_are_undone,
    a_terminal_that_uploads_nothing_gets_the_switchs_totals,
    what_a_terminal_decided_offline_is_judged_again,
    whatever_was_reversed_before_it_came_is_refused,
    settlements_must_be_in_yuan_and_in_the_open_batch,
);

/// A request that was answered, and all that follow-ups need of it.
struct Done {
    sent: Sent,
    told: Told,
    time: u32,
    date: u32,
}

impl World {
    fn of_one_node() -> Self {
        let deployment = Box::new(Deployment::with_city());
        let serving = Some(deployment.serve());
        Self { again: Again::AfterARestart(deployment), serving }
    }

    fn of_two_nodes() -> Self {
        let nodes = Deployment::cluster(2);
        let serving = Some(nodes[0].serve());
        let other = Box::new(nodes[1].serve());
        Self { again: Again::AtAnotherNode(nodes, other), serving }
    }

    fn till(&self, index: usize) -> Till {
        Till::signed_in(self.serving.as_ref().unwrap().address, index)
    }

    /// What a command says, asked where the test began.
    fn json(&self, args: &[&str]) -> serde_json::Value {
        match &self.again {
            Again::AfterARestart(deployment) => deployment.json(args),
            Again::AtAnotherNode(nodes, _) => nodes[0].json(args),
        }
    }

    /// kill -9 and a new start, or over to the other node: what was true before must be true after.
    fn restart(&mut self) {
        match &mut self.again {
            Again::AfterARestart(deployment) => {
                self.serving.take().unwrap().kill();
                self.serving = Some(deployment.serve());
            }
            Again::AtAnotherNode(_, other) => std::mem::swap(self.serving.as_mut().unwrap(), other),
        }
    }

    /// The same terminal after a restart, its STANs counting on.
    fn again(&mut self, till: &Till, index: usize) -> Till {
        self.restart();
        let mut again = self.till(index);
        again.terminal.set_next_stan(till_next(till));
        again
    }
}

/// The next STAN, read off a frame that is never sent.
fn till_next(till: &Till) -> u32 {
    let mut frame = [0; 512];
    till.terminal.clone().echo(&mut frame).unwrap().stan
}

fn card() -> Swipe<'static> {
    Swipe::of(Pan::from_ascii(pan(5).as_bytes()).unwrap())
}

fn other_card() -> Swipe<'static> {
    Swipe::of(Pan::from_ascii(pan(4).as_bytes()).unwrap())
}

fn done(till: &mut Till, (sent, frame): (Sent, Vec<u8>)) -> Done {
    let answer = exchange(&mut till.stream, &frame);
    let answer = till.terminal.read(&sent, &answer).unwrap();
    let number = |field| answer.fields.number(field).unwrap() as u32;
    Done { sent, told: Told::of(&answer), time: number(12), date: number(13) }
}

fn buy(till: &mut Till, fen: u64) -> Done {
    let purchase = till.purchase(&pan(5), fen);
    done(till, purchase)
}

impl Done {
    fn original(&self) -> Original {
        Original { batch: self.sent.batch, stan: self.sent.stan, date: self.date as u16 }
    }

    fn charged(&self) -> u64 {
        self.told.amount_fen.unwrap()
    }

    fn transaction(&self) -> Transaction {
        Transaction {
            stan: self.sent.stan,
            pan: Pan::from_ascii(pan(5).as_bytes()).unwrap(),
            amount_fen: self.charged(),
            local_time: self.time,
            local_date: self.date,
            reference: self.told.reference.as_slice().try_into().unwrap(),
        }
    }
}

fn void(till: &mut Till, fen: u64, original: Original) -> Done {
    let void = till.write(|terminal, frame| terminal.void(&card(), fen, original, frame));
    done(till, void)
}

fn refund(till: &mut Till, fen: u64, original: Original) -> String {
    let refund = till.write(|terminal, frame| terminal.refund(&card(), fen, original, frame));
    done(till, refund).told.code
}

fn reverse(till: &mut Till, of: &Sent, kind: Reversible, fen: u64) -> String {
    let reversal = till.write(|terminal, frame| terminal.reverse((of, kind), &card(), Some(fen), *b"98", frame));
    done(till, reversal).told.code
}

fn settle(till: &mut Till, totals: Totals) -> Settled {
    let (sent, frame) = till.write(|terminal, frame| terminal.settle(totals, frame));
    let answer = exchange(&mut till.stream, &frame);
    till.terminal.settled(&sent, &answer).unwrap()
}

fn end_upload(till: &mut Till, totals: Totals) -> Settled {
    let (sent, frame) = till.write(|terminal, frame| terminal.upload_end(totals, frame));
    let answer = exchange(&mut till.stream, &frame);
    till.terminal.settled(&sent, &answer).unwrap()
}

fn upload(till: &mut Till, transaction: &Transaction) -> String {
    let upload = till.write(|terminal, frame| terminal.upload(transaction, frame));
    done(till, upload).told.code
}

fn totals(debits: &[u64], credits: &[u64]) -> Totals {
    let sum = |amounts: &[u64]| (amounts.iter().sum(), amounts.len() as u32);
    let ((debit_fen, debits), (credit_fen, credits)) = (sum(debits), sum(credits));
    Totals { debit_fen, debits, credit_fen, credits, flag: 0 }
}

fn a_void_undoes_a_purchase_once_and_gives_its_use_back(mut world: World) {
    let mut till = world.till(0);
    let sale = buy(&mut till, 10_000);
    assert_eq!((sale.charged(), sale.told.benefits.as_slice()), (7_700, BOTH));
    assert_eq!(buy(&mut till, 10_000).told.benefits, SPENT);

    assert_eq!(void(&mut till, 7_699, sale.original()).told.code, "13", "not what it charged");
    assert_eq!(void(&mut till, 10_000, sale.original()).told.code, "13", "the price before the discount");
    let elsewhere = Original { date: 101, ..sale.original() };
    assert_eq!(void(&mut till, 7_700, elsewhere).told.code, "25", "another day");
    assert_eq!(void(&mut till, 7_700, Original { stan: 999, ..sale.original() }).told.code, "25");
    assert_eq!(void(&mut till, 7_700, Original { batch: 2, ..sale.original() }).told.code, "25");
    let of_another_card = till.write(|terminal, frame| terminal.void(&other_card(), 7_700, sale.original(), frame));
    assert_eq!(done(&mut till, of_another_card).told.code, "25");
    let mut next_till = world.till(1);
    assert_eq!(void(&mut next_till, 7_700, sale.original()).told.code, "25", "another terminal");

    let done = void(&mut till, 7_700, sale.original());
    assert_eq!((done.told.code.as_str(), done.charged(), done.told.decision_id), ("00", 7_700, None));
    assert_eq!(void(&mut till, 7_700, sale.original()).told.code, "25", "twice");
    assert_eq!(refund(&mut till, 100, sale.original()), "25", "of a voided one");

    let mut till = world.again(&till, 0);
    assert_eq!(void(&mut till, 7_700, sale.original()).told.code, "25", "twice, after a restart");
    assert_eq!(buy(&mut till, 10_000).told.benefits, BOTH, "the use was given back");
}

fn a_void_can_be_reversed_and_then_done_again(mut world: World) {
    let mut till = world.till(0);
    let sale = buy(&mut till, 10_000);
    let undone = void(&mut till, 7_700, sale.original());
    assert_eq!(reverse(&mut till, &undone.sent, Reversible::Void, 7_700), "00");
    let mut till = world.again(&till, 0);
    let preview = buy(&mut till, 10_000);
    assert_eq!(preview.told.benefits, SPENT, "the purchase stands again, and with it its use");
    assert_eq!(void(&mut till, 7_700, sale.original()).told.code, "00");
    assert_eq!(reverse(&mut till, &sale.sent, Reversible::Purchase, 10_000), "00", "of a voided purchase");
    assert_eq!(buy(&mut till, 10_000).told.benefits, BOTH);
    assert_eq!(buy(&mut till, 10_000).told.benefits, SPENT, "given back once, not twice");
    // Reversed purchases are in neither total, nor are their voids.
    assert!(settle(&mut till, totals(&[8_000, 7_700, 8_000], &[])).balanced);
}

fn refunds_give_back_what_remains_at_any_till_of_the_shop(mut world: World) {
    let (mut till, mut other) = (world.till(0), world.till(3));
    let sale = buy(&mut till, 10_000);
    assert_eq!(refund(&mut till, 0, sale.original()), "13");
    assert_eq!(refund(&mut till, 7_701, sale.original()), "13");
    assert_eq!(refund(&mut other, 5_000, sale.original()), "00");
    assert_eq!(void(&mut till, 7_700, sale.original()).told.code, "13", "a part of it is gone");
    other = world.again(&other, 3);
    assert_eq!(refund(&mut other, 2_701, sale.original()), "13", "more than remains");
    assert_eq!(refund(&mut other, 2_700, sale.original()), "00");
    assert_eq!(refund(&mut other, 1, sale.original()), "13", "nothing remains");
    let mut till = world.till(0);
    till.terminal.set_next_stan(50);
    assert_eq!(buy(&mut till, 10_000).told.benefits, SPENT, "a refund gives no use back");
    // Another shop's terminals can't: the hall may not do this at all.
    let mut hall = world.till(6);
    assert_eq!(refund(&mut hall, 1, sale.original()), "58");
    // Refunds are credits of the terminal that gave them.
    assert!(settle(&mut other, totals(&[], &[5_000, 2_700])).balanced);
    assert!(settle(&mut till, totals(&[7_700, 8_000], &[])).balanced);
}

fn a_refund_can_be_reversed_and_survives_its_batch(world: World) {
    let mut till = world.till(0);
    let sale = buy(&mut till, 10_000);
    assert!(settle(&mut till, totals(&[7_700], &[])).balanced);
    assert_eq!(void(&mut till, 7_700, sale.original()).told.code, "25", "a void is for the open batch");
    let undo = till.write(|terminal, frame| terminal.refund(&card(), 7_700, sale.original(), frame));
    let undo = done(&mut till, undo);
    assert_eq!((undo.told.code.as_str(), undo.charged()), ("00", 7_700));
    assert_eq!(refund(&mut till, 1, sale.original()), "13");
    assert_eq!(reverse(&mut till, &undo.sent, Reversible::Refund, 7_700), "00");
    assert_eq!(refund(&mut till, 7_700, sale.original()), "00");
    // A reversal of a closed batch carries that batch, and still undoes.
    assert_eq!(reverse(&mut till, &sale.sent, Reversible::Purchase, 10_000), "00");
    assert_eq!(buy(&mut till, 10_000).told.benefits, BOTH);
}

fn a_balanced_settlement_opens_the_next_batch(mut world: World) {
    let mut till = world.till(0);
    let (first, second) = (buy(&mut till, 10_000), buy(&mut till, 500));
    let preview_charges_nothing = till.write(|terminal, frame| {
        let mut preview = card();
        preview.integrity.preview = true;
        terminal.purchase(&preview, 900, frame)
    });
    assert_eq!(done(&mut till, preview_charges_nothing).told.code, "00");
    let gone = buy(&mut till, 700);
    assert_eq!(reverse(&mut till, &gone.sent, Reversible::Purchase, 700), "00");
    void(&mut till, second.charged(), second.original());
    let ours = totals(&[first.charged(), second.charged()], &[second.charged()]);

    let (settlement, frame) = till.write(|terminal, frame| terminal.settle(ours, frame));
    let first_answer = exchange(&mut till.stream, &frame);
    let answered = till.terminal.settled(&settlement, &first_answer).unwrap();
    assert_eq!(answered, Settled { balanced: true, totals: Totals { flag: 1, ..ours } });
    assert_eq!(exchange(&mut till.stream, &frame), first_answer, "its repeat is answered as the first time");
    assert_eq!(till.terminal.batch(), 2);
    assert_eq!(world.till(0).terminal.batch(), 2, "sign-in tells the open batch");
    let late = buy(&mut till, 100);
    assert_eq!(late.told.code, "00");
    let mut till = world.again(&till, 0);
    assert_eq!(till.terminal.batch(), 2, "after a restart too");
    assert!(settle(&mut till, totals(&[late.charged()], &[])).balanced);
    assert_eq!(till.terminal.batch(), 3);
}

fn out_of_balance_the_batch_is_uploaded_and_lost_answers_are_undone(mut world: World) {
    let mut till = world.till(0);
    let known = buy(&mut till, 1_000);
    // Its answer never arrived.
    let (lost_sent, lost_frame) = till.purchase(&pan(5), 10_000);
    exchange(&mut till.stream, &lost_frame);
    assert_eq!(known.told.benefits, BOTH);
    let void_of_known = void(&mut till, known.charged(), known.original());
    let mine = totals(&[known.charged()], &[known.charged()]);

    let out = settle(&mut till, mine);
    let theirs = totals(&[known.charged(), 8_000], &[known.charged()]);
    assert_eq!(out, Settled { balanced: false, totals: Totals { flag: 2, ..theirs } });
    assert_eq!(till.terminal.batch(), 1);
    assert_eq!(upload(&mut till, &known.transaction()), "00");
    assert_eq!(upload(&mut till, &known.transaction()), "00", "repeated");
    let wrong = |change: fn(&mut Transaction)| {
        let mut transaction = void_of_known.transaction();
        change(&mut transaction);
        transaction
    };
    // The STAN of each upload is its transaction's, and a key: what is refused can't be put right.
    assert_eq!(upload(&mut till, &wrong(|transaction| transaction.stan = 777)), "25");
    let mut till = world.again(&till, 0);
    assert_eq!(upload(&mut till, &void_of_known.transaction()), "00");
    let end = end_upload(&mut till, mine);
    assert_eq!(end, Settled { balanced: true, totals: Totals { flag: 1, ..mine } });
    assert_eq!(till.terminal.batch(), 2);
    let metric = |name| world.serving.as_ref().unwrap().metric(name);
    assert_eq!(metric("xingka_uploads_undone_total"), 1.0);
    assert_eq!(buy(&mut till, 10_000).told.benefits, BOTH, "the void gave it back, and the lost one never took it");
    assert_eq!(reverse(&mut till, &lost_sent, Reversible::Purchase, 10_000), "00");
    let replayed = world.json(&["replay"]);
    assert_eq!(replayed["differences"].as_array().unwrap().len(), 0, "{replayed}");
}

fn a_terminal_that_uploads_nothing_gets_the_switchs_totals(world: World) {
    let mut till = world.till(0);
    let sale = buy(&mut till, 1_000);
    assert!(!settle(&mut till, totals(&[], &[])).balanced);
    let end = end_upload(&mut till, totals(&[], &[]));
    assert_eq!(end.totals, Totals { flag: 1, ..totals(&[sale.charged()], &[]) });
    assert_eq!(till.terminal.batch(), 2);
    assert_eq!(buy(&mut till, 10_000).told.benefits, SPENT, "it stands");
}

fn what_a_terminal_decided_offline_is_judged_again(mut world: World) {
    let mut till = world.till(0);
    // A first one, online, to know the date here.
    let today = buy(&mut till, 100);
    let at = |given| Offline { local_time: today.time, local_date: today.date, given };
    let given = |payable, benefits: &'static [u32]| IntegrityAnswer {
        original_fen: Some(10_000),
        payable_fen: Some(payable),
        off_fen: Some(10_000 - payable),
        benefits: Ids::List(benefits),
        ..IntegrityAnswer::default()
    };
    let cases: [(IntegrityAnswer<'static>, f64); 3] =
        [(given(8_000, SPENT), 0.0), (given(7_700, BOTH), 1.0), (given(10_000, &[]), 2.0)];
    let mut charged = vec![today.charged()];
    for (given, differences) in cases {
        let (sent, frame) = till.write(|terminal, frame| terminal.offline_upload(&card(), 10_000, at(given), frame));
        let first = till.ask(&sent, &frame);
        assert_eq!((first.code.as_str(), first.amount_fen), ("00", Some(8_000)), "as the switch judges it");
        assert!(first.decision_id.is_some());
        assert_eq!(till.ask(&sent, &frame), first, "repeated");
        charged.push(8_000);
        let metric = world.serving.as_ref().unwrap().metric("xingka_offline_differences_total");
        assert_eq!(metric, differences, "{given:?}");
    }
    // It can be voided, refunded, reversed, explained.
    let upload = till.write(|terminal, frame| terminal.offline_upload(&card(), 10_000, at(given(8_000, SPENT)), frame));
    let sale = done(&mut till, upload);
    assert_eq!(void(&mut till, 8_000, sale.original()).told.code, "00");
    charged.push(8_000);
    let lost = Swipe::of(Pan::from_ascii(pan(6).as_bytes()).unwrap());
    let upload = till.write(|terminal, frame| terminal.offline_upload(&lost, 10_000, at(given(8_000, SPENT)), frame));
    assert_eq!(done(&mut till, upload).told.code, "41");
    let mut till = world.again(&till, 0);
    assert!(settle(&mut till, totals(&charged, &[8_000])).balanced);
    let id = uuid(sale.told.decision_id.unwrap());
    assert_eq!(world.json(&["explain", &id])["code"], "00");
    assert_eq!(world.json(&["replay"])["differences"].as_array().unwrap().len(), 0);
}

fn uuid(bytes: [u8; 16]) -> String {
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The codes of every kind of follow-up when its reversal came first.
fn whatever_was_reversed_before_it_came_is_refused(world: World) {
    let mut till = world.till(0);
    let sale = buy(&mut till, 10_000);
    let mut codes = BTreeMap::new();
    let late_void = till.write(|terminal, frame| terminal.void(&card(), 7_700, sale.original(), frame));
    assert_eq!(reverse(&mut till, &late_void.0, Reversible::Void, 7_700), "00");
    codes.insert("void", done(&mut till, late_void).told.code);
    let late_refund = till.write(|terminal, frame| terminal.refund(&card(), 100, sale.original(), frame));
    assert_eq!(reverse(&mut till, &late_refund.0, Reversible::Refund, 100), "00");
    codes.insert("refund", done(&mut till, late_refund).told.code);
    let given = IntegrityAnswer { payable_fen: Some(100), ..IntegrityAnswer::default() };
    let offline = Offline { local_time: sale.time, local_date: sale.date, given };
    let late_upload = till.write(|terminal, frame| terminal.offline_upload(&card(), 100, offline, frame));
    assert_eq!(reverse(&mut till, &late_upload.0, Reversible::OfflineUpload, 100), "00");
    codes.insert("offline upload", done(&mut till, late_upload).told.code);
    assert!(codes.values().all(|code| code == "25"), "{codes:?}");
    assert!(settle(&mut till, totals(&[7_700], &[])).balanced, "and nothing of it counts");
}

fn settlements_must_be_in_yuan_and_in_the_open_batch(world: World) {
    let mut till = world.till(0);
    assert!(settle(&mut till, totals(&[], &[])).balanced, "an empty batch");
    let mut stale = world.till(0);
    assert!(settle(&mut till, totals(&[], &[])).balanced);
    let (sent, frame) = stale.write(|terminal, frame| terminal.settle(totals(&[], &[]), frame));
    // The same STAN and batch as nothing before: not a repeat, but out of step.
    stale.terminal.set_next_stan(sent.stan + 500);
    let (sent, late) = stale.write(|terminal, frame| terminal.settle(totals(&[], &[]), frame));
    assert_ne!(frame, late);
    let answer = exchange(&mut stale.stream, &late);
    let answer = stale.terminal.read(&sent, &answer).unwrap();
    assert_eq!((answer.code.to_string().as_str(), answer.totals()), ("77", None));
    // The answer to a settlement has 62 digits in field 48, with a flag for each half.
    let (_, frame) = till.write(|terminal, frame| terminal.settle(totals(&[1], &[]), frame));
    let answer = exchange(&mut till.stream, &frame);
    let Step::Frame(framed, _) = next_frame(&[&CUP], &answer) else { panic!("no frame") };
    let (domestic, foreign) = Answer::decode(&framed).unwrap().totals().unwrap();
    assert_eq!((domestic.flag, foreign.flag, foreign.debit_fen), (2, 1, 0));
}
