//! Time as a value that is handed in: the core has no clock and no time zone.
//!
//! The edge turns its clock into a [`Moment`] once per request, with the zone of the
//! configuration applied; a civil-time library stays outside the core, and a replay
//! years later sees the very same moment.

use core::fmt;
use serde::{Deserialize, Serialize};

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Date(pub i32);

impl Date {
    /// The day of a proleptic Gregorian date, or nothing where there is no such date.
    pub fn from_civil(year: i32, month: u32, day: u32) -> Option<Self> {
        if !(0..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
            return None;
        }
        (day <= days_in_month(year, month)).then(|| Self(days_from_civil(year, month, day)))
    }

    /// Year, month and day of month.
    pub fn civil(self) -> (i32, u32, u32) {
        // Howard Hinnant's civil_from_days: eras of 400 years beginning on 1 March.
        let days = self.0 + 719_468;
        let era = days.div_euclid(146_097);
        let doe = days.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i32::from(month <= 2);
        (year, month.cast_unsigned(), day.cast_unsigned())
    }

    /// 1 for Monday to 7 for Sunday.
    pub fn weekday(self) -> u8 {
        // 1970-01-01 was a Thursday.
        (self.0 + 3).rem_euclid(7) as u8 + 1
    }

    /// Month and day as a number, MMDD.
    pub fn mmdd(self) -> u32 {
        let (_, month, day) = self.civil();
        month * 100 + day
    }

    /// The latest day up to this one that is written MMDD; `None` where no day is.
    pub fn latest_written(self, mmdd: u32) -> Option<Self> {
        let (year, ..) = self.civil();
        // 29 February is there within eight years.
        let years = (year - 8..=year).rev();
        years.filter_map(|year| Self::from_civil(year, mmdd / 100, mmdd % 100)).find(|day| *day <= self)
    }

    /// The month this day is in.
    pub fn month(self) -> Month {
        let (year, month, _) = self.civil();
        Month::new(year, month)
    }
}

fn days_in_month(year: i32, month: u32) -> u32 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let (month, day) = (month.cast_signed(), day.cast_signed());
    let year = year - i32::from(month <= 2);
    let era = year.div_euclid(400);
    let yoe = year.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// A month, counted from January of year 0: a card is good to the end of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Month(pub u32);

impl Month {
    /// Month 1-12 of a year.
    pub fn new(year: i32, month: u32) -> Self {
        Self(year.max(0).cast_unsigned() * 12 + month.saturating_sub(1))
    }
}

/// `2031-12`.
impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0 / 12, self.0 % 12 + 1)
    }
}

/// A moment, with the local date and time that the deployment's zone gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since 1970-01-01T00:00Z.
    pub epoch_ms: i64,
    /// The local date.
    pub date: Date,
    /// Seconds since local midnight.
    pub second_of_day: u32,
}

impl Moment {
    /// Minutes since local midnight: benefits' hours are given in minutes.
    pub fn minute_of_day(self) -> u16 {
        (self.second_of_day / 60) as u16
    }

    /// Field 12: local time, `hhmmss` as a number.
    pub fn hhmmss(self) -> u32 {
        let s = self.second_of_day;
        s / 3600 * 10_000 + s / 60 % 60 * 100 + s % 60
    }

    /// Field 13: local date, `MMDD` as a number.
    pub fn mmdd(self) -> u32 {
        self.date.mmdd()
    }

    /// The latest moment up to this one at which a clock showed `hhmmss` on `mmdd`; `None` where
    /// there is no such time. A clock that is ahead by less than a day shows this moment.
    pub fn latest_shown(self, mmdd: u32, hhmmss: u32) -> Option<Self> {
        let (hour, minute, second) = (hhmmss / 10_000, hhmmss / 100 % 100, hhmmss % 100);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let tomorrow = Date(self.date.0 + 1);
        let date = if tomorrow.mmdd() == mmdd { tomorrow } else { self.date.latest_written(mmdd)? };
        let second_of_day = hour * 3_600 + minute * 60 + second;
        let earlier_s =
            i64::from(self.date.0 - date.0) * 86_400 + i64::from(self.second_of_day) - i64::from(second_of_day);
        // Of a zone that changed its offset in between, off by that change: rules go by the date.
        Some(if earlier_s < 0 {
            self
        } else {
            Self { epoch_ms: self.epoch_ms - earlier_s * 1_000, date, second_of_day }
        })
    }
}

/// `2026-11-23 14:05:09`, local.
impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.second_of_day;
        write!(f, "{} {:02}:{:02}:{:02}", self.date, s / 3600, s / 60 % 60, s % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn dates_agree_with_jiff() {
        let mut day = jiff::civil::date(1969, 1, 1);
        let first = Date::from_civil(1969, 1, 1).unwrap().0;
        for n in 0..80 * 365 {
            let date = Date(first + n);
            let (year, month, of_month) = date.civil();
            assert_eq!(date.to_string(), day.to_string());
            assert_eq!(date.weekday(), day.weekday().to_monday_one_offset().cast_unsigned());
            assert_eq!(Date::from_civil(year, month, of_month), Some(date));
            day = day.tomorrow().unwrap();
        }
    }

    #[test]
    fn dates_that_do_not_exist_are_refused() {
        for (year, month, day) in [(2026, 2, 29), (2026, 4, 31), (2026, 13, 1), (2026, 0, 1), (2026, 1, 0)] {
            assert_eq!(Date::from_civil(year, month, day), None);
        }
        assert!(Date::from_civil(2028, 2, 29).is_some());
    }

    #[test]
    fn a_terminals_clock_is_placed_in_the_year_it_can_mean() {
        let date = |y, m, d| Date::from_civil(y, m, d).unwrap();
        let now = Moment { epoch_ms: 1_000_000_000, date: date(2026, 1, 2), second_of_day: 3_600 };
        let shown = |mmdd, hhmmss| now.latest_shown(mmdd, hhmmss);
        assert_eq!(shown(102, 5_959).unwrap(), Moment { epoch_ms: 999_999_000, second_of_day: 3_599, ..now });
        assert_eq!(shown(102, 10_001), Some(now));
        assert_eq!(shown(103, 0), Some(now));
        assert_eq!(shown(1_231, 0).unwrap().date, date(2025, 12, 31));
        assert_eq!(shown(104, 0).unwrap().date, date(2025, 1, 4));
        assert_eq!(shown(229, 0).unwrap().date, date(2024, 2, 29));
        for (mmdd, hhmmss) in [(230, 0), (1_301, 0), (101, 240_000), (101, 6_000), (101, 60)] {
            assert_eq!(shown(mmdd, hhmmss), None, "{mmdd:04} {hhmmss:06}");
        }
    }

    #[test]
    fn a_moment_as_the_wire_writes_it() {
        let date = Date::from_civil(2026, 11, 3).unwrap();
        let at = Moment { epoch_ms: 0, date, second_of_day: 9 * 3600 + 5 * 60 + 7 };
        assert_eq!((at.hhmmss(), at.mmdd(), at.minute_of_day()), (90_507, 1_103, 545));
        assert_eq!(date.month().to_string(), "2026-11");
    }
}
