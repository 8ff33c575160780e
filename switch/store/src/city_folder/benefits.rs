//! `benefits.csv`: what is given, by whom, to whom and when.

use std::borrow::Cow;
use std::collections::HashMap;

use thiserror::Error;
use xingka_core::city::BadWord;
use xingka_core::ids::BenefitId;
use xingka_core::money::Fen;
use xingka_core::rules::{Bearer, Benefit, BenefitKind, Limits, ServiceCode};

use super::fields::{BadNumber, BadText, Fields, number, number_u32, optional, some_text, text};
use super::header::Columns;
use super::table::{Reference, Table};
use crate::benefit_text::{date, hours, weekdays, yes};
use crate::store::{Change, MERCHANT_NUMBERS, StoreError};

pub(super) const FILE: &str = "benefits.csv";

const TITLE_CHARACTERS: usize = 200;
const LEGAL_BASIS_CHARACTERS: usize = 500;
const GROUP_CHARACTERS: usize = 64;
/// Field 4 has twelve digits.
const LARGEST_AMOUNT: u64 = 999_999_999_999;
/// A thousand times that, for a budget that many amounts draw on.
const LARGEST_BUDGET: u64 = 999_999_999_999_999;

pub(super) struct Benefits;

/// A benefit without the document that allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must name the document that allows the benefit: without one it can't be loaded")]
struct NoBasis;

impl Table for Benefits {
    const FILE: &'static str = FILE;
    const COLUMNS: Columns = Columns {
        required: &[
            "benefit_id",
            "provider",
            "title",
            "kind",
            "service",
            "audience",
            "s1",
            "s2",
            "s3",
            "s4",
            "s5",
            "valid_from",
            "valid_to",
            "weekdays",
            "hours",
            "min_amount",
            "max_off",
            "budget",
            "per_day",
            "per_month",
            "per_holder",
            "group",
            "stack",
            "legal_basis",
        ],
        optional: &["bearer"],
        either: None,
    };
    const IDENTITY: &'static str = "benefit_id";
    /// All at once: a file that changes anything makes one rule book, not several.
    const ROWS_AT_A_TIME: usize = usize::MAX;
    const REFERENCE: Option<Reference<Benefit>> = Some(Reference {
        column: "provider",
        id: |row| Cow::Owned(row.provider.to_string()),
        select: MERCHANT_NUMBERS,
        reason: "there is no such merchant, neither in the store nor in a merchants.csv that was loaded",
    });
    type Key = BenefitId;
    type Row = Benefit;

    fn read(&self, fields: &mut Fields<'_>) -> Option<Benefit> {
        let id = fields.read("benefit_id", number_u32(0..=u32::MAX));
        let provider = fields.read("provider", str::parse);
        let title = fields.read("title", text(TITLE_CHARACTERS));
        let kind = fields.read("kind", str::parse);
        let service = fields.read("service", optional(|code| ServiceCode::new(code.as_bytes())));
        let audience = fields.read("audience", str::parse);
        let values = values(fields, kind);
        let valid_from = fields.read("valid_from", date);
        let valid_to = fields.read("valid_to", date);
        let weekdays = fields.read("weekdays", weekdays);
        let hours = fields.read("hours", hours);
        let min_amount = fields.read("min_amount", fen(LARGEST_AMOUNT));
        let max_off = fields.read("max_off", fen(LARGEST_AMOUNT));
        let limits = limits(fields);
        let group = fields.read("group", optional(text(GROUP_CHARACTERS)));
        let stacks = fields.read("stack", yes);
        let legal_basis = legal_basis(fields);
        let bearer = fields.read("bearer", bearer);
        Some(Benefit {
            id: BenefitId(id?),
            provider: provider?,
            title: title?,
            kind: kind?,
            service: service?,
            audience: audience?,
            values: values?,
            valid_from: valid_from?,
            valid_to: valid_to?,
            weekdays: weekdays?,
            hours: hours?,
            min_amount: min_amount?,
            max_off: max_off?,
            limits: limits?,
            group: group?,
            stacks: stacks?,
            legal_basis: legal_basis?,
            bearer: bearer?,
        })
    }

    fn key(row: &Benefit) -> BenefitId {
        row.id
    }

    async fn put(&self, change: &mut Change, rows: &[Benefit], _: &HashMap<String, i64>) -> Result<u64, StoreError> {
        change.put_benefits(rows).await
    }
}

fn values(fields: &mut Fields<'_>, kind: Option<BenefitKind>) -> Option<[u32; 5]> {
    let largest = kind.map_or(u32::MAX, BenefitKind::largest_value);
    let [s1, s2, s3, s4, s5] = ["s1", "s2", "s3", "s4", "s5"].map(|star| fields.read(star, number_u32(0..=largest)));
    Some([s1?, s2?, s3?, s4?, s5?])
}

fn limits(fields: &mut Fields<'_>) -> Option<Limits> {
    let [per_day, per_month, per_holder] =
        ["per_day", "per_month", "per_holder"].map(|column| fields.read(column, optional(number_u32(0..=u32::MAX))));
    let budget = fields.read("budget", fen(LARGEST_BUDGET));
    Some(Limits { per_day: per_day?, per_month: per_month?, per_holder: per_holder?, budget: budget? })
}

fn fen(largest: u64) -> impl Fn(&str) -> Result<Option<Fen>, BadNumber> {
    move |text| Ok(optional(number(0..=largest))(text)?.map(Fen))
}

fn legal_basis(fields: &mut Fields<'_>) -> Option<String> {
    if fields.text("legal_basis").trim().is_empty() {
        return fields.read("legal_basis", |_| Err(NoBasis));
    }
    fields.read("legal_basis", |basis| -> Result<_, BadText> { some_text(LEGAL_BASIS_CHARACTERS)(basis) })
}

/// The merchant pays, unless the file says who does.
fn bearer(text: &str) -> Result<Bearer, BadWord> {
    if text.is_empty() { Ok(Bearer::Merchant) } else { text.parse() }
}
