//! `cards.csv`: which cards there are and whose they are.
//!
//! A row has the card's number; or, in a folder that an export wrote, its keyed hash with
//! BIN and last four. The number lives as long as its row is read.

use std::borrow::Cow;
use std::collections::HashMap;

use thiserror::Error;
use xingka_core::ids::PanKey;
use xingka_core::pan::{self, CardHasher, luhn_ok};
use xingka_core::time::Month;

use super::fields::{BadHex, Fields, hex_bytes, id};
use super::header::Columns;
use super::table::{Reference, Table};
use crate::benefit_text::{BadForm, digits};
use crate::store::{CardRow, Change, HOLDER_NUMBERS, StoreError};

pub(super) const FILE: &str = "cards.csv";

const BIN_DIGITS: usize = 6;
const LAST_DIGITS: usize = 4;

pub(super) struct Cards<'k> {
    pub(super) hasher: &'k CardHasher,
}

/// What is wrong with a card's number, or with what stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
enum BadNumber {
    #[error("must be 16 to 19 digits")]
    Form,
    #[error("its check digit (Luhn) doesn't fit")]
    Check,
    #[error("must be {0} digits")]
    Digits(usize),
}

/// A card's number, as far as it is kept.
type Number = (PanKey, u32, u16);

impl Table for Cards<'_> {
    const FILE: &'static str = FILE;
    const COLUMNS: Columns = Columns {
        required: &["holder_id", "status", "expires"],
        optional: &[],
        either: Some(("pan", &["pan_key", "bin", "last4"])),
    };
    const IDENTITY: &'static str = "pan";
    const REFERENCE: Option<Reference<CardRow>> = Some(Reference {
        column: "holder_id",
        id: |row| Cow::Borrowed(&row.holder_id),
        select: HOLDER_NUMBERS,
        reason: "there is no such holder, neither in the store nor in a holders.csv that was loaded",
    });
    type Key = PanKey;
    type Row = CardRow;

    fn read(&self, fields: &mut Fields<'_>) -> Option<CardRow> {
        let number = self.number(fields);
        let holder_id = fields.read("holder_id", id);
        let status = fields.read("status", str::parse);
        let expires = fields.read("expires", month);
        let (key, bin, last4) = number?;
        Some(CardRow { key, bin, last4, holder_id: holder_id?, status: status?, expires: expires? })
    }

    fn key(row: &CardRow) -> PanKey {
        row.key
    }

    async fn put(
        &self,
        change: &mut Change,
        rows: &[CardRow],
        numbers: &HashMap<String, i64>,
    ) -> Result<u64, StoreError> {
        let rows: Vec<(&CardRow, i64)> =
            rows.iter().filter_map(|row| Some((row, *numbers.get(&row.holder_id)?))).collect();
        change.put_cards(&rows).await
    }
}

impl Cards<'_> {
    fn number(&self, fields: &mut Fields<'_>) -> Option<Number> {
        let hashed = ["pan_key", "bin", "last4"].iter().any(|column| !fields.text(column).is_empty());
        match (fields.text("pan").is_empty(), hashed) {
            (false, false) => fields.read("pan", |text| self.hash(text)),
            (true, true) => hashed_number(fields),
            (true, false) => {
                fields.fault("pan", "must not be empty, unless pan_key, bin and last4 stand for it".into())
            }
            (false, true) => fields.fault("pan", "stands beside pan_key, bin or last4: give one or the other".into()),
        }
    }

    fn hash(&self, text: &str) -> Result<Number, BadNumber> {
        let number = text.as_bytes();
        if !(16..=19).contains(&number.len()) || !number.iter().all(u8::is_ascii_digit) {
            return Err(BadNumber::Form);
        }
        if !luhn_ok(number) {
            return Err(BadNumber::Check);
        }
        Ok((self.hasher.key_of(number), pan::bin(number), pan::last4(number)))
    }
}

fn hashed_number(fields: &mut Fields<'_>) -> Option<Number> {
    let key = fields.read("pan_key", |text| -> Result<_, BadHex> { Ok(PanKey(hex_bytes(text)?)) });
    let bin = fields.read("bin", |text| digits(text, BIN_DIGITS).ok_or(BadNumber::Digits(BIN_DIGITS)));
    let last4 = fields.read("last4", |text| digits(text, LAST_DIGITS).ok_or(BadNumber::Digits(LAST_DIGITS)));
    Some((key?, bin?, u16::try_from(last4?).ok()?))
}

/// `2031-12`.
fn month(text: &str) -> Result<Month, BadForm> {
    let (year, month) = text.split_once('-').ok_or(BadForm::Month)?;
    let (year, month) = digits(year, 4).zip(digits(month, 2)).ok_or(BadForm::Month)?;
    if (1..=12).contains(&month) { Ok(Month::new(year.cast_signed(), month)) } else { Err(BadForm::Month) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months() {
        assert_eq!(month("2031-12").map(|month| month.to_string()).as_deref(), Ok("2031-12"));
        for text in ["2031-13", "2031-00", "2031-1", "31-12", "203112", "2031/12", "", "2031-12-01"] {
            assert_eq!(month(text), Err(BadForm::Month), "{text}");
        }
    }

    #[test]
    fn numbers_are_16_to_19_digits_and_pass_luhn() {
        let hasher = CardHasher::new(&[1; 32]);
        let cards = Cards { hasher: &hasher };
        let (_, bin, last4) = cards.hash("6299990000000000012").unwrap();
        assert_eq!((bin, last4), (629_999, 12));
        assert_eq!(cards.hash("6299990000000000013"), Err(BadNumber::Check));
        for text in ["629999000000012", "62999900000000000128", "629999000000000001x", "６299990000000000012", ""] {
            assert_eq!(cards.hash(text), Err(BadNumber::Form), "{text}");
        }
    }
}
