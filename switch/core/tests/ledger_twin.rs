//! The ledger against a naive twin: a list of everything that happened, read from the beginning
//! for every question.

mod support;

use proptest::prelude::*;
use support::{FULL_SCOPE, ask, card, holder, moment, shop};
use xingka_core::capsule::{
    Asked, BatchTotals, Capsule, GiveBack, GiveBackAsk, GiveBackFacts, GiveBackKind, OriginalRef, Record, RequestKey,
    Reversal, Settlement, Swipe, UploadEnd, Uploaded,
};
use xingka_core::facts::{AskKind, Counts, Facts};
use xingka_core::follow_up::judge_give_back;
use xingka_core::ids::{BenefitId, DecisionId, HolderNo, Place, RuleBookVersion, TerminalId};
use xingka_core::ledger::{Ledger, Seen};
use xingka_core::money::Fen;
use xingka_core::pan::Content;
use xingka_core::time::Moment;
use xingka_core::verdict::{Applied, Entitlement, Outcome, Price, Use, Verdict};

const BENEFIT: BenefitId = BenefitId(7);
const HOLDER: HolderNo = HolderNo(1);

/// What is done next; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Move {
    Buy { at: usize, fen: u64 },
    GiveBack { at: usize, of: usize, void: bool, part: u64 },
    Reverse { at: usize, which: usize },
    Settle { at: usize, off: u64 },
    Upload { at: usize, which: usize },
    End { at: usize, agrees: bool },
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let at = 0..2_usize;
    let one = prop_oneof![
        4 => (at.clone(), 1..500_u64).prop_map(|(at, fen)| Move::Buy { at, fen }),
        4 => (at.clone(), 0..40_usize, any::<bool>(), 1..4_u64)
            .prop_map(|(at, of, void, part)| Move::GiveBack { at, of, void, part }),
        3 => (at.clone(), 0..40_usize).prop_map(|(at, which)| Move::Reverse { at, which }),
        1 => (at.clone(), 0..2_u64).prop_map(|(at, off)| Move::Settle { at, off }),
        3 => (at.clone(), 0..40_usize).prop_map(|(at, which)| Move::Upload { at, which }),
        1 => (at, any::<bool>()).prop_map(|(at, agrees)| Move::End { at, agrees }),
    ];
    prop::collection::vec(one, 1..60)
}

/// One thing that happened, and what became of it.
#[derive(Debug, Clone)]
struct Happened {
    key: RequestKey,
    /// A purchase's charge, or what a void or refund gave back.
    fen: u64,
    /// The purchase that it gives back, by place in the list.
    of: Option<(usize, bool)>,
    reversed: bool,
    uploaded: bool,
}

/// The naive twin.
#[derive(Debug, Default)]
struct Twin {
    list: Vec<Happened>,
    open: [u32; 2],
}

impl Twin {
    fn purchase(&self, at: usize) -> bool {
        self.list[at].of.is_none()
    }

    /// Whether it counts: not reversed, and, of a void or refund, its purchase not reversed where it
    /// is a void.
    fn counts(&self, at: usize) -> bool {
        let it = &self.list[at];
        !it.reversed && it.of.is_none_or(|(of, void)| !(void && self.list[of].reversed))
    }

    fn voided(&self, purchase: usize) -> bool {
        (0..self.list.len()).any(|at| self.list[at].of == Some((purchase, true)) && self.counts(at))
    }

    fn refunded(&self, purchase: usize) -> u64 {
        let refunds =
            (0..self.list.len()).filter(|at| self.list[*at].of == Some((purchase, false)) && self.counts(*at));
        refunds.map(|at| self.list[at].fen).sum()
    }

    fn in_force(&self, purchase: usize) -> bool {
        self.purchase(purchase) && self.counts(purchase) && !self.voided(purchase)
    }

    fn totals(&self, terminal: usize, only: impl Fn(usize) -> bool) -> BatchTotals {
        let mut totals = BatchTotals::default();
        for (at, it) in self.list.iter().enumerate() {
            let here = it.key.terminal == id(terminal) && it.key.batch == self.open[terminal];
            match (here && self.counts(at) && only(at), it.of) {
                (false, _) => {}
                (true, None) => {
                    totals.debit = totals.debit.plus(Fen(it.fen));
                    totals.debits += 1;
                }
                (true, Some(_)) => {
                    totals.credit = totals.credit.plus(Fen(it.fen));
                    totals.credits += 1;
                }
            }
        }
        totals
    }

    fn uses(&self) -> u32 {
        (0..self.list.len()).filter(|at| self.in_force(*at)).count() as u32
    }
}

fn id(terminal: usize) -> TerminalId {
    TerminalId([*b"QZ000000", *b"QZ000001"][terminal])
}

fn now() -> Moment {
    moment("2026-11-23", "14:05")
}

/// Both, side by side.
struct World {
    ledger: Ledger,
    twin: Twin,
    sequence: u64,
    stan: u32,
}

impl World {
    fn new() -> Self {
        Self { ledger: Ledger::default(), twin: Twin { open: [1, 1], ..Twin::default() }, sequence: 0, stan: 0 }
    }

    fn key(&mut self, terminal: usize, mti: u16) -> RequestKey {
        self.stan += 1;
        RequestKey {
            merchant: shop().id,
            terminal: id(terminal),
            batch: self.twin.open[terminal],
            stan: self.stan,
            mti,
        }
    }

    fn asked(key: RequestKey) -> Asked {
        Asked { key, content: Content([key.stan as u8; 16]), key_serial: 1, request_id: None }
    }

    fn apply(&mut self, record: &Record) {
        self.sequence += 1;
        self.ledger.apply(Place::new(0, self.sequence), record);
    }

    fn happened(&mut self, key: RequestKey, fen: u64, of: Option<(usize, bool)>) {
        self.twin.list.push(Happened { key, fen, of, reversed: false, uploaded: false });
    }

    fn buy(&mut self, terminal: usize, fen: u64) {
        let key = self.key(terminal, 200);
        let mut ask = ask(AskKind::Purchase);
        ask.amount = Some(Fen(fen + 1));
        let facts = Facts {
            merchant: shop(),
            scope: FULL_SCOPE,
            card: Some(card(HOLDER.0)),
            holder: Some(holder(5)),
            reversed_before: false,
            counts: Counts::default(),
        };
        let price = Price { original: Fen(fen + 1), applied: vec![Applied { benefit: BENEFIT, off: Fen(1) }] };
        let verdict = Verdict {
            outcome: Outcome::Approved,
            entitlement: Entitlement { price: Some(price), ..Entitlement::default() },
            uses: vec![Use { benefit: BENEFIT, off: Fen(1) }],
        };
        let capsule =
            Capsule { id: DecisionId::new(0, Place::new(0, 1)), at: now(), rules: RuleBookVersion(1), ask, facts };
        self.apply(&Record::Swipe(Box::new(Swipe { asked: Self::asked(key), capsule, verdict, answer: vec![] })));
        self.happened(key, fen, None);
    }

    fn give_back(&mut self, terminal: usize, of: usize, void: bool, part: u64) {
        let Some(place) = self.choose(of, |world, at| world.twin.purchase(at)) else { return };
        let original = self.twin.list[place].clone();
        let key = self.key(terminal, if void { 200 } else { 220 });
        let amount = if void { original.fen } else { original.fen.div_ceil(part) };
        let ask = GiveBackAsk {
            kind: if void { GiveBackKind::Void } else { GiveBackKind::Refund },
            card: ask(AskKind::Purchase).card,
            amount: Some(Fen(amount)),
            currency: *b"156",
            original: OriginalRef { batch: original.key.batch, stan: original.key.stan, mmdd: 1_123 },
        };
        let facts = GiveBackFacts {
            sale: self.ledger.find_sale(&key, &ask),
            card: Some(card(HOLDER.0)),
            reversed_before: self.ledger.reversed_before(&key),
        };
        let outcome = judge_give_back(&ask, &facts, now());
        let approved = outcome == Outcome::Approved;
        // What the twin says of it.
        let remains = original.fen - self.twin.refunded(place);
        let mine = original.key.terminal == key.terminal && original.key.batch == key.batch;
        let may = self.twin.in_force(place) && if void { mine && remains == amount } else { amount <= remains };
        assert_eq!(approved, may, "{ask:?} of {original:?}: {outcome:?}");
        let returned = facts.sale.filter(|_| void && approved).and_then(|sale| self.ledger.effects_in_force(&sale.key));
        assert_eq!(returned.is_some(), void && approved);
        let give_back = GiveBack { asked: Self::asked(key), at: now(), ask, facts, outcome, returned, answer: vec![] };
        self.apply(&Record::GiveBack(Box::new(give_back)));
        if approved {
            self.happened(key, amount, Some((place, void)));
        }
    }

    fn reverse(&mut self, terminal: usize, which: usize) {
        let Some(place) = self.choose(which, |world, at| world.twin.list[at].key.terminal == id(terminal)) else {
            return;
        };
        let key = RequestKey { mti: 400, ..self.twin.list[place].key };
        let (originals, returned) = self.ledger.originals(&key);
        assert_eq!(originals.len(), 1);
        assert_eq!(!returned.is_empty(), self.twin.in_force(place));
        let reversal = Reversal { asked: Self::asked(key), at: now(), originals, returned, answer: vec![] };
        self.apply(&Record::Reversal(Box::new(reversal)));
        self.twin.list[place].reversed = true;
    }

    fn settle(&mut self, terminal: usize, off: u64) {
        let key = self.key(terminal, 500);
        let ours = self.ledger.totals(&key);
        let theirs = [BatchTotals { debit: ours.debit.plus(Fen(off)), ..ours }, BatchTotals::default()];
        let settlement =
            Settlement { asked: Self::asked(key), at: now(), theirs, ours, outcome: Outcome::Approved, answer: vec![] };
        self.apply(&Record::Settlement(Box::new(settlement)));
        if off == 0 {
            self.twin.open[terminal] += 1;
        }
    }

    fn upload(&mut self, terminal: usize, which: usize) {
        let open = self.twin.open[terminal];
        let here = |world: &Self, at: usize| {
            let it = &world.twin.list[at];
            it.key.terminal == id(terminal) && it.key.batch == open && world.twin.counts(at)
        };
        let Some(place) = self.choose(which, here) else { return };
        let it = self.twin.list[place].key;
        let key = RequestKey { mti: 320, ..it };
        let uploaded = Uploaded {
            asked: Self::asked(key),
            at: now(),
            amount: Some(Fen(self.twin.list[place].fen)),
            reference: [b'0'; 12],
            transaction: Some(it),
            outcome: Outcome::Approved,
            answer: vec![],
        };
        self.apply(&Record::Uploaded(Box::new(uploaded)));
        self.twin.list[place].uploaded = true;
    }

    fn end(&mut self, terminal: usize, agrees: bool) {
        let key = self.key(terminal, 320);
        let own = self.ledger.totals(&key);
        let theirs = if agrees { own } else { BatchTotals { debit: own.debit.plus(Fen(1)), ..own } };
        let closing = self.ledger.closing(&key, &theirs);
        let open = self.twin.open[terminal];
        let here = |at: &usize| {
            let it = &self.twin.list[*at];
            it.key.terminal == id(terminal) && it.key.batch == open && self.twin.counts(*at)
        };
        let all: Vec<usize> = (0..self.twin.list.len()).filter(here).collect();
        let any = all.iter().any(|at| self.twin.list[*at].uploaded);
        let kept = |at: usize| {
            let voided_by_uploaded =
                all.iter().any(|void| self.twin.list[*void].of == Some((at, true)) && self.twin.list[*void].uploaded);
            agrees || !any || self.twin.list[at].uploaded || voided_by_uploaded
        };
        assert_eq!(closing.agreed, self.twin.totals(terminal, kept));
        let gone: Vec<usize> = all.iter().copied().filter(|at| !kept(*at)).collect();
        assert_eq!(closing.undone.len(), gone.len());
        let end = UploadEnd {
            asked: Self::asked(key),
            at: now(),
            theirs: [theirs, BatchTotals::default()],
            agreed: closing.agreed,
            undone: closing.undone,
            returned: closing.returned,
            outcome: Outcome::Approved,
            answer: vec![],
        };
        self.apply(&Record::UploadEnd(Box::new(end)));
        gone.iter().for_each(|at| self.twin.list[*at].reversed = true);
        self.twin.open[terminal] += 1;
    }

    /// One of those that fit, by a number.
    fn choose(&self, number: usize, fits: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let all: Vec<usize> = (0..self.twin.list.len()).filter(|at| fits(self, *at)).collect();
        all.get(number.checked_rem(all.len())?).copied()
    }

    fn compare(&mut self) {
        for terminal in [0, 1] {
            assert_eq!(self.ledger.open_batch(id(terminal)), self.twin.open[terminal]);
            let key = RequestKey { stan: 0, ..self.key(terminal, 500) };
            assert_eq!(self.ledger.totals(&key), self.twin.totals(terminal, |_| true));
        }
        let counts = self.ledger.counts(HOLDER, &[BENEFIT], now().date);
        let uses = counts.uses_of(BENEFIT);
        let expected = self.twin.uses();
        assert_eq!((uses.today, uses.this_month, uses.ever), (expected, expected, expected));
        assert_eq!(counts.spent_on(BENEFIT), Fen(u64::from(expected)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn the_ledger_says_what_its_naive_twin_says(moves in moves()) {
        let mut world = World::new();
        for next in moves {
            match next {
                Move::Buy { at, fen } => world.buy(at, fen),
                Move::GiveBack { at, of, void, part } => world.give_back(at, of, void, part),
                Move::Reverse { at, which } => world.reverse(at, which),
                Move::Settle { at, off } => world.settle(at, off),
                Move::Upload { at, which } => world.upload(at, which),
                Move::End { at, agrees } => world.end(at, agrees),
            }
            world.compare();
        }
    }
}

/// A terminal that only inquires doesn't grow; what was charged stays however many inquiries follow.
#[test]
fn what_moved_nothing_is_remembered_for_a_while() {
    let mut world = World::new();
    world.buy(0, 100);
    let bought = world.twin.list[0].key;
    let content = Content([bought.stan as u8; 16]);
    let mut keys = Vec::new();
    for _ in 0..1_000 {
        let key = world.key(0, 200);
        let ask = ask(AskKind::StarInquiry);
        let facts = Facts {
            merchant: shop(),
            scope: FULL_SCOPE,
            card: None,
            holder: None,
            reversed_before: false,
            counts: Counts::default(),
        };
        let verdict = Verdict::refused(xingka_core::verdict::Refusal::UnknownCard);
        let capsule =
            Capsule { id: DecisionId::new(0, Place::new(0, 1)), at: now(), rules: RuleBookVersion(1), ask, facts };
        let swipe = Swipe { asked: World::asked(key), capsule, verdict, answer: vec![] };
        world.apply(&Record::Swipe(Box::new(swipe)));
        keys.push(key);
    }
    let seen = |key: &RequestKey| world.ledger.seen(key, &Content([key.stan as u8; 16])) != Seen::New;
    assert_eq!(world.ledger.requests(), 257);
    assert!(keys[744..].iter().all(seen) && !keys[..744].iter().any(seen));
    assert_eq!(world.ledger.seen(&bought, &content), Seen::Repeat(Place::new(0, 1)));
}
