//! One row, read column by column; each fault is noted, and the row is read to its end.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;

use csv::StringRecord;
use thiserror::Error;

use super::header::Header;
use super::report::RowFault;

/// A row while it is read.
pub(super) struct Fields<'r> {
    pub(super) header: &'r Header,
    pub(super) record: &'r StringRecord,
    pub(super) line: u64,
    pub(super) faults: &'r mut Vec<RowFault>,
}

impl<'r> Fields<'r> {
    /// What stands in a column; empty where the file doesn't have it.
    pub(super) fn text(&self, column: &str) -> &'r str {
        self.header.place(column).and_then(|place| self.record.get(place)).unwrap_or_default()
    }

    /// What stands in a column, read; or nothing, and the fault is noted.
    pub(super) fn read<T, E: Display>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&'r str) -> Result<T, E>,
    ) -> Option<T> {
        match read(self.text(column)) {
            Ok(value) => Some(value),
            Err(reason) => self.fault(column, reason.to_string().into()),
        }
    }

    /// Notes a fault.
    pub(super) fn fault<T>(&mut self, column: &'static str, reason: Cow<'static, str>) -> Option<T> {
        self.faults.push(RowFault { line: self.line, column: Cow::Borrowed(column), reason });
        None
    }
}

/// A text that doesn't fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(super) enum BadText {
    #[error("must not be empty")]
    Empty,
    #[error("has more than {0} characters")]
    Long(usize),
}

/// At most so many characters.
pub(super) fn text(most: usize) -> impl Fn(&str) -> Result<String, BadText> {
    move |text| {
        if text.chars().count() > most { Err(BadText::Long(most)) } else { Ok(text.to_owned()) }
    }
}

/// At least one character that isn't a space, at most so many.
pub(super) fn some_text(most: usize) -> impl Fn(&str) -> Result<String, BadText> {
    move |value| {
        if value.trim().is_empty() { Err(BadText::Empty) } else { text(most)(value) }
    }
}

/// The longest id of a holder.
const ID_CHARACTERS: usize = 64;

/// An id: some text.
pub(super) fn id(value: &str) -> Result<String, BadText> {
    some_text(ID_CHARACTERS)(value)
}

/// A text that is no number within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be a whole number from {least} to {most}")]
pub(super) struct BadNumber {
    least: u64,
    most: u64,
}

/// A whole number, digits only: no sign, no point, no space.
pub(super) fn number(bounds: RangeInclusive<u64>) -> impl Fn(&str) -> Result<u64, BadNumber> {
    move |text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = digits.then(|| text.parse().ok()).flatten().filter(|value| bounds.contains(value));
        value.ok_or(BadNumber { least: *bounds.start(), most: *bounds.end() })
    }
}

/// A number that fits 32 bits.
pub(super) fn number_u32(bounds: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, BadNumber> {
    let bounds = u64::from(*bounds.start())..=u64::from(*bounds.end());
    move |text| {
        let bad = BadNumber { least: *bounds.start(), most: *bounds.end() };
        u32::try_from(number(bounds.clone())(text)?).map_err(|_| bad)
    }
}

/// Nothing where the column is empty.
pub(super) fn optional<T, E>(read: impl Fn(&str) -> Result<T, E>) -> impl Fn(&str) -> Result<Option<T>, E> {
    move |text| {
        if text.is_empty() { Ok(None) } else { read(text).map(Some) }
    }
}

/// Bytes written as hexadecimal digits.
pub(super) fn hex_bytes<const N: usize>(text: &str) -> Result<[u8; N], BadHex> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| BadHex(N * 2))?;
    Ok(bytes)
}

/// A text that isn't so many hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be {0} hexadecimal digits")]
pub(super) struct BadHex(usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits_within_bounds() {
        let read = number(0..=5);
        assert_eq!((read("0"), read("5")), (Ok(0), Ok(5)));
        for text in ["6", "-1", "+1", "1.0", " 1", "", "１", "99999999999999999999"] {
            let error = read(text).unwrap_err().to_string();
            assert_eq!(error, "must be a whole number from 0 to 5", "{text}");
        }
        assert_eq!(number_u32(0..=u32::MAX)("4294967295"), Ok(u32::MAX));
        assert_eq!(optional(number(1..=2))(""), Ok(None));
    }

    #[test]
    fn texts_have_bounds() {
        assert_eq!(some_text(3)(" "), Err(BadText::Empty));
        assert_eq!(some_text(3)("诚信店"), Ok("诚信店".to_owned()));
        assert_eq!(text(3)("abcd"), Err(BadText::Long(3)));
    }
}
