//! The sample city's 600 swipes and the answers they must get.

mod support;

use std::collections::BTreeMap;
use std::path::PathBuf;

use support::{date, minutes};
use xingka_core::answer::code_of;
use xingka_core::city::{Card, Holder, Merchant, Scope, Star};
use xingka_core::decide::decide;
use xingka_core::facts::{Ask, AskKind, AskedCard, Facts};
use xingka_core::ids::{BenefitId, HolderNo, MerchantId, PanKey, RuleBookVersion};
use xingka_core::money::Fen;
use xingka_core::pan::luhn_ok;
use xingka_core::rules::{Benefit, Limits, RuleBook, ServiceCode};
use xingka_core::verdict::Verdict;

type Row = BTreeMap<String, String>;

fn rows(file: &str) -> Vec<Row> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/sample-city").join(file);
    let mut reader = csv::Reader::from_path(path).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

struct City {
    holders: BTreeMap<String, (HolderNo, Holder)>,
    cards: BTreeMap<String, (String, Row)>,
    merchants: BTreeMap<String, Merchant>,
    terminals: BTreeMap<String, (String, Scope)>,
    rules: RuleBook,
}

impl City {
    fn read() -> Self {
        let holders = rows("holders.csv").into_iter().zip(0..).map(|(row, number)| {
            let rated = Star::new(row["star"].parse().unwrap()).unwrap();
            let holder =
                Holder { category: row["category"].parse().unwrap(), rated, status: row["status"].parse().unwrap() };
            (row["holder_id"].clone(), (HolderNo(number), holder))
        });
        let merchants = rows("merchants.csv").into_iter().map(|row| {
            let id: MerchantId = row["merchant_id"].parse().unwrap();
            let merchant = Merchant { id, kind: row["kind"].parse().unwrap(), circle: row["circle"].parse().unwrap() };
            (row["merchant_id"].clone(), merchant)
        });
        let terminals = rows("terminals.csv").into_iter();
        let cards = rows("cards.csv").into_iter();
        Self {
            holders: holders.collect(),
            cards: cards.map(|row| (row["pan"].clone(), (row["holder_id"].clone(), row))).collect(),
            merchants: merchants.collect(),
            terminals: terminals
                .map(|row| (row["terminal_id"].clone(), (row["merchant_id"].clone(), row["scope"].parse().unwrap())))
                .collect(),
            rules: RuleBook::new(RuleBookVersion(1), rows("benefits.csv").iter().map(benefit)),
        }
    }

    fn facts(&self, terminal: &str, pan: &str) -> Facts {
        let (merchant, scope) = &self.terminals[terminal];
        let card = self.cards.get(pan).map(|(holder, row)| (&self.holders[holder], row));
        Facts {
            merchant: self.merchants[merchant],
            scope: *scope,
            card: card.map(|((holder_no, _), row)| Card {
                holder_no: *holder_no,
                status: row["status"].parse().unwrap(),
                expires: date(&format!("{}-01", row["expires"])).month(),
            }),
            holder: card.map(|((_, holder), _)| *holder),
            reversed_before: false,
            counts: Default::default(),
        }
    }
}

fn benefit(row: &Row) -> Benefit {
    let optional = |column: &str| (!row[column].is_empty()).then(|| row[column].clone());
    let number = |column: &str| optional(column).map(|text| text.parse().unwrap());
    let mut made = support::benefit(row["benefit_id"].parse().unwrap(), row["kind"].parse().unwrap());
    made.provider = row["provider"].parse().unwrap();
    made.service = optional("service").map(|code| ServiceCode::new(code.as_bytes()).unwrap());
    made.audience = row["audience"].parse().unwrap();
    made.values = ["s1", "s2", "s3", "s4", "s5"].map(|column| row[column].parse().unwrap());
    (made.valid_from, made.valid_to) = (date(&row["valid_from"]), date(&row["valid_to"]));
    made.weekdays = optional("weekdays").map(|days| {
        let (first, last) = days.split_once('-').unwrap_or((&days, &days));
        (first.parse().unwrap(), last.parse().unwrap())
    });
    made.hours = optional("hours").map(|hours| hours.split_once('-').map(|(a, b)| (minutes(a), minutes(b))).unwrap());
    (made.min_amount, made.max_off) = (number("min_amount").map(Fen), number("max_off").map(Fen));
    assert!(number("budget").is_none() && number("per_day").is_none(), "the sample city has no limits");
    made.limits = Limits::default();
    made.group = optional("group");
    made.stacks = row["stack"] == "yes";
    made
}

fn joined(ids: impl Iterator<Item = BenefitId>) -> String {
    ids.map(|id| id.to_string()).collect::<Vec<_>>().join("+")
}

/// The columns of expected.csv, from a verdict and what the terminal may show.
fn seen(kind: AskKind, scope: Scope, verdict: &Verdict) -> Row {
    let approved = verdict.approved();
    let entitlement = &verdict.entitlement;
    let told = |may: bool, text: String| if approved && may { text } else { String::new() };
    let counter = kind == AskKind::CounterService;
    let price = entitlement.price.as_ref();
    let columns = [
        ("code", code_of(verdict.outcome).to_string()),
        ("payable", told(!counter, price.map_or(String::new(), |price| price.payable().0.to_string()))),
        ("priority", told(scope.priority, entitlement.priority_level().to_string())),
        ("days", told(counter, entitlement.days().to_string())),
        ("star", told(scope.star, entitlement.star.level().to_string())),
        (
            "benefits",
            told(true, joined(price.iter().flat_map(|price| price.applied.iter().map(|applied| applied.benefit)))),
        ),
        ("waivers", told(counter, joined(entitlement.waivers.iter().copied()))),
    ];
    columns.into_iter().map(|(column, text)| (column.to_owned(), text)).collect()
}

#[test]
fn all_600_swipes_get_the_answers_they_must() {
    let city = City::read();
    let swipes = rows("expected.csv");
    assert_eq!(swipes.len(), 600);
    for swipe in swipes {
        let (kind, pan) =
            (if swipe["kind"] == "purchase" { AskKind::Purchase } else { AskKind::CounterService }, &swipe["pan"]);
        let card = AskedCard::Number { key: PanKey([0; 32]), bin: 0, last4: 0, luhn_ok: luhn_ok(pan.as_bytes()) };
        let ask = Ask {
            kind,
            card,
            amount: swipe["amount"].parse().ok().map(Fen),
            currency: *b"156",
            service: ServiceCode::new(swipe["service"].as_bytes()).ok(),
            preview: false,
            chosen: None,
        };
        let (day, time) = swipe["at"].split_once('T').unwrap();
        let facts = city.facts(&swipe["terminal_id"], pan);
        let verdict = decide(&ask, &facts, &city.rules, support::moment(day, &time[..5]));
        for (column, text) in seen(kind, facts.scope, &verdict) {
            assert_eq!(text, swipe[&column], "{column} of {swipe:?}");
        }
    }
}
