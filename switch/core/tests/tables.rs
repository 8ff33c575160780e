//! The tables in `tests/tables`, played swipe after swipe through a ledger.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;

use support::{FULL_SCOPE, PROVIDER, ask, benefit, card, date, holder, minutes, moment, shop};
use xingka_core::answer::code_of;
use xingka_core::capsule::{Asked, Capsule, Record, RequestKey, Reversal, Swipe};
use xingka_core::city::{Merchant, Scope};
use xingka_core::decide::decide;
use xingka_core::facts::{Ask, AskKind, AskedCard, Facts};
use xingka_core::ids::{BenefitId, DecisionId, Place, RuleBookVersion, TerminalId};
use xingka_core::ledger::{Ledger, REVERSAL_MTI};
use xingka_core::money::Fen;
use xingka_core::pan::Content;
use xingka_core::rules::{Benefit, BenefitKind, RuleBook, ServiceCode};
use xingka_core::verdict::Verdict;

#[test]
fn discounts() {
    check("discounts", include_str!("tables/discounts.md"));
}

#[test]
fn services() {
    check("services", include_str!("tables/services.md"));
}

#[test]
fn limits() {
    check("limits", include_str!("tables/limits.md"));
}

#[test]
fn refusals() {
    check("refusals", include_str!("tables/refusals.md"));
}

fn check(file: &str, table: &str) {
    let mut swipes = 0;
    for case in table.split("## ").filter(|case| !case.trim().is_empty()) {
        let (title, lines) = case.split_once('\n').unwrap();
        let mut world = World::new();
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            if let Err(fault) = world.line(line) {
                panic!("{file}, “{title}”:\n  {line}\n  {fault}");
            }
        }
        swipes += world.sequence;
    }
    assert!(swipes > 0, "{file} has no swipes");
}

struct World {
    merchant: Merchant,
    scope: Scope,
    benefits: Vec<Benefit>,
    ledger: Ledger,
    sequence: u64,
    asked: Vec<Asked>,
}

type Words<'t> = BTreeMap<&'t str, &'t str>;

impl World {
    fn new() -> Self {
        let ledger = Ledger::default();
        Self { merchant: shop(), scope: FULL_SCOPE, benefits: Vec::new(), ledger, sequence: 0, asked: Vec::new() }
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        match words.next().unwrap() {
            "benefit" => self.benefits.push(read_benefit(words)),
            "scope" => self.scope = words.next().unwrap_or("").parse().unwrap(),
            "reverse" => self.reverse(words.next()),
            place @ ("shop" | "hall" | "bank") => {
                self.merchant.kind = if place == "shop" { "merchant" } else { place }.parse().unwrap();
                self.merchant.circle = words.next().unwrap_or("member").parse().unwrap();
            }
            _ => return self.swipe(line),
        }
        Ok(())
    }

    fn swipe(&mut self, line: &str) -> Result<(), String> {
        let (question, answer) = line.split_once("=>").ok_or("no answer after =>")?;
        let words = read_words(question);
        let (ask, facts, at) = self.question(question, &words);
        let rules = RuleBook::new(RuleBookVersion(1), self.benefits.iter().cloned());
        let facts = self.with_counts(facts, &rules, at);
        let verdict = decide(&ask, &facts, &rules, at);
        self.record(ask, facts, &verdict, at);
        compare(answer, &verdict)
    }

    fn question(&self, question: &str, words: &Words<'_>) -> (Ask, Facts, xingka_core::time::Moment) {
        let mut parts = question.split_whitespace();
        let kind = match parts.next().unwrap() {
            "purchase" => AskKind::Purchase,
            "inquiry" => AskKind::StarInquiry,
            "counter" => AskKind::CounterService,
            other => panic!("no such line: {other}"),
        };
        let mut asked = ask(kind);
        asked.amount =
            parts.next().filter(|word| *word != "none" && !word.contains('=')).map(|word| word.parse().unwrap());
        asked.preview = words.contains_key("preview");
        asked.service = words.get("service").map(|code| ServiceCode::new(code.as_bytes()).unwrap());
        asked.chosen = words.get("choose").map(|id| BenefitId(id.parse().unwrap()));
        asked.currency = words.get("currency").map_or(*b"156", |code| code.as_bytes().try_into().unwrap());
        if let (Some(_), AskedCard::Number { luhn_ok, .. }) = (words.get("luhn"), &mut asked.card) {
            *luhn_ok = false;
        }
        let known = !words.contains_key("unknown");
        let mut card = card(words.get("holder").map_or(1, |number| number.parse().unwrap()));
        card.status = words.get("card").map_or(card.status, |status| status.parse().unwrap());
        card.expires = words.get("expires").map_or(card.expires, |month| date(&format!("{month}-01")).month());
        let mut person = holder(words.get("star").map_or(0, |star| star.parse().unwrap()));
        person.category = words.get("as").map_or(person.category, |category| category.parse().unwrap());
        person.status = words.get("status").map_or(person.status, |status| status.parse().unwrap());
        let (day, time) = words.get("at").map_or(("2026-11-23", "14:05"), |at| at.split_once('_').unwrap());
        let facts = Facts {
            merchant: self.merchant,
            scope: self.scope,
            card: known.then_some(card),
            holder: known.then_some(person),
            reversed_before: false,
            counts: Default::default(),
        };
        (asked, facts, moment(day, time))
    }

    fn with_counts(&self, facts: Facts, rules: &RuleBook, at: xingka_core::time::Moment) -> Facts {
        let (Some(card), Some(holder)) = (facts.card, facts.holder) else {
            return facts;
        };
        let limited = rules.limited(self.merchant.id, holder.star(), holder.category);
        let counts = self.ledger.counts(card.holder_no, limited, at.date);
        Facts { counts, ..facts }
    }

    fn record(&mut self, ask: Ask, facts: Facts, verdict: &Verdict, at: xingka_core::time::Moment) {
        self.sequence += 1;
        let key = RequestKey {
            merchant: PROVIDER,
            terminal: TerminalId(*b"QZ000001"),
            batch: 1,
            stan: self.sequence as u32,
            mti: 200,
        };
        let asked = Asked { key, content: Content([0; 16]), key_serial: 1, request_id: None };
        let id = DecisionId::new(at.epoch_ms, Place::new(0, self.sequence));
        let capsule = Capsule { id, at, rules: RuleBookVersion(1), ask, facts };
        let swipe = Swipe { asked, capsule, verdict: verdict.clone(), answer: Vec::new() };
        self.ledger.apply(Place::new(0, self.sequence), &Record::Swipe(Box::new(swipe)));
        self.asked.push(asked);
    }

    fn reverse(&mut self, which: Option<&str>) {
        self.sequence += 1;
        let which = which.map_or(self.asked.len(), |which| which.parse().unwrap());
        let mut asked = self.asked[which - 1];
        asked.key.mti = REVERSAL_MTI;
        let (originals, returned) = self.ledger.originals(&asked.key);
        assert_eq!(originals.len(), 1);
        let at = moment("2026-11-23", "14:06");
        let reversal = Reversal { asked, at, originals, returned, answer: Vec::new() };
        self.ledger.apply(Place::new(0, self.sequence), &Record::Reversal(Box::new(reversal)));
    }
}

fn read_words(line: &str) -> Words<'_> {
    line.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, ""))).collect()
}

fn read_benefit<'t>(mut words: impl Iterator<Item = &'t str>) -> Benefit {
    let id = words.next().unwrap().parse().unwrap();
    let kind: BenefitKind = words.next().unwrap().parse().unwrap();
    let mut made = benefit(id, kind);
    for (key, value) in words.map(|word| word.split_once('=').unwrap()) {
        match key {
            "all" => made.values = [value.parse().unwrap(); 5],
            "s1" | "s2" | "s3" | "s4" | "s5" => {
                made.values[usize::from(key.as_bytes()[1] - b'1')] = value.parse().unwrap()
            }
            "service" => made.service = Some(ServiceCode::new(value.as_bytes()).unwrap()),
            "audience" => made.audience = value.parse().unwrap(),
            "from" => made.valid_from = date(value),
            "to" => made.valid_to = date(value),
            "weekdays" => made.weekdays = value.split_once('-').map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())),
            "hours" => made.hours = value.split_once('-').map(|(a, b)| (minutes(a), minutes(b))),
            "min" => made.min_amount = Some(Fen(value.parse().unwrap())),
            "max" => made.max_off = Some(Fen(value.parse().unwrap())),
            "budget" => made.limits.budget = Some(Fen(value.parse().unwrap())),
            "day" => made.limits.per_day = Some(value.parse().unwrap()),
            "month" => made.limits.per_month = Some(value.parse().unwrap()),
            "ever" => made.limits.per_holder = Some(value.parse().unwrap()),
            "group" => made.group = Some(value.into()),
            "stack" => made.stacks = value == "yes",
            _ => panic!("a benefit has no {key}"),
        }
    }
    made
}

/// Compares what the line says; what it doesn't mention may be anything, but an approved
/// purchase always says what there is to pay and by which benefits.
fn compare(expected: &str, verdict: &Verdict) -> Result<(), String> {
    let words = read_words(expected);
    let mut faults = String::new();
    let mut differ = |what: &str, expected: &str, seen: String| {
        if expected != seen {
            let _ = write!(faults, "{what} is {seen}, not {expected}; ");
        }
    };
    let code = expected.split_whitespace().next().unwrap();
    differ("the code", code, String::from_utf8(code_of(verdict.outcome).as_bytes().to_vec()).unwrap());
    let entitlement = &verdict.entitlement;
    let joined = |ids: Vec<u32>| ids.iter().map(u32::to_string).collect::<Vec<_>>().join("+");
    if let Some(price) = &entitlement.price {
        let by = price.applied.iter().map(|applied| applied.benefit.0).collect();
        differ("by", words.get("by").unwrap_or(&""), joined(by));
        differ("pay", words.get("pay").expect("pay="), price.payable().to_string());
    }
    let rate =
        entitlement.price.as_ref().map(|price| price.off().rate_of(price.original)).or(entitlement.highest_discount);
    for (what, value) in words {
        match what {
            "off" => differ(what, value, rate.map_or(String::new(), |rate| rate.0.to_string())),
            "priority" => differ(what, value, entitlement.priority_level().to_string()),
            "days" => differ(what, value, entitlement.days().to_string()),
            "star" => differ(what, value, entitlement.star.level().to_string()),
            "waivers" => differ(what, value, joined(entitlement.waivers.iter().map(|id| id.0).collect())),
            _ => {}
        }
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
