//! A benefit as text: the columns of `benefits.csv`, read and written.
//!
//! The store keeps dates, weekdays and hours in the same text as the file, so there is one
//! reader and one writer of each, and the digest of a rule book is over text that a person
//! can compare with the file.

use sha2::{Digest, Sha256};
use std::fmt;
use thiserror::Error;
use xingka_core::rules::Benefit;
use xingka_core::time::Date;

/// The columns, in the order an export writes them.
pub(crate) const COLUMNS: [&str; 25] = [
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
    "bearer",
];

/// A text that isn't in its column's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum BadForm {
    #[error("must be a date such as 2026-11-23")]
    Date,
    #[error("there is no such day")]
    NoSuchDay,
    #[error("must be a month such as 2031-12")]
    Month,
    #[error("must be weekdays such as 1-5, or one such as 6; 1 is Monday, 7 Sunday")]
    Weekdays,
    #[error("the first weekday must not come after the last")]
    WeekdayOrder,
    #[error("must be hours such as 09:00-17:00; the end may be 24:00")]
    Hours,
    #[error("the hours must start before they end")]
    HourOrder,
    #[error("must be yes, no or empty")]
    YesNo,
}

/// `2026-11-23`, a day that exists.
pub(crate) fn date(text: &str) -> Result<Date, BadForm> {
    let (year, month, day) = match text.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => (digits(year, 4), digits(month, 2), digits(day, 2)),
        _ => return Err(BadForm::Date),
    };
    let (year, month, day) = (year.ok_or(BadForm::Date)?, month.ok_or(BadForm::Date)?, day.ok_or(BadForm::Date)?);
    Date::from_civil(year.cast_signed(), month, day).ok_or(BadForm::NoSuchDay)
}

/// A number of exactly so many digits.
pub(crate) fn digits(text: &str, count: usize) -> Option<u32> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| text.parse().ok()).flatten()
}

/// `1-5` or `6`; empty means every day.
pub(crate) fn weekdays(text: &str) -> Result<Option<(u8, u8)>, BadForm> {
    let day = |byte: u8| (b'1'..=b'7').contains(&byte).then(|| byte - b'0').ok_or(BadForm::Weekdays);
    let (first, last) = match *text.as_bytes() {
        [] => return Ok(None),
        [only] => (day(only)?, day(only)?),
        [first, b'-', last] => (day(first)?, day(last)?),
        _ => return Err(BadForm::Weekdays),
    };
    if first <= last { Ok(Some((first, last))) } else { Err(BadForm::WeekdayOrder) }
}

/// `09:00-17:00` as minutes of the day, the end exclusive; empty means the whole day.
pub(crate) fn hours(text: &str) -> Result<Option<(u16, u16)>, BadForm> {
    if text.is_empty() {
        return Ok(None);
    }
    let (start, end) = text.split_once('-').ok_or(BadForm::Hours)?;
    let (start, end) = (minute(start)?, minute(end)?);
    if start < end { Ok(Some((start, end))) } else { Err(BadForm::HourOrder) }
}

fn minute(text: &str) -> Result<u16, BadForm> {
    let (hour, minute) = text.split_once(':').ok_or(BadForm::Hours)?;
    let (hour, minute) = digits(hour, 2).zip(digits(minute, 2)).ok_or(BadForm::Hours)?;
    let minute_of_day = hour * 60 + minute;
    // 24:00 starts nothing, and start < end sees to that.
    let exists = minute <= 59 && minute_of_day <= 24 * 60;
    if exists { u16::try_from(minute_of_day).map_err(|_| BadForm::Hours) } else { Err(BadForm::Hours) }
}

/// `yes`; `no` or nothing.
pub(crate) fn yes(text: &str) -> Result<bool, BadForm> {
    match text {
        "yes" => Ok(true),
        "no" | "" => Ok(false),
        _ => Err(BadForm::YesNo),
    }
}

pub(crate) fn weekdays_text(weekdays: Option<(u8, u8)>) -> String {
    weekdays.map_or_else(
        String::new,
        |(first, last)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        },
    )
}

pub(crate) fn hours_text(hours: Option<(u16, u16)>) -> String {
    let text = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    hours.map_or_else(String::new, |(start, end)| format!("{}-{}", text(start), text(end)))
}

/// A benefit's columns, in the order of [`COLUMNS`].
pub(crate) fn texts(benefit: &Benefit) -> [String; 25] {
    let [s1, s2, s3, s4, s5] = benefit.values.map(|value| value.to_string());
    let limits = &benefit.limits;
    [
        benefit.id.to_string(),
        benefit.provider.to_string(),
        benefit.title.clone(),
        benefit.kind.word().to_owned(),
        or_empty(benefit.service),
        benefit.audience.to_string(),
        s1,
        s2,
        s3,
        s4,
        s5,
        benefit.valid_from.to_string(),
        benefit.valid_to.to_string(),
        weekdays_text(benefit.weekdays),
        hours_text(benefit.hours),
        or_empty(benefit.min_amount.map(|fen| fen.0)),
        or_empty(benefit.max_off.map(|fen| fen.0)),
        or_empty(limits.budget.map(|fen| fen.0)),
        or_empty(limits.per_day),
        or_empty(limits.per_month),
        or_empty(limits.per_holder),
        or_empty(benefit.group.as_deref()),
        if benefit.stacks { "yes" } else { "" }.to_owned(),
        benefit.legal_basis.clone(),
        benefit.bearer.word().to_owned(),
    ]
}

fn or_empty<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// SHA-256 over the texts of benefits given by ascending id, in hexadecimal. Columns end
/// with a unit separator and benefits with a record separator, which no column may hold.
pub(crate) fn digest<'b>(benefits: impl IntoIterator<Item = &'b Benefit>) -> String {
    let mut hasher = Sha256::new();
    for benefit in benefits {
        for text in texts(benefit) {
            hasher.update(text);
            hasher.update([0x1F]);
        }
        hasher.update([0x1E]);
    }
    hex::encode(hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_exist() {
        assert_eq!(date("2028-02-29").map(|date| date.to_string()).as_deref(), Ok("2028-02-29"));
        for (text, fault) in [
            ("2026-02-29", BadForm::NoSuchDay),
            ("2026-13-01", BadForm::NoSuchDay),
            ("2026-1-01", BadForm::Date),
            ("2026/01/01", BadForm::Date),
            ("20260101", BadForm::Date),
            ("+026-01-01", BadForm::Date),
            ("", BadForm::Date),
        ] {
            assert_eq!(date(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn weekdays_are_a_range_or_one() {
        for (text, expected) in [
            ("", Ok(None)),
            ("1-5", Ok(Some((1, 5)))),
            ("7", Ok(Some((7, 7)))),
            ("3-3", Ok(Some((3, 3)))),
            ("5-1", Err(BadForm::WeekdayOrder)),
            ("0", Err(BadForm::Weekdays)),
            ("1-8", Err(BadForm::Weekdays)),
            ("1,3", Err(BadForm::Weekdays)),
            ("12", Err(BadForm::Weekdays)),
        ] {
            assert_eq!(weekdays(text), expected, "{text}");
        }
        assert_eq!(weekdays_text(Some((1, 5))), "1-5");
        assert_eq!(weekdays_text(Some((6, 6))), "6");
    }

    #[test]
    fn hours_start_before_they_end() {
        for (text, expected) in [
            ("", Ok(None)),
            ("09:00-17:00", Ok(Some((540, 1020)))),
            ("00:00-24:00", Ok(Some((0, 1440)))),
            ("23:59-24:00", Ok(Some((1439, 1440)))),
            ("17:00-09:00", Err(BadForm::HourOrder)),
            ("09:00-09:00", Err(BadForm::HourOrder)),
            ("24:00-24:00", Err(BadForm::HourOrder)),
            ("09:00-24:01", Err(BadForm::Hours)),
            ("09:60-17:00", Err(BadForm::Hours)),
            ("9:00-17:00", Err(BadForm::Hours)),
            ("09:00", Err(BadForm::Hours)),
        ] {
            assert_eq!(hours(text), expected, "{text}");
        }
        assert_eq!(hours_text(Some((540, 1440))), "09:00-24:00");
    }
}
