//! `holders.csv`: who is rated.

use std::collections::HashMap;

use xingka_core::city::{Category, Holder, Star};

use super::fields::{Fields, id, number_u32, text};
use super::header::Columns;
use super::table::Table;
use crate::identifiers::{credit_code_ok, id_card};
use crate::store::{Change, HolderRow, StoreError};

pub(super) const FILE: &str = "holders.csv";

const NAME_CHARACTERS: usize = 200;
const ID_NO_CHARACTERS: usize = 64;

pub(super) struct Holders;

impl Table for Holders {
    const FILE: &'static str = FILE;
    const COLUMNS: Columns =
        Columns { required: &["holder_id", "category", "star", "status"], optional: &["name", "id_no"], either: None };
    const IDENTITY: &'static str = "holder_id";
    type Key = String;
    type Row = HolderRow;

    fn read(&self, fields: &mut Fields<'_>) -> Option<HolderRow> {
        let id = fields.read("holder_id", id);
        let category = fields.read("category", str::parse);
        let star = fields.read("star", number_u32(0..=5));
        let status = fields.read("status", str::parse);
        let name = fields.read("name", text(NAME_CHARACTERS));
        let (category, id_no) = category.map(|category| (category, id_no(fields, category))).unzip();
        let (id_no, id_flagged) = id_no??;
        let rated = Star::new(u8::try_from(star?).ok()?)?;
        let holder = Holder { category: category?, rated, status: status? };
        Some(HolderRow { id: id?, holder, name: name?, id_no, id_flagged })
    }

    fn key(row: &HolderRow) -> String {
        row.id.clone()
    }

    fn flagged(row: &HolderRow) -> bool {
        row.id_flagged
    }

    async fn put(&self, change: &mut Change, rows: &[HolderRow], _: &HashMap<String, i64>) -> Result<u64, StoreError> {
        change.put_holders(rows).await
    }
}

/// The id number in its one spelling, and whether somebody should look at it: a firm's
/// code that fails its check may be what its licence says.
fn id_no(fields: &mut Fields<'_>, category: Category) -> Option<(String, bool)> {
    if fields.text("id_no").is_empty() {
        return Some((String::new(), false));
    }
    if category == Category::Enterprise {
        let code = fields.read("id_no", text(ID_NO_CHARACTERS))?;
        let flagged = !credit_code_ok(&code);
        return Some((code, flagged));
    }
    fields.read("id_no", id_card).map(|id_no| (id_no, false))
}
