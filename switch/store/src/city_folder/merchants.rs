//! `merchants.csv`: where terminals stand and who gives benefits.

use std::collections::HashMap;

use thiserror::Error;
use xingka_core::city::Merchant;
use xingka_core::ids::MerchantId;

use super::fields::{Fields, text};
use super::header::Columns;
use super::table::Table;
use crate::benefit_text::digits;
use crate::store::{Change, MerchantRow, StoreError};

pub(super) const FILE: &str = "merchants.csv";

const NAME_CHARACTERS: usize = 200;
const MCC_DIGITS: usize = 4;
const REGION_DIGITS: usize = 6;

pub(super) struct Merchants;

impl Table for Merchants {
    const FILE: &'static str = FILE;
    const COLUMNS: Columns =
        Columns { required: &["merchant_id", "name", "kind", "mcc", "circle", "region"], optional: &[], either: None };
    const IDENTITY: &'static str = "merchant_id";
    type Key = MerchantId;
    type Row = MerchantRow;

    fn read(&self, fields: &mut Fields<'_>) -> Option<MerchantRow> {
        let id = fields.read("merchant_id", str::parse);
        let name = fields.read("name", text(NAME_CHARACTERS));
        let kind = fields.read("kind", str::parse);
        let mcc = fields.read("mcc", |text| code(text, MCC_DIGITS));
        let circle = fields.read("circle", str::parse);
        let region = fields.read("region", |text| code(text, REGION_DIGITS));
        let merchant = Merchant { id: id?, kind: kind?, circle: circle? };
        Some(MerchantRow { merchant, name: name?, mcc: mcc?, region: region? })
    }

    fn key(row: &MerchantRow) -> MerchantId {
        row.merchant.id
    }

    async fn put(
        &self,
        change: &mut Change,
        rows: &[MerchantRow],
        _: &HashMap<String, i64>,
    ) -> Result<u64, StoreError> {
        change.put_merchants(rows).await
    }
}

/// A code that isn't one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be {0} digits or empty")]
struct BadCode(usize);

/// A code of so many digits; places without one exist.
fn code(text: &str, count: usize) -> Result<String, BadCode> {
    let right = text.is_empty() || digits(text, count).is_some();
    if right { Ok(text.to_owned()) } else { Err(BadCode(count)) }
}
