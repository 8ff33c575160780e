//! The clock, at the edge: everything further in is handed a [`Moment`].

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::time::Instant;
use xingka_core::time::{Date, Moment};

/// Time in the deployment's zone.
#[derive(Debug, Clone)]
pub struct Clock {
    zone: TimeZone,
    /// Where it doesn't show the system's time: what it showed when, by the runtime's timers.
    simulated: Option<(Timestamp, Instant)>,
}

impl Clock {
    /// A clock that counts days and hours in `zone`.
    pub fn new(zone: TimeZone) -> Self {
        Self { zone, simulated: None }
    }

    /// A clock that showed `began` now and goes as the runtime's timers do: a simulation's.
    pub fn simulated(zone: TimeZone, began: Timestamp) -> Self {
        Self { zone, simulated: Some((began, Instant::now())) }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        self.at(match self.simulated {
            None => Timestamp::now(),
            Some((began, since)) => began + since.elapsed(),
        })
    }

    /// Any time, as this deployment's zone sees it.
    pub fn at(&self, timestamp: Timestamp) -> Moment {
        let local = self.zone.to_datetime(timestamp);
        let (year, month, day) = (i32::from(local.year()), local.month() as u32, local.day() as u32);
        let seconds = i32::from(local.hour()) * 3600 + i32::from(local.minute()) * 60 + i32::from(local.second());
        Moment {
            epoch_ms: timestamp.as_millisecond(),
            // jiff's dates all exist; the epoch stands in for none.
            date: Date::from_civil(year, month, day).unwrap_or(Date(0)),
            second_of_day: seconds.unsigned_abs(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_local_midnight() {
        let clock = Clock::new(TimeZone::get("Asia/Shanghai").unwrap());
        let last = clock.at("2026-11-22T15:59:59.999Z".parse().unwrap());
        let first = clock.at("2026-11-22T16:00:00Z".parse().unwrap());
        assert_eq!(last.to_string(), "2026-11-22 23:59:59");
        assert_eq!(first.to_string(), "2026-11-23 00:00:00");
    }
}
